"""A pipeline told event by event: what it asks for, and where it stands."""

import pytest

from orchestrator.core import events as ev
from orchestrator.core.commands import AskPerson, Propose, RunAgent, RunEffect, StartChild
from tests.core.stories import (
    DIGEST,
    Story,
    agent,
    answered,
    approval,
    approved,
    asked,
    child,
    disposed,
    effect_failed,
    effect_lost,
    effect_started,
    failed,
    finished,
    heard,
    pipeline,
    received,
    rejected,
    settled,
    signal,
)


def three() -> Story:
    return Story(pipeline(agent("read"), agent("draft"), agent("send")), {"order": 1})


# One stage after the other ----------------------------------------------------------------------


def test_it_asks_for_the_first_stage_when_it_starts() -> None:
    story = three()
    assert story.first == [RunAgent(work="read", attempt=1, visit=1)]
    assert (story.state.status, story.state.position) == ("running", "read")


def test_each_stage_starts_when_the_one_before_is_done() -> None:
    story = three()
    assert story.finish("read") == [RunAgent(work="draft", attempt=1, visit=2, inputs={"read": 2})]
    assert story.finish("draft") == [RunAgent(work="send", attempt=1, visit=3, inputs={"draft": 3})]
    assert story.finish("send") == []
    assert (story.state.status, story.state.position) == ("completed", "")


def test_a_stage_is_handed_the_outputs_it_needs_by_number() -> None:
    story = Story(pipeline(agent("a"), agent("b"), agent("c", needs=["a", "b"])))
    story.finish("a")
    assert story.finish("b")[0].inputs == {"a": 2, "b": 3}  # type: ignore[attr-defined]


def test_a_stage_that_is_over_cannot_be_finished_again() -> None:
    story = three()
    story.finish("read")
    story.refuses(finished("read"), r"read\[0\] is done")
    story.refuses(finished("send"), "unknown")
    story.refuses(finished("nobody"), "unknown")


@pytest.mark.parametrize("index", [-1, 1])
def test_an_answer_belongs_to_a_part_that_exists(index: int) -> None:
    three().refuses(finished("read", index=index), "without such a part")


def test_costs_are_counted_by_stage_and_by_run() -> None:
    story = three()
    story.fail("read", tokens_in=3, tokens_out=2, money_micros=10)
    story.finish("read", attempt=2, tokens_in=1, money_micros=5)
    story.finish("draft", tokens_out=4)
    assert (story.work("read").tokens, story.work("read").money_micros) == (6, 15)
    assert story.work("read").calls == 2
    spent = story.state.spent
    assert (spent.tokens, spent.money_micros, spent.steps, spent.agent_calls) == (10, 15, 3, 4)


# Failing -----------------------------------------------------------------------------------------


def test_it_tries_again_later_and_each_time_twice_as_late() -> None:
    story = Story(pipeline(agent("read", attempts=4)))
    delays = [story.fail("read", attempt=attempt)[0].delay_ms for attempt in (1, 2, 3)]
    assert delays == [1_000, 2_000, 4_000]
    assert story.fail("read", attempt=4) == []
    assert story.state.status == "failed"


def test_what_would_not_help_is_not_tried_again() -> None:
    story = three()
    assert story.fail("read", retryable=False) == []
    assert story.state.status == "failed"


def test_the_error_keeps_the_chain_down_to_its_cause() -> None:
    story = three()
    story.fail("read", retryable=False)
    assert story.error == {
        "code": "work-failed",
        "who": "read",
        "reason": "no line",
        "retryable": False,
        "cause": failed("read", retryable=False).error,  # type: ignore[attr-defined]
    }


@pytest.mark.parametrize("event", [finished("read"), failed("read")])
def test_only_the_attempt_that_is_out_can_answer(event: ev.Event) -> None:
    story = three()
    story.fail("read")
    story.refuses(event, r"read\[0\] is running at attempt 2")


