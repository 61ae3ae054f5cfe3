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
    DIGEST,
    Story,
    agent,
    answered,
    approval,
    approved,
    asked,
    child,
    collect,
    consensus,
    disposed,
    effect_failed,
    effect_lost,
    effect_started,
    heard,
    machine,
    mesh,
    not_validated,
    peer,
    pipeline,
    publish,
    received,
    rejected,
    revision,
    roll_back,
    rollback_failed,
    rollback_settled,
    rolled_back,
    router,
    sent_back,
    settled,
    signal,
    subscribe,
    superseded,
    supervisor,
    tasks,
    told,
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


def shadowed() -> Story:
    """Another version is asked beside the canary that failed over, and beside each part of a fan-out."""
    story = Story(pipeline(agent("list"), agent("each", for_each="/items")))
    named = {"name": "clerk", "version": "3"}
    story.fail("list", agent={"name": "clerk", "version": "4", "as": "canary"})
    story.finish("list", {"items": [1, 2]}, attempt=2, agent=named, shadow=5)
    story.finish("each", index=1, agent=named, shadow=5)
    story.finish("each", index=0, agent=named, shadow=5)
    return story


def shadowed_in_a_circle() -> Story:
    """The answer that counts is the event that comes to the same state again."""
    again = {"done": [{"to": "good", "if": "data.look.ok"}, {"to": "look"}]}
    states = {"look": _state(agent("look"), on=again), **ENDS}
    story = Story(machine(states))
    named = {"name": "clerk", "version": "3"}
    story.finish("look", {"ok": False}, agent=named, shadow=5)
    story.finish("look", {"ok": True}, agent=named, shadow=5)
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


def _asking(**budget: int) -> tuple[Story, int]:
    story = Story(pipeline(agent("help"), agent("tell"), **budget))
    return story, story.ask("help", 2, tokens_in=9)


def asked_and_answered() -> Story:
    story, at = _asking()
    story.tell(received("help", asked=at, ask=1))
    story.tell(disposed("accept"))
    story.tell(received("help", "p2", asked=at, ask=2))
    story.tell(disposed("hold", "p2"))
    story.execute()
    story.tell(rejected("p2"))
    story.finish("help", "done", turn=2)
    story.finish("tell")
    return story


def asked_and_refused() -> Story:
    """One cannot be proposed; the other is blocked, and the turn after fails once."""
    story, at = _asking()
    error: Any = {"code": "bad-input", "reason": "no such order", "retryable": False}
    story.tell(ev.AskRefused(work="help", asked=at, ask=2, error=error))
    story.tell(received("help", asked=at, ask=1))
    story.tell(disposed("block"))
    story.fail("help", turn=2)
    story.finish("help", "without", turn=2, attempt=2)
    story.finish("tell")
    return story


def asked_edited_and_sent_back() -> Story:
    story, at = _asking()
    story.tell(received("help", "p3", asked=at, ask=2))
    story.tell(disposed("block", "p3"))
    story.tell(received("help", asked=at, ask=1))
    story.tell(disposed("hold"))
    story.tell(superseded(by="rita"))
    story.tell(replace(revision("help", edited_by="rita"), asked=at, ask=1))
    story.tell(disposed("hold", "p2"))
    story.tell(sent_back("p2"))
    story.finish("help", "later", turn=2)
    return story


def asked_too_often() -> Story:
    story, at = _asking(turns=2)
    for ask in (1, 2):
        story.tell(ev.AskRefused(work="help", asked=at, ask=ask, error={"code": "x"}))
    story.ask("help", turn=2)
    return story


def asked_by_parts() -> Story:
    story = Story(pipeline(agent("each", for_each="")), [1, 2])
    at = story.ask("each", index=1)
    story.finish("each", "a")
    story.tell(received("each", asked=at, ask=1))
    story.tell(disposed("accept"))
    story.execute()
    story.finish("each", "b", index=1, turn=2)
    return story


def asked_too_late() -> Story:
    story, at = _asking()
    story.tell(received("help", asked=at, ask=1))
    story.tell(disposed("hold"))
    story.tell(CANCELLED)
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


