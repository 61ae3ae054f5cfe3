"""The controller: canonical state and an event in, new state and commands out. Nothing else happens here.

`evolve` says what an event makes of a state, `decide` what has to be done because of it. What a run
does next comes from its plan (`core/plan.py`) and the plan's pattern (`core/patterns/`); the life of a
proposal is the same in all of them: `TRANSITIONS` is the whole of it. An event that does not fit
raises IllegalTransition; it is never ignored and never guessed at.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

from orchestrator.core import budgets, classes, hearing, validations
from orchestrator.core import events as ev
from orchestrator.core.codec import Json
from orchestrator.core.commands import (
    AskPerson,
    CancelRun,
    Command,
    Propose,
    Publish,
    RollBack,
    RunAgent,
    RunEffect,
    RunShadow,
    StartChild,
    TellParent,
)
from orchestrator.core.errors import IllegalTransition
from orchestrator.core.patterns import (
    consensus,
    leaving,
    machine,
    mesh,
    pipeline,
    router,
    supervisor,
    work,
)
from orchestrator.core.patterns import parts as parts_of
from orchestrator.core.plan import DIRECT, Plan, Work
from orchestrator.core.state import Moment, Part, ProposalState, RunState, WorkState

PATTERNS: dict[str, ModuleType] = {
    "pipeline": pipeline,
    "machine": machine,
    "router": router,
    "supervisor": supervisor,
    "consensus": consensus,
    "mesh": mesh,
}
START = Moment(0, 0)
# Before an agent is asked again, doubled each time.
RETRY_FIRST_MS = 1_000
RETRY_MAX_MS = 300_000

AFTER_DISPOSITION = {
    "accept": "accepted",
    "revise": "revision_requested",
    "escalate": "in_review",
    "hold": "in_review",
    "block": "blocked",
}

# (event kind, status before) -> status after. A disposition decides by AFTER_DISPOSITION,
# a settled effect by AFTER_SETTLING.
TRANSITIONS: dict[tuple[str, str], str] = {
    ("proposal_disposed", "received"): "by disposition",
    # Where the policy wants to hear validators first.
    ("validation_requested", "received"): "evaluating",
    ("validation_finished", "evaluating"): "evaluating",
    ("validation_failed", "evaluating"): "evaluating",
    ("proposal_disposed", "evaluating"): "by disposition",
    ("proposal_withdrawn", "evaluating"): "withdrawn",
    ("proposal_reopened", "blocked"): "in_review",
    ("approval_given", "in_review"): "in_review",
    ("proposal_approved", "in_review"): "accepted",
    ("proposal_rejected", "in_review"): "rejected",
    ("revision_requested", "in_review"): "revision_requested",
    # An agent's answer to people or a band, or a person's edit.
    ("proposal_superseded", "in_review"): "superseded",
    ("proposal_superseded", "revision_requested"): "superseded",
    ("decision_undone", "in_review"): "in_review",
    ("decision_undone", "accepted"): "in_review",
    # Only of what stands for itself: a run has long gone on from a no.
    ("decision_undone", "rejected"): "in_review",
    ("decision_undone", "revision_requested"): "in_review",
    ("proposal_expired", "in_review"): "expired",
    ("proposal_expired", "revision_requested"): "expired",
    ("effect_started", "accepted"): "executing",
    # A crash between the call and its record leaves `executing`; the next attempt says so again.
    ("effect_started", "executing"): "executing",
    ("effect_succeeded", "executing"): "executed",
    ("effect_failed", "executing"): "failed",
    ("effect_failed", "accepted"): "failed",
    ("effect_lost", "executing"): "unknown",
    # A command that was put before a person may be given up after its effect was called.
    ("effect_lost", "accepted"): "unknown",
    ("effect_settled", "unknown"): "by verdict",
    ("rollback_requested", "executed"): "rolling_back",
    ("rollback_done", "rolling_back"): "rolled_back",
    # What was done still stands.
    ("rollback_failed", "rolling_back"): "executed",
    ("rollback_settled", "executed"): "by verdict",
}
AFTER_SETTLING = {"happened": "executed", "not_happened": "failed", "retry": "accepted"}
# In place of the question that people were asked: nobody answers it again.
ANSWERED = "answered"
AFTER_ROLLBACK = {"happened": "rolled_back", "give_up": "executed", "retry": "rolling_back"}


def step(
    state: RunState, event: ev.Event, *, plan: Plan = DIRECT, moment: Moment = START
) -> tuple[RunState, list[Command]]:
    """One event. Raises IllegalTransition when the state does not allow it."""
    after = evolve(plan, state, event, moment)
    return after, decide(plan, state, after, event)


def fold(events: Iterable[tuple[ev.Event, Moment]], plan: Plan = DIRECT) -> RunState:
    """The truth: what the log says the state must be."""
    state = RunState()
    for event, moment in events:
        state = evolve(plan, state, event, moment)
    return state


def evolve(plan: Plan, state: RunState, event: ev.Event, moment: Moment) -> RunState:
    after = _HANDLERS[type(event)](plan, state, event, moment)
    after = hearing.follow(state, after, event, moment)
    after = classes.follow(after, event)
    after = mesh.check(plan, after) if plan.mesh else budgets.check(plan, after)
    return leaving.withdraw(_finish(plan, after))


def decide(plan: Plan, before: RunState, after: RunState, event: ev.Event) -> list[Command]:
    """What the change from one state to the next asks for."""
    commands = _release(after, event) + validations.commands(before, after, event)
    commands += _beside(before, after, event)
    commands += _cancel_below(before, after, event)
    if after.has_ended:
        if after.parent and not before.has_ended:
            commands.append(
                TellParent(parent=after.parent, work=after.parent_work, index=after.parent_index)
            )
        return commands
    for name, now in after.works.items():
        was = before.works.get(name)
        if now is not was:
            commands += _ask_for(plan.works[name], was, now)
    return _with_classes(commands, after) if after.classes else commands


def _with_classes(commands: Sequence[Command], after: RunState) -> list[Command]:
    """Whoever makes a call knows which classes of data came into the run without looking for them."""
    return [
        replace(command, classes=after.classes) if isinstance(command, RunAgent) else command
        for command in commands
    ]


def _release(after: RunState, event: ev.Event) -> list[Command]:
    """Accepting is the one way to an effect, by policy or by people; both release the same bytes."""
    if isinstance(event, ev.RollbackRequested | ev.RollbackSettled):
        return _roll_back(after, event)
    if not isinstance(event, ev.ProposalDisposed | ev.ProposalApproved | ev.EffectSettled):
        return []
    proposal = after.proposals[event.proposal]
    if proposal.status != "accepted" or proposal.effect is None:
        return []
    undo_s = event.undo_s if isinstance(event, ev.ProposalApproved) else 0
    return [
        RunEffect(
            delay_ms=undo_s * 1000,
            proposal=event.proposal,
            effect=proposal.effect,
            digest=proposal.digest,
            again=proposal.again,
        )
    ]


def _roll_back(after: RunState, event: ev.RollbackRequested | ev.RollbackSettled) -> list[Command]:
    proposal = after.proposals[event.proposal]
    if proposal.status != "rolling_back":
        return []
    return [
        RollBack(
            proposal=event.proposal,
            effect=event.effect,
            digest=proposal.digest,
            again=proposal.rollbacks,
        )
    ]


def _beside(before: RunState, after: RunState, event: ev.Event) -> list[Command]:
    """Another version is asked the same, of an answer that somebody waited for."""
    if not isinstance(event, ev.WorkFinished) or not event.shadow or before.has_ended:
        return []
    known, now = before.works[event.work], after.works[event.work]
    if known.status != "running" or event.visit not in {0, known.visit}:
        return []
    # A machine that came to the same work again did so with this very event.
    answer = now.parts[event.index].seq if now.visit == known.visit else now.visit
    return [
        RunShadow(
            work=event.work,
            attempt=event.attempt,
            visit=known.visit,
            shadow=event.shadow,
            beside=event.agent.get("version", ""),
            answer=answer,
            index=event.index,
            inputs=dict(known.inputs),
            who=known.parts[event.index].who,
            item=_item(known, event.index),
            classes=after.classes,
        )
    ]


def _cancel_below(before: RunState, after: RunState, event: ev.Event) -> list[Command]:
    """What nobody waits for any more, and what did not end by itself."""
    if not after.cancels_below:
        return []
    ended = event.run if isinstance(event, ev.ChildEnded) else ""
    still = {*_waited_for(after), ended}
    return [CancelRun(run=run) for run in _waited_for(before) if run not in still]


def _waited_for(state: RunState) -> list[str]:
    """A run that was started without waiting for it belongs to nobody's wait: its work is done."""
    if state.has_ended:
        return []
    waiting = [known for known in state.works.values() if known.status == "running"]
    of_parts = [part.child for known in waiting for part in known.parts if part.status == "running"]
    return [child for child in (*(known.child for known in waiting), *of_parts) if child]