def test_an_optional_stage_is_left_out_when_it_fails() -> None:
    story = Story(pipeline(agent("read"), agent("look", optional=True), agent("send")))
    story.finish("read")
    commands = story.fail("look", retryable=False)
    assert commands == [RunAgent(work="send", attempt=1, visit=3, inputs={"look": 0})]
    assert story.work("look").status == "skipped"
    assert story.state.error is None
    story.finish("send")
    assert story.state.status == "completed"


# One call for each element -----------------------------------------------------------------------


def fanned(**changes: object) -> Story:
    stage = agent("each", for_each="/items", at_most=3, **changes)
    story = Story(pipeline(agent("list"), stage, agent("sum")))
    story.finish("list", {"items": [1, 2, 3]})
    return story


def test_each_element_is_a_call_of_its_own() -> None:
    story = fanned()
    calls = story.commands[2]
    assert [call.index for call in calls] == [0, 1, 2]  # type: ignore[attr-defined]
    assert len({call.key for call in calls}) == 3


def test_the_stage_is_done_when_the_last_part_is_in_whatever_the_order() -> None:
    story = fanned()
    assert story.finish("each", index=2) == []
    assert story.finish("each", index=0) == []
    commands = story.finish("each", index=1)
    assert commands == [RunAgent(work="sum", attempt=1, visit=5, inputs={"each": [4, 5, 3]})]


def test_one_part_is_tried_again_by_itself() -> None:
    story = fanned()
    assert [
        (call.index, call.attempt)  # type: ignore[attr-defined]
        for call in story.fail("each", index=1)
    ] == [(1, 2)]


def test_one_part_that_fails_fails_the_stage() -> None:
    story = fanned()
    story.finish("each", index=0)
    story.fail("each", index=1, retryable=False)
    assert story.state.status == "failed"


def test_an_optional_part_that_fails_leaves_a_gap() -> None:
    story = fanned(optional=True)
    story.finish("each", index=0)
    story.finish("each", index=2)
    commands = story.fail("each", index=1, retryable=False)
    assert commands[0].inputs == {"each": [3, 0, 4]}  # type: ignore[attr-defined]
    assert story.work("each").status == "done"


def test_a_stage_of_which_all_parts_failed_is_left_out() -> None:
    story = fanned(optional=True)
    for index in range(3):
        story.fail("each", index=index, retryable=False)
    assert story.work("each").status == "skipped"
    assert story.state.position == "sum"


def test_nothing_in_the_list_is_nothing_to_do() -> None:
    story = Story(pipeline(agent("each", for_each="/items"), agent("sum")), {"items": []})
    assert story.first == [RunAgent(work="sum", attempt=1, visit=1, inputs={"each": []})]
    assert story.work("each").status == "done"


@pytest.mark.parametrize("intent", [None, 1, {}, {"items": {}}, {"items": [1, 2, 3, 4]}])
def test_what_is_no_list_or_too_long_fails_the_stage(intent: object) -> None:
    story = Story(pipeline(agent("each", for_each="/items", at_most=3)), intent)  # type: ignore[arg-type]
    assert story.first == []
    assert story.state.status == "failed"
    assert story.error["code"] == "no-list"
    assert story.error["reason"] == "/items is not a list of at most 3 elements"


def test_no_list_leaves_an_optional_stage_out() -> None:
    story = Story(pipeline(agent("each", for_each="/items", optional=True), agent("sum")), {})
    assert story.work("each").status == "skipped"
    assert (story.state.position, story.state.error) == ("sum", None)


@pytest.mark.parametrize(
    ("intent", "pointer"),
    [([1, 2], ""), ({"a/b": {"~": [1, 2]}}, "/a~1b/~0"), ([[0], [1, 2]], "/1")],
)
def test_the_list_is_found_by_json_pointer(intent: object, pointer: str) -> None:
    story = Story(pipeline(agent("each", for_each=pointer)), intent)  # type: ignore[arg-type]
    assert len(story.first) == 2


# People ------------------------------------------------------------------------------------------


