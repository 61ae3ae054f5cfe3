"""Which version a run gets and where data may go, decided from plain values."""

from collections import Counter

import pytest

from orchestrator.core import definitions
from orchestrator.core.agreement import agreement
from orchestrator.core.codec import Json
from orchestrator.core.policy import agent_versions as core
from orchestrator.core.policy.agent_versions import Choice, Deployed, Sight

KEY = core.key_from("secret")
RUNS = [f"run_{number}" for number in range(4_000)]


def chosen(deployed: Deployed, run: str, *, has_failed: bool = False) -> Choice:
    return core.choose(deployed, KEY, "clerk", run, has_failed=has_failed)


def test_without_a_canary_every_run_gets_the_stable_version() -> None:
    assert {chosen(Deployed(3, shadow=4), run) for run in RUNS} == {Choice(3, "stable")}


@pytest.mark.parametrize("share", [1, 10, 50, 99])
def test_a_canary_gets_about_its_share(share: int) -> None:
    deployed = Deployed(3, 4, share)
    counts = Counter(chosen(deployed, run).number for run in RUNS)
    # Six standard deviations.
    allowed = 6 * (len(RUNS) * share * (100 - share) / 10_000) ** 0.5
    assert abs(counts[4] - len(RUNS) * share / 100) <= allowed


def test_the_draw_is_the_same_each_time_and_another_for_each_agent_and_key() -> None:
    deployed = Deployed(3, 4, 50)

    def draw(key: bytes, agent: str) -> list[int]:
        return [core.choose(deployed, key, agent, run, has_failed=False).number for run in RUNS]

    assert draw(KEY, "clerk") == draw(KEY, "clerk")
    assert draw(KEY, "clerk") != draw(KEY, "clerks")
    assert draw(KEY, "clerk") != draw(core.key_from("other"), "clerk")


def test_a_larger_share_takes_nothing_away_from_whom_it_has() -> None:
    few = {run for run in RUNS if chosen(Deployed(3, 4, 10), run).number == 4}
    many = {run for run in RUNS if chosen(Deployed(3, 4, 30), run).number == 4}
    assert few < many


def test_where_the_canary_failed_the_stable_version_stands_in() -> None:
    deployed = Deployed(3, 4, 99)
    run = next(run for run in RUNS if chosen(deployed, run).role == "canary")
    assert chosen(deployed, run, has_failed=True) == Choice(3, "stable", instead_of=4)
    other = next(run for run in RUNS if chosen(deployed, run).role == "stable")
    assert chosen(deployed, other, has_failed=True) == Choice(3, "stable")


CLOUD = Sight("cloud", frozenset({"public", "internal"}))
HOUSE = Sight("house", frozenset({"public", "internal", "personal"}))
OLD = Sight("old", frozenset({"public", "internal", "personal", "secret"}), is_retired=True)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"public"}, CLOUD),
        ({"public", "internal"}, CLOUD),
        ({"personal"}, HOUSE),
        ({"internal", "personal"}, HOUSE),
        ({"secret"}, None),
        ({"personal", "secret"}, None),
    ],
)
def test_the_first_that_may_see_all_is_called(data: set[str], expected: Sight | None) -> None:
    assert core.first_allowed(data, [OLD, CLOUD, HOUSE]) == expected


def test_a_refusal_says_what_each_endpoint_lacks() -> None:
    handled = {"secret", "personal"}
    said = core.why_none({"secret", "personal"}, handled, [CLOUD, HOUSE, OLD])
    assert said == (
        "the run has personal, secret data, and cloud may not see personal, secret; "
        "house may not see secret; old is retired"
    )
    assert core.why_none({"secret"}, {"public"}, [OLD]).startswith("it is not made for secret data")
    assert core.why_none({"public"}, {"public"}, []) == "its version names no endpoint"


def test_who_only_reads_is_told_of_no_tool_that_writes() -> None:
    tools = [{"name": "a", "kind": "read"}, {"name": "b", "kind": "write"}, {"name": "c"}]
    assert [tool["name"] for tool in core.tools_for("read_only", tools)] == ["a"]
    assert len(core.tools_for("elevated", tools)) == 3


def test_what_the_whole_says_of_its_data_holds_for_each_work() -> None:
    named = {"kind": "agent", "name": "clerk"}
    whole = {
        "pattern": "machine",
        "data": ["internal"],
        "states": {"a": {"run": {"agent": named, "data": ["personal"]}}, "b": {"run": {}}},
    }
    assert definitions.data_of(whole, "a") == {"internal", "personal"}
    assert definitions.data_of(whole, "b") == {"internal"}
    assert definitions.agents_of(whole) == [("/states/a/run/agent/name", "clerk", False)]
    assert definitions.data_classes_of(whole) == [
        ("/data/0", "internal"),
        ("/states/a/run/data/0", "personal"),
    ]
    for wrong in (None, [], {"stages": 7}, {"stages": [7, {"agent": 7, "data": 7}], "data": 7}):
        assert definitions.agents_of(wrong) == []
        assert definitions.data_classes_of(wrong) == []


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (None, None, 1.0),
        ("Yes ", "yes", 1.0),
        (1, 1.0, 1.0),
        (1, True, 0.0),
        (1, 2, 0.0),
        ({}, [], 0.0),
        ([], [], 1.0),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, 1.0),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, 0.5),
        ({"a": 1}, {"a": 1, "b": 2}, 0.5),
        ([1, 2, 3], [1, 2], 2 / 3),
        ({"a": {"b": [1, {"c": "x"}]}}, {"a": {"b": [1, {"c": "X"}]}}, 1.0),
        ({"a": 1}, "a", 0.0),
    ],
)
def test_agreement_counts_places(one: Json, other: Json, expected: float) -> None:
    assert agreement(one, other) == pytest.approx(expected)
    assert agreement(other, one) == pytest.approx(expected)
