"""Rolling back: by the means the target declares, once, and a failure comes before people."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.actions import rollbacks
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import BadInput, EffectRefused, IllegalTransition, NotAllowed
from orchestrator.effects import registry
from orchestrator.effects.base import EffectCall
from orchestrator.effects.ledger import Ledger
from orchestrator.models import AuditEntry, Command, Effect, LedgerEntry, Proposal, ReviewItem
from tests.conftest import Cast
from tests.deciding import decide
from tests.work import claim_one, run, work_all

Propose = Callable[..., Proposal]


class Stubborn(Ledger):
    """Refuses to undo until it is told otherwise."""

    refuses = True

    def undo(self, call: EffectCall, receipt: dict[str, Any]) -> dict[str, Any]:
        if self.refuses:
            raise EffectRefused("the money is gone")
        return super().undo(call, receipt)


@pytest.fixture
def done(propose: Propose) -> Proposal:
    proposal = propose()
    work_all()
    proposal.refresh_from_db()
    assert proposal.status == "executed"
    return proposal


@pytest.fixture
def stubborn(monkeypatch: pytest.MonkeyPatch) -> Stubborn:
    executor = Stubborn()
    monkeypatch.setitem(registry.EXECUTORS, "ledger", executor)
    return executor


def ask(cast: Cast, proposal: Proposal, **more: Any) -> Proposal:
    values = {"reason": "The wrong customer."} | more
    return rollbacks.request(Actor(cast.ada), proposal.pk, **values)


def test_it_is_undone_and_both_receipts_stay(cast: Cast, done: Proposal) -> None:
    assert ask(cast, done).status == "rolling_back"
    work_all()
    done.refresh_from_db()
    effect = Effect.objects.get()
    assert (done.status, effect.status) == ("rolled_back", "undone")
    assert effect.receipt and effect.undo_receipt
    assert LedgerEntry.objects.count() == 2
    assert AuditEntry.objects.filter(verb="effect.rollback_requested", user=cast.ada).exists()


def test_it_is_asked_once(cast: Cast, done: Proposal) -> None:
    ask(cast, done)
    with pytest.raises(BadInput, match="nothing was done"):
        ask(cast, done)
    work_all()
    with pytest.raises((BadInput, IllegalTransition)):
        ask(cast, done)
    assert LedgerEntry.objects.count() == 2


def test_a_failure_comes_before_people(cast: Cast, stubborn: Stubborn, done: Proposal) -> None:
    ask(cast, done)
    work_all()
    done.refresh_from_db()
    assert (done.status, Effect.objects.get().status) == ("executed", "done")
    item = ReviewItem.objects.get()
    assert (item.kind, item.status) == ("failed_compensation", "waiting")
    assert "the money is gone" in item.opened_because[0]
    assert item.priority > 0


def test_a_worker_that_wakes_after_its_lease_undoes_nothing(
    cast: Cast, stubborn: Stubborn, done: Proposal
) -> None:
    """It slept after the claim; meanwhile undoing failed elsewhere, and a person let it stand."""
    ask(cast, done)
    frozen = claim_one()
    assert frozen is not None
    Command.objects.filter(pk=frozen.id).update(status="pending", lease_until=None)
    work_all()
    decide(cast.rita, ReviewItem.objects.get(), "give_up", note="It stands.")
    stubborn.refuses = False
    run(frozen)
    assert Effect.objects.get().status == "done"
    assert LedgerEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("verdict", "became"),
    [
        ("retry", ("rolled_back", "undone")),
        ("happened", ("rolled_back", "undone")),
        ("give_up", ("executed", "done")),
    ],
)
def test_people_say_what_becomes_of_it(
    cast: Cast, stubborn: Stubborn, done: Proposal, verdict: str, became: tuple[str, str]
) -> None:
    ask(cast, done)
    work_all()
    stubborn.refuses = False
    decide(cast.rita, ReviewItem.objects.get(), verdict, note="called the bank")
    work_all()
    done.refresh_from_db()
    assert (done.status, Effect.objects.get().status) == became
    assert LedgerEntry.objects.count() == (2 if verdict == "retry" else 1)


def test_what_was_given_up_can_be_asked_for_again(
    cast: Cast, stubborn: Stubborn, done: Proposal
) -> None:
    ask(cast, done)
    work_all()
    decide(cast.rita, ReviewItem.objects.get(), "give_up", note="later")
    stubborn.refuses = False
    ask(cast, done)
    work_all()
    done.refresh_from_db()
    assert done.status == "rolled_back"


def test_while_people_are_asked_there_is_no_second_one(
    cast: Cast, stubborn: Stubborn, done: Proposal
) -> None:
    ask(cast, done)
    work_all()
    with pytest.raises(BadInput, match="waits for what becomes of that"):
        ask(cast, done)


def test_where_nothing_declares_how_nothing_is_offered(
    cast: Cast, done: Proposal, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OneWay:
        def call(self, call: EffectCall) -> dict[str, Any]:
            return {}

    class OnceOnly(Ledger):
        repeatable = False

    for executor in (OneWay(), OnceOnly()):
        monkeypatch.setitem(registry.EXECUTORS, "ledger", executor)
        assert not rollbacks.can_be_undone(Effect.objects.get())
    with pytest.raises(BadInput, match="declares no way"):
        ask(cast, done)


def test_who_may_and_with_which_words(cast: Cast, done: Proposal) -> None:
    with pytest.raises(NotAllowed, match="role admin"):
        rollbacks.request(Actor(cast.rita), done.pk, reason="x")
    with pytest.raises(BadInput):
        ask(cast, done, reason=" ")


def test_a_crash_after_the_call_undoes_once(cast: Cast, done: Proposal) -> None:
    """The worker called the target and died; the next one calls with the same key."""
    effect = Effect.objects.get()
    ask(cast, done)
    call = EffectCall(
        key=f"{effect.idempotency_key}:undo",
        action=done.action,
        target=done.target,
        args=done.args,
        payload=done.payload,
    )
    Ledger().undo(call, effect.receipt or {})
    work_all()
    assert LedgerEntry.objects.count() == 2
    assert Effect.objects.get().status == "undone"