def asking(approvals: int = 1, **changes: object) -> Story:
    story = Story(pipeline(approval("ask", approvals, due_s=60, **changes), agent("send")))
    assert story.first == [AskPerson(work="ask", visit=1)]
    story.tell(asked("ask"))
    return story


def test_it_waits_for_a_person_and_then_goes_on() -> None:
    story = asking()
    assert story.state.status == "waiting"
    commands = story.tell(answered("ask"))
    assert commands == [RunAgent(work="send", attempt=1, visit=3, inputs={"ask": 3})]
    assert story.state.status == "running"


def test_two_approvals_are_two_people() -> None:
    story = asking(2)
    assert story.tell(answered("ask", by="rita")) == []
    assert story.tell(answered("ask", by="rita")) == []
    assert story.state.status == "waiting"
    assert len(story.tell(answered("ask", by="rolf"))) == 1


def test_one_rejection_is_enough() -> None:
    story = asking(2)
    story.tell(answered("ask", by="rita"))
    story.tell(answered("ask", "reject", by="rolf"))
    assert story.state.status == "failed"
    assert story.error["reason"] == "rolf rejected it: looked at it"


def test_a_rejected_optional_approval_is_left_out() -> None:
    story = asking(optional=True)
    assert len(story.tell(answered("ask", "reject"))) == 1
    assert story.work("ask").status == "skipped"


def test_an_answer_counts_for_the_open_item_only() -> None:
    story = asking()
    story.refuses(answered("ask", item="i2"), "not the open item")
    story.refuses(asked("ask", "i2"), "asked already")
    fresh = Story(pipeline(approval("ask")))
    fresh.refuses(answered("ask", item=""), "not the open item")


def test_what_is_late_is_a_no() -> None:
    story = asking()
    story.refuses(ev.TimeReached(), "not waiting for this time", after_s=50)
    story.time_passes(60)
    assert story.state.status == "failed"
    assert story.error["code"] == "deadline"
    story.refuses(answered("ask"))


def test_an_answer_in_time_stops_the_clock() -> None:
    story = asking()
    story.tell(answered("ask"))
    story.refuses(ev.TimeReached(), after_s=100)
    assert story.state.wakes_at_ms == story.times[0] + 86_400_000


# Signals and other runs --------------------------------------------------------------------------


def test_it_waits_for_a_signal_by_name() -> None:
    story = Story(pipeline(signal("pay", "paid"), agent("send")))
    assert (story.first, story.state.status) == ([], "waiting")
    story.refuses(heard("returned"), "not waiting for 'returned'")
    assert len(story.tell(heard("paid", {"amount": 1}))) == 1
    assert story.work("pay").seq == 2


def test_a_signal_to_an_agent_is_refused() -> None:
    three().refuses(heard("paid"), "not waiting for 'paid'")


def starting() -> Story:
    story = Story(pipeline(child("sub", "audit"), agent("send")))
    assert story.first == [StartChild(work="sub", workflow="audit", visit=1)]
    return story


def test_it_waits_for_the_run_it_started() -> None:
    story = starting()
    story.tell(ev.ChildStarted(work="sub", run="run_2"))
    assert story.state.status == "waiting"
    story.refuses(ev.ChildEnded(work="sub", run="run_3", status="completed"), "not the run")
    story.refuses(ev.ChildStarted(work="sub", run="run_3"), "started already")
    ended = ev.ChildEnded(work="sub", run="run_2", status="completed", output={"ok": True})
    assert len(story.tell(ended)) == 1


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_run_that_did_not_complete_is_a_failure_with_its_error(status: str) -> None:
    story = starting()
    story.tell(ev.ChildStarted(work="sub", run="run_2"))
    story.tell(ev.ChildEnded(work="sub", run="run_2", status=status, error={"code": "x"}))
    assert story.state.status == "failed"
    assert story.error["cause"] == {"code": "x"}
    assert story.error["reason"] == f"run_2 {status}"


