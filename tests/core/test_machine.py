"""A machine told event by event: where it stands, which way it takes, and what it asks for."""

from typing import Any

import pytest

from orchestrator.core import events as ev
from orchestrator.core.commands import RunAgent
from tests.core.stories import (
    Story,
    agent,
    answered,
    approval,
    asked,
    failed,
    finished,
    heard,
    machine,
    received,
    signal,
)

ENDS: dict[str, Any] = {"good": {"end": "completed"}, "bad": {"end": "failed"}}
DONE, FAILED = [{"to": "good"}], [{"to": "bad"}]


def running(run: Any, **place: Any) -> dict[str, Any]:
    """A state that runs this, and is left for good or for bad."""
    return {"run": run, "on": {"done": DONE, "failed": FAILED}, **place}


def one(run: Any, **place: Any) -> Story:
    return Story(machine({"only": running(run, **place), **ENDS}))


def test_it_begins_in_its_first_state_with_the_intent_in_sight() -> None:
    story = Story(machine({"only": running(agent()), **ENDS}), {"order": 1})
    assert story.first == [RunAgent(work="only", attempt=1, visit=1)]
    assert story.state.position == "only"
    assert story.state.data == {"intent": {"order": 1}}


@pytest.mark.parametrize(
    ("event", "status", "position"),
    [
        (finished("only"), "completed", "good"),
        (failed("only", retryable=False), "failed", "bad"),
    ],
)
def test_its_own_work_says_done_or_failed(event: ev.Event, status: str, position: str) -> None:
    story = one(agent())
    assert story.tell(event) == []
    assert (story.state.status, story.state.position) == (status, position)


def test_a_failure_that_led_to_the_end_is_its_error() -> None:
    story = one(agent())
    story.fail("only", retryable=False)
    assert story.error["code"] == "work-failed"


def test_a_failure_that_was_dealt_with_is_forgotten() -> None:
    story = Story(
        machine(
            {
                "first": {"run": agent(), "on": {"done": DONE, "failed": [{"to": "second"}]}},
                "second": running(agent()),
                **ENDS,
            }
        )
    )
    story.fail("first", retryable=False)
    assert story.state.position == "second"
    story.finish("second")
    assert (story.state.status, story.state.error) == ("completed", None)


def test_an_end_that_is_a_failure_needs_no_error() -> None:
    story = Story(machine({"idle": {"on": {"stop": FAILED}}, **ENDS}))
    story.tell(heard("stop"))
    assert (story.state.status, story.state.error) == ("failed", None)


# Guards ------------------------------------------------------------------------------------------


def sorting(*guards: str) -> Story:
    ways = [{"if": guard, "to": f"to{n}"} for n, guard in enumerate(guards)] + [{"to": "other"}]
    places = {f"to{n}": {"end": "completed"} for n in range(len(guards))}
    sort = {"run": agent(), "on": {"done": ways, "failed": FAILED}}
    return Story(machine({"sort": sort, **places, "other": {"end": "completed"}, **ENDS}), 7)


@pytest.mark.parametrize(
    ("output", "position"), [(1, "to0"), (5, "to1"), (9, "other"), ("text", "other")]
)
def test_the_first_way_whose_guard_holds_is_taken(output: Any, position: str) -> None:
    story = sorting("event < 3", "event < 6")
    story.finish("sort", output)
    assert story.state.position == position


def test_guards_see_the_event_the_intent_and_the_newest_outputs() -> None:
    story = sorting("data.intent == 7 && data.sort == event && event.size == 2")
    story.finish("sort", {"size": 2})
    assert story.state.position == "to0"


@pytest.mark.parametrize("guard", ["data.nothing == 1", "event", "1 / 0 == 1", "event.a.b"])
def test_a_guard_that_cannot_be_evaluated_does_not_hold(guard: str) -> None:
    story = sorting(guard)
    story.finish("sort", {})
    assert story.state.position == "other"


def test_without_a_way_that_fits_the_run_fails_and_says_where() -> None:
    only = {"run": agent(), "on": {"done": [{"if": "event == 1", "to": "good"}]}}
    story = Story(machine({"only": only, **ENDS}))
    story.finish("only", 2)
    assert (story.state.status, story.error["code"], story.error["who"]) == (
        "failed",
        "no-way-out",
        "only",
    )
    broken = Story(machine({"only": only, **ENDS}))
    broken.fail("only", retryable=False)
    assert broken.error["code"] == "work-failed"


