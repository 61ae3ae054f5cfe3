from collections.abc import Callable

import pytest
from django.test import Client

from orchestrator.models import Proposal
from tests.conftest import Cast

HTMX = {"HX-Request": "true"}


@pytest.fixture
def held(propose: Callable[..., Proposal], rule: Callable[..., None]) -> Proposal:
    """A refund that a rule holds for a person."""
    rule()
    return propose()


@pytest.fixture
def rita(cast: Cast, sign_in: Callable[..., Client]) -> Client:
    return sign_in(cast.rita)


@pytest.fixture
def rolf(cast: Cast, sign_in: Callable[..., Client]) -> Client:
    return sign_in(cast.rolf)


@pytest.fixture
def ada(cast: Cast, sign_in: Callable[..., Client]) -> Client:
    return sign_in(cast.ada)


@pytest.fixture
def max_(cast: Cast, sign_in: Callable[..., Client]) -> Client:
    return sign_in(cast.max)


def form_for(proposal: Proposal, verdict: str = "approve", **changes: object) -> dict[str, object]:
    """What the page of a waiting proposal sends."""
    item = proposal.review_items.get()
    return {
        "item": item.pk,
        "version": item.version,
        "idempotency_key": f"key-{verdict}",
        "verdict": verdict,
    } | changes