def _item(known: WorkState, index: int) -> dict[str, Json]:
    """Where the task of one part stands, if it has one."""
    return parts_of.task_at(known.tasks_at, index) if known.tasks_at else {}


def _ask_for(plan: Work, was: WorkState | None, now: WorkState) -> list[Command]:
    """What this work needs now and did not need before."""
    fresh = was is None or was.visit != now.visit
    if now.status == "deciding" and (was is None or was.status != "deciding"):
        return [Propose(work=plan.name, output=now.parts[0].seq, visit=now.visit)]
    if now.status != "running":
        return []
    if plan.kind == "approval" and fresh:
        return [AskPerson(work=plan.name, visit=now.visit)]
    if plan.kind == "workflow" and fresh:
        inputs = dict(now.inputs)
        return [StartChild(work=plan.name, workflow=plan.workflow, visit=now.visit, inputs=inputs)]
    if plan.kind == "publish" and fresh:
        inputs = dict(now.inputs)
        return [Publish(work=plan.name, topic=plan.topic, visit=now.visit, inputs=inputs)]
    known = () if was is None or fresh else was.parts
    return [
        command
        for index, part in enumerate(now.parts)
        for command in _go_on_with(plan, now, index, known)
    ]


def _go_on_with(plan: Work, now: WorkState, index: int, before: Sequence[Part]) -> list[Command]:
    """What one call needs: to be made, or what it asks for to be proposed."""
    part = now.parts[index]
    if part.status == "running" and parts_of.is_begun(before, index, part):
        return [_call(plan, now, index, part)]
    was = before[index] if index < len(before) else None
    if part.status == "asking" and (was is None or was.asked != part.asked):
        return [
            Propose(work=plan.name, output=part.asked, visit=now.visit, ask=number)
            for number, ask in enumerate(part.asks, start=1)
            if not ask.seq
        ]
    return []