def test_a_person_says_who_they_are() -> None:
    ways = [{"if": "event.by == 'rita' && event.verdict == 'approve'", "to": "good"}, {"to": "bad"}]
    only = {"run": approval(), "on": {"done": ways, "failed": FAILED}}
    story = Story(machine({"only": only, **ENDS}))
    story.tell(asked("only"))
    story.tell(answered("only", by="rita"))
    assert story.state.position == "good"


# Signals -----------------------------------------------------------------------------------------


def idling(**place: Any) -> Story:
    ways = {"paid": [{"if": "event.amount > 0", "to": "good"}], "stop": FAILED}
    return Story(machine({"idle": {"on": ways, **place}, **ENDS}))


def test_a_state_without_work_waits_for_signals() -> None:
    story = idling()
    assert (story.first, story.state.status) == ([], "waiting")
    story.tell(heard("paid", {"amount": 3}))
    assert story.state.status == "completed"


@pytest.mark.parametrize(
    "event", [heard("other"), heard("done"), heard("paid", {"amount": 0}), heard("paid")]
)
def test_a_signal_that_no_way_fits_is_refused_and_the_run_goes_on(event: ev.Event) -> None:
    story = idling()
    story.refuses(event, "not waiting for")
    story.tell(heard("stop"))
    assert story.state.position == "bad"


def test_a_signal_can_be_a_states_own_work() -> None:
    story = one(signal(due_s=60))
    story.tell(heard("paid"))
    assert story.state.position == "good"
    late = one(signal(due_s=60))
    late.time_passes(60)
    assert late.state.position == "bad"
    assert late.error["code"] == "deadline"


def leaving(run: Any, **place: Any) -> Story:
    on = {"done": DONE, "failed": FAILED, "withdraw": [{"to": "idle"}]}
    places = {"busy": {"run": run, "on": on, **place}, "idle": {"on": {"again": [{"to": "busy"}]}}}
    return Story(machine({**places, **ENDS}))


def test_a_state_can_be_left_while_its_agent_is_at_work() -> None:
    story = leaving(agent())
    assert story.tell(heard("withdraw")) == []
    assert story.state.position == "idle"
    assert story.work("busy").status == "skipped"


def test_what_was_left_costs_and_changes_nothing_else() -> None:
    story = leaving(agent())
    story.tell(heard("withdraw"))
    assert story.finish("busy", {"any": 1}, tokens_in=5) == []
    assert (story.state.position, story.work("busy").tokens) == ("idle", 5)
    assert "busy" not in story.state.data
    story.refuses(finished("busy"))


def test_what_was_left_is_not_tried_again() -> None:
    story = leaving(agent())
    story.tell(heard("withdraw"))
    assert story.fail("busy", retryable=True) == []
    assert story.state.error is None


def test_what_was_left_proposes_nothing() -> None:
    story = leaving(agent(proposes=True))
    story.tell(heard("withdraw"))
    assert story.finish("busy", {"action": "refund.create"}) == []
    story.refuses(received("busy"), "not asked for")
    deciding = leaving(agent(proposes=True))
    deciding.finish("busy", {"action": "refund.create"})
    deciding.tell(heard("withdraw"))
    deciding.refuses(received("busy"), "not asked for")


def test_what_was_left_has_no_deadline_any_more() -> None:
    story = leaving(approval(due_s=60))
    story.tell(heard("withdraw"))
    assert list(story.state.timers) == ["wall"]
    story.refuses(answered("busy"))


def test_coming_back_is_another_visit() -> None:
    story = leaving(agent())
    story.tell(heard("withdraw"))
    assert story.tell(heard("again")) == [RunAgent(work="busy", attempt=1, visit=3)]
    assert story.work("busy").status == "running"


