from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors import HistoryInvalid, RuleInvalid
from orchestrator.core.policy.history import (
    Ask,
    Limits,
    Past,
    ValueNeeded,
    Window,
    common_to,
    read_windows,
)

LIMITS = Limits(windows_max=3, within_max=timedelta(days=30))
DAY = timedelta(days=1)


def ask(**changes: Any) -> Ask:
    values: dict[str, Any] = {
        "id": "prp_1",
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "agent": "refund-agent",
        "action": "refund.create",
        "target": "order/1",
        "workflow": "default",
        "args": {"customer": {"id": "c-1", "vip": False}, "amount": 5, "tags": ["a"], "none": None},
    }
    return Ask(**values | changes)


def window(**told: Any) -> Window:
    return read_windows({"w": {"count": told, "within": "24h"}})["w"]


def places(declared: Any, limits: Limits | None = LIMITS) -> dict[str, str]:
    with pytest.raises(HistoryInvalid) as caught:
        read_windows(declared, limits)
    assert str(caught.value.problems[0]) in str(caught.value)
    return {problem.pointer: problem.reason for problem in caught.value.problems}


def test_counts_and_sums_are_read() -> None:
    among = {"actions": ["refund.*", "refund.create"], "same": ["args.customer.id", "agent"]}
    found = read_windows(
        {
            "refunds_today": {"count": {**among, "status": "accepted"}, "within": "24h"},
            "spent": {"sum": "args.amount", "of": {"same": ["target"]}, "within": "7d"},
            "all": {"count": {}, "within": "90s"},
        },
        LIMITS,
    )
    assert found == {
        "refunds_today": Window(
            sum=(),
            actions=("refund.*", "refund.create"),
            same=("agent",),
            same_args=(("customer", "id"),),
            status="accepted",
            within=DAY,
        ),
        "spent": Window(("amount",), ("*",), ("target",), (), "any", timedelta(days=7)),
        "all": Window((), ("*",), (), (), "any", timedelta(seconds=90)),
    }


def test_windows_that_mean_the_same_are_equal() -> None:
    one = window(actions=["b", "a", "a"], same=["target", "agent", "agent"])
    assert one == window(actions=["a", "b"], same=["agent", "target"])
    assert window(actions=["a", "*"]) == window()
    assert read_windows({"w": {"count": {}, "within": "24h"}}) == read_windows(
        {"w": {"count": {}, "within": "1d"}}
    )


COUNT: dict[str, Any] = {"count": {}, "within": "1h"}


