"""A supervisor and its workers: rounds, gaps, limits, and the end that always comes."""

from typing import Any

import pytest

from orchestrator.core import commands as cm
from orchestrator.core import events as ev
from orchestrator.core.handing import fill_in, places
from tests.core.stories import (
    Story,
    agent,
    child,
    failed,
    finished,
    pipeline,
    supervisor,
    tasks,
)


def under_way(story: Story) -> list[int]:
    return [n for n, part in enumerate(story.work("tasks").parts) if part.status == "running"]


def statuses(story: Story) -> list[str]:
    return [part.status for part in story.work("tasks").parts]


def filled(story: Story, form: Any) -> Any:
    """As the engine fills it in, from the log."""
    return fill_in(form, lambda seq: ev.value_of(story.events[seq - 1]), story.definition)


def outcome(story: Story) -> Any:
    assert story.state.status == "completed"
    return filled(story, story.state.answer)


def planned(*named: str, **changes: Any) -> Story:
    story = Story(supervisor(**changes), {"want": "all"})
    story.finish("plan", tasks(*named))
    return story


def test_the_supervisor_hears_who_its_workers_are() -> None:
    story = Story(supervisor())
    (command,) = story.commands[1]
    assert isinstance(command, cm.RunAgent)
    handed = filled(story, dict(command.inputs))
    assert handed["workers"] == {
        "find": "looks things up",
        "sum": "",
        "ask": "asks the other team",
    }
    assert (handed["round"], handed["rounds"]) == (1, 3)
    assert (handed["results"], handed["gaps"]) == ([], [])


def test_a_worker_is_handed_its_own_task_and_nothing_else() -> None:
    story = planned("find:a", "sum:b")
    one, two = story.commands[2]
    assert isinstance(one, cm.RunAgent)
    assert isinstance(two, cm.RunAgent)
    assert (one.who, one.queue, two.who, two.queue) == ("find", "agents", "sum", "isolated")
    assert (dict(one.inputs), filled(story, one.item)) == ({}, "a")
    assert filled(story, two.item) == "b"


def test_no_more_than_the_cap_are_under_way() -> None:
    story = planned("find:a", "find:b", "find:c", "find:d")
    assert statuses(story) == ["running", "running", "queued", "queued"]
    assert story.state.spent.agent_calls == 3
    (next_,) = story.finish("tasks", "B", index=1)
    assert isinstance(next_, cm.RunAgent)
    assert (next_.index, filled(story, next_.item)) == (2, "c")
    assert under_way(story) == [0, 2]
    # One that is tried again keeps its place.
    (again,) = story.fail("tasks", index=0)
    assert (again.index, again.attempt) == (0, 2)  # type: ignore[attr-defined]
    assert under_way(story) == [0, 2]


def test_results_and_gaps_are_handed_on_and_come_out() -> None:
    story = planned("find:a", "sum:b", "nobody:c")
    story.finish("tasks", "A")
    (command,) = story.fail("tasks", index=1, retryable=False)
    assert isinstance(command, cm.RunAgent)
    assert command.work == "plan"
    handed = filled(story, dict(command.inputs))
    assert handed["results"] == [{"worker": "find", "task": "a", "result": "A"}]
    assert handed["gaps"] == [
        {"worker": "sum", "task": "b", "why": "no line"},
        {"worker": "nobody", "task": "c", "why": "there is no worker “nobody”"},
    ]
    story.finish("plan", {"done": True, "result": {"found": 1}})
    found = outcome(story)
    assert found["result"] == {"found": 1}
    assert [gap["task"] for gap in found["gaps"]] == ["b", "c"]
    assert (found["rounds"], found["notes"]) == (1, [])


def test_the_aggregation_deadline_leaves_gaps_and_goes_on() -> None:
    story = planned("find:a", "find:b", "find:c")
    story.finish("tasks", "A")
    (command,) = story.time_passes(600)
    assert isinstance(command, cm.RunAgent)
    handed = filled(story, dict(command.inputs))
    assert [result["task"] for result in handed["results"]] == ["a"]
    assert [gap["why"] for gap in handed["gaps"]] == ["no answer within 600 s"] * 2
    assert story.state.status == "running"


def test_a_late_answer_costs_and_counts_for_nothing() -> None:
    story = planned("find:a", "find:b")
    story.finish("tasks", "A")
    story.time_passes(600)
    before = story.state.rounds
    assert story.tell(finished("tasks", "late", index=1, tokens_in=7)) == []
    assert story.state.rounds == before
    assert story.state.spent.tokens == 7
    story.refuses(finished("tasks", "later", index=1))