def _call(plan: Work, now: WorkState, index: int, part: Part) -> Command:
    attempt, member = part.attempt, plan.members.get(part.who)
    delay = 0 if attempt == 1 else min(RETRY_FIRST_MS * 2 ** min(attempt - 2, 16), RETRY_MAX_MS)
    common: dict[str, Any] = {
        "work": plan.name,
        "attempt": attempt,
        "index": index,
        "visit": now.visit,
        "inputs": dict(now.inputs),
        "delay_ms": delay,
        "who": part.who,
        "item": _item(now, index),
    }
    if member and member.workflow:
        return StartChild(workflow=member.workflow, **common)
    queue = member.queue if member else plan.queue
    return RunAgent(
        isolated=queue == "isolated",
        turn=part.turn if part.asked else 0,
        asked=part.asked,
        answers=tuple(ask.seq for ask in part.asks),
        **common,
    )


def _finish(plan: Plan, state: RunState) -> RunState:
    """Where the run as a whole stands."""
    if plan.pattern == "direct":
        proposals = state.proposals.values()
        if proposals and not any(proposal.is_open for proposal in proposals):
            return replace(state, status="completed")
        return state
    if state.has_ended:
        return validations.stop(replace(state, timers={}) if state.timers else state)
    status = "waiting" if _is_waiting(plan, state) else "running"
    return replace(state, status=status) if status != state.status else state