def _meanwhile(**changes: Any) -> Story:
    story = Story(
        pipeline(child("sub", "audit", wait=False), agent("read"), collect("get", "sub", **changes))
    )
    story.tell(ev.ChildStarted(work="sub", run="run_child", visit=1))
    return story


def child_collected_early() -> Story:
    story = _meanwhile()
    story.tell(ev.ChildEnded(work="sub", run="run_child", status="completed", output={"ok": True}))
    story.finish("read")
    return story


def child_collected_late() -> Story:
    story = _meanwhile()
    story.finish("read")
    story.tell(ev.ChildEnded(work="sub", run="run_child", status="completed", output={"ok": True}))
    return story


def child_collected_in_vain() -> Story:
    """It failed before anybody came for it, and says why."""
    story = _meanwhile()
    cause: Any = {"code": "agent-refused", "who": "scripted a", "reason": "no", "retryable": False}
    error: Any = {"code": "work-failed", "who": "look", "reason": "no", "cause": cause}
    story.tell(ev.ChildEnded(work="sub", run="run_child", status="failed", error=error))
    story.finish("read")
    return story


def message_published() -> Story:
    story = Story(pipeline(agent("write"), publish("tell"), agent("end")))
    story.finish("write", {"news": 1})
    story.tell(ev.Published(work="tell", topic="news", reached=2))
    story.finish("end")
    return story


def message_heard() -> Story:
    story = Story(pipeline(subscribe("hear"), agent("end")))
    story.tell(ev.MessageReceived(topic="news", run="run_2", data={"news": 1}))
    story.finish("end")
    return story


def classes_of_data_come_in() -> Story:
    """With a run below and with a message; whoever is asked afterwards is asked with both."""
    story = Story(pipeline(child("sub", "audit"), agent("read"), subscribe("hear"), agent("end")))
    story.tell(ev.ChildStarted(work="sub", run="run_child"))
    ended = ev.ChildEnded(work="sub", run="run_child", status="completed", output={"ok": True})
    story.tell(replace(ended, classes=("personal",)))
    story.finish("read")
    heard_of = ev.MessageReceived(topic="news", run="run_2", data={"news": 1})
    story.tell(replace(heard_of, classes=("internal",)))
    story.finish("end")
    return story


def message_never_heard() -> Story:
    story = Story(pipeline(subscribe("hear", due_s=60, optional=True), agent("end")))
    story.time_passes(60)
    story.finish("end")
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


def _supervised(**changes: Any) -> Story:
    story = Story(supervisor(**changes), {"want": "all"})
    story.finish("plan", tasks("find:a", "sum:b", "ask:c", "nobody:d"), tokens_in=10)
    return story


def supervisor_in_two_rounds() -> Story:
    story = _supervised()
    story.finish("tasks", "A", money_micros=30)
    story.tell(ev.ChildStarted(work="tasks", run="r2", index=2))
    story.fail("tasks", index=1, retryable=False)
    story.tell(
        ev.ChildEnded(work="tasks", run="r2", index=2, status="completed", output="C", tokens=5)
    )
    story.finish("plan", tasks("find:b", result="a draft"))
    story.fail("tasks")
    story.finish("tasks", "B", attempt=2)
    story.finish("plan", {"done": True, "result": "ABC"})
    return story


def supervisor_past_its_deadline() -> Story:
    story = _supervised(rounds=1)
    story.finish("tasks", "A")
    story.time_passes(600)
    story.finish("tasks", "late", index=1)
    story.finish("synthesis", {"result": "A"})
    return story


def child_given_up_by_its_supervisor() -> Story:
    story = Story(supervisor(rounds=1), {"want": "all"}, cancels_below=True)
    story.finish("plan", tasks("find:a", "ask:c"))
    story.tell(ev.ChildStarted(work="tasks", run="r2", index=1))
    story.finish("tasks", "A")
    story.time_passes(600)
    story.finish("synthesis", {"result": "A"})
    return story


