"""A stored version asked about one recorded proposal: the page says what the API says."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from orchestrator.actions import contracts
from orchestrator.actions.actor import Actor
from orchestrator.models import Proposal
from tests.conftest import Cast
from tests.web.rules import FORM, put_in_force, try_on_the_past, write
from tests.web.test_rules import words_of

Propose = Callable[..., Proposal]
ASKED = "/rules/refund-limit/1/?proposal="
PAST: dict[str, Any] = {
    "condition": "history.today < 1",
    "history": {"today": {"count": {"same": ["agent"]}, "within": "24h"}},
}


@pytest.fixture
def mask_the_card(cast: Cast) -> None:
    contracts.save(
        Actor(cast.ada),
        kind="action",
        name="refund.create",
        schema={"type": "object", "properties": {"card": {"type": "string"}}},
        timeout_s=60,
        masked=["/card"],
    )


@pytest.mark.parametrize("is_active", [False, True])
def test_a_version_counts_the_past_as_of_then_in_every_stage(
    ada: Client, cast: Cast, propose: Propose, is_active: bool
) -> None:
    first, second = (propose(target=f"order/{number}") for number in range(2))
    version = write(cast.ada, **PAST)
    if is_active:
        try_on_the_past(cast.ada, version)
        put_in_force(cast.ada, version)
    assert "It holds" in words_of(ada.get(ASKED + first.pk).text)
    page = words_of(ada.get(ASKED + second.pk).text)
    assert "It does not hold" in page
    assert "history.today 1" in page
    assert "is not known" not in page


def test_what_cannot_be_counted_is_the_reason(ada: Client, cast: Cast, propose: Propose) -> None:
    window = {"count": {"same": ["args.customer_id"]}, "within": "24h"}
    write(cast.ada, **(PAST | {"history": {"today": window}}))
    page = words_of(ada.get(ASKED + propose(args={"amount_minor": 1}).pk).text)
    assert "It cannot be evaluated, so this proposal waits for a person." in page
    assert "args.customer_id" in page


def test_what_was_masked_is_not_guessed_at(
    ada: Client, cast: Cast, propose: Propose, mask_the_card: None
) -> None:
    proposal = propose(args={"card": "4111111111111111", "amount_minor": 1}).pk
    condition = '!proposal.args.card.startsWith("4")'
    write(cast.ada, condition=condition)
    draft = dict(FORM) | {"do": "try", "mode": "text", "condition": condition}
    pages = (ada.get(ASKED + proposal), ada.post("/rules/new/", draft | {"proposal": proposal}))
    for page in pages:
        words = words_of(page.text)
        assert "Nobody can say what it would have said about this proposal" in words
        assert "card was masked before it was stored" in words
        assert "It holds" not in words
        assert "Each part of the condition" not in words


def test_what_was_not_masked_can_be_tried(
    ada: Client, cast: Cast, propose: Propose, mask_the_card: None
) -> None:
    write(cast.ada)
    proposal = propose(args={"card": "4111111111111111", "amount_minor": 1})
    assert "It holds" in words_of(ada.get(ASKED + proposal.pk).text)
