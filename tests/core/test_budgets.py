"""How much a run may use up, and what it says when it is used up."""

from typing import Any

import pytest

from orchestrator.core import events as ev
from tests.core.stories import Story, agent, heard, machine, pipeline, received


def run_out(name: str, limit: int, **spent: int) -> Story:
    story = Story(pipeline(agent("a"), agent("b"), **{name: limit}))
    assert story.finish("a", **spent) == []
    return story


@pytest.mark.parametrize(
    ("name", "limit", "spent", "used"),
    [
        ("steps", 1, {}, 2),
        ("agent_calls", 1, {}, 2),
        ("tokens", 9, {"tokens_in": 4, "tokens_out": 6}, 10),
        ("money_micros", 9, {"money_micros": 10}, 10),
    ],
)
def test_the_run_ends_before_anything_more_is_asked_for(
    name: str, limit: int, spent: dict[str, int], used: int
) -> None:
    story = run_out(name, limit, **spent)
    assert story.state.status == "failed"
    assert (story.error["code"], story.error["budget"]) == ("budget-exceeded", name)
    assert (story.error["limit"], story.error["spent"]) == (limit, used)
    assert story.error["retryable"] is False


@pytest.mark.parametrize(
    ("name", "limit", "spent"),
    [
        ("steps", 2, {}),
        ("agent_calls", 2, {}),
        ("tokens", 10, {"tokens_in": 4, "tokens_out": 6}),
        ("money_micros", 10, {"money_micros": 10}),
    ],
)
def test_all_of_it_may_be_used(name: str, limit: int, spent: dict[str, int]) -> None:
    story = Story(pipeline(agent("a"), agent("b"), **{name: limit}))
    assert len(story.finish("a", **spent)) == 1


def test_the_last_answer_counts_only_while_it_can_be_paid() -> None:
    story = Story(pipeline(agent("a"), tokens=5))
    story.finish("a", tokens_out=6)
    assert (story.state.status, story.error["budget"]) == ("failed", "tokens")


def test_trying_again_costs_a_call() -> None:
    story = Story(pipeline(agent("a"), agent_calls=1))
    assert story.fail("a") == []
    assert story.error["budget"] == "agent_calls"


def test_being_sent_back_costs_a_call() -> None:
    story = Story(pipeline(agent("a", proposes=True), agent_calls=1))
    story.finish("a")
    assert story.propose("a", "revise") == []
    assert story.error["budget"] == "agent_calls"


def test_each_element_of_a_list_costs_a_call() -> None:
    stage = agent("each", for_each="", at_most=5)
    assert Story(pipeline(stage, agent_calls=2), [1, 2, 3]).first == []
    assert len(Story(pipeline(stage, agent_calls=3), [1, 2, 3]).first) == 3


def test_time_runs_out_whatever_is_in_hand() -> None:
    story = Story(pipeline(agent("a"), wall_s=60))
    story.refuses(ev.TimeReached(), after_s=59)
    assert story.time_passes(60) == []
    assert (story.error["budget"], story.error["limit"]) == ("wall_s", 60)
    story.finish("a", tokens_in=1)
    assert story.state.spent.tokens == 1


def test_what_is_used_up_stays_the_error_of_what_comes_later() -> None:
    story = Story(pipeline(agent("a", proposes=True), wall_s=60))
    story.finish("a")
    story.tell(received("a"))
    story.time_passes(60)
    story.tell(ev.ProposalDisposed(**_held()))
    assert story.error["budget"] == "wall_s"


def _held() -> dict[str, Any]:
    return {
        "proposal": "p1",
        "disposition": "hold",
        "score": None,
        "policy_version": 1,
        "rules": (),
        "approvals_needed": 1,
        "item": "i-p1",
    }


@pytest.mark.parametrize(
    ("lineage", "status"), [((), "running"), (("a",), "running"), (("a", "b"), "failed")]
)
def test_runs_may_start_runs_to_a_depth(lineage: tuple[str, ...], status: str) -> None:
    story = Story(pipeline(agent("a"), depth=2), lineage=lineage)
    assert story.state.status == status
    assert status == "running" or story.error["budget"] == "depth"


def test_a_run_that_comes_round_to_its_own_workflow_is_a_circle() -> None:
    story = Story(
        pipeline(agent("a")), parent="run_1", parent_work="w", lineage=("top", "main", "sub")
    )
    assert (story.state.status, story.error["code"]) == ("failed", "cycle")
    assert "top → main → sub → main" in story.error["reason"]
    assert [command.kind for command in story.first] == ["tell_parent"]


def test_steps_of_a_machine_count_with_and_without_work() -> None:
    places = {
        "a": {"on": {"go": [{"to": "b"}]}},
        "b": {"run": agent(), "on": {"done": [{"to": "a"}], "failed": [{"to": "a"}]}},
    }
    story = Story(machine(places, steps=3, repeats=9))
    story.tell(heard("go"))
    story.finish("b", 1)
    assert story.state.spent.steps == 3
    assert story.tell(heard("go")) == []
    assert story.error["budget"] == "steps"
