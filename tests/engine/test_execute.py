from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from orchestrator.actions import contracts
from orchestrator.core.errors import EffectError, EffectRefused, EffectUnavailable
from orchestrator.effects import registry
from orchestrator.effects.base import EffectCall
from orchestrator.effects.ledger import Ledger
from orchestrator.engine.claim import Claimed
from orchestrator.engine.perform import effect_timeout_s
from orchestrator.models import Command, Effect, Event, LedgerEntry, Proposal, ReviewItem
from tests.conftest import SYSTEM
from tests.roles import as_owner
from tests.work import claim_one, run, work_shift

Propose = Callable[..., Proposal]


class Target:
    """A target at the seam to other people's systems: does what it is told, and counts."""

    def __init__(self) -> None:
        self.calls: list[EffectCall] = []
        self.failures: list[Exception] = []

    def call(self, call: EffectCall) -> dict[str, Any]:
        self.calls.append(call)
        if self.failures:
            raise self.failures.pop(0)
        return Ledger().call(call)


@pytest.fixture
def target() -> Iterator[Target]:
    stand_in, own = Target(), registry.EXECUTORS[registry.DEFAULT]
    registry.EXECUTORS[registry.DEFAULT] = stand_in
    yield stand_in
    registry.EXECUTORS[registry.DEFAULT] = own


def claimed() -> Claimed:
    found = claim_one()
    assert found is not None
    return found


def test_a_shift_drains_the_queue(
    propose: Propose,
) -> None:
    made = [propose() for _ in range(5)]
    assert work_shift("effects") == 5
    for proposal in made:
        proposal.refresh_from_db()
        effect = proposal.effect
        assert (proposal.status, effect.status) == ("executed", "done")
        entry = LedgerEntry.objects.get(key=effect.idempotency_key)
        assert effect.receipt["entry"] == entry.pk
        assert effect.receipt["payload"] == proposal.digest
        assert proposal.run.status in {"running", "completed"}
    assert set(Command.objects.values_list("status", flat=True)) == {"done"}
    assert LedgerEntry.objects.count() == 5


def test_what_runs_is_the_stored_payload(propose: Propose, target: Target) -> None:
    proposal = propose(args={"amount_minor": 1, "ünïcode": ["é", {"deep": None}]})
    run(claimed())
    (call,) = target.calls
    assert (call.action, call.target, call.args) == (
        proposal.action,
        proposal.target,
        proposal.args,
    )
    assert call.payload == proposal.payload


def test_a_lost_lease_changes_nothing(propose: Propose) -> None:
    proposal = propose()
    slow = claimed()
    Command.objects.update(status="pending", lease_until=None)
    fast = claimed()
    assert fast.token == slow.token + 1
    run(slow)
    assert Proposal.objects.get().status == "accepted"
    run(fast)
    run(slow)
    assert Proposal.objects.get(pk=proposal.pk).status == "executed"
    kinds = list(Event.objects.values_list("kind", flat=True))
    assert kinds.count("effect_started") == kinds.count("effect_succeeded") == 1


def test_a_worker_that_wakes_after_its_lease_cannot_record(
    propose: Propose, target: Target
) -> None:
    """It called the target, then slept; meanwhile the command was taken over and finished."""
    propose()
    slow = claimed()

    class Overtaken(Target):
        def call(self, call: EffectCall) -> dict[str, Any]:
            Command.objects.update(status="pending", lease_until=None)
            registry.EXECUTORS[registry.DEFAULT] = target
            run(claimed())
            return {"target": "late"}

    registry.EXECUTORS[registry.DEFAULT] = Overtaken()
    run(slow)
    assert Effect.objects.get().receipt["target"] == "ledger"
    assert Event.objects.filter(kind="effect_succeeded").count() == 1


def test_an_unreachable_target_is_tried_again_with_the_same_key(
    propose: Propose, target: Target
) -> None:
    propose()
    target.failures = [EffectUnavailable("no answer"), EffectUnavailable("no answer")]
    for _ in range(3):
        Command.objects.update(not_before="2020-01-01T00:00:00Z")
        run(claimed())
    assert len({call.key for call in target.calls}) == 1
    assert len(target.calls) == 3
    assert Proposal.objects.get().status == "executed"
    assert LedgerEntry.objects.count() == 1


def test_waiting_between_tries_grows(propose: Propose, target: Target) -> None:
    propose()
    target.failures = [EffectUnavailable("no answer")]
    run(claimed())
    command = Command.objects.get()
    assert command.status == "pending"
    assert command.error["retryable"] is True
    with connection.cursor() as cursor:
        cursor.execute("SELECT not_before > now() FROM orchestrator_command")
        assert cursor.fetchone() == (True,)
    assert claim_one() is None


@pytest.mark.parametrize(
    ("failure", "tries"),
    [
        (EffectRefused("unknown order"), 1),
        (EffectUnavailable("no answer"), 3),
    ],
    ids=["refused", "unreachable for good"],
)
def test_a_failure_is_recorded_with_its_reason(
    propose: Propose,
    target: Target,
    settings: Settings,
    failure: EffectError,
    tries: int,
) -> None:
    propose()
    target.failures = [failure] * tries
    run_again_and_again(tries, settings)
    effect = Effect.objects.get()
    assert (effect.status, effect.error["code"]) == ("failed", failure.code)
    assert effect.error["tries"] == tries
    assert failure.reason in effect.error["reason"]
    assert Proposal.objects.get().status == "failed"
    assert Command.objects.get().status == "failed"


