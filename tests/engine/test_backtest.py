"""The job of a backtest: against recorded proposals, real transactions, and a worker that is killed."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone
from pytest_django import Settings

from orchestrator import backtest_queries, queue
from orchestrator.actions import backtests, rules
from orchestrator.actions.actor import Actor
from orchestrator.core.policy.backtest import Findings
from orchestrator.engine import backtest as engine
from orchestrator.engine import rule_trials
from orchestrator.models import (
    AuditEntry,
    Backtest,
    BacktestFlip,
    Proposal,
    ReviewItem,
    RuleVersion,
)
from tests import deciding
from tests.conftest import Cast
from tests.recorded import Told, record

Propose = Callable[..., Proposal]
Draft = Callable[..., RuleVersion]
LONG_AGO = timezone.now() - timedelta(days=3)


@pytest.fixture(autouse=True)
def _silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "ring", lambda name, ids: None)


@pytest.fixture
def draft(cast: Cast) -> Draft:
    """Another wording of the refund limit; by default nothing over 1000.00."""

    def save(**changes: Any) -> RuleVersion:
        wording = {
            "slug": "refund-limit",
            "title": "Refunds over the limit need a person",
            "effect": "hold",
            "condition": "proposal.args.amount_minor <= 100000",
            "message": "the amount {proposal.args.amount_minor} is over 100000",
            "applies_to": {"actions": ["refund.create"]},
        } | changes
        return rules.draft(Actor(cast.ada), **wording)

    return save


def ask(cast: Cast, version: RuleVersion, **options: Any) -> Backtest:
    return backtests.request(Actor(cast.ada), version, **options)


def finish() -> None:
    while engine.work_one(lambda: False):
        pass


def findings(backtest: Backtest) -> Findings:
    found = backtest_queries.backtest(backtest.pk)
    assert found is not None
    return backtest_queries.report_on(found).findings


def refund(propose: Propose, amount: int, **changes: Any) -> Proposal:
    args = {"amount_minor": amount, "currency": "EUR"}
    return propose(args=args, **{"confidence": 0.5, **changes})


def decide(cast: Cast, proposal: Proposal, verdict: str) -> None:
    item = ReviewItem.objects.get(proposal=proposal, status="waiting")
    reason = "wrong_value" if verdict == "reject" else ""
    deciding.decide(
        Actor(cast.rita),
        item.pk,
        verdict=verdict,
        reason=reason,
        idempotency_key=f"{item.pk}/{verdict}",
    )


def test_what_people_decided_says_what_was_caught(
    cast: Cast, propose: Propose, draft: Draft
) -> None:
    for amount, verdict in [(200_000, "reject"), (150_000, "approve"), (500, "reject")]:
        decide(cast, refund(propose, amount), verdict)
    decide(cast, refund(propose, 600), "approve")
    refund(propose, 300_000)
    propose(action="mail.send")
    asked = ask(cast, draft())
    finish()
    asked.refresh_from_db()
    assert (asked.status, asked.done, asked.total) == ("done", 6, 6)
    after = findings(asked).after
    assert (after.caught, after.needless, after.missed, after.passed_approved) == (1, 1, 1, 1)
    assert (after.unknown, after.hits, after.in_scope, after.not_evaluable) == (1, 3, 5, 0)
    assert findings(asked).before is None


def test_it_is_compared_with_the_active_version(
    cast: Cast, propose: Propose, draft: Draft, rule: Callable[..., None]
) -> None:
    rule()
    released = refund(propose, 70_000)
    decide(cast, released, "approve")
    kept = refund(propose, 184_000)
    refund(propose, 100)
    asked = ask(cast, draft())
    finish()
    found = findings(asked)
    assert found.before is not None
    assert found.delta["needless"] == -1
    assert found.delta["hits"] == -1
    flip = BacktestFlip.objects.get()
    assert (flip.proposal, flip.before, flip.after, flip.human) == (
        released,
        "fail",
        "pass",
        "approved",
    )
    assert flip.reason == "the amount 70000 is over 50000"
    assert kept.pk not in {flip.proposal_id}


def test_two_people_count_by_what_came_out(
    cast: Cast, propose: Propose, draft: Draft, rule: Callable[..., None]
) -> None:
    rule(effect="two_person")
    proposal = refund(propose, 184_000)
    decide(cast, proposal, "approve")
    open_still = ask(cast, draft())
    finish()
    assert findings(open_still).after.unknown == 1
    item = ReviewItem.objects.get()
    deciding.decide(
        Actor(cast.rolf), item.pk, verdict="reject", reason="wrong_value", idempotency_key="second"
    )
    asked = ask(cast, draft(condition="proposal.args.amount_minor <= 90000"))
    finish()
    assert findings(asked).after.caught == 1


def test_what_was_absent_then_is_not_evaluable(cast: Cast, propose: Propose, draft: Draft) -> None:
    refund(propose, 100)
    refund(propose, 100, context={"customer": {"risk": 3}})
    asked = ask(cast, draft(condition="context.customer.risk < 5"))
    finish()
    found = backtest_queries.backtest(asked.pk)
    assert found is not None
    report = backtest_queries.report_on(found)
    assert report.findings.after.not_evaluable == 1
    assert report.findings.after.unknown == 1
    assert [count for _, count in report.reasons] == [1]
    assert "customer" in report.reasons[0][0]
    assert report.findings.load.errors_a_day == 1
    assert not BacktestFlip.objects.exists()


def test_what_was_masked_then_is_not_evaluable(cast: Cast, propose: Propose, draft: Draft) -> None:
    masked: dict[str, Any] = {"card": "(masked)", "amount_minor": 200_000}
    second = timedelta(seconds=1)
    record(
        3,
        lambda number: Told(masked if number else {"card": "4111", "amount_minor": 1}),
        beside=propose(action="other"),
        reviewer=cast.rita,
        until=timezone.now() - second,
        every=second,
    )
    asked = ask(cast, draft(condition="!proposal.args.card.startsWith('4')"))
    finish()
    after = findings(asked).after
    assert (after.not_evaluable, after.hits) == (2, 1)
    asked.refresh_from_db()
    assert asked.counts["reasons"] == {"card was masked before it was stored": 2}
    about_the_rest = ask(cast, draft())
    finish()
    assert findings(about_the_rest).after.hits == 2


def test_changes_of_countersign_itself_are_passed_by(
    cast: Cast, propose: Propose, draft: Draft
) -> None:
    second = timedelta(seconds=1)
    record(
        5,
        lambda number: Told({"rule": "x"}, action="countersign.rule.activate"),
        beside=propose(action="other"),
        reviewer=cast.rita,
        until=timezone.now() - second,
        every=second,
    )
    asked = ask(cast, draft(condition="false", applies_to={}))
    finish()
    assert findings(asked).looked_at == 6
    assert findings(asked).after.in_scope == 1


def test_done_moves_a_draft_and_nothing_else(cast: Cast, propose: Propose, draft: Draft) -> None:
    refund(propose, 100)
    version = draft()
    ask(cast, version)
    finish()
    version.refresh_from_db()
    assert version.stage == "backtested"
    entry = AuditEntry.objects.get(verb="rule.backtested")
    assert entry.object_id == "rule/refund-limit"
    rules.activate(Actor(cast.ada), version)
    ask(cast, version)
    finish()
    version.refresh_from_db()
    assert version.stage == "active"


def test_an_empty_window_is_done_at_once(cast: Cast, draft: Draft) -> None:
    asked = ask(cast, draft())
    finish()
    asked.refresh_from_db()
    assert (asked.status, asked.done, asked.total) == ("done", 0, 0)
    assert findings(asked).load.compared == 0


@pytest.fixture
def many(cast: Cast, propose: Propose) -> list[str]:
    """1,200 refunds of 1.00 to 1,200.00, one a minute; people rejected every tenth and approved its neighbour."""

    def tell(number: int) -> Told:
        human = {0: "reject", 1: "approve"}.get(number % 10, "")
        return Told({"amount_minor": (number + 1) * 100}, human=human)

    beside = propose(action="other")
    minute = timedelta(minutes=1)
    return record(
        1_200, tell, beside=beside, reviewer=cast.rita, until=timezone.now() - minute, every=minute
    )


def test_the_newest_are_looked_at_and_not_more_than_asked_for(
    cast: Cast, many: list[str], draft: Draft
) -> None:
    asked = ask(cast, draft(), proposals_max=700)
    finish()
    asked.refresh_from_db()
    assert (asked.done, asked.total) == (700, 700)
    # The other one is not a refund, and the newest of all.
    assert asked.cursor == many[-699]
    assert findings(asked).after.in_scope == 699


def test_the_window_has_two_ends(cast: Cast, many: list[str], draft: Draft) -> None:
    until = timezone.now() - timedelta(minutes=101, seconds=30)
    asked = ask(cast, draft(), since=until - timedelta(minutes=100), until=until)
    finish()
    asked.refresh_from_db()
    assert asked.done == 100


def test_what_is_left_goes_on_where_it_was(
    cast: Cast, many: list[str], draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_trials, "BATCH", 100)
    whole = ask(cast, draft())
    finish()
    cut_up = ask(cast, draft())
    turns = iter([False, False, False, True])
    assert engine.work_one(lambda: next(turns))
    cut_up.refresh_from_db()
    assert (cut_up.status, cut_up.done, cut_up.lease_until) == ("waiting", 300, None)
    finish()
    whole.refresh_from_db()
    cut_up.refresh_from_db()
    assert cut_up.status == "done"
    assert cut_up.counts == whole.counts
    assert cut_up.flips.count() == whole.flips.count() == 200


def test_whoever_was_taken_over_from_stores_nothing(
    cast: Cast, many: list[str], draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_trials, "BATCH", 100)
    asked = ask(cast, draft())
    slow = engine.Job(engine.claim())

    def overtaken() -> bool:
        Backtest.objects.filter(pk=asked.pk).update(lease_until=LONG_AGO)
        finish()
        return False

    slow.run(overtaken)
    assert slow.trials == []
    asked.refresh_from_db()
    assert (asked.status, asked.done, asked.fence) == ("done", 1_201, 2)
    assert findings(asked).after.in_scope == 1_200
    assert asked.flips.count() == 200


def test_a_backtest_that_kills_its_workers_ends(
    cast: Cast, many: list[str], draft: Draft, settings: Settings
) -> None:
    settings.COMMAND_CRASHES_MAX = 2
    asked = ask(cast, draft())
    for _ in range(2):
        assert [one.pk for one in engine.claim()] == [asked.pk]
        Backtest.objects.update(lease_until=LONG_AGO)
    assert engine.claim() == []
    asked.refresh_from_db()
    assert asked.status == "failed"
    assert asked.error.startswith("It was broken off 2 times")


def test_crashes_are_forgotten_once_it_goes_on(
    cast: Cast, many: list[str], draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_trials, "BATCH", 100)
    asked = ask(cast, draft())
    engine.claim()
    Backtest.objects.update(lease_until=LONG_AGO)
    turns = iter([False, True])
    engine.work_one(lambda: next(turns))
    asked.refresh_from_db()
    assert "crashes" not in asked.counts


def test_what_goes_wrong_is_said(
    cast: Cast, many: list[str], draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_trials, "BATCH", 100)
    asked = ask(cast, draft())
    turns = iter([False, False])

    def broken() -> bool:
        try:
            return next(turns)
        except StopIteration:
            raise ValueError("no such thing") from None

    assert engine.work_one(broken)
    asked.refresh_from_db()
    assert asked.status == "failed"
    assert asked.error.startswith("It stopped after 200 proposals (ValueError: no such thing).")
    assert asked.done == 200
    assert asked.ended_at is not None


def test_a_database_that_goes_away_costs_a_batch(
    cast: Cast, many: list[str], draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_trials, "BATCH", 100)
    whole = ask(cast, draft())
    finish()
    asked = ask(cast, draft(condition="proposal.args.amount_minor <= 100000 || false"))
    lines, calls = engine.recorded.lines, iter(range(100))

    def goes_away(*given: Any, **options: Any) -> Any:
        if next(calls) == 3:
            raise OperationalError("server closed the connection unexpectedly")
        return lines(*given, **options)

    monkeypatch.setattr(engine.recorded, "lines", goes_away)
    with pytest.raises(OperationalError):
        engine.work_one(lambda: False)
    asked.refresh_from_db()
    assert (asked.status, asked.done) == ("running", 300)
    assert not engine.work_one(lambda: False)
    Backtest.objects.update(lease_until=LONG_AGO)
    finish()
    asked.refresh_from_db()
    whole.refresh_from_db()
    assert asked.counts == whole.counts


def test_cancelling_stops_after_the_batch(
    cast: Cast, many: list[str], draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_trials, "BATCH", 100)
    version = draft()
    asked = ask(cast, version)

    def cancels() -> bool:
        backtests.cancel(Actor(cast.ada), asked)
        return False

    assert engine.work_one(cancels)
    asked.refresh_from_db()
    version.refresh_from_db()
    assert (asked.status, asked.done, asked.lease_until) == ("cancelled", 100, None)
    assert version.stage == "draft"
    assert not engine.work_one(lambda: False)


def test_those_that_look_at_the_same_go_together(cast: Cast, many: list[str], draft: Draft) -> None:
    until = timezone.now()
    same = {"since": until - timedelta(days=1), "until": until}
    limits = [20_000 * number for number in range(1, 6)]
    asked = [
        ask(cast, draft(condition=f"proposal.args.amount_minor <= {limit}"), **same)
        for limit in limits
    ]
    later = ask(cast, draft(slug="other"))
    assert len(engine.claim()) == 5
    Backtest.objects.filter(pk__in=[one.pk for one in asked]).update(
        status="waiting", lease_until=None
    )
    assert engine.work_one(lambda: False)
    for backtest, limit in zip(asked, limits, strict=True):
        backtest.refresh_from_db()
        assert backtest.status == "done"
        assert findings(backtest).after.hits == 1_200 - limit // 100
    later.refresh_from_db()
    assert later.status == "waiting"


def test_of_many_flips_some_are_kept_and_all_are_counted(
    cast: Cast, many: list[str], draft: Draft, settings: Settings
) -> None:
    settings.BACKTEST_FLIPS_MAX = 10
    asked = ask(cast, draft())
    finish()
    found = backtest_queries.backtest(asked.pk)
    assert found is not None
    report = backtest_queries.report_on(found)
    assert report.findings.flips == {
        "pass to fail, rejected": 20,
        "pass to fail, approved": 20,
        "pass to fail, unknown": 160,
    }
    assert asked.flips.count() == report.flips_listed == 30
    assert report.flips_left_out == 170


def test_large_inputs_are_read_a_few_at_a_time(
    cast: Cast, propose: Propose, draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.recorded, "BYTES_MAX", 25_000)
    read: list[int] = []
    inputs_of = engine.recorded.inputs_of

    def watched(snapshots: Any) -> Any:
        read.append(len(snapshots))
        return inputs_of(snapshots)

    monkeypatch.setattr(engine.recorded, "inputs_of", watched)
    for _ in range(5):
        refund(propose, 100, context={"note": "x" * 10_000})
    propose(action="mail.send", context={"note": "x" * 100_000})
    asked = ask(cast, draft())
    finish()
    asked.refresh_from_db()
    assert asked.done == 6
    assert findings(asked).after.in_scope == 5
    assert read == [2, 2, 1]


def test_a_batch_that_takes_too_long_is_cut(
    cast: Cast, many: list[str], draft: Draft, settings: Settings
) -> None:
    settings.COMMAND_LEASE_S = 0
    asked = ask(cast, draft(), proposals_max=20)
    job = engine.Job(engine.claim())
    job._store(job._look(0.0))
    asked.refresh_from_db()
    assert asked.done == 1
