"""Windows over the past, counted by a real PostgreSQL."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries, Settings

from orchestrator.actions.actor import Actor
from orchestrator.core.codec import Json
from orchestrator.core.policy.history import Ask, Past, Window, look_up, read_windows
from orchestrator.history_queries import lock_windows, values_for
from orchestrator.models import Proposal, ReviewItem
from tests import deciding
from tests.conftest import Cast

Propose = Callable[..., Proposal]
Activate = Callable[..., None]
AsOwner = Callable[[], AbstractContextManager[CursorWrapper]]


def ask(proposal: Proposal, **changes: Any) -> Ask:
    values: dict[str, Any] = {
        "id": proposal.pk,
        "at": timezone.now(),
        "agent": proposal.agent,
        "action": proposal.action,
        "target": proposal.target,
        "workflow": proposal.run.workflow_version.workflow.slug,
        "args": proposal.args,
        "live": True,
    }
    return Ask(**values | changes)


def found(asked: Ask, **declared: Any) -> Past:
    return values_for([asked], {"r": read_windows(declared)})[asked.id]


def number(asked: Ask, within: str = "1h", **told: Any) -> int | float:
    among = {"of": {**told}, "sum": told.pop("sum")} if "sum" in told else {"count": told}
    if "sum" in among:
        among["of"] = told
    past = found(asked, w={**among, "within": within})
    assert past.errors == {}
    return past.numbers["r"]["w"]


def reason(asked: Ask, **declared: Any) -> str:
    past = found(asked, w=declared)
    assert past.numbers == {}
    return past.reason("r")


def backdate(as_owner: AsOwner, proposal: Proposal, by: timedelta) -> None:
    with as_owner() as cursor:
        cursor.execute("ALTER TABLE orchestrator_proposal DISABLE TRIGGER immutable")
        cursor.execute(
            "UPDATE orchestrator_proposal SET created_at = created_at - %s WHERE id = %s",
            [by, proposal.pk],
        )
        cursor.execute("ALTER TABLE orchestrator_proposal ENABLE TRIGGER immutable")


def test_a_limit_over_the_past_holds(propose: Propose, rule: Activate) -> None:
    refunds = {"actions": ["refund.create"], "same": ["args.customer"], "status": "accepted"}
    rule(
        condition="history.refunds < 2 && history.spent + proposal.args.amount <= 100",
        message="{history.refunds} refunds of {history.spent} today",
        history={
            "refunds": {"count": refunds, "within": "24h"},
            "spent": {"sum": "args.amount", "of": refunds, "within": "24h"},
        },
    )
    dispositions = [
        propose(args={"customer": "c-1", "amount": amount}).disposition for amount in (40, 70, 60)
    ]
    assert dispositions == ["accept", "hold", "accept"]
    held = propose(args={"customer": "c-1", "amount": 1})
    assert held.policy_checks.get().reason == "2 refunds of 100 today"
    assert '"history":{"refund-limit":{"refunds":2,"spent":100}}' in held.snapshots.get().inputs
    assert propose(args={"customer": "c-2", "amount": 1}).disposition == "accept"


def test_what_cannot_be_counted_holds_with_the_reason(propose: Propose, rule: Activate) -> None:
    window = {"count": {"same": ["args.customer"]}, "within": "1h"}
    rule(condition="true || history.w < 5", effect="flag", history={"w": window})
    proposal = propose(args={})
    assert proposal.disposition == "hold"
    assert "history.w: the proposal has no args.customer" in proposal.policy_checks.get().reason


def test_each_part_of_a_window_narrows_it(propose: Propose) -> None:
    one = ask(propose(args={"c": {"id": 7}, "vip": True}, agent="a", target="t", workflow="w"))
    propose(args={"c": {"id": 7.0}, "vip": True}, agent="a", target="t", workflow="w")
    propose(args={"c": {"id": 7}, "vip": False}, agent="a", target="u", workflow="v")
    propose(args={"c": {"id": "7"}, "vip": True}, agent="b", target="t", workflow="w")
    propose(args={"c": [7], "vip": True}, agent="a", target="t", action="refund.partial")
    propose(args={"c": {"id": [7]}}, agent="b", target="", action="refunds.create")
    assert number(one) == 5
    assert number(one, same=["agent"]) == 3
    assert number(one, same=["action"]) == 3
    assert number(one, same=["target"]) == 3
    assert number(one, same=["workflow"]) == 2
    assert number(one, same=["args.c.id"]) == 2
    assert number(one, same=["args.c.id", "args.vip"]) == 1
    assert number(one, same=["agent", "args.vip", "target"]) == 2
    assert number(one, actions=["refund.create"]) == 3
    assert number(one, actions=["refund.*"]) == 4
    assert number(one, actions=["refund.partial", "refunds.*"]) == 2
    assert number(one, actions=["invoice.*"]) == 0


def test_only_the_window_is_counted(propose: Propose, as_owner: AsOwner) -> None:
    old, older = propose(), propose()
    one = ask(propose())
    backdate(as_owner, old, timedelta(minutes=30))
    backdate(as_owner, older, timedelta(hours=3))
    assert [number(one, within=within) for within in ("10m", "1h", "24h")] == [0, 1, 2]


def test_statuses_are_those_of_now(propose: Propose, rule: Activate, cast: Cast) -> None:
    rule()
    accepted, held, rejected = (propose(args={"amount_minor": n}) for n in (5, 90_000, 90_001))
    rule(slug="never", effect="block", condition="proposal.args.amount_minor != 13")
    assert propose(args={"amount_minor": 13}).status == "blocked"
    decide(rejected, cast, "reject")
    one = ask(propose(args={"amount_minor": 6}))
    counts = [number(one, status=status) for status in ("any", "accepted", "rejected")]
    assert counts == [4, 1, 2]
    decide(held, cast, "approve")
    assert number(one, status="accepted") == 2
    assert accepted.status == "accepted"


def test_a_recorded_proposal_sees_what_was_before_it(
    propose: Propose, rule: Activate, cast: Cast
) -> None:
    rule()
    held = [propose(args={"amount_minor": 90_000}) for _ in range(3)]
    between = propose(args={"amount_minor": 5})
    recorded = ask(between, at=between.created_at, live=False)
    decide(held[0], cast, "approve")
    decide(held[1], cast, "reject")
    propose(args={"amount_minor": 5})
    assert number(recorded) == 3
    # The decisions came after it.
    assert number(recorded, status="accepted") == 0
    assert number(recorded, status="rejected") == 0
    now = ask(propose(args={"amount_minor": 5}))
    later = ask(held[2], id=now.id, at=timezone.now(), live=False)
    assert number(later, status="accepted") == number(now, status="accepted") == 3
    assert number(later, status="rejected") == number(now, status="rejected") == 1


def decide(proposal: Proposal, cast: Cast, verdict: str) -> None:
    item = ReviewItem.objects.get(proposal=proposal)
    deciding.decide(
        Actor(cast.rita),
        item.pk,
        verdict=verdict,
        idempotency_key=f"{verdict} {proposal.pk}",
        reason="wrong_value" if verdict == "reject" else "",
    )


def test_sums_are_exact(propose: Propose) -> None:
    for amount in (10**17 + 1, 10**17 + 2, -5):
        propose(args={"amount": amount})
    one = ask(propose(args={"amount": 1}))
    assert number(one, sum="args.amount") == 2 * 10**17 - 2
    assert isinstance(number(one, sum="args.amount"), int)


def test_a_sum_is_a_fraction_where_one_is_added(propose: Propose) -> None:
    one = ask(propose(args={"amount": 0.5}))
    assert repr(number(one, sum="args.amount")) == "0.0"
    for amount in (0.1, 0.2, 1):
        propose(args={"amount": amount})
    assert number(one, sum="args.amount") == float(Decimal("1.3"))
    assert repr(number(ask(propose(args={"amount": 1})), sum="args.amount")) == "1.8"


@pytest.mark.parametrize("value", ["5", None, True, [5], {"n": 5}])
def test_what_is_no_number_is_not_added_up(propose: Propose, value: Json) -> None:
    propose(args={"amount": 5})
    wrong = propose(args={"amount": value})
    told = reason(ask(propose(args={"amount": 1})), sum="args.amount", within="1h")
    assert told == f"history.w: args.amount of {wrong.pk} is not a number"


def test_a_sum_beyond_what_rules_can_hold_has_no_value(propose: Propose) -> None:
    for _ in range(2):
        propose(args={"amount": 9 * 10**17})
    told = reason(ask(propose(args={"amount": 1})), sum="args.amount", within="1h")
    assert told == "history.w: the sum of args.amount is beyond ±10^18"


def test_too_many_have_no_number(propose: Propose, settings: Settings) -> None:
    settings.HISTORY_ROWS_MAX = 2
    for _ in range(2):
        propose()
    assert number(ask(propose())) == 2
    told = reason(ask(propose()), count={}, within="1h")
    assert told == "history.w: too many to count, there are more than 2"


SLOW_DOWN = """
    CREATE FUNCTION slowly() RETURNS boolean LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_sleep(20); RETURN true; END';
    ALTER TABLE orchestrator_proposal ENABLE ROW LEVEL SECURITY;
    CREATE POLICY slow ON orchestrator_proposal USING (slowly())
