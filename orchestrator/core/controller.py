"""The controller: canonical state and an event in, new state and commands out. Nothing else happens here.

`evolve` says what an event makes of a state, `decide` what has to be done because of it. What a run
does next comes from its plan (`core/plan.py`) and the plan's pattern (`core/patterns/`); the life of a
proposal is the same in all of them: `TRANSITIONS` is the whole of it. An event that does not fit
raises IllegalTransition; it is never ignored and never guessed at.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from types import ModuleType
from typing import Any

from orchestrator.core import budgets, validations
from orchestrator.core import events as ev
from orchestrator.core.codec import Json
from orchestrator.core.commands import (
    AskPerson,
    Command,
    Propose,
    RollBack,
    RunAgent,
    RunEffect,
    StartChild,
    TellParent,
)
from orchestrator.core.errors import IllegalTransition
from orchestrator.core.patterns import machine, pipeline, work
from orchestrator.core.plan import DIRECT, Plan, Work
from orchestrator.core.state import Moment, ProposalState, RunState, WorkState

PATTERNS: dict[str, ModuleType] = {"pipeline": pipeline, "machine": machine}
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
    return _finish(plan, budgets.check(plan, after))


def decide(plan: Plan, before: RunState, after: RunState, event: ev.Event) -> list[Command]:
    """What the change from one state to the next asks for."""
    commands = _release(after, event) + validations.commands(before, after, event)
    if after.has_ended:
        if after.parent and not before.has_ended:
            commands.append(TellParent(parent=after.parent, work=after.parent_work))
        return commands
    for name, now in after.works.items():
        was = before.works.get(name)
        if now is not was:
            commands += _ask_for(plan.works[name], was, now)
    return commands


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
    known = () if was is None or fresh else was.parts
    return [
        _call(plan, now, index, part.attempt)
        for index, part in enumerate(now.parts)
        if part.status == "running" and (index >= len(known) or known[index] != part)
    ]


def _call(plan: Work, now: WorkState, index: int, attempt: int) -> Command:
    delay = 0 if attempt == 1 else min(RETRY_FIRST_MS * 2 ** min(attempt - 2, 16), RETRY_MAX_MS)
    return RunAgent(
        work=plan.name,
        attempt=attempt,
        index=index,
        visit=now.visit,
        isolated=plan.queue == "isolated",
        inputs=dict(now.inputs),
        delay_ms=delay,
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
    return known.status == "deciding" or planned.kind in work.WAITING


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
    )
    if plan.pattern == "direct":
        return started
    started = budgets.check_lineage(plan.budget, started, event.lineage)
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
    return replace(state, status="cancelled", error=error)


def _work(plan: Plan, state: RunState, event: Any, moment: Moment) -> RunState:
    """What happened to a work; when that ended it, the pattern goes on from there."""
    if state.has_ended:
        return work.late(state, event, moment, state.status)
    if state.status == "new" or plan.pattern == "direct":
        raise IllegalTransition("The run", state.status, event.kind)
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
    after, name = work.follow_proposal(plan, after, event.proposal)
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
    return state.with_proposal(event.proposal, status=TRANSITIONS[event.kind, before.status])


def _ask_back(state: RunState, event: ev.RollbackRequested) -> RunState:
    before = _check(state, event.proposal, event.kind)
    if event.effect != before.effect:
        raise IllegalTransition(event.effect, "not the effect that was done", event.kind)
    return state.with_proposal(
        event.proposal, status="rolling_back", rollbacks=before.rollbacks + 1
    )


def _settle_rollback(state: RunState, event: ev.RollbackSettled) -> RunState:
    before = _check(state, event.proposal, event.kind)
    rollbacks = before.rollbacks + (event.verdict == "retry")
    status = AFTER_ROLLBACK[event.verdict]
    return state.with_proposal(event.proposal, status=status, rollbacks=rollbacks)


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
    before = _check(state, event.proposal, event.kind)
    if event.effect != before.effect:
        raise IllegalTransition(event.effect, "not the effect that was lost", event.kind)
    again = before.again + (event.verdict == "retry")
    return state.with_proposal(event.proposal, status=AFTER_SETTLING[event.verdict], again=again)


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
    ev.RollbackDone: _move,
    ev.RollbackFailed: _move,
    ev.RollbackSettled: _settle_rollback,
}

_HANDLERS: dict[type[ev.Event], Callable[[Plan, RunState, Any, Moment], RunState]] = {
    ev.RunStarted: _start,
    ev.RunCancelled: _cancel,
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