def test_what_was_queued_at_the_deadline_was_never_asked_for() -> None:
    story = planned("find:a", "find:b", "find:c")
    story.time_passes(600)
    assert statuses(story) == ["given_up"] * 3
    assert story.work("tasks").parts[2].why.endswith("it was not begun")
    story.refuses(finished("tasks", "from nowhere", index=2))


def test_the_cost_breaker_begins_nothing_more_and_completes() -> None:
    story = planned("find:a", "find:b", "find:c", stops_at={"tokens": 10, "money_micros": 0})
    assert story.finish("tasks", "A", tokens_in=10) == []
    assert statuses(story) == ["done", "running", "given_up"]
    # What is under way is waited for, and not tried again.
    assert story.fail("tasks", index=1) == []
    found = outcome(story)
    assert found["result"] == [{"worker": "find", "task": "a", "result": "A"}]
    assert [gap["task"] for gap in found["gaps"]] == ["b", "c"]
    assert "the cost limit of the run was reached in round 1" in found["notes"][0]


def test_the_breaker_trips_on_money_and_returns_the_best_so_far() -> None:
    story = Story(supervisor(stops_at={"tokens": 0, "money_micros": 100}))
    story.finish("plan", tasks("find:a", result="a draft"))
    story.finish("tasks", "A", money_micros=500)
    found = outcome(story)
    assert found["result"] == "a draft"
    assert "the result that the supervisor had before" in found["notes"][0]


def test_a_supervisor_that_cost_too_much_itself_begins_nothing() -> None:
    story = Story(supervisor(stops_at={"tokens": 5, "money_micros": 0}))
    assert story.finish("plan", tasks("find:a"), tokens_in=9) == []
    found = outcome(story)
    assert (found["result"], [gap["task"] for gap in found["gaps"]]) == ([], ["a"])


def test_the_budget_never_fails_what_the_breaker_can_complete() -> None:
    budget = {"tokens": 10, "money_micros": 10}
    story = planned("find:a", "find:b", budget=budget)
    story.finish("tasks", "A", tokens_in=500, money_micros=500)
    story.finish("tasks", "B", index=1)
    assert outcome(story)["rounds"] == 1


def test_the_last_round_is_summed_up() -> None:
    story = planned("find:a", rounds=2)
    story.finish("tasks", "A")
    story.finish("plan", tasks("find:b"))
    (command,) = story.finish("tasks", "B")
    assert isinstance(command, cm.RunAgent)
    assert command.work == "synthesis"
    assert filled(story, dict(command.inputs))["why"] == "this was round 2, the last one"
    story.finish("synthesis", {"result": "AB"})
    found = outcome(story)
    assert (found["result"], found["rounds"]) == ("AB", 2)
    assert found["notes"] == [
        "this was round 2, the last one, so the supervisor was asked to sum up"
    ]


def test_two_rounds_that_bring_the_same_are_enough() -> None:
    story = planned("find:a", "find:b")
    story.finish("tasks", "x")
    story.finish("tasks", "y", index=1)
    story.finish("plan", tasks("find:c", "find:d"))
    story.finish("tasks", "y")
    (command,) = story.finish("tasks", "x", index=1)
    assert isinstance(command, cm.RunAgent)
    assert command.work == "synthesis"
    assert filled(story, dict(command.inputs))["why"] == "two rounds brought the same"


@pytest.mark.parametrize("named", [(), ("find:a",), ("find:a", "find:a")])
def test_a_plan_without_a_new_task_is_summed_up(named: tuple[str, ...]) -> None:
    story = planned("find:a")
    story.finish("tasks", "A")
    (command,) = story.finish("plan", tasks(*named))
    assert isinstance(command, cm.RunAgent)
    assert command.work == "synthesis"
    assert len(story.state.rounds) == 1


def test_a_task_that_was_a_gap_may_be_given_out_again() -> None:
    story = planned("find:a")
    story.fail("tasks", retryable=False)
    (command,) = story.finish("plan", tasks("find:a"))
    assert isinstance(command, cm.RunAgent)
    assert (command.work, command.who) == ("tasks", "find")


def test_rounds_of_nothing_but_gaps_end_too() -> None:
    story = Story(supervisor())
    for number in range(3):
        story.finish("plan", tasks(f"nobody:{number}"))
    story.finish("synthesis", {"result": None})
    found = outcome(story)
    assert (found["result"], len(found["gaps"])) == (None, 3)


