"""What a rule blocked is let through by two people or not at all."""

from collections.abc import Callable

import pytest

from orchestrator.actions import reviews, users
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import BadInput, IllegalTransition, NotAllowed
from orchestrator.models import AuditEntry, Effect, Proposal, ReviewItem, Run
from tests import deciding
from tests.conftest import SYSTEM, Cast
from tests.work import work_all

Propose = Callable[..., Proposal]


@pytest.fixture
def blocked(propose: Propose, rule: Callable[..., None]) -> Proposal:
    rule(effect="block")
    return propose()


def approve(actor: Actor, item: ReviewItem) -> None:
    deciding.decide(actor, item)


def test_two_people_let_it_through(cast: Cast, blocked: Proposal) -> None:
    rita, rolf = Actor(cast.rita), Actor(cast.rolf)
    item = reviews.reopen(rita, blocked.pk, note="the customer is the owner")
    assert item.opened_because == [
        "rita asks for another look: the customer is the owner",
        "refund-limit: the amount 184000 is over 50000",
    ]
    assert (item.approvals_needed, Run.objects.get().status) == (2, "running")
    approve(rita, item)
    work_all()
    assert not Effect.objects.exists()
    with pytest.raises(NotAllowed, match="another person"):
        approve(Actor(cast.rita), item)
    approve(rolf, item)
    work_all()
    blocked.refresh_from_db()
    assert (blocked.status, Run.objects.get().status) == ("executed", "completed")
    assert AuditEntry.objects.filter(verb="proposal.reopened", user=cast.rita).exists()


def test_one_says_no_and_it_can_be_asked_again(cast: Cast, blocked: Proposal) -> None:
    item = reviews.reopen(Actor(cast.rita), blocked.pk, note="please")
    deciding.decide(
        Actor(cast.rolf), item.pk, verdict="reject", reason="policy_breach", idempotency_key="k"
    )
    blocked.refresh_from_db()
    assert (blocked.status, Run.objects.get().status) == ("rejected", "completed")


def test_only_what_is_blocked_is_reopened(cast: Cast, propose: Propose, blocked: Proposal) -> None:
    rita = Actor(cast.rita)
    reviews.reopen(rita, blocked.pk, note="please")
    for proposal in (blocked, propose(args={"amount_minor": 1, "currency": "EUR"})):
        with pytest.raises(IllegalTransition):
            reviews.reopen(rita, proposal.pk, note="please")
    assert ReviewItem.objects.count() == 1


def test_it_takes_a_reason_and_somebody_who_decides(cast: Cast, blocked: Proposal) -> None:
    with pytest.raises(BadInput):
        reviews.reopen(Actor(cast.rita), blocked.pk, note=" ")
    nobody = users.create(SYSTEM, username="nia", password=None, role=None)
    for person in (cast.max, nobody):
        with pytest.raises(NotAllowed):
            reviews.reopen(Actor(person), blocked.pk, note="please")
