from typing import Any

import pytest

from orchestrator.agents.registry import SCHEMAS
from orchestrator.core import commands as cm
from orchestrator.core import definitions
from orchestrator.core.codec import canonical
from orchestrator.core.replay import first_divergence
from orchestrator.core.state import from_json, to_json
from tests.core.stories import BUDGET, Story, mesh, peer, told

TWO = {"ann": peer(), "bob": peer()}


def asked(commands: list[cm.Command]) -> set[str]:
    return {one.work for one in commands if isinstance(one, cm.RunAgent)}


def of(story: Story) -> Any:
    return story.state.mesh


def first(story: Story) -> set[str]:
    return asked(story.commands[1])


def test_everybody_is_asked_at_once_in_the_first_round() -> None:
    story = Story(mesh(TWO))
    assert first(story) == {"ann", "bob"}
    assert (story.state.status, of(story).round) == ("running", 1)


def test_who_can_read_something_new_is_asked_again() -> None:
    story = Story(mesh({**TWO, "cy": peer(reads=["plan"])}))
    assert not story.finish("ann", remembered=(told("a"),))
    assert not story.finish("cy")
    assert asked(story.finish("bob")) == {"bob"}
    assert of(story).round == 2


def test_a_round_that_brings_nothing_new_is_the_last() -> None:
    story = Story(mesh(TWO))
    story.finish("ann", remembered=(told("a"),))
    story.finish("bob", remembered=(told("b"),))
    story.finish("ann", remembered=(told("a"),))
    assert not story.finish("bob")
    assert (story.state.status, of(story).ended, of(story).round) == ("completed", "converged", 2)
    assert of(story).said == {"ann": 4, "bob": 5}


def test_another_value_is_something_new() -> None:
    story = Story(mesh(TWO))
    story.finish("ann", remembered=(told("a", 1),))
    story.finish("bob")
    assert asked(story.finish("bob", remembered=(told("a", 2),))) == {"ann"}


def test_the_result_ends_it_and_whoever_is_still_at_it_comes_late() -> None:
    story = Story(mesh(TWO))
    assert not story.finish("ann", remembered=(told("x"), told("answer", 42)))
    assert (story.state.status, of(story).ended, of(story).result) == (
        "completed",
        "result",
        (2, 1),
    )
    assert story.work("bob").status == "skipped"
    story.finish("bob", tokens_in=5, remembered=(told("answer", "late"),))
    assert of(story).result == (2, 1)
    assert story.state.spent.tokens == 5


def test_the_result_may_be_known_by_its_tag() -> None:
    story = Story(
        mesh({"ann": peer(writes=["facts", "done"]), "bob": peer()}, result={"tag": "done"})
    )
    story.finish("ann", remembered=(told("any", 1, "done", "facts"),))
    assert of(story).ended == "result"


def test_the_others_of_a_round_wait_and_are_not_asked_twice_for_what_they_will_see() -> None:
    story = Story(mesh(TWO, at_once=1))
    assert first(story) == {"ann"}
    assert asked(story.finish("ann", remembered=(told("a"),))) == {"bob"}
    assert not story.finish("bob")
    assert of(story).ended == "converged"


def test_rounds_have_an_end() -> None:
    story = Story(mesh(TWO, rounds=2))
    for value in (1, 2):
        story.finish("ann", remembered=(told("a", value),))
        story.finish("bob", remembered=(told("b", value),))
    assert (story.state.status, of(story).ended) == ("completed", "rounds")
    assert of(story).notes == ("there was more to say after 2 rounds",)


def test_one_that_fails_is_asked_again_and_then_left_out() -> None:
    story = Story(mesh(TWO, failures=2))
    story.fail("bob", retryable=False)
    assert asked(story.finish("ann", remembered=(told("a"),))) == {"bob"}
    assert not story.fail("bob", retryable=False)
    assert (story.state.status, of(story).ended) == ("completed", "converged")
    assert of(story).notes == ("bob was left out after 2 failed turns",)
    assert story.state.error is None


def test_attempts_of_one_turn_are_not_failed_turns() -> None:
    story = Story(mesh(TWO))
    assert asked(story.fail("bob")) == {"bob"}
    assert of(story).failures == {}