def child_paid_for_after_it_was_given_up() -> Story:
    story = Story(supervisor(rounds=1), {"want": "all"}, cancels_below=True)
    story.finish("plan", tasks("find:a", "ask:c"))
    story.tell(ev.ChildStarted(work="tasks", run="r2", index=1))
    story.finish("tasks", "A", money_micros=7, unpriced=True)
    story.time_passes(600)
    story.tell(ev.ChildSpent(work="tasks", run="r2", status="cancelled", tokens=9, money_micros=4))
    story.finish("synthesis", {"result": "A"})
    return story


def cancelled_with_what_is_undecided() -> Story:
    story = _proposing()
    story.propose("draft", "escalate")
    story.tell(replace(CANCELLED, withdraws=True))
    return story


def supervisor_that_gives_up_what_was_asked_for() -> Story:
    """What is asked for once more is another proposal, and the only one that can be approved."""
    story = Story(supervisor(rounds=2), {"want": "all"}, withdraws=True)
    for proposal in ("p1", "p2"):
        story.finish("plan", tasks("find:a"))
        at = story.ask("tasks")
        story.tell(received("tasks", proposal, asked=at, ask=1))
        story.tell(disposed("hold", proposal))
        if proposal == "p1":
            story.time_passes(600)
    story.tell(approved("p2"))
    story.execute("p2")
    story.finish("tasks", "A", turn=2)
    story.finish("synthesis", {"result": "A"})
    return story


def supervisor_that_cost_too_much() -> Story:
    story = _supervised(stops_at={"tokens": 0, "money_micros": 50})
    story.finish("tasks", "A", money_micros=60)
    story.finish("tasks", "B", index=1)
    return story


def supervisor_whose_rounds_bring_the_same() -> Story:
    story = Story(supervisor())
    for task in ("find:a", "find:b"):
        story.finish("plan", tasks(task))
        story.finish("tasks", "the same")
    story.finish("synthesis", {"result": "the same"})
    return story


def supervisor_too_deep() -> Story:
    return Story(supervisor(), parent="r1", parent_work="tasks", parent_index=1, delegations=0)


def part_of_a_parent() -> Story:
    story = Story(
        pipeline(agent("a")), parent="r1", parent_work="tasks", parent_index=1, delegations=1
    )
    story.finish("a")
    return story


def consensus_with_a_gap() -> Story:
    story = Story(consensus(), {"case": 1}, seed=7)
    story.finish("members", "no", index=2)
    story.fail("members", index=1, retryable=False)
    story.finish("members", "yes")
    reasons = {"facts": "A quotes the contract"}
    story.finish(
        "judge",
        {"verdict": "yes", "confidence": 0.9, "rests_on": ["A"], "reasons": reasons},
    )
    return story


def consensus_without_a_quorum() -> Story:
    story = Story(consensus(), seed=7)
    story.fail("members", retryable=False)
    story.finish("members", "yes", index=1)
    story.time_passes(600)
    return story


def parts_in_turn() -> Story:
    story = Story(pipeline(agent("each", for_each="", at_once=2)), ["a", "b", "c"])
    for index in (1, 0, 2):
        story.finish("each", index, index=index)
    return story


WORKERS = {"refunds": agent(), "letters": agent(), "archive": child(), "person": approval()}
RULES = (("intent.amount > 100", "refunds", "letters"), ("intent.old", "archive"))


def routed_by_a_rule() -> Story:
    """Two specialists, one after the other."""
    story = Story(router(WORKERS, *RULES), {"amount": 180, "lines": [{"sku": "A"}]})
    story.finish("refunds", {"paid": 180})
    story.finish("letters")
    return story


def routed_to_another_run() -> Story:
    """The rule before it could not be evaluated: the amount is missing."""
    story = Story(router(WORKERS, *RULES), {"old": True})
    story.tell(ev.ChildStarted(work="archive", run="run_2", visit=1))
    story.tell(ev.ChildEnded(work="archive", run="run_2", status="completed", output=7))
    return story


def routed_by_a_model() -> Story:
    story = Story(router(WORKERS, *RULES, model={}), {"amount": 5, "old": False})
    said = {"worker": "letters", "confidence": 0.9, "features": {"tone": "angry"}, "why": "a word"}
    story.finish("route", said, tokens_in=30, money_micros=9)
    story.finish("letters")
    return story