def _is_waiting(plan: Plan, state: RunState) -> bool:
    """For a person, a signal, another run or the clock, and not for an agent."""
    known, planned = state.works.get(state.position), plan.works.get(state.position)
    if known is None or planned is None:
        return True
    if known.status == "deciding" or planned.kind in work.WAITING:
        return True
    return known.waits_for_asks


def _start(plan: Plan, state: RunState, event: ev.RunStarted, moment: Moment) -> RunState:
    if state.status != "new":
        raise IllegalTransition("The run", state.status, event.kind)
    started = replace(
        state,
        status="running",
        workflow=event.workflow,
        version=event.version,
        pattern=event.pattern,
        parent=event.parent,
        parent_work=event.parent_work,
        parent_index=event.parent_index,
        delegations=event.delegations,
        seed=event.seed,
        cancels_below=event.cancels_below,
        withdraws=event.withdraws,
    )
    if plan.pattern == "direct":
        return started
    started = budgets.check_lineage(plan.budget, started, event.lineage)
    started = budgets.check_delegations(plan, started)
    if started.has_ended:
        return started
    if plan.budget.wall_s:
        started = replace(started, timers={budgets.WALL: moment.at_ms + plan.budget.wall_s * 1000})
    return PATTERNS[plan.pattern].begin(plan, started, moment, event.intent)  # type: ignore[no-any-return]


def _cancel(plan: Plan, state: RunState, event: ev.RunCancelled, moment: Moment) -> RunState:
    if state.has_ended or state.status == "new" or plan.pattern == "direct":
        raise IllegalTransition("The run", state.status, event.kind)
    error: dict[str, Json] = {
        "code": "cancelled",
        "who": event.by,
        "reason": event.reason,
        "retryable": False,
    }
    ended = replace(state, status="cancelled", error=error)
    return _withdraw(ended) if event.withdraws else ended


def _settle_below(plan: Plan, state: RunState, event: ev.ChildSpent, moment: Moment) -> RunState:
    """Once for each run below; one that is waited for says what it spent when it ends."""
    if plan.pattern == "direct" or event.work not in state.works:
        raise IllegalTransition(f"work {event.work!r}", "unknown", event.kind)
    if event.run in state.settled:
        raise IllegalTransition(event.run, "settled already", event.kind)
    if event.run in _waited_for(state):
        raise IllegalTransition(event.run, "waited for", event.kind)
    return replace(work.pay(state, event, event.tokens), settled=(*state.settled, event.run))


def _withdraw(state: RunState) -> RunState:
    """What was proposed and nobody has decided about. What was accepted still runs."""
    for name, proposal in state.proposals.items():
        if proposal.status in {"in_review", "revision_requested"}:
            state = state.with_proposal(name, status="withdrawn", approvals=())
    return state


def _work(plan: Plan, state: RunState, event: Any, moment: Moment) -> RunState:
    """What happened to a work; when that ended it, the pattern goes on from there."""
    if state.has_ended:
        return work.late(state, event, moment, state.status)
    if state.status == "new" or plan.pattern == "direct":
        raise IllegalTransition("The run", state.status, event.kind)
    if plan.mesh:
        return mesh.hear(plan, state, event, moment)
    if isinstance(event, ev.SignalReceived) and plan.pattern == "machine":
        place = plan.works.get(state.position)
        if place is None or place.signal != event.name:
            return machine.signal(plan, state, event, moment)
    after, name = work.move(plan, state, event, moment)
    return _go_on(plan, after, name, moment, ev.value_of(event))


