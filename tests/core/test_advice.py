"""Advice: given for what runs show, with how many, and withheld where there is a reason for two."""

from typing import Any

import pytest

from orchestrator.core.advice import OneTooMany, Thrashing, Unending, Visited, Way, advise
from tests.core.stories import agent, approval, machine, pipeline, supervisor


def way(*names: str, **rounds: int) -> Way:
    return [
        Visited(name, place, "done", rounds=rounds.get(name, 1))
        for place, name in enumerate(names, start=1)
    ]


PAIR = pipeline(agent("read"), agent("draft", needs=["read"]))


def test_two_agents_that_always_come_together_are_one_too_many() -> None:
    assert advise(PAIR, [way("read", "draft")] * 30) == [OneTooMany("read", "draft", 30)]


def test_of_few_runs_nothing_is_concluded() -> None:
    assert advise(PAIR, [way("read", "draft")] * 29) == []
    assert advise(PAIR, []) == []


def test_a_run_that_ended_before_the_second_says_nothing_against_it() -> None:
    stopped = [Visited("read", 1, "failed")]
    assert advise(PAIR, [*[way("read", "draft")] * 30, stopped])
    # One that had its answer and went elsewhere does.
    assert advise(PAIR, [*[way("read", "draft")] * 30, way("read")]) == []


@pytest.mark.parametrize(
    "definition",
    [
        pipeline(agent("read", proposes=True), agent("draft", needs=["read"])),
        pipeline(agent("read"), agent("draft", needs=["read"], optional=True)),
        pipeline(agent("read"), agent("draft", needs=["read"], for_each="")),
        pipeline(agent("read"), approval("draft", needs=["read"])),
        pipeline(agent("read"), agent("draft", needs=[])),
        pipeline(
            agent("read"), agent("draft", needs=["read"], agent={"kind": "function", "name": "x"})
        ),
    ],
    ids=["people between", "optional", "many calls", "a person", "not handed on", "other kind"],
)
def test_what_is_two_for_a_reason(definition: dict[str, Any]) -> None:
    assert advise(definition, [way("read", "draft")] * 50) == []


def test_the_second_must_see_what_the_first_saw() -> None:
    first = agent("a")
    same = pipeline(first, agent("b", needs=["a"]), agent("c", needs=["a", "b"]))
    found = advise(same, [way("a", "b", "c")] * 40)
    assert found == [OneTooMany("a", "b", 40), OneTooMany("b", "c", 40)]
    less = pipeline(first, agent("b", needs=["a"]), agent("c", needs=["b"]))
    assert advise(less, [way("a", "b", "c")] * 40) == [OneTooMany("a", "b", 40)]


def test_a_machine_that_goes_another_way_once_needs_both() -> None:
    ways_out = {"done": [{"to": "draft"}], "failed": [{"to": "end"}]}
    end = {"done": [{"to": "end"}], "failed": [{"to": "end"}]}
    definition = machine(
        {
            "read": {"run": agent(), "on": ways_out},
            "draft": {"run": agent(needs=["read"]), "on": end},
            "end": {"end": "completed"},
        }
    )
    assert advise(definition, [way("read", "draft")] * 30) == [OneTooMany("read", "draft", 30)]
    assert advise(definition, [*[way("read", "draft")] * 30, way("read", "draft", read=2)]) == []


def test_a_work_that_runs_come_back_to_again_and_again_thrashes() -> None:
    definition = pipeline(approval("ask"), agent("plan", needs=["ask"]))
    (found,) = advise(definition, [*[way("plan", plan=6)] * 20, *[way("plan")] * 10])
    assert isinstance(found, Thrashing)
    assert (found.work, found.runs, found.many, found.usual) == ("plan", 30, 20, 6)
    assert not found.has_many_gaps
    assert advise(definition, [*[way("plan", plan=6)] * 5, *[way("plan")] * 95]) == []


def test_gaps_are_counted() -> None:
    one = [Visited("plan", 1, "done", rounds=5, parts=4, gaps=2)]
    (found,) = advise(pipeline(agent("plan")), [one] * 30)
    assert isinstance(found, Thrashing)
    assert (found.parts, found.gaps, found.has_many_gaps) == (120, 60, True)


# Agents that are kept outside of workflows --------------------------------------------------------


def kept_pair(first: str, second: str) -> dict[str, Any]:
    return pipeline(
        agent("read", agent={"kind": "agent", "name": first}),
        agent("draft", needs=["read"], agent={"kind": "agent", "name": second}),
    )


def test_agents_that_are_kept_are_alike_by_what_they_are() -> None:
    ways = [way("read", "draft")] * 30
    model, service = ("llm", "read_only"), ("http", "read_only")
    two = kept_pair("reader", "drafter")
    assert advise(two, ways, {"reader": model, "drafter": model})
    assert not advise(two, ways, {"reader": model, "drafter": service})
    assert not advise(two, ways, {"reader": model, "drafter": ("llm", "elevated")})
    # What nobody knows is alike to itself alone.
    assert not advise(two, ways)
    assert advise(kept_pair("reader", "reader"), ways)


# A supervisor -------------------------------------------------------------------------------------


def pooled(*, rounds: int = 3, is_told: bool = True, gaps: int = 0) -> Way:
    works = [
        Visited("plan", 1, "done", rounds=rounds),
        Visited("tasks", 2, "done", rounds=rounds, parts=4, gaps=gaps),
    ]
    return [*works, Visited("synthesis", 3, "done")] if is_told else works


def test_a_supervisor_that_had_to_be_told_to_end_is_one_hint() -> None:
    found = advise(supervisor(), [*[pooled(gaps=1)] * 20, *[pooled(rounds=1, is_told=False)] * 10])
    assert found == [Unending(runs=30, many=20, usual=3, rounds=3, parts=120, gaps=20)]
    (gappy,) = advise(supervisor(), [pooled(gaps=1)] * 30)
    assert isinstance(gappy, Unending)
    assert gappy.has_many_gaps


def test_a_supervisor_that_ends_by_itself_is_left_alone() -> None:
    assert advise(supervisor(), [pooled(is_told=False)] * 50) == []
    assert advise(supervisor(), [*[pooled()] * 10, *[pooled(is_told=False)] * 30]) == []
    assert advise(supervisor(), [pooled()] * 29) == []
    # Its only round is always its last.
    assert advise(supervisor(rounds=1), [pooled(rounds=1)] * 50) == []