def routed_by_an_unsure_model() -> Story:
    story = Story(router(WORKERS, *RULES, model={}), {"amount": 5, "old": False})
    story.finish("route", {"worker": "letters", "confidence": 0.4})
    story.tell(asked("person"))
    story.tell(answered("person"))
    return story


def routed_without_its_model() -> Story:
    story = Story(router(WORKERS, *RULES, model={"attempts": 1}), {"amount": 5, "old": False})
    story.fail("route")
    story.tell(asked("person"))
    story.tell(answered("person"))
    return story


def routed_again_to_the_fallback() -> Story:
    story = Story(router(WORKERS, ("", "refunds")), {"amount": 5})
    story.fail("refunds", retryable=False)
    story.tell(asked("person"))
    story.tell(answered("person"))
    return story


def memory_read_and_written() -> Story:
    story = Story(pipeline(agent("note", memory={"writes": ["facts"]}), agent("look")))
    story.finish("note", remembered=(told("a", {"b": [1, None]}),), memory_notes=("one left out",))
    story.fail("look", recalled=(("obs-a", DIGEST),))
    story.finish("look", attempt=2, recalled=(("obs-a", DIGEST),))
    return story


def mesh_until_the_result() -> Story:
    story = Story(mesh({"ann": peer(), "bob": peer(), "cy": peer()}, at_once=2))
    story.finish("bob", "b", remembered=(told("b"),))
    story.fail("ann")
    story.finish("ann", "a", attempt=2, recalled=(("obs-b", DIGEST),))
    story.finish("cy", "c", remembered=(told("c", 1, "plan"),))
    story.finish("ann", "a", remembered=(told("answer", 42),), money_micros=5)
    return story


def mesh_until_nothing_is_new() -> Story:
    story = Story(mesh({"ann": peer(), "bob": peer()}))
    story.finish("ann", remembered=(told("a"),))
    story.finish("bob", remembered=(told("b"),))
    story.finish("ann", remembered=(told("a"),))
    story.finish("bob")
    return story


def mesh_at_its_last_round() -> Story:
    story = Story(mesh({"ann": peer(), "bob": peer()}, rounds=1, failures=1))
    story.finish("ann", remembered=(told("a"),))
    story.fail("bob", retryable=False)
    return story


def mesh_out_of_money() -> Story:
    story = Story(mesh({"ann": peer(), "bob": peer()}, money_micros=10))
    story.finish("ann", "half", remembered=(told("a"),), money_micros=11)
    story.finish("bob", "late", money_micros=1)
    return story


def mesh_where_nobody_answers_in_time() -> Story:
    story = Story(mesh({"ann": peer(), "bob": peer()}, wall_s=5))
    story.time_passes(6)
    return story


STORIES: dict[str, Callable[[], Story]] = {
    story.__name__.replace("_", "-"): story
    for story in (
        three_stages,
        shadowed,
        shadowed_in_a_circle,
        tried_again,
        given_up_after_three,
        optional_skipped,
        asked_and_answered,
        asked_and_refused,
        asked_edited_and_sent_back,
        asked_too_often,
        asked_by_parts,
        asked_too_late,
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
        child_collected_early,
        child_collected_late,
        child_collected_in_vain,
        message_published,
        message_heard,
        message_never_heard,
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
        supervisor_in_two_rounds,
        supervisor_past_its_deadline,
        supervisor_that_gives_up_what_was_asked_for,
        child_given_up_by_its_supervisor,
        child_paid_for_after_it_was_given_up,
        cancelled_with_what_is_undecided,
        supervisor_that_cost_too_much,
        supervisor_whose_rounds_bring_the_same,
        supervisor_too_deep,
        part_of_a_parent,
        consensus_with_a_gap,
        consensus_without_a_quorum,
        parts_in_turn,
        routed_by_a_rule,
        routed_to_another_run,
        routed_by_a_model,
        routed_by_an_unsure_model,
        routed_without_its_model,
        routed_again_to_the_fallback,
        memory_read_and_written,
        classes_of_data_come_in,
        mesh_until_the_result,
        mesh_until_nothing_is_new,
        mesh_at_its_last_round,
        mesh_out_of_money,
        mesh_where_nobody_answers_in_time,
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