def test_a_refused_plan_is_told_why_and_tried_again() -> None:
    story = Story(supervisor())
    error: Any = {"code": "output-invalid", "reason": "/tasks has 9 items", "retryable": True}
    (command,) = story.tell(ev.WorkFailed(work="plan", attempt=1, error=error))
    assert isinstance(command, cm.RunAgent)
    assert filled(story, dict(command.inputs))["refused"] == "/tasks has 9 items"


def test_too_many_tasks_that_slipped_through_are_no_plan() -> None:
    story = planned(*(f"find:{n}" for n in range(6)))
    assert story.state.status == "failed"
    assert story.error["code"] == "output-invalid"


def test_a_supervisor_that_fails_later_leaves_what_was_found() -> None:
    story = planned("find:a")
    story.finish("tasks", "A")
    story.fail("plan", retryable=False)
    found = outcome(story)
    assert found["result"] == [{"worker": "find", "task": "a", "result": "A"}]
    assert found["notes"] == ["the supervisor failed: no line: these are the results as they came"]


def test_a_supervisor_that_fails_at_once_fails_the_run() -> None:
    story = Story(supervisor())
    story.fail("plan", retryable=False)
    assert story.state.status == "failed"


def test_a_worker_may_be_a_run_of_another_workflow() -> None:
    story = planned("ask:who?", "find:a")
    child, _ = story.commands[2]
    assert isinstance(child, cm.StartChild)
    assert (child.workflow, child.index, filled(story, child.item)) == ("other", 0, "who?")
    assert child.key == "start_child:tasks:2:0:1"
    story.tell(ev.ChildStarted(work="tasks", run="r2", index=0))
    ended = ev.ChildEnded(
        work="tasks", run="r2", status="completed", output="me", tokens=9, money_micros=4
    )
    story.refuses(ev.ChildEnded(work="tasks", run="r3", status="completed", output="me"))
    story.tell(ended)
    story.refuses(ended)
    assert (story.state.spent.tokens, story.state.spent.money_micros) == (9, 4)
    (command,) = story.finish("tasks", "A", index=1)
    assert isinstance(command, cm.RunAgent)
    results = filled(story, dict(command.inputs))["results"]
    assert [result["result"] for result in results] == ["me", "A"]


def test_a_run_that_failed_is_a_gap() -> None:
    story = planned("ask:who?")
    story.tell(ev.ChildStarted(work="tasks", run="r2"))
    error: Any = {"code": "budget-exceeded", "reason": "too deep"}
    story.tell(ev.ChildEnded(work="tasks", run="r2", status="failed", error=error))
    assert story.state.rounds[0].parts[0].why == "its run failed: too deep"


def test_a_run_that_ends_after_the_deadline_is_not_heard() -> None:
    story = planned("ask:who?")
    story.tell(ev.ChildStarted(work="tasks", run="r2"))
    story.time_passes(600)
    story.refuses(ev.ChildEnded(work="tasks", run="r2", status="completed", output="late"))


def spent_by(run: str, **costs: Any) -> ev.ChildSpent:
    return ev.ChildSpent(work="tasks", run=run, status="cancelled", **costs)


def test_what_a_run_spent_counts_even_where_nobody_waits_for_it_any_more() -> None:
    story = planned("ask:who?")
    story.tell(ev.ChildStarted(work="tasks", run="r2"))
    story.refuses(spent_by("r2", tokens=9), "waited for")
    story.time_passes(600)
    assert story.tell(spent_by("r2", tokens=9, money_micros=4)) == []
    spent = story.state.spent
    assert (spent.tokens, spent.money_micros, spent.unpriced) == (9, 4, False)
    story.refuses(spent_by("r2", tokens=9), "settled already")
    story.finish("plan", {"done": True, "result": 1})
    story.tell(spent_by("r3", unpriced=True))
    assert story.state.status == "completed"
    assert story.state.spent.unpriced


def test_it_may_be_what_breaks_the_cost() -> None:
    story = Story(supervisor(stops_at={"tokens": 0, "money_micros": 50}), {"want": "all"})
    story.finish("plan", tasks("ask:who?"))
    story.tell(ev.ChildStarted(work="tasks", run="r2"))
    story.time_passes(600)
    story.tell(spent_by("r2", money_micros=60))
    story.finish("plan", tasks("find:b"))
    assert story.state.status == "completed"
    assert "the cost limit of the run was reached" in story.state.notes[0]