def test_a_run_that_could_not_be_started_fails_the_stage() -> None:
    story = starting()
    story.refuses(ev.ChildEnded(work="sub", run="", status="failed"), "not the run")
    story.fail("sub", retryable=True)
    assert story.state.status == "failed"
    assert story.work("sub").parts == ()


def test_only_what_fits_the_kind_of_a_stage_can_happen_to_it() -> None:
    story = three()
    for event in (
        asked("read"),
        answered("read", item=""),
        ev.ChildStarted(work="read", run="run_2"),
        ev.ChildEnded(work="read", run="", status="completed"),
    ):
        story.refuses(event, "of the kind agent")
    asking().refuses(finished("ask"), "of the kind approval")


# Proposals inside a run --------------------------------------------------------------------------


def proposing(**changes: object) -> Story:
    story = Story(pipeline(agent("draft", proposes=True, **changes), agent("tell")))
    assert story.finish("draft", {"action": "refund.create"}) == [
        Propose(work="draft", output=2, visit=1)
    ]
    return story


def test_a_proposing_stage_waits_until_its_proposal_ran() -> None:
    story = proposing()
    assert story.state.status == "waiting"
    effect = RunEffect(proposal="p1", effect="e-p1", digest=DIGEST)
    assert story.propose("draft") == [effect]
    assert story.tell(effect_started()) == []
    done = ev.EffectSucceeded(proposal="p1", effect="e-p1", receipt={"entry": 1})
    assert story.tell(done) == [RunAgent(work="tell", attempt=1, visit=6, inputs={"draft": 2})]


def test_people_decide_before_it_goes_on() -> None:
    story = proposing()
    assert story.propose("draft", "hold") == []
    assert [command.kind for command in story.tell(approved())] == ["run_effect"]
    story.execute()
    assert story.state.position == "tell"


@pytest.mark.parametrize(
    ("disposition", "then", "code"),
    [
        ("block", None, "proposal-blocked"),
        ("hold", rejected(), "proposal-rejected"),
        ("hold", ev.ProposalExpired(proposal="p1", item="i-p1"), "proposal-expired"),
    ],
)
def test_what_is_not_accepted_fails_the_stage(
    disposition: str, then: ev.Event | None, code: str
) -> None:
    story = proposing()
    story.propose("draft", disposition)
    if then:
        story.tell(then)
    assert story.state.status == "failed"
    assert story.error["code"] == code


def test_what_is_sent_back_is_asked_for_again_with_what_was_wrong() -> None:
    story = proposing()
    commands = story.propose("draft", "revise")
    again = RunAgent(work="draft", attempt=2, visit=1, inputs={"sent_back": "p1"}, delay_ms=1_000)
    assert commands == [again]
    assert story.finish("draft", attempt=2) == [Propose(work="draft", output=5, visit=1)]
    story.propose("draft", "accept", "p2")
    story.tell(ev.ProposalExpired(proposal="p1"))
    story.execute("p2")
    assert story.state.position == "tell"


def test_sent_back_without_an_attempt_left_is_a_no() -> None:
    story = proposing(attempts=1)
    assert story.propose("draft", "revise") == []
    assert story.error["code"] == "not-accepted"


def test_one_output_is_one_proposal() -> None:
    story = proposing()
    story.tell(received("draft"))
    story.refuses(received("draft", "p2"), "not asked for")
    story.refuses(failed("draft"), "proposed already")
    story.refuses(finished("draft"), "is done at attempt 1")


def test_nobody_else_can_propose_in_a_run() -> None:
    story = three()
    story.refuses(received("read"), "not asked for")
    story.refuses(received(""), "not asked for")


def test_an_output_that_is_no_proposal_is_asked_for_again() -> None:
    story = proposing(attempts=3)
    keys = [story.fail("draft")[0].key]
    story.finish("draft", attempt=2)
    keys += [story.fail("draft")[0].key]
    assert keys == ["run_agent:draft:1:0:2", "run_agent:draft:1:0:3"]
    story.finish("draft", attempt=3)
    assert story.fail("draft") == []
    assert story.state.status == "failed"


