"""Taking a decision back: before anything came of it, and not a moment later."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import DatabaseError, transaction
from django.utils import timezone

from orchestrator.actions import claims, confirmations, reviews, runs, targets, workflows
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import (
    BadInput,
    ItemChanged,
    NotFound,
    TargetChanged,
    TooLateToUndo,
)
from orchestrator.engine.sweep import sweep
from orchestrator.models import (
    AuditEntry,
    Command,
    Decision,
    Effect,
    LedgerEntry,
    Proposal,
    ReviewItem,
    Run,
)
from tests.conftest import SYSTEM, Cast
from tests.deciding import decide, look
from tests.roles import as_owner
from tests.runs import REFUND, stage
from tests.work import work_all

LONG_AGO = timezone.now() - timedelta(days=3)

Propose = Callable[..., Proposal]
Activate = Callable[..., None]


@pytest.fixture
def item(monkeypatch: pytest.MonkeyPatch, propose: Propose, rule: Activate) -> ReviewItem:
    monkeypatch.setattr(settings, "UNDO_S", 8)
    rule()
    return propose().review_items.get()


def let_time_pass() -> None:
    """The window is over: by the clock of the command, and by that of the decision."""
    Command.objects.update(not_before=LONG_AGO)


def undo(cast: Cast, decision: Decision) -> ReviewItem:
    return reviews.undo(Actor(cast.rita), decision.pk)


def test_what_is_approved_waits_for_its_window(cast: Cast, item: ReviewItem) -> None:
    decision = decide(cast.rita, item)
    assert decision.undo_until and decision.undo_until > timezone.now() + timedelta(seconds=7)
    work_all()
    assert not LedgerEntry.objects.exists()
    let_time_pass()
    work_all()
    assert Proposal.objects.get().status == "executed"
    assert LedgerEntry.objects.count() == 1


def test_taken_back_it_is_open_and_held_again(cast: Cast, item: ReviewItem) -> None:
    decision = decide(cast.rita, item)
    again = undo(cast, decision)
    assert (again.status, again.holder, again.closed_because) == ("waiting", cast.rita, "")
    let_time_pass()
    work_all()
    assert not LedgerEntry.objects.exists()
    assert Proposal.objects.get().status == "in_review"
    assert Effect.objects.get().status == "withdrawn"
    assert Run.objects.get().status == "running"
    assert AuditEntry.objects.filter(verb="review_item.undone", user=cast.rita).exists()


def test_approved_once_more_it_runs_once(cast: Cast, item: ReviewItem) -> None:
    first = decide(cast.rita, item)
    undo(cast, first)
    second = decide(cast.rita, item, idempotency_key="again")
    let_time_pass()
    work_all()
    effect = Effect.objects.get()
    assert (effect.decision, effect.status) == (second, "done")
    assert LedgerEntry.objects.count() == 1


def test_another_person_may_say_no_after_it_was_taken_back(cast: Cast, item: ReviewItem) -> None:
    undo(cast, decide(cast.rita, item))
    ReviewItem.objects.update(lease_until=LONG_AGO)
    decide(cast.rolf, item, "reject", reason="wrong_value")
    let_time_pass()
    work_all()
    assert Proposal.objects.get().status == "rejected"
    assert not LedgerEntry.objects.exists()


@pytest.mark.parametrize(
    ("verdict", "more"),
    [("reject", {"reason": "wrong_value"}), ("respond", {"note": "which order?"})],
)
def test_a_no_and_a_question_can_be_taken_back(
    cast: Cast, item: ReviewItem, verdict: str, more: dict[str, str]
) -> None:
    undo(cast, decide(cast.rita, item, verdict, **more))
    assert Proposal.objects.get().status == "in_review"
    assert Run.objects.get().status == "running"
    decide(cast.rita, item)
    let_time_pass()
    work_all()
    assert Proposal.objects.get().status == "executed"


def test_one_of_two_approvals_can_be_taken_back(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, propose: Propose, rule: Activate
) -> None:
    monkeypatch.setattr(settings, "UNDO_S", 8)
    rule(effect="two_person")
    item = propose().review_items.get()
    undo(cast, decide(cast.rita, item))
    ReviewItem.objects.update(lease_until=LONG_AGO)
    decide(cast.rolf, item)
    assert Proposal.objects.get().status == "in_review"
    decide(cast.rita, item, idempotency_key="again")
    assert Proposal.objects.get().status == "accepted"


def test_too_late_is_too_late(cast: Cast, item: ReviewItem) -> None:
    decision = decide(cast.rita, item)
    let_time_pass()
    work_all()
    with pytest.raises(TooLateToUndo, match="it is running, or has run"):
        undo(cast, decision)
    assert Effect.objects.get().status == "done"


def test_what_a_worker_has_in_its_hands_is_too_late(cast: Cast, item: ReviewItem) -> None:
    decision = decide(cast.rita, item)
    Command.objects.update(status="running", tries=1, lease_until=timezone.now())
    with pytest.raises(TooLateToUndo):
        undo(cast, decision)
    decision.refresh_from_db()
    assert decision.undone_at is None


def test_after_its_window_nothing_is_taken_back(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, propose: Propose, rule: Activate
) -> None:
    rule()
    decision = decide(cast.rita, propose().review_items.get(), "reject", reason="wording")
    assert decision.undo_until is None
    with pytest.raises(TooLateToUndo, match="its time has passed"):
        undo(cast, decision)


def test_only_ones_own_and_only_once(cast: Cast, item: ReviewItem) -> None:
    decision = decide(cast.rita, item)
    with pytest.raises(NotFound):
        reviews.undo(Actor(cast.rolf), decision.pk)
    undo(cast, decision)
    with pytest.raises(TooLateToUndo, match="already"):
        undo(cast, decision)


def test_the_database_lets_nobody_redo_what_was_undone(cast: Cast, item: ReviewItem) -> None:
    decision = decide(cast.rita, item)
    undo(cast, decision)
    with pytest.raises(DatabaseError, match="taken back"), transaction.atomic():
        Decision.objects.filter(pk=decision.pk).update(undone_at=None)
    statement = "UPDATE orchestrator_effect SET status = 'pending', decision_id = decision_id"
    with pytest.raises(DatabaseError, match="not allowed"), as_owner() as cursor:
        cursor.execute(statement)


def test_a_run_that_went_on_from_a_no_does_not_come_back(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, rule: Activate
) -> None:
    monkeypatch.setattr(settings, "UNDO_S", 8)
    rule()
    suggesting = stage("suggest", REFUND, proposes=True)
    workflows.save(SYSTEM, "refunds", {"pattern": "pipeline", "stages": [suggesting]})
    runs.start(SYSTEM, workflow="refunds", intent=None)
    work_all()
    decision = decide(cast.rita, ReviewItem.objects.get(), "reject", reason="wrong_value")
    assert decision.undo_until is None
    assert Run.objects.get().status == "failed"


def test_the_deadline_goes_on(cast: Cast, item: ReviewItem) -> None:
    undo(cast, decide(cast.rita, item))
    ReviewItem.objects.update(due_at=LONG_AGO)
    sweep()
    assert Proposal.objects.get().status == "expired"


def test_after_somebody_else_decided_ones_own_half_stays(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, propose: Propose, rule: Activate
) -> None:
    monkeypatch.setattr(settings, "UNDO_S", 8)
    rule(effect="two_person")
    for verdict, more in (("approve", {}), ("reject", {"reason": "wrong_value"})):
        item = propose().review_items.get()
        first = decide(cast.rita, item)
        decide(cast.rolf, item, verdict, **more)
        with pytest.raises(TooLateToUndo, match="decided since"):
            undo(cast, first)
    assert Effect.objects.get().status == "pending"


def test_what_another_has_in_hand_stays_there(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, propose: Propose, rule: Activate
) -> None:
    monkeypatch.setattr(settings, "UNDO_S", 8)
    rule(effect="two_person")
    item = propose().review_items.get()
    first = decide(cast.rita, item)
    seen = look(cast.rolf, item)
    assert undo(cast, first).holder == cast.rolf
    with pytest.raises(ItemChanged):
        decide(cast.rolf, item, seen=seen)


def test_a_late_retry_of_what_was_taken_back_is_no_approval(cast: Cast, item: ReviewItem) -> None:
    seen = look(cast.rita, item)
    undo(cast, decide(cast.rita, item, seen=seen))
    with pytest.raises(ItemChanged):
        decide(cast.rita, item, seen=seen)


def test_a_retry_after_it_ran_is_the_same_decision(cast: Cast, item: ReviewItem) -> None:
    """Its own effect changed the target; that is no reason to be told that nothing was recorded."""
    held = claims.take(Actor(cast.rita), item.pk)
    shown = targets.look(held.proposal).digest
    seen = confirmations.seen(Actor(cast.rita), held, target=shown)
    decision = decide(cast.rita, item, seen=seen)
    let_time_pass()
    work_all()
    assert decide(cast.rita, item, seen=seen) == decision


def test_what_was_done_to_the_target_meanwhile_is_looked_at_again(
    cast: Cast, item: ReviewItem, propose: Propose
) -> None:
    held = claims.take(Actor(cast.rita), item.pk)
    shown = targets.look(held.proposal).digest
    seen = confirmations.seen(Actor(cast.rita), held, target=shown)
    propose(args={"amount_minor": 1, "currency": "EUR"})
    let_time_pass()
    work_all()
    with pytest.raises(TargetChanged):
        decide(cast.rita, item, seen=seen)
    with pytest.raises(BadInput, match="open the item again"):
        decide(cast.rita, item, seen=replace(seen, target=""))
