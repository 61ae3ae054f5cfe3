"""What a version in shadow would have done otherwise than the one in force."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from orchestrator import backtest_queries, queue
from orchestrator.actions import backtests, rules
from orchestrator.actions.actor import Actor
from orchestrator.backtest_queries import Disagreement, shadow_disagreements, shadow_of
from orchestrator.engine import backtest as engine
from orchestrator.models import Proposal, RuleVersion
from tests.conftest import Cast

Propose = Callable[..., Proposal]
Activate = Callable[..., None]


@pytest.fixture(autouse=True)
def _silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "ring", lambda name, ids: None)


@pytest.fixture
def watch(cast: Cast) -> Callable[..., RuleVersion]:
    """A version of the refund limit that watches; by default it objects above 1000.00."""

    def begin(**changes: Any) -> RuleVersion:
        wording = {
            "slug": "refund-limit",
            "title": "A higher limit",
            "effect": "hold",
            "condition": "proposal.args.amount_minor <= 100000",
            "message": "over 100000",
            "applies_to": {"actions": ["refund.create"]},
        } | changes
        version = rules.draft(Actor(cast.ada), **wording)
        backtests.request(Actor(cast.ada), version)
        engine.work_one(lambda: False)
        version.refresh_from_db()
        rules.start_shadow(Actor(cast.ada), version)
        version.refresh_from_db()
        return version

    return begin


def refund(propose: Propose, amount: int, **changes: Any) -> Proposal:
    return propose(args={"amount_minor": amount, "currency": "EUR"}, **changes)


def told(line: Disagreement) -> tuple[str, str, str]:
    return line.proposal.pk, line.shadow_result, line.active_result


def test_without_an_active_version_every_objection_counts(
    propose: Propose, watch: Callable[..., RuleVersion]
) -> None:
    refund(propose, 200_000)
    version = watch()
    refund(propose, 100)
    held = refund(propose, 150_000)
    broken = propose(args={})
    found = shadow_disagreements(version, at_most=10)
    assert [told(line) for line in found.lines] == [
        (broken.pk, "error", "out"),
        (held.pk, "fail", "out"),
    ]
    assert found.next is None
    assert held.disposition == "accept"


def test_with_one_in_force_only_differences_count(
    propose: Propose, watch: Callable[..., RuleVersion], rule: Activate
) -> None:
    rule()
    refund(propose, 70_000)
    version = watch()
    refund(propose, 100)
    released = refund(propose, 70_000)
    refund(propose, 200_000)
    found = shadow_disagreements(version, at_most=10)
    assert [told(line) for line in found.lines] == [(released.pk, "pass", "fail")]
    assert found.lines[0].reason == "the amount 70000 is over 50000"


def test_what_only_one_of_them_is_asked_about_counts(
    propose: Propose, watch: Callable[..., RuleVersion], rule: Activate, cast: Cast
) -> None:
    rule(applies_to={"actions": ["refund.create"]})
    version = watch(applies_to={"actions": ["voucher.create"]})
    only_active = refund(propose, 70_000)
    only_shadow = refund(propose, 200_000, action="voucher.create")
    found = shadow_disagreements(version, at_most=10)
    expected = [(only_shadow.pk, "fail", "out"), (only_active.pk, "out", "fail")]
    assert [told(line) for line in found.lines] == expected
    rules.stop_shadow(Actor(cast.ada), version)
    refund(propose, 70_000)
    version.refresh_from_db()
    found = shadow_disagreements(version, at_most=10)
    assert [told(line) for line in found.lines] == expected[:1]


def test_pages_go_on_where_the_one_before_ended(
    propose: Propose, watch: Callable[..., RuleVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = watch()
    made = [refund(propose, 200_000).pk for _ in range(7)]
    first = shadow_disagreements(version, at_most=3)
    second = shadow_disagreements(version, before=first.next, at_most=3)
    third = shadow_disagreements(version, before=second.next, at_most=3)
    shown = [line.proposal.pk for page in (first, second, third) for line in page.lines]
    assert shown == made[::-1]
    assert third.next is None
    # However few of those that a page may look at are worth showing, it says where to go on.
    monkeypatch.setattr(backtest_queries, "SHADOW_LOOKED_MAX", 2)
    found, before = [], None
    for _ in range(4):
        page = shadow_disagreements(version, before=before, at_most=3)
        found += [line.proposal.pk for line in page.lines]
        before = page.next
    assert found == made[::-1]
    assert before is None


def test_agreement_is_walked_past(
    propose: Propose,
    watch: Callable[..., RuleVersion],
    rule: Activate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backtest_queries, "SHADOW_LOOKED_MAX", 4)
    rule()
    version = watch()
    released = refund(propose, 70_000)
    for _ in range(4):
        refund(propose, 200_000)
    first = shadow_disagreements(version, at_most=10)
    assert (first.lines, first.next is None) == ([], False)
    second = shadow_disagreements(version, before=first.next, at_most=10)
    third = shadow_disagreements(version, before=second.next, at_most=10)
    assert [line.proposal for line in (*second.lines, *third.lines)] == [released]


def test_how_long_it_has_watched(
    propose: Propose, watch: Callable[..., RuleVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = watch()
    for amount in (100, 200_000, 300_000):
        refund(propose, amount)
    propose(action="mail.send")
    found = shadow_of(version)
    assert found is not None
    assert (found.seen, found.hits, found.is_enough) == (3, 2, False)
    monkeypatch.setattr(backtest_queries, "SHADOW_HITS_ENOUGH", 2)
    assert found.is_enough
    monkeypatch.setattr(backtest_queries, "SHADOW_HITS_ENOUGH", 50)
    monkeypatch.setattr(timezone, "now", lambda: found.since + timedelta(days=7))
    assert found.is_enough


def test_who_never_watched_has_nothing_to_say(cast: Cast) -> None:
    version = rules.draft(Actor(cast.ada), slug="x", title="x", effect="hold", condition="true")
    assert shadow_of(version) is None
    assert shadow_disagreements(version, at_most=10).lines == ()