"""


def test_counting_that_takes_too_long_has_no_number(
    propose: Propose, settings: Settings, as_owner: AsOwner
) -> None:
    asked = ask(propose(), id="prp_" + "0" * 26)
    with as_owner() as cursor:
        cursor.execute(SLOW_DOWN)
    settings.HISTORY_TIMEOUT_MS = 50
    before = timezone.now()
    assert reason(asked, count={}, within="1h") == "history.w: counting took over 50 ms"
    assert timezone.now() - before < timedelta(seconds=10)
    with as_owner() as cursor:
        cursor.execute("ALTER TABLE orchestrator_proposal DISABLE ROW LEVEL SECURITY")
        # The transaction around it goes on, with the patience it had.
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("30s",)


def test_many_proposals_and_rules_are_asked_at_once(
    propose: Propose, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    asks = [ask(propose(args={"n": n % 2})) for n in range(12)]
    window = {"count": {"same": ["args.n"]}, "within": "1h"}
    windows = {
        "one": read_windows({"w": window}),
        "other": read_windows({"same": window, "all": {"count": {}, "within": "1h"}}),
    }
    # A savepoint and the patience of the statement are the other four.
    with django_assert_num_queries(5):
        pasts = values_for(asks, windows)
    assert {past.numbers["one"]["w"] for past in pasts.values()} == {5}
    assert {past.numbers["other"]["same"] for past in pasts.values()} == {5}
    assert {past.numbers["other"]["all"] for past in pasts.values()} == {11}


def test_without_windows_nothing_is_asked(
    propose: Propose, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    one = ask(propose())
    with django_assert_num_queries(0):
        lock_windows([one], {})
        assert values_for([one], {"r": {}}) == {one.id: Past()}


AMONG = st.fixed_dictionaries(
    {},
    optional={
        "actions": st.lists(st.sampled_from(["a.x", "a.y", "b.x", "a.*"]), min_size=1, max_size=2),
        "same": st.lists(
            st.sampled_from(["agent", "action", "target", "args.k", "args.o.k"]), max_size=3
        ),
    },
)
MADE = st.fixed_dictionaries(
    {
        "agent": st.sampled_from(["p", "q"]),
        "action": st.sampled_from(["a.x", "a.y", "b.x"]),
        "target": st.sampled_from(["t", "u"]),
        "args": st.fixed_dictionaries(
            {"k": st.sampled_from([1, "1", True]), "n": st.integers(-9, 9)},
            optional={"o": st.fixed_dictionaries({"k": st.sampled_from(["x", "y"])})},
        ),
    }
)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(made=st.lists(MADE, min_size=2, max_size=6), among=AMONG, adds=st.booleans())
def test_the_database_counts_as_one_would_by_hand(
    propose: Propose, made: list[dict[str, Any]], among: dict[str, Any], adds: bool
) -> None:
    told = {"sum": "args.n", "of": among} if adds else {"count": among}
    [window] = read_windows({"w": {**told, "within": "1h"}}).values()
    with transaction.atomic():
        stored = [propose(**one) for one in made]
        asks = [ask(one, at=one.created_at, live=False) for one in stored]
        pasts = values_for(asks, {"r": {"w": window}})
        for place, one in enumerate(asks):
            expected = by_hand(window, one, asks[:place], one.at - timedelta(hours=1))
            past = pasts[one.id]
            assert past.numbers.get("r", {}).get("w", "none") == expected
        transaction.set_rollback(True)


def by_hand(window: Window, one: Ask, before: list[Ask], since: datetime) -> int | str:
    def value(asked: Ask, path: tuple[str, ...]) -> tuple[type, Json]:
        found = look_up(dict(asked.args), path)
        return type(found), found

    def counts(other: Ask) -> bool:
        return (
            other.at >= since
            and any(
                name in {"*", other.action}
                or (name[-1] == "*" and other.action.startswith(name[:-1]))
                for name in window.actions
            )
            and all(getattr(other, name) == getattr(one, name) for name in window.same)
            and all(value(other, path) == value(one, path) for path in window.same_args)
        )

    if any(look_up(dict(one.args), path) is None for path in window.same_args):
        return "none"
    chosen = [other for other in before if counts(other)]
    return sum(int(str(other.args["n"])) for other in chosen) if window.sum else len(chosen)


def submit_at_once(propose: Propose, each: list[dict[str, Any]]) -> list[str]:
    start = threading.Barrier(len(each))

    def submit(values: Mapping[str, Any]) -> str:
        start.wait()
        try:
            return propose(**values).disposition
        finally:
            connection.close()

    with ThreadPoolExecutor(len(each)) as pool:
        return sorted(pool.map(submit, each))


@pytest.mark.django_db(transaction=True)
def test_two_at_once_do_not_slip_under_one_limit(propose: Propose, rule: Activate) -> None:
    accepted = {"same": ["args.customer"], "status": "accepted"}
    rule(condition="history.w < 1", history={"w": {"count": accepted, "within": "1h"}})
    propose(args={"customer": "another"})
    for round_number in range(5):
        args = {"customer": f"c-{round_number}"}
        assert submit_at_once(propose, [{"args": args}] * 2) == ["accept", "hold"]


@pytest.mark.django_db(transaction=True)
def test_many_at_once_spend_no_more_than_the_limit(propose: Propose, rule: Activate) -> None:
    """Two windows, so two locks each, and some of them shared: nobody waits for each other."""
    rule(
        condition="history.spent + proposal.args.amount <= 50 && history.agent < 100",
        history={
            "spent": {
                "sum": "args.amount",
                "of": {"same": ["args.customer"], "status": "accepted"},
                "within": "1h",
            },
            "agent": {"count": {"same": ["agent", "target"]}, "within": "1h"},
        },
    )
    propose(args={"customer": "another", "amount": 1})
    each = [
        {"args": {"customer": f"c-{n % 2}", "amount": 20}, "target": f"order/{n % 3}"}
        for n in range(10)
    ]
    assert submit_at_once(propose, each) == ["accept"] * 4 + ["hold"] * 6


@pytest.mark.django_db(transaction=True)
def test_who_comes_second_sees_the_first_whatever_the_clocks_say(propose: Propose) -> None:
    """READ COMMITTED: what the first stored is seen by a statement that begins after the wait."""
    window = {"r": read_windows({"w": {"count": {"same": ["target"]}, "within": "1h"}})}
    first = propose(target="order/1")
    holds, goes_on = threading.Event(), threading.Event()

    def be_first() -> None:
        try:
            with transaction.atomic():
                lock_windows([ask(first)], window)
                propose(target="order/1")
                holds.set()
                goes_on.wait(5)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(be_first)
        assert holds.wait(5)
        with transaction.atomic():
            late = ask(first, at=timezone.now() - timedelta(seconds=30))
            assert values_for([late], window)[first.pk].numbers["r"]["w"] == 0
            threading.Timer(0.3, goes_on.set).start()
            lock_windows([late], window)
            # Its clock is half a minute slow, and still it counts what was committed before.
            assert values_for([late], window)[first.pk].numbers["r"]["w"] == 1
        done.result()