def test_an_unknown_price_stays_unknown_in_every_sum_above() -> None:
    story = planned("ask:who?", "find:a")
    story.tell(ev.ChildStarted(work="tasks", run="r2", index=0))
    ended = {"work": "tasks", "run": "r2", "status": "completed", "output": "me"}
    story.tell(ev.ChildEnded(**ended, tokens=9, money_micros=4, unpriced=True))
    assert story.state.spent.money_micros == 4
    assert story.state.spent.unpriced


def test_a_round_for_nobody_at_the_limit_of_its_cost_is_no_error_of_the_run() -> None:
    story = Story(supervisor(stops_at={"tokens": 8, "money_micros": 0}), {"want": "all"})
    story.finish("plan", tasks("nobody:a"), tokens_out=9)
    assert (story.state.status, story.state.error) == ("completed", None)
    assert "the cost limit of the run was reached" in story.state.notes[0]


def test_a_run_that_is_given_up_is_cancelled_and_no_other_is() -> None:
    story = Story(supervisor(), {"want": "all"}, cancels_below=True)
    story.finish("plan", tasks("ask:who?", "ask:why?", "find:a"))
    story.tell(ev.ChildStarted(work="tasks", run="r2"))
    assert story.tell(ev.ChildStarted(work="tasks", run="r3", index=1)) == []
    ended = ev.ChildEnded(work="tasks", run="r2", status="completed", output="he")
    assert [command.kind for command in story.tell(ended)] == ["run_agent"]
    cancelled, *others = story.time_passes(600)
    assert cancelled == cm.CancelRun(run="r3")
    assert {command.kind for command in others} == {"run_agent"}
    # What was not begun by then is not begun any more.
    story.refuses(ev.ChildStarted(work="tasks", run="r4", index=1))


def test_runs_that_began_before_there_was_this_run_on() -> None:
    story = planned("ask:who?")
    story.tell(ev.ChildStarted(work="tasks", run="r2"))
    assert all(command.kind == "run_agent" for command in story.time_passes(600))


@pytest.mark.parametrize("waits", [True, False])
def test_what_a_run_waits_for_ends_with_it(waits: bool) -> None:
    story = Story(pipeline(child("sub", "x", wait=waits), agent("a")), cancels_below=True)
    story.tell(ev.ChildStarted(work="sub", run="r2"))
    commands = story.tell(ev.RunCancelled(by="ada", reason="no"))
    assert commands == ([cm.CancelRun(run="r2")] if waits else [])


def test_a_worker_that_waits_for_what_it_asked_gave_its_answer_already() -> None:
    story = planned("find:a")
    asks = ev.WorkAsked(work="tasks", attempt=1, asks=({"key": "1", "action": "refund"},))
    story.tell(asks)
    story.time_passes(600)
    story.refuses(asks)


def test_a_run_knows_which_part_of_its_parent_it_does() -> None:
    story = Story(pipeline(agent("a")), parent="r1", parent_work="tasks", parent_index=3)
    (command,) = story.finish("a")
    assert command == cm.TellParent(parent="r1", work="tasks", index=3)


@pytest.mark.parametrize(("left", "status"), [(-1, "running"), (1, "running"), (0, "failed")])
def test_supervisors_stand_below_each_other_as_deep_as_is_allowed(left: int, status: str) -> None:
    story = Story(supervisor(), delegations=left)
    assert story.state.status == status


def test_parts_of_a_pipeline_may_wait_for_their_turn() -> None:
    story = Story(pipeline(agent("each", for_each="", at_once=2)), ["a", "b", "c"])
    assert [command.index for command in story.commands[1]] == [0, 1]  # type: ignore[attr-defined]
    (next_,) = story.finish("each", "A")
    assert next_.index == 2  # type: ignore[attr-defined]
    story.finish("each", "B", index=1)
    story.finish("each", "C", index=2)
    assert story.state.status == "completed"
    assert story.state.spent.agent_calls == 3


def test_a_part_that_fails_a_stage_begins_no_other() -> None:
    story = Story(pipeline(agent("each", for_each="", at_once=1, attempts=1)), ["a", "b"])
    assert story.tell(failed("each")) == []
    assert story.state.status == "failed"


def test_forms_name_every_event_they_need() -> None:
    form = {"a": 3, "b": [4, 0], "c": {"$at": 5, "$find": "/x"}, "d": {"$say": 6}, "e": "7"}
    assert list(places(form)) == [3, 4, 5]