def test_a_lost_effect_waits_for_a_person() -> None:
    story = proposing()
    story.propose("draft")
    story.tell(effect_started())
    story.tell(effect_lost())
    assert story.state.status == "waiting"
    assert story.work("draft").status == "deciding"


@pytest.mark.parametrize(
    ("verdict", "status"), [("happened", "running"), ("not_happened", "failed")]
)
def test_a_person_settles_what_became_of_it(verdict: str, status: str) -> None:
    story = proposing()
    story.propose("draft")
    story.tell(effect_started())
    story.tell(effect_lost())
    story.tell(settled(verdict))
    assert story.state.status == status


def test_a_person_can_have_it_run_again_under_a_key_of_its_own() -> None:
    story = proposing()
    story.propose("draft")
    keys = []
    for _ in range(2):
        story.tell(effect_started())
        story.tell(effect_lost())
        keys += [command.key for command in story.tell(settled("retry"))]
    assert keys == ["run_effect:e-p1:1", "run_effect:e-p1:2"]
    story.execute()
    assert story.state.position == "tell"


def test_a_refused_effect_fails_the_stage() -> None:
    story = proposing()
    story.propose("draft")
    story.tell(effect_started())
    story.tell(effect_failed())
    assert story.error["code"] == "proposal-failed"


# The end -----------------------------------------------------------------------------------------

CANCELLED = ev.RunCancelled(by="ada", reason="a mistake")


def test_it_can_be_cancelled_once() -> None:
    story = three()
    assert story.tell(CANCELLED) == []
    assert story.state.status == "cancelled"
    assert story.error["who"] == "ada"
    assert story.state.wakes_at_ms is None
    story.refuses(CANCELLED)


@pytest.mark.parametrize("event", [finished("read", tokens_in=5), failed("read", tokens_in=5)])
def test_an_agent_that_answers_too_late_costs_and_changes_nothing_else(event: ev.Event) -> None:
    story = three()
    story.tell(CANCELLED)
    assert story.tell(event) == []
    assert (story.state.status, story.state.position) == ("cancelled", "read")
    assert (story.state.spent.tokens, story.work("read").tokens) == (5, 5)
    story.refuses(event)


def test_the_other_parts_of_a_failed_stage_answer_too_late() -> None:
    story = fanned()
    story.fail("each", index=1, retryable=False)
    story.finish("each", index=0, money_micros=4)
    story.refuses(finished("each", index=1), "failed at attempt 1")
    assert story.work("each").status == "failed"
    assert story.state.spent.money_micros == 4


@pytest.mark.parametrize(
    "event",
    [asked("read"), answered("read"), heard(), ev.TimeReached(), received("read"), CANCELLED],
)
def test_nothing_else_can_happen_to_a_run_that_is_over(event: ev.Event) -> None:
    story = three()
    story.tell(CANCELLED)
    story.refuses(event, after_s=1_000_000)


def test_what_was_accepted_still_runs_after_the_end() -> None:
    story = proposing()
    story.propose("draft", "hold")
    story.tell(CANCELLED)
    assert [command.kind for command in story.tell(approved())] == ["run_effect"]
    story.execute()
    assert story.state.status == "cancelled"
    assert story.state.proposals["p1"].status == "executed"


def test_a_child_tells_its_parent_how_it_ended_and_does_so_once() -> None:
    story = Story(pipeline(agent("a")), parent="run_1", parent_work="sub")
    said = story.finish("a")
    assert [(command.kind, command.key) for command in said] == [("tell_parent", "tell_parent")]
    cancelled = Story(pipeline(agent("a")), parent="run_1", parent_work="sub")
    assert len(cancelled.tell(CANCELLED)) == 1
    assert cancelled.finish("a") == []


def test_a_run_starts_once() -> None:
    story = three()
    story.refuses(story.events[0], "running")


def test_disposing_needs_a_proposal() -> None:
    three().refuses(disposed("accept"), "not part of this run")