def _go_on(plan: Plan, state: RunState, name: str, moment: Moment, came: Json) -> RunState:
    """A run that lost its last budget in this event goes nowhere."""
    if not name or state.works[name].status not in work.OVER or name != state.position:
        return state
    state = budgets.check(plan, state)
    if state.has_ended:
        return state
    return PATTERNS[plan.pattern].after_work(plan, state, name, moment, came)  # type: ignore[no-any-return]


def _reach_time(plan: Plan, state: RunState, event: ev.TimeReached, moment: Moment) -> RunState:
    """Everything that is due by now, the earliest first."""
    due = sorted((at, name) for name, at in state.timers.items() if at <= moment.at_ms)
    if not due or state.has_ended:
        raise IllegalTransition("The run", "not waiting for this time", event.kind)
    for at, timer in due:
        # What came before may have ended the wait, or begun a new one of the same name.
        if state.has_ended or state.timers.get(timer) != at:
            continue
        state = _reach(plan, state.without_timer(timer), timer, moment)
    return state


def _reach(plan: Plan, state: RunState, timer: str, moment: Moment) -> RunState:
    if timer == budgets.WALL and plan.mesh:
        return mesh.stop(state, mesh.BUDGET, f"its {plan.budget.wall_s:,} seconds are over")
    if timer == budgets.WALL:
        return budgets.exhaust(state, "wall_s", plan.budget.wall_s, plan.budget.wall_s)
    if validations.is_timer(timer):
        return validations.reach_time(state, timer, moment)
    if work.is_timer(timer):
        name = work.work_of_timer(timer)
        return _go_on(plan, work.reach_time(plan, state, name), name, moment, None)
    return machine.reach_time(plan, state, timer, moment)


def _receive(plan: Plan, state: RunState, event: ev.ProposalReceived, moment: Moment) -> RunState:
    if state.status == "new" or event.proposal in state.proposals:
        raise IllegalTransition(event.proposal, state.status, event.kind)
    if plan.pattern == "direct":
        state = replace(state, status="running")
    else:
        if state.has_ended:
            raise IllegalTransition("The run", state.status, event.kind)
        state = work.receive_proposal(state, event)
    if event.revises:
        _check_superseded(state, event)
    return state.with_proposal(
        event.proposal, action=event.action, digest=event.digest, work=event.work
    )


def _proposal(plan: Plan, state: RunState, event: Any, moment: Moment) -> RunState:
    """The life of a proposal; the work that waits for it may be over with it."""
    after = _PROPOSAL_HANDLERS[type(event)](state, event)
    if plan.pattern == "direct" or after.has_ended:
        return after
    after, name = work.follow_proposal(plan, after, event.proposal, moment)
    return _go_on(plan, after, name, moment, _became(after, event))


def _became(state: RunState, event: Any) -> Json:
    proposal = state.proposals[event.proposal]
    return {
        "proposal": event.proposal,
        "receipt": getattr(event, "receipt", None),
        "status": proposal.status,
    }


def _validate(plan: Plan, state: RunState, event: Any, moment: Moment) -> RunState:
    """Whoever waits for the proposal waits on."""
    _check(state, event.proposal, event.kind)
    if isinstance(event, ev.ValidationRequested):
        return validations.ask(state, event, moment)
    return validations.answer(state, event, moment)