def test_once_it_may_have_happened_it_is_never_called_failed(
    propose: Propose, target: Target, settings: Settings
) -> None:
    """The first call wrote and its answer was lost; later the target could not be reached at all."""
    propose()
    target.failures = [TimeoutError("late"), EffectUnavailable("gone"), EffectUnavailable("gone")]
    run_again_and_again(3, settings)
    assert Effect.objects.get().status == "unknown"
    assert Proposal.objects.get().status == "unknown"


def test_an_outage_shorter_than_the_setting_costs_nothing(propose: Propose, target: Target) -> None:
    propose()
    target.failures = [EffectUnavailable("down")] * 30
    for _ in range(31):
        Command.objects.update(not_before="2020-01-01T00:00:00Z")
        run(claimed())
    assert Proposal.objects.get().status == "executed"


def run_again_and_again(times: int, settings: Settings) -> None:
    """Until trying again is over, which only the last time is."""
    for left in range(times, 0, -1):
        settings.EFFECT_RETRY_MINUTES = 60 if left > 1 else 0
        Command.objects.update(not_before="2020-01-01T00:00:00Z")
        run(claimed())


def test_a_call_without_an_answer_is_repeated_and_then_unknown_never_failed(
    propose: Propose, target: Target, settings: Settings
) -> None:
    propose()
    target.failures = [ZeroDivisionError("cut off")] * 3
    run_again_and_again(3, settings)
    assert len({call.key for call in target.calls}) == 1
    effect = Effect.objects.get()
    assert (effect.status, effect.error["code"]) == ("unknown", "effect-interrupted")
    item = ReviewItem.objects.get()
    assert (item.kind, item.proposal_id) == ("unknown_effect", effect.proposal_id)
    assert "ZeroDivisionError: cut off" in effect.error["reason"]
    assert Proposal.objects.get().status == "unknown"
    assert Proposal.objects.get().run.status == "running"


def test_a_payload_that_was_changed_behind_our_back_never_runs(
    propose: Propose, target: Target
) -> None:
    propose()
    with as_owner() as cursor:
        cursor.execute("ALTER TABLE orchestrator_proposal DISABLE TRIGGER immutable")
        cursor.execute("UPDATE orchestrator_proposal SET payload = replace(payload, '184000', '9')")
    run(claimed())
    assert target.calls == []
    assert Effect.objects.get().status == "failed"
    assert Proposal.objects.get().status == "failed"


def test_the_ledger_refuses_one_key_for_two_payloads(db: None) -> None:
    def call(payload: str) -> dict[str, Any]:
        return Ledger().call(EffectCall(key="k", action="a", target="t", args={}, payload=payload))

    assert call("{}") == call("{}")
    with pytest.raises(EffectRefused, match="another payload"):
        call('{"a":1}')


class Once(Target):
    """A target without idempotency keys: each call does it again."""

    repeatable = False


@pytest.fixture
def once() -> Iterator[Once]:
    stand_in, own = Once(), registry.EXECUTORS[registry.DEFAULT]
    registry.EXECUTORS[registry.DEFAULT] = stand_in
    yield stand_in
    registry.EXECUTORS[registry.DEFAULT] = own


def test_a_target_that_cannot_repeat_is_never_called_twice(propose: Propose, once: Once) -> None:
    propose()
    once.failures = [TimeoutError("late")]
    run(claimed())
    assert Effect.objects.get().status == "unknown"
    assert ReviewItem.objects.get().kind == "unknown_effect"
    assert len(once.calls) == 1


def keep(**terms: Any) -> None:
    """A contract for the action that `propose` proposes."""
    contracts.save(
        SYSTEM,
        kind="action",
        name="refund.create",
        schema={"type": "object"},
        **{"timeout_s": 60} | terms,
    )


def test_nor_one_that_its_contract_says_counts_each_time(propose: Propose, target: Target) -> None:
    keep(idempotency="none")
    propose()
    target.failures = [TimeoutError("late")]
    run(claimed())
    assert Effect.objects.get().status == "unknown"
    assert len(target.calls) == 1


def test_a_contract_says_how_long_a_target_may_take(propose: Propose, settings: Settings) -> None:
    propose()
    assert effect_timeout_s(Effect.objects.get()) == settings.EFFECT_TIMEOUT_S
    for told_s, counts_s in ((7, 7), (10_000, settings.EFFECT_TIMEOUT_S)):
        keep(timeout_s=told_s)
        assert effect_timeout_s(Effect.objects.get(proposal=propose())) == counts_s


def test_nor_after_a_worker_died_in_the_call(propose: Propose, once: Once) -> None:
    propose()
    first = claimed()
    once.failures = [SystemExit()]  # type: ignore[list-item]
    with pytest.raises(SystemExit):
        run(first)
    Command.objects.update(status="pending", lease_until=None)
    run(claimed())
    assert (len(once.calls), Effect.objects.get().status) == (1, "unknown")


def test_it_is_tried_again_while_nothing_reached_it(propose: Propose, once: Once) -> None:
    propose()
    once.failures = [EffectUnavailable("no answer")]
    run(claimed())
    Command.objects.update(not_before="2020-01-01T00:00:00Z")
    run(claimed())
    assert Effect.objects.get().status == "done"
