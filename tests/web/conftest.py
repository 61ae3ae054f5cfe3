from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from orchestrator.actions.confirmations import Seen
from orchestrator.core.errors import CountersignError
from orchestrator.models import Proposal, ReviewItem
from tests import deciding
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


def form_for(
    proposal: Proposal, verdict: str = "approve", who: str = "rita", **changes: Any
) -> dict[str, object]:
    """What the page of a proposal sends for whoever took it."""
    return item_form(proposal.review_items.latest("pk"), verdict, who, **changes)


def item_form(
    found: ReviewItem, verdict: str, who: str = "rita", **changes: Any
) -> dict[str, object]:
    return {
        "item": found.pk,
        **asdict(seen_by(who, found)),
        "idempotency_key": f"key-{found.pk}-{verdict}-{who}",
        "verdict": verdict,
    } | changes


def seen_by(who: str, item: ReviewItem) -> Seen:
    """Of whoever cannot take it: what a page that is made up would send."""
    person = User.objects.get(username=who)
    try:
        return deciding.look(person, item)
    except CountersignError:
        return Seen(item.version, "no lease", "no confirmation")