def _dispose(state: RunState, event: ev.ProposalDisposed) -> RunState:
    if validations.is_out(_check(state, event.proposal, event.kind)):
        raise IllegalTransition(event.proposal, "waiting for its validators", event.kind)
    return state.with_proposal(
        event.proposal,
        status=AFTER_DISPOSITION[event.disposition],
        disposition=event.disposition,
        item=event.item,
        effect=event.effect,
        approvals_needed=event.approvals_needed,
    )


def _reopen(plan: Plan, state: RunState, event: ev.ProposalReopened, moment: Moment) -> RunState:
    """Only what stands for itself: a run that asked for it has long gone another way."""
    if plan.pattern != "direct":
        raise IllegalTransition("The run", "past its blocked proposal", event.kind)
    _check(state, event.proposal, event.kind)
    running = replace(state, status="running")
    return running.with_proposal(
        event.proposal,
        status="in_review",
        item=event.item,
        approvals_needed=event.approvals_needed,
        approvals=(),
    )


def _check_superseded(state: RunState, event: ev.ProposalReceived) -> None:
    """Nothing stands in the place of what still stands itself."""
    before = state.proposals.get(event.revises)
    if before is None or before.status != "superseded":
        status = before.status if before else "not part of this run"
        raise IllegalTransition(event.revises, status, event.kind)


def _undo(plan: Plan, state: RunState, event: ev.DecisionUndone, moment: Moment) -> RunState:
    before = _check_decision(state, event, None)
    closes = before.status in {"rejected", "revision_requested"}
    if closes and plan.pattern != "direct":
        raise IllegalTransition("The run", "past this decision", event.kind)
    if closes:
        state = replace(state, status="running")
    approvals = tuple(name for name in before.approvals if name != event.by)
    # An effect that was released once is released under another command the next time.
    again = before.again + (before.status == "accepted")
    return state.with_proposal(event.proposal, status="in_review", approvals=approvals, again=again)


def _count_approval(state: RunState, event: ev.ApprovalGiven) -> RunState:
    before = _check_decision(state, event, event.digest)
    return state.with_proposal(event.proposal, approvals=(*before.approvals, event.by))


def _approve(state: RunState, event: ev.ProposalApproved) -> RunState:
    before = _check_decision(state, event, event.digest)
    approvals = (*before.approvals, event.by)
    if len(set(approvals)) < before.approvals_needed:
        raise IllegalTransition(
            event.proposal, f"short of {before.approvals_needed} approvals", event.kind
        )
    return state.with_proposal(
        event.proposal, status="accepted", approvals=approvals, effect=event.effect
    )


def _reject(state: RunState, event: ev.ProposalRejected) -> RunState:
    _check_decision(state, event, None)
    return state.with_proposal(event.proposal, status="rejected")


def _send_back(state: RunState, event: ev.RevisionRequested) -> RunState:
    _check_decision(state, event, None)
    return state.with_proposal(event.proposal, status="revision_requested")


def _supersede(state: RunState, event: ev.ProposalSuperseded) -> RunState:
    """Whoever approved it approved other bytes."""
    _check(state, event.proposal, event.kind)
    return state.with_proposal(event.proposal, status="superseded", approvals=())


def _move(state: RunState, event: Any) -> RunState:
    before = _check(state, event.proposal, event.kind)
    return state.with_proposal(event.proposal, status=TRANSITIONS[event.kind, before.status])


def _move_effect(state: RunState, event: Any) -> RunState:
    before = _check(state, event.proposal, event.kind)
    if isinstance(event, ev.EffectStarted) and event.digest != before.digest:
        raise IllegalTransition(event.effect, "bound to another payload", event.kind)
    if event.effect != before.effect:
        raise IllegalTransition(event.effect, "not the effect that was released", event.kind)
    status, asked = TRANSITIONS[event.kind, before.status], getattr(event, "item", "")
    return state.with_proposal(event.proposal, status=status, asked=asked)


