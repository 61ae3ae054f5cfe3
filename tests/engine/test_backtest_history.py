"""Rules that ask about the past, asked again about what was recorded."""

from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from orchestrator import backtest_queries, queue
from orchestrator.actions import backtests, rules
from orchestrator.actions.actor import Actor
from orchestrator.core.policy.backtest import Counts
from orchestrator.engine import backtest as engine
from orchestrator.engine import pasts
from orchestrator.models import Backtest, Proposal, RuleVersion
from tests.conftest import Cast

TODAY = {"count": {"actions": ["refund.create"], "same": ["args.customer"]}, "within": "24h"}
SPENT = {"sum": "args.amount_minor", "of": {"same": ["args.customer"]}, "within": "24h"}

Propose = Callable[..., Proposal]
Test = Callable[..., Counts]


@pytest.fixture(autouse=True)
def _silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "ring", lambda name, ids: None)


@pytest.fixture
def test_rule(cast: Cast) -> Test:
    """What a backtest of this condition counts."""

    def run(condition: str, **history: Any) -> Counts:
        version = rules.draft(
            Actor(cast.ada),
            slug="often",
            title="Not too often",
            effect="hold",
            condition=condition,
            history=history,
            applies_to={"actions": ["refund.create"]},
        )
        asked = backtests.request(Actor(cast.ada), version)
        while engine.work_one(lambda: False):
            pass
        found = Backtest.objects.select_related("version", "against").get(pk=asked.pk)
        assert found.status == "done", found.error
        return backtest_queries.report_on(found).findings.after

    return run


@pytest.fixture
def refunds(propose: Propose) -> Callable[[], list[Proposal]]:
    """Three for one customer, and one for another."""

    def submit() -> list[Proposal]:
        told = [("anna", 100), ("bert", 100), ("anna", 200), ("anna", 300)]
        return [
            propose(args={"customer": name, "amount_minor": amount}, confidence=0.95)
            for name, amount in told
        ]

    return submit


def never(*given: Any) -> NoReturn:
    raise AssertionError("it was recorded, and need not be counted")


def test_the_past_is_counted_as_it_was_then(
    test_rule: Test, refunds: Callable[[], list[Proposal]]
) -> None:
    refunds()
    found = test_rule("history.today < 2", today=TODAY)
    assert (found.hits, found.in_scope, found.not_evaluable) == (1, 4, 0)
    assert test_rule("history.spent < 100", spent=SPENT).hits == 2


def test_what_was_recorded_is_taken(
    test_rule: Test,
    refunds: Callable[[], list[Proposal]],
    rule: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rule(slug="often", condition="history.today < 9", history={"today": TODAY})
    refunds()
    monkeypatch.setattr(pasts, "values_for", never)
    assert test_rule("history.n < 2", n=TODAY).hits == 1


def test_another_window_of_the_same_name_is_counted_anew(
    test_rule: Test, refunds: Callable[[], list[Proposal]], rule: Callable[..., None]
) -> None:
    rule(slug="often", condition="history.today < 9", history={"today": TODAY})
    refunds()
    assert test_rule("history.today < 2", today={**TODAY, "count": {}}).hits == 2


def test_what_cannot_be_counted_is_not_evaluable(test_rule: Test, propose: Propose) -> None:
    propose(args={"amount_minor": 100})
    found = test_rule("history.today < 2", today=TODAY)
    assert (found.not_evaluable, found.hits) == (1, 0)


def test_two_versions_see_each_its_own(
    test_rule: Test, refunds: Callable[[], list[Proposal]], rule: Callable[..., None]
) -> None:
    rule(slug="often", condition="history.n < 100", history={"n": SPENT})
    refunds()
    assert test_rule("history.n < 2", n=TODAY).hits == 1
    flips = RuleVersion.objects.get(stage="backtested").backtests.get().flips
    # Two of anna's had more than 1.00 before them; one of them is also her third.
    assert sorted(flips.values_list("before", "after")) == [("fail", "pass")]