@pytest.mark.parametrize(
    ("declared", "place", "reason"),
    [
        ([], "", "has to be an object"),
        ({f"w{n}": COUNT for n in range(4)}, "", "has 4 windows, at most 3"),
        ({"a-b": COUNT}, "/a-b", "letters, digits and underscores"),
        ({"w": 5}, "/w", "an object with `count` or `sum`"),
        ({"w": {"within": "1h"}}, "/w", "one of `count` and `sum`"),
        ({"w": {**COUNT, "sum": "args.a"}}, "/w", "one of `count` and `sum`"),
        ({"w": {**COUNT, "every": 1}}, "/w/every", "unknown; known: count, within"),
        ({"w": {**COUNT, "of": {}}}, "/w/of", "unknown; known: count, within"),
        ({"w": {"count": {}}}, "/w/within", "a duration such as"),
        ({"w": {"count": {}, "within": "1y"}}, "/w/within", "a duration such as"),
        ({"w": {"count": {}, "within": "0h"}}, "/w/within", "a duration such as"),
        ({"w": {"count": {}, "within": "٣h"}}, "/w/within", "a duration such as"),
        ({"w": {"count": {}, "within": "1.5h"}}, "/w/within", "a duration such as"),
        ({"w": {"count": {}, "within": 24}}, "/w/within", "a duration such as"),
        ({"w": {"count": {}, "within": "31d"}}, "/w/within", "longer than 30 days"),
        ({"w": {"count": {}, "within": "999999d"}}, "/w/within", "longer than 30 days"),
        ({"w": {"count": [], "within": "1h"}}, "/w/count", "has to be an object"),
        ({"w": {"count": True, "within": "1h"}}, "/w/count", "has to be an object"),
        ({"w": {"count": {"who": 1}, "within": "1h"}}, "/w/count/who", "unknown; known: actions"),
        ({"w": {"count": {"actions": "a"}, "within": "1h"}}, "/w/count/actions", "list of texts"),
        ({"w": {"count": {"actions": []}, "within": "1h"}}, "/w/count/actions", "name an action"),
        ({"w": {"count": {"actions": ["a*"]}, "within": "1h"}}, "/w/count/actions/0", "family"),
        ({"w": {"count": {"actions": ["a\nb"]}, "within": "1h"}}, "/w/count/actions/0", "family"),
        ({"w": {"count": {"actions": ["a\x00"]}, "within": "1h"}}, "/w/count/actions/0", "family"),
        ({"w": {"count": {"actions": ["a"] * 21}, "within": "1h"}}, "/w/count/actions", "at most"),
        ({"w": {"count": {"same": ["run"]}, "within": "1h"}}, "/w/count/same/0", "is not agent"),
        ({"w": {"count": {"same": ["args"]}, "within": "1h"}}, "/w/count/same/0", "is not agent"),
        ({"w": {"count": {"same": ["args."]}, "within": "1h"}}, "/w/count/same/0", "is not agent"),
        ({"w": {"count": {"same": [1]}, "within": "1h"}}, "/w/count/same", "list of texts"),
        (
            {"w": {"count": {"same": ["args.a", "args.a.b"]}, "within": "1h"}},
            "/w/count/same",
            "as a whole and in part",
        ),
        ({"w": {"count": {"status": "held"}, "within": "1h"}}, "/w/count/status", "is none of any"),
        ({"w": {"count": {"status": {}}, "within": "1h"}}, "/w/count/status", "is none of any"),
        ({"w": {"sum": "amount", "within": "1h"}}, "/w/sum", "not an argument such as"),
        ({"w": {"sum": ["args.a"], "within": "1h"}}, "/w/sum", "not an argument such as"),
        ({"w": {"sum": "args.a", "of": 1, "within": "1h"}}, "/w/of", "has to be an object"),
    ],
)
def test_a_mistake_is_refused_with_its_place(declared: Any, place: str, reason: str) -> None:
    found = places(declared)
    assert list(found) == [place]
    assert reason in found[place]


def test_every_mistake_is_told_at_once() -> None:
    found = places({"a": {"count": {"status": 1}, "within": "x"}, "b": {"sum": 1, "within": "1h"}})
    assert list(found) == ["/a/within", "/a/count/status", "/b/sum"]


def test_what_is_stored_is_read_whatever_the_limits_are_by_now() -> None:
    assert len(read_windows({f"w{n}": {"count": {}, "within": "90d"} for n in range(50)})) == 50


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["count", "sum", "of", "within", "same", "actions", "status", "w"]),
                inner,
                max_size=5,
            )
        ),
        max_leaves=25,
    )
)
def test_anything_at_all_is_read_or_refused(declared: Any) -> None:
    try:
        assert all(isinstance(one, Window) for one in read_windows(declared, LIMITS).values())
    except RuleInvalid as error:
        assert error.reason


def test_what_proposals_have_in_common() -> None:
    shared = window(same=["agent", "workflow", "args.customer.id", "args.customer.vip"])
    assert common_to(shared, ask()) == {
        "agent": "refund-agent",
        "workflow": "default",
        "args": {"customer": {"id": "c-1", "vip": False}},
    }
    assert common_to(window(), ask()) == {}


@pytest.mark.parametrize(
    ("same", "changes", "reason"),
    [
        ("target", {"target": ""}, "no target"),
        ("args.missing", {}, "no args.missing"),
        ("args.none", {}, "no args.none"),
        ("args.amount.deep", {}, "no args.amount.deep"),
        ("args.customer", {}, "args.customer is not a text"),
        ("args.tags", {}, "args.tags is not a text"),
        ("args.card", {"args": {"card": "(masked)"}}, "args.card was masked"),
        ("target", {"target": "card/(masked)"}, "target was masked"),
    ],
)
def test_a_proposal_without_the_value_cannot_be_compared(
    same: str, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueNeeded, match=reason):
        common_to(window(same=[same]), ask(**changes))


def test_the_reason_names_the_window() -> None:
    past = Past(errors={"r": {"b": "too many", "a": "too slow"}})
    assert past.reason("r") == "history.a: too slow; history.b: too many"
    assert past.reason("another") == ""