def _ask_back(state: RunState, event: ev.RollbackRequested) -> RunState:
    before = _check(state, event.proposal, event.kind)
    if event.effect != before.effect:
        raise IllegalTransition(event.effect, "not the effect that was done", event.kind)
    return state.with_proposal(
        event.proposal, status="rolling_back", rollbacks=before.rollbacks + 1
    )


def _settle_rollback(state: RunState, event: ev.RollbackSettled) -> RunState:
    before = _check_asked(state, event)
    rollbacks = before.rollbacks + (event.verdict == "retry")
    status = AFTER_ROLLBACK[event.verdict]
    return state.with_proposal(
        event.proposal, status=status, rollbacks=rollbacks, asked=_answered(before)
    )


def _check(state: RunState, proposal: str, kind: str) -> ProposalState:
    known = state.proposals.get(proposal)
    if known is None:
        raise IllegalTransition(proposal, "not part of this run", kind)
    if (kind, known.status) not in TRANSITIONS:
        raise IllegalTransition(proposal, known.status, kind)
    return known


def _check_decision(state: RunState, event: Any, digest: str | None) -> ProposalState:
    """A decision counts for the item that is open and for exactly the bytes that were read."""
    known = _check(state, event.proposal, event.kind)
    if event.item != known.item:
        raise IllegalTransition(event.item, "not the open item", event.kind)
    if digest is not None and digest != known.digest:
        raise IllegalTransition(event.proposal, f"{known.digest}, not {digest}", event.kind)
    return known


def _settle(state: RunState, event: ev.EffectSettled) -> RunState:
    before = _check_asked(state, event)
    again = before.again + (event.verdict == "retry")
    status = AFTER_SETTLING[event.verdict]
    return state.with_proposal(event.proposal, status=status, again=again, asked=_answered(before))


def _answered(before: ProposalState) -> str:
    return ANSWERED if before.asked else ""


def _check_asked(state: RunState, event: ev.EffectSettled | ev.RollbackSettled) -> ProposalState:
    """An answer counts for the question that is open: of what was lost twice, not for the first one.

    Early events do not say where people were asked.
    """
    before = _check(state, event.proposal, event.kind)
    if event.effect != before.effect:
        raise IllegalTransition(
            event.effect, "not the effect that people were asked about", event.kind
        )
    if before.asked and event.item != before.asked:
        raise IllegalTransition(event.item, "not the open item", event.kind)
    return before


_PROPOSAL_HANDLERS: dict[type[ev.Event], Callable[[RunState, Any], RunState]] = {
    ev.ProposalDisposed: _dispose,
    ev.ProposalWithdrawn: _move,
    ev.ApprovalGiven: _count_approval,
    ev.ProposalApproved: _approve,
    ev.ProposalRejected: _reject,
    ev.RevisionRequested: _send_back,
    ev.ProposalSuperseded: _supersede,
    ev.ProposalExpired: _move,
    ev.EffectStarted: _move_effect,
    ev.EffectSucceeded: _move_effect,
    ev.EffectFailed: _move_effect,
    ev.EffectLost: _move_effect,
    ev.EffectSettled: _settle,
    ev.RollbackRequested: _ask_back,
    ev.RollbackDone: _move_effect,
    ev.RollbackFailed: _move_effect,
    ev.RollbackSettled: _settle_rollback,
}

_HANDLERS: dict[type[ev.Event], Callable[[Plan, RunState, Any, Moment], RunState]] = {
    ev.RunStarted: _start,
    ev.RunCancelled: _cancel,
    ev.ChildSpent: _settle_below,
    ev.TimeReached: _reach_time,
    ev.ProposalReceived: _receive,
    ev.ValidationRequested: _validate,
    ev.ValidationFinished: _validate,
    ev.ValidationFailed: _validate,
    ev.ProposalReopened: _reopen,
    ev.DecisionUndone: _undo,
    **dict.fromkeys(work.EVENTS, _work),
    **dict.fromkeys(_PROPOSAL_HANDLERS, _proposal),
}