def test_where_nobody_ever_answered_there_is_nothing_to_complete_with() -> None:
    story = Story(mesh(TWO, failures=1))
    story.fail("ann", retryable=False)
    story.fail("bob", retryable=False)
    assert story.state.status == "failed"
    assert story.error["code"] == "work-failed"


@pytest.mark.parametrize(
    ("budget", "spent"),
    [({"tokens": 9}, {"tokens_in": 10}), ({"money_micros": 9}, {"money_micros": 10})],
)
def test_a_budget_that_is_used_up_ends_it_with_what_there_is(
    budget: dict[str, int], spent: dict[str, int]
) -> None:
    story = Story(mesh(TWO, **budget))
    story.finish("ann", remembered=(told("a"),), **spent)
    assert (story.state.status, of(story).ended) == ("completed", "budget")
    assert "is used up" in of(story).notes[0]
    assert of(story).said == {"ann": 2}


def test_calls_are_counted_before_they_are_made() -> None:
    story = Story(mesh(TWO, agent_calls=3))
    story.finish("ann", remembered=(told("a"),))
    story.finish("bob", remembered=(told("b"),))
    assert (story.state.status, of(story).ended) == ("completed", "budget")


def test_its_time_may_be_over() -> None:
    story = Story(mesh(TWO, wall_s=10))
    story.finish("ann", remembered=(told("a"),))
    story.time_passes(11)
    assert (story.state.status, of(story).ended) == ("completed", "budget")
    nobody = Story(mesh(TWO, wall_s=10))
    nobody.time_passes(11)
    assert (nobody.state.status, nobody.error["code"]) == ("failed", "nobody-answered")


def test_a_state_is_read_back_as_it_was_and_a_history_replays() -> None:
    story = Story(mesh(TWO, rounds=2))
    story.fail("bob", retryable=False)
    story.finish("ann", remembered=(told("a"),))
    read = from_json(to_json(story.state))
    assert read == story.state
    assert canonical(to_json(read)) == canonical(to_json(story.state))
    assert first_divergence(story.history("run")) is None


def raw(**changes: Any) -> dict[str, Any]:
    says = {"agent": {"kind": "scripted", "name": "x"}, "reads": ["facts"], "writes": ["facts"]}
    return {
        "pattern": "mesh",
        "peers": {"ann": says, "bob": says},
        "result": {"key": "answer"},
    } | changes


LIMITS: Any = BUDGET | {"turns": 20}


def problems(**changes: Any) -> list[str]:
    return [
        one.pointer for one in definitions.problems(raw(**changes), agents=SCHEMAS, limits=LIMITS)
    ]


def test_a_definition_is_completed() -> None:
    assert problems() == []
    whole = definitions.complete(raw(space="desk"), LIMITS)
    assert (whole["rounds"], whole["at_once"], whole["failures"]) == (5, 4, 2)
    memory = whole["peers"]["ann"]["memory"]
    assert memory == {"reads": ["facts"], "writes": ["facts"], "at_most": 50, "space": "desk"}
    scope = definitions.memory_of(whole, "ann")
    assert scope is not None
    assert scope.space == "desk"


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"peers": {"ann": raw()["peers"]["ann"]}}, "/peers"),
        ({"result": {}}, "/result"),
        ({"result": {"tag": "done"}}, "/result/tag"),
        ({"rounds": 0}, "/rounds"),
        ({"at_once": 0}, "/at_once"),
        ({"stages": []}, "/stages"),
        ({"peers": {"ann": raw()["peers"]["ann"], "b": {**raw()["peers"]["bob"], "writes": ["x"]}}}, "/peers/ann/reads"),
        ({"peers": {"ann": raw()["peers"]["ann"], "b": {**raw()["peers"]["bob"], "proposes": True}}}, "/peers/b/proposes"),
        ({"peers": {"ann": raw()["peers"]["ann"], "b": {**raw()["peers"]["bob"], "output": {"type": 7}}}}, "/peers/b/output/type"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_said(changes: dict[str, Any], pointer: str) -> None:
    assert pointer in problems(**changes)
