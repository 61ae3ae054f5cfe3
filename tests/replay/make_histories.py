"""Histories of pipelines and machines, told event by event. To write them anew after adding one:

    python -m tests.replay.make_histories

A story that exists is never changed: its file stands for runs that are under way somewhere.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.core import events as ev
from orchestrator.core.replay import to_file
from tests.core.stories import (
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
    heard,
    machine,
    not_validated,
    pipeline,
    received,
    rejected,
    revision,
    roll_back,
    rollback_failed,
    rollback_settled,
    rolled_back,
    sent_back,
    settled,
    signal,
    superseded,
    undone,
    validated,
    validation,
    withdrawn,
)

FOLDER = Path(__file__).parent / "histories"
CANCELLED = ev.RunCancelled(by="ada", reason="a mistake")
ENDS: dict[str, Any] = {"good": {"end": "completed"}, "bad": {"end": "failed"}}


def _state(run: Any, done: str = "good", **more: Any) -> dict[str, Any]:
    ways = {"done": [{"to": done}], "failed": [{"to": "bad"}], **more.pop("on", {})}
    return {"run": run, "on": ways, **more}


def three_stages() -> Story:
    story = Story(pipeline(agent("read"), agent("draft"), agent("send")), {"order": "A-1"})
    for name in ("read", "draft", "send"):
        story.finish(name, {"said": name}, tokens_in=10, tokens_out=5, money_micros=30)
    return story


def tried_again() -> Story:
    story = Story(pipeline(agent("read"), agent("send")))
    story.fail("read", tokens_in=3)
    story.fail("read", attempt=2)
    story.finish("read", "at last", attempt=3)
    story.finish("send")
    return story


def given_up_after_three() -> Story:
    story = Story(pipeline(agent("read"), agent("send")))
    for attempt in (1, 2, 3):
        story.fail("read", attempt=attempt)
    return story


def optional_skipped() -> Story:
    story = Story(pipeline(agent("read"), agent("look", optional=True), agent("send")))
    story.finish("read")
    story.fail("look", retryable=False)
    story.finish("send")
    return story


def _fanned(**changes: Any) -> Story:
    story = Story(
        pipeline(agent("list"), agent("each", for_each="/items", **changes), agent("sum"))
    )
    story.finish("list", {"items": ["a", "b", "c"]})
    return story


def fanned_out() -> Story:
    story = Story(
        pipeline(agent("each", for_each="", agent={"kind": "function", "name": "f"}), agent("sum")),
        [1, 2],
    )
    story.finish("each", "b", index=1)
    story.fail("each", index=0)
    story.finish("each", "a", attempt=2)
    story.finish("sum")
    return story


def fan_with_a_failing_part() -> Story:
    story = _fanned()
    story.finish("each", index=2)
    story.fail("each", index=0, retryable=False)
    story.finish("each", index=1, money_micros=7)
    return story


def fan_with_a_gap() -> Story:
    story = _fanned(optional=True)
    story.finish("each", index=2)
    story.fail("each", index=0, retryable=False)
    story.finish("each", index=1)
    story.finish("sum")
    return story


def nothing_to_fan_out() -> Story:
    story = Story(pipeline(agent("list"), agent("each", for_each="/items"), agent("sum")))
    story.finish("list", {"items": []})
    story.finish("sum")
    return story


def no_list() -> Story:
    story = Story(pipeline(agent("list"), agent("each", for_each="/items")))
    story.finish("list", {"items": "many"})
    return story


def _proposing(**changes: Any) -> Story:
    story = Story(pipeline(agent("draft", proposes=True, **changes), agent("tell")))
    story.finish("draft", {"action": "refund.create"})
    return story


def proposal_accepted() -> Story:
    story = _proposing()
    story.propose("draft")
    story.execute()
    story.finish("tell")
    return story


def _validating(**changes: Any) -> Story:
    story = _proposing(**changes)
    story.tell(received("draft"))
    story.tell(validation())
    return story


def proposal_validated() -> Story:
    story = _validating()
    story.tell(validated("facts"))
    story.tell(validated("tone"))
    story.tell(disposed("accept"))
    story.execute()
    story.finish("tell")
    return story


def proposal_in_doubt() -> Story:
    story = _validating()
    story.tell(validated("tone"))
    story.tell(not_validated("facts"))
    story.tell(disposed("escalate"))
    story.tell(approved())
    story.execute()
    story.finish("tell")
    return story


def validator_too_late() -> Story:
    story = _validating()
    story.tell(validated("tone"))
    story.time_passes(61)
    story.tell(disposed("escalate"))
    story.tell(rejected())
    return story


def cancelled_while_validated() -> Story:
    story = _validating()
    story.tell(validated("tone"))
    story.tell(CANCELLED)
    return story


def validated_and_given_up() -> Story:
    story = _validating(optional=True)
    story.tell(validated("tone"))
    story.tell(not_validated("facts"))
    story.tell(withdrawn())
    story.finish("tell")
    return story


def proposal_approved_by_two() -> Story:
    story = _proposing()
    story.tell(received("draft"))
    story.tell(disposed("hold", approvals_needed=2))
    given = {"proposal": "p1", "item": "i-p1", "decision": "d-rolf", "by": "rolf"}
    story.tell(ev.ApprovalGiven(digest=approved().digest, **given))  # type: ignore[attr-defined]
    story.tell(approved())
    story.execute()
    story.finish("tell")
    return story


def proposal_rejected() -> Story:
    story = _proposing()
    story.propose("draft", "escalate")
    story.tell(rejected())
    return story


def proposal_sent_back() -> Story:
    story = _proposing()
    story.propose("draft", "revise")
    story.finish("draft", {"action": "refund.create", "less": True}, attempt=2)
    story.tell(ev.ProposalExpired(proposal="p1"))
    story.propose("draft", "accept", "p2")
    story.execute("p2")
    story.finish("tell")
    return story


def proposal_sent_back_too_often() -> Story:
    story = _proposing(attempts=1)
    story.propose("draft", "revise")
    return story


def blocked_and_reopened() -> Story:
    story = Story({"pattern": "direct"})
    story.tell(received(""))
    story.tell(disposed("block"))
    story.tell(
        ev.ProposalReopened(
            proposal="p1", item="i-p1", by="rita", note="look again", approvals_needed=2
        )
    )
    given = {"proposal": "p1", "item": "i-p1", "decision": "d-rolf", "by": "rolf"}
    story.tell(ev.ApprovalGiven(digest=approved().digest, **given))  # type: ignore[attr-defined]
    story.tell(approved())
    story.execute()
    return story


def output_is_no_proposal() -> Story:
    story = _proposing()
    story.fail("draft")
    story.finish("draft", {"action": "refund.create"}, attempt=2)
    story.propose("draft", "block")
    return story


def approval_by_two() -> Story:
    story = Story(pipeline(agent("draft"), approval("sign", approvals=2), agent("file")))
    story.finish("draft")
    story.tell(asked("sign"))
    story.tell(answered("sign", by="rita"))
    story.tell(answered("sign", by="rolf"))
    story.finish("file")
    return story


def approval_rejected() -> Story:
    story = Story(pipeline(approval("sign"), agent("file")))
    story.tell(asked("sign"))
    story.tell(answered("sign", "reject"))
    return story


def signal_in_time() -> Story:
    story = Story(pipeline(signal("pay"), agent("ship")))
    story.tell(heard("paid", {"amount": 5}))
    story.finish("ship")
    return story


def signal_too_late() -> Story:
    story = Story(pipeline(signal("pay", due_s=60), agent("ship")))
    story.time_passes(60)
    return story


def child_completed() -> Story:
    story = Story(pipeline(agent("read"), child("sub", "audit"), agent("send")))
    story.finish("read", {"said": 1})
    story.tell(ev.ChildStarted(work="sub", run="run_child"))
    story.tell(ev.ChildEnded(work="sub", run="run_child", status="completed", output={"ok": True}))
    story.finish("send")
    return story


def child_failed() -> Story:
    story = Story(pipeline(child("sub", "audit"), agent("send")))
    story.tell(ev.ChildStarted(work="sub", run="run_child"))
    error: Any = {"code": "work-failed", "who": "look", "reason": "no line", "retryable": False}
    story.tell(ev.ChildEnded(work="sub", run="run_child", status="failed", error=error))
    return story


def child_that_cannot_start() -> Story:
    story = Story(pipeline(child("sub", "nobody", optional=True), agent("send")))
    story.fail("sub", retryable=False)
    story.finish("send")
    return story


def is_a_child() -> Story:
    story = Story(pipeline(agent("a")), parent="run_parent", parent_work="sub", lineage=("top",))
    story.finish("a")
    return story


def cancelled_and_late_answers() -> Story:
    story = _fanned()
    story.tell(CANCELLED)
    story.finish("each", index=1, tokens_out=4)
    story.fail("each", index=2, tokens_in=2)
    return story


def cancelled_after_acceptance() -> Story:
    story = _proposing()
    story.propose("draft")
    story.tell(CANCELLED)
    story.execute()
    return story


def budget_of_steps() -> Story:
    story = Story(pipeline(agent("a"), agent("b"), steps=1))
    story.finish("a")
    return story


def budget_of_agent_calls() -> Story:
    story = Story(pipeline(agent("a"), agent_calls=1))
    story.fail("a")
    return story


def budget_of_tokens() -> Story:
    story = Story(pipeline(agent("a"), agent("b"), tokens=10))
    story.finish("a", tokens_in=6, tokens_out=5)
    return story


def budget_of_money() -> Story:
    story = Story(pipeline(agent("a"), agent("b"), money_micros=10))
    story.finish("a", money_micros=11)
    return story


def budget_of_time() -> Story:
    story = Story(pipeline(agent("a"), wall_s=60))
    story.time_passes(60)
    story.finish("a", tokens_in=1)
    return story


def budget_of_depth() -> Story:
    return Story(
        pipeline(agent("a"), depth=1), parent="run_parent", parent_work="sub", lineage=("top",)
    )


def workflow_in_a_circle() -> Story:
    return Story(
        pipeline(agent("a")), parent="run_parent", parent_work="sub", lineage=("main", "sub")
    )


def _lost() -> Story:
    story = _proposing()
    story.propose("draft")
    story.tell(effect_started())
    story.tell(effect_lost())
    return story


def effect_settled_as_happened() -> Story:
    story = _lost()
    story.tell(settled("happened"))
    story.finish("tell")
    return story


def effect_settled_as_not_happened() -> Story:
    story = _lost()
    story.tell(settled("not_happened"))
    return story


def effect_run_again() -> Story:
    story = _lost()
    story.tell(settled("retry"))
    story.execute()
    story.finish("tell")
    return story


def effect_refused() -> Story:
    story = _proposing()
    story.propose("draft")
    story.tell(effect_started())
    story.tell(effect_failed())
    return story


def approval_taken_back() -> Story:
    """And given again: the same effect, under another command."""
    story = _proposing()
    story.propose("draft", "hold")
    story.tell(replace(approved(), undo_s=8))
    story.tell(undone())
    story.tell(replace(approved(by="rolf"), undo_s=8))
    story.execute()
    story.finish("tell")
    return story


def edited_and_approved() -> Story:
    story = _proposing()
    story.propose("draft", "hold")
    story.tell(superseded())
    story.tell(revision("draft", edited_by="rita"))
    story.tell(disposed("hold", "p2"))
    story.tell(approved("p2"))
    story.execute("p2")
    story.finish("tell")
    return story


def sent_back_by_a_person() -> Story:
    story = _proposing()
    story.propose("draft", "hold")
    story.tell(sent_back())
    story.finish("draft", {"action": "refund.create"}, attempt=2)
    story.tell(superseded(by="a"))
    story.tell(revision("draft"))
    story.tell(disposed("hold", "p2"))
    story.tell(approved("p2"))
    story.execute("p2")
    story.finish("tell")
    return story


def _executed() -> Story:
    story = _proposing()
    story.propose("draft")
    story.execute()
    story.finish("tell")
    return story


def effect_rolled_back() -> Story:
    story = _executed()
    story.tell(roll_back())
    story.tell(rolled_back())
    return story


def rollback_tried_again() -> Story:
    story = _executed()
    story.tell(roll_back())
    story.tell(rollback_failed())
    story.tell(rollback_settled("retry"))
    story.tell(rolled_back())
    return story


def rollback_given_up() -> Story:
    story = _executed()
    story.tell(roll_back())
    story.tell(rollback_failed())
    story.tell(rollback_settled("give_up"))
    return story


def machine_by_guards() -> Story:
    ways = {"done": [{"if": "event.size > data.intent.limit", "to": "ask"}, {"to": "good"}]}
    states = {"sort": _state(agent(), on=ways), "ask": _state(approval()), **ENDS}
    story = Story(machine(states), {"limit": 3})
    story.finish("sort", {"size": 4})
    story.tell(asked("ask"))
    story.tell(answered("ask"))
    return story


def machine_left_by_signal() -> Story:
    busy = _state(agent(), on={"withdraw": [{"to": "idle"}]})
    states = {"busy": busy, "idle": {"on": {"again": [{"to": "busy"}]}}, **ENDS}
    story = Story(machine(states))
    story.tell(heard("withdraw"))
    story.finish("busy", tokens_in=5)
    story.tell(heard("again", {"more": 1}))
    story.finish("busy", {"done": True})
    return story


def machine_by_time() -> Story:
    states = {
        "ask": _state(approval(due_s=600), after={"seconds": 30, "to": "remind"}),
        "remind": _state(agent(), done="ask"),
        **ENDS,
    }
    story = Story(machine(states))
    story.tell(asked("ask"))
    story.time_passes(30)
    story.finish("remind", 1)
    story.tell(asked("ask", "i2"))
    story.tell(answered("ask", item="i2"))
    return story


def machine_in_a_circle() -> Story:
    states = {"a": _state(agent(), done="b"), "b": _state(agent(), done="a"), **ENDS}
    story = Story(machine(states, repeats=2))
    while not story.state.has_ended:
        story.finish(story.state.position, "the same")
    return story


def machine_recovers() -> Story:
    states = {
        "try": {"run": agent(), "on": {"done": [{"to": "good"}], "failed": [{"to": "other"}]}},
        "other": _state(agent()),
        **ENDS,
    }
    story = Story(machine(states))
    story.fail("try", retryable=False)
    story.finish("other")
    return story


def machine_without_a_way_out() -> Story:
    only = {"run": agent(), "on": {"done": [{"if": "event == 1", "to": "good"}]}}
    story = Story(machine({"only": only, **ENDS}))
    story.finish("only", 2)
    return story


STORIES: dict[str, Callable[[], Story]] = {
    story.__name__.replace("_", "-"): story
    for story in (
        three_stages,
        tried_again,
        given_up_after_three,
        optional_skipped,
        fanned_out,
        fan_with_a_failing_part,
        fan_with_a_gap,
        nothing_to_fan_out,
        no_list,
        proposal_accepted,
        proposal_validated,
        proposal_in_doubt,
        validator_too_late,
        cancelled_while_validated,
        validated_and_given_up,
        proposal_approved_by_two,
        proposal_rejected,
        proposal_sent_back,
        proposal_sent_back_too_often,
        output_is_no_proposal,
        approval_by_two,
        approval_rejected,
        signal_in_time,
        signal_too_late,
        child_completed,
        child_failed,
        child_that_cannot_start,
        is_a_child,
        cancelled_and_late_answers,
        cancelled_after_acceptance,
        budget_of_steps,
        budget_of_agent_calls,
        budget_of_tokens,
        budget_of_money,
        budget_of_time,
        budget_of_depth,
        workflow_in_a_circle,
        blocked_and_reopened,
        effect_settled_as_happened,
        effect_settled_as_not_happened,
        effect_run_again,
        effect_refused,
        approval_taken_back,
        edited_and_approved,
        sent_back_by_a_person,
        effect_rolled_back,
        rollback_tried_again,
        rollback_given_up,
        machine_by_guards,
        machine_left_by_signal,
        machine_by_time,
        machine_in_a_circle,
        machine_recovers,
        machine_without_a_way_out,
    )
}


def made(name: str) -> str:
    history = to_file(STORIES[name]().history(name))
    return json.dumps(history, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    for name in STORIES:
        (FOLDER / f"{name}.json").write_text(made(name))
    sys.stdout.write(f"{len(STORIES)} histories are in {FOLDER}\n")


if __name__ == "__main__":
    main()