def test_an_answer_to_an_earlier_visit_is_no_answer_to_this_one() -> None:
    story = leaving(agent())
    story.tell(heard("withdraw"))
    story.tell(heard("again"))
    assert story.finish("busy", "old", visit=1, tokens_in=5) == []
    assert story.fail("busy", visit=1) == []
    assert (story.work("busy").status, story.state.spent.tokens) == ("running", 5)
    story.finish("busy", "new", visit=3)
    assert story.state.data["busy"] == "new"


def test_a_question_of_an_earlier_visit_is_not_asked_any_more() -> None:
    story = leaving(approval())
    story.tell(heard("withdraw"))
    story.tell(heard("again"))
    story.refuses(ev.PersonAsked(work="busy", item="old", visit=1))
    assert story.fail("busy", visit=1) == []
    story.tell(ev.PersonAsked(work="busy", item="new", visit=3))
    assert story.work("busy").item == "new"


# Time --------------------------------------------------------------------------------------------


def test_a_state_is_left_when_its_time_is_up() -> None:
    story = idling(after={"seconds": 30, "to": "bad"})
    story.refuses(ev.TimeReached(), after_s=29)
    story.time_passes(30)
    assert story.state.position == "bad"


def test_leaving_in_time_stops_the_clock() -> None:
    story = leaving(agent(), after={"seconds": 30, "to": "bad"})
    story.tell(heard("withdraw"))
    story.refuses(ev.TimeReached(), after_s=100)


def test_what_is_due_is_taken_in_the_order_of_its_time() -> None:
    story = one(approval(due_s=20), after={"seconds": 30, "to": "good"})
    story.time_passes(100)
    assert story.state.position == "bad"
    story = one(approval(due_s=40), after={"seconds": 30, "to": "good"})
    story.time_passes(100)
    assert story.state.position == "good"


def test_a_clock_that_was_set_anew_is_not_the_one_that_ran_out() -> None:
    """Two times pass at once; the first leads back into the same state, which sets both anew."""
    again = {"seconds": 30, "to": "ask"}
    story = Story(machine({"ask": running(approval(due_s=40), after=again), **ENDS}))
    commands = story.time_passes(100)
    assert [command.kind for command in commands] == ["ask_person"]
    assert (story.state.position, story.work("ask").status) == ("ask", "running")
    assert story.state.timers["work:ask"] == story.now_ms + 40_000


# States that are over at once, and loops ---------------------------------------------------------


def test_nothing_to_do_is_done_at_once() -> None:
    way = [{"if": "data.each == event && size(event) == 0", "to": "good"}, {"to": "bad"}]
    each = {"run": agent(for_each="/items"), "on": {"done": way, "failed": FAILED}}
    story = Story(machine({"each": each, **ENDS}), {"items": []})
    assert (story.first, story.state.position) == ([], "good")


def test_no_list_is_a_failure_with_its_reason() -> None:
    story = one(agent(for_each="/items"))
    assert story.state.position == "bad"
    assert story.error["code"] == "no-list"


def circle(length: int, **budget: int) -> Story:
    """States that are over as soon as they start, each leading to the next."""
    places = {
        f"s{n}": {
            "run": agent(for_each=""),
            "on": {"done": [{"to": f"s{(n + 1) % length}"}], "failed": FAILED},
        }
        for n in range(length)
    }
    return Story(machine({**places, **ENDS}, **budget), [])


def test_the_same_state_with_the_same_data_too_often_is_a_circle() -> None:
    story = Story(machine({"a": {"on": {"go": [{"to": "a"}]}}, **ENDS}, repeats=3))
    for _ in range(2):
        story.tell(heard("go"))
    story.tell(heard("go"))
    assert (story.state.status, story.error["code"]) == ("failed", "cycle")
    assert "'a'" in story.error["reason"]


def test_new_data_is_no_circle() -> None:
    loop = {"run": agent(), "on": {"done": [{"to": "a"}], "failed": FAILED}}
    story = Story(machine({"a": loop, **ENDS}, repeats=1))
    for number in range(20):
        story.finish("a", number)
    assert story.state.status == "running"
    story.finish("a", 19)
    assert story.error["code"] == "cycle"


def test_a_circle_that_never_waits_ends_all_the_same() -> None:
    assert circle(2).error["code"] == "cycle"
    assert circle(500, steps=2_000).error["code"] == "cycle"
    assert circle(3, repeats=0, steps=50).error["budget"] == "steps"
