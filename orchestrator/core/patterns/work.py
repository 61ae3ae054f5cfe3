"""A work from its start to its end, whichever pattern it is part of.

`move` takes an event to the work it belongs to. Whether the work ended, and how, is in its status;
the pattern decides what follows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator.core import events as ev
from orchestrator.core.codec import Json
from orchestrator.core.errors import IllegalTransition
from orchestrator.core.plan import Plan, Work
from orchestrator.core.state import Moment, Part, RunState, Spent, WorkState

OVER = frozenset({"done", "skipped", "failed"})
FAILING = frozenset({"skipped", "failed"})
WAITING = frozenset({"approval", "signal", "workflow"})
# What became of a proposal that a work waits for; whatever is not here keeps it waiting.
AFTER_PROPOSAL = {
    "executed": "done",
    "rejected": "failed",
    "blocked": "failed",
    "expired": "failed",
    "withdrawn": "failed",
    "failed": "failed",
}


def start(plan: Plan, state: RunState, name: str, moment: Moment, came: Json) -> RunState:
    """`came` is the output that led here; a fan-out counts its elements."""
    work = plan.works[name]
    status, parts = _first_parts(work, came)
    error = state.error
    if status in FAILING:
        reason = f"{work.for_each or '/'} is not a list of at most {work.at_most} elements"
        error = _error(work, "no-list", reason)
    begun = WorkState(
        status=status,
        visit=moment.seq,
        parts=parts,
        fanned=work.for_each is not None,
        inputs=_inputs(state, work),
        calls=len(parts),
    )
    spent = Spent(
        steps=state.spent.steps + 1,
        agent_calls=state.spent.agent_calls + len(parts),
        tokens=state.spent.tokens,
        money_micros=state.spent.money_micros,
    )
    timers = state.timers
    if work.due_s:
        timers = {**timers, _timer(name): moment.at_ms + work.due_s * 1000}
    works = {**state.works, name: begun}
    return replace(state, position=name, spent=spent, timers=timers, works=works, error=error)


def move(plan: Plan, state: RunState, event: ev.Event, moment: Moment) -> tuple[RunState, str]:
    """The state after, and the work that the event belongs to."""
    name = _work_of(state, event)
    work, known = plan.works.get(name), state.works.get(name)
    if work is None or known is None:
        raise IllegalTransition(f"work {name!r}", "unknown", event.kind)
    if known.status in OVER or _is_of_an_earlier_visit(known, event):
        return late(state, event, moment, known.status), ""
    if KINDS.get(type(event), work.kind) != work.kind:
        raise IllegalTransition(f"work {name!r}", f"of the kind {work.kind}", event.kind)
    state, after = _HANDLERS[type(event)](state, work, known, event, moment)
    if after.status in OVER:
        state = state.without_timer(_timer(name))
    return state.with_work(name, after), name


def follow_proposal(plan: Plan, state: RunState, proposal: str) -> tuple[RunState, str]:
    """A proposal of this run moved: the work that waits for it may be over."""
    moved = state.proposals[proposal]
    known = state.works.get(moved.work)
    if known is None or known.status in OVER or known.proposal != proposal:
        return state, ""
    work = plan.works[moved.work]
    if moved.status == "revision_requested":
        return _revise(state, work, known, proposal)
    status = AFTER_PROPOSAL.get(moved.status)
    if status is None:
        return state, ""
    if status == "failed":
        failed = _fail(work, known)
        error = _error(work, f"proposal-{moved.status}", f"{proposal} was {moved.status}")
        return replace(state, error=error).with_work(work.name, failed), work.name
    return state.with_work(work.name, replace(known, status="done")), work.name


def reach_time(plan: Plan, state: RunState, name: str) -> RunState:
    """Nobody answered in time, and what is late is a no."""
    work, known = plan.works[name], state.works[name]
    error = _error(work, "deadline", f"no answer within {work.due_s} s")
    return replace(state, error=error).with_work(name, _fail(work, known))


def leave(state: RunState, name: str) -> RunState:
    """The run goes on without it; what it still says comes late."""
    known = state.works.get(name)
    if known is None or known.status in OVER:
        return state
    return state.without_timer(_timer(name)).with_work(name, replace(known, status="skipped"))


def late(state: RunState, event: Any, moment: Moment, ended: str) -> RunState:
    """An agent answered when nobody waited any more. It decides nothing; its cost was real."""
    known = state.works.get(event.work) if isinstance(event, ANSWERS) else None
    if known is None:
        raise IllegalTransition("The run or the work", ended, event.kind)
    if _is_of_an_earlier_visit(known, event):
        return _spend(state, event)
    _check_part(event.work, known, event)
    came = Part(
        "done" if isinstance(event, ev.WorkFinished) else "failed", event.attempt, moment.seq
    )
    known = replace(_charge(known, event), parts=_with_part(known.parts, event.index, came))
    return _spend(state, event).with_work(event.work, known)


def is_timer(timer: str) -> bool:
    return timer.startswith("work:")


def work_of_timer(timer: str) -> str:
    return timer.removeprefix("work:")


def _timer(name: str) -> str:
    return f"work:{name}"


def _inputs(state: RunState, work: Work) -> dict[str, Json]:
    return {name: state.works[name].output for name in work.needs if name in state.works}


def _first_parts(work: Work, came: Json) -> tuple[str, tuple[Part, ...]]:
    if work.kind != "agent":
        return "running", ()
    if work.for_each is None:
        return "running", (Part(),)
    items = find(came, work.for_each)
    if not isinstance(items, list | tuple) or len(items) > work.at_most:
        return _failing(work), ()
    return "running" if items else "done", tuple(Part() for _ in items)


def find(value: Json, pointer: str) -> Json:
    """What a JSON Pointer names, or nothing."""
    for raw in pointer.split("/")[1:]:
        token = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping) and token in value:
            value = value[token]
        elif isinstance(value, list | tuple) and token.isdigit() and int(token) < len(value):
            value = value[int(token)]
        else:
            return None
    return value


def _work_of(state: RunState, event: Any) -> str:
    return state.position if isinstance(event, ev.SignalReceived) else event.work


def _finish(
    state: RunState, work: Work, known: WorkState, event: ev.WorkFinished, moment: Moment
) -> tuple[RunState, WorkState]:
    _check_part(work.name, known, event)
    parts = _with_part(known.parts, event.index, Part("done", event.attempt, moment.seq))
    state, known = _spend(state, event), _charge(known, event)
    status = _sum_up(parts)
    if status == "done" and work.proposes:
        status = "deciding"
    return state, replace(known, parts=parts, status=status)


def _fail_part(
    state: RunState, work: Work, known: WorkState, event: ev.WorkFailed, moment: Moment
) -> tuple[RunState, WorkState]:
    """Once more while that may help, then without it if it is optional, then no more."""
    if known.proposal:
        raise IllegalTransition(known.proposal, "proposed already", event.kind)
    if known.status == "deciding":
        # Whoever could not propose an output knows the output, not the attempt it came from.
        event = replace(event, attempt=known.parts[0].attempt, index=0)
    elif known.parts:
        _check_part(work.name, known, event)
    state, known = _spend(state, event), _charge(known, event)
    if event.error.get("retryable") and event.attempt < work.attempts and known.parts:
        parts = _with_part(known.parts, event.index, Part("running", event.attempt + 1))
        spent = replace(state.spent, agent_calls=state.spent.agent_calls + 1)
        again = replace(known, status="running", proposal="", parts=parts, calls=known.calls + 1)
        return replace(state, spent=spent), again
    error = {
        **_error(work, "work-failed", str(event.error.get("reason", ""))),
        "cause": event.error,
    }
    ended = "skipped" if work.optional else "failed"
    if not known.parts:
        return replace(state, error=error), replace(known, status=ended)
    parts = _with_part(known.parts, event.index, Part(ended, event.attempt, 0))
    return replace(state, error=error), replace(known, parts=parts, status=_sum_up(parts))


def _sum_up(parts: Sequence[Part]) -> str:
    """Of the parts together: one failure fails all, and what was skipped leaves a gap."""
    found = {part.status for part in parts}
    if "failed" in found:
        return "failed"
    if "running" in found:
        return "running"
    return "done" if "done" in found else "skipped"


def _ask(
    state: RunState, work: Work, known: WorkState, event: ev.PersonAsked, moment: Moment
) -> tuple[RunState, WorkState]:
    if known.item:
        raise IllegalTransition(known.item, "asked already", event.kind)
    return state, replace(known, item=event.item)


def _answer(
    state: RunState, work: Work, known: WorkState, event: ev.PersonAnswered, moment: Moment
) -> tuple[RunState, WorkState]:
    if not known.item or event.item != known.item:
        raise IllegalTransition(event.item, "not the open item", event.kind)
    if event.verdict != "approve":
        error = _error(work, "rejected", f"{event.by} rejected it: {event.reason or event.note}")
        return replace(state, error=error), replace(_fail(work, known), seq=moment.seq)
    approvals = (*known.approvals, event.by)
    enough = len(set(approvals)) >= work.approvals
    status = "done" if enough else "running"
    return state, replace(known, approvals=approvals, status=status, seq=moment.seq)


def _signal(
    state: RunState, work: Work, known: WorkState, event: ev.SignalReceived, moment: Moment
) -> tuple[RunState, WorkState]:
    if work.kind != "signal" or event.name != work.signal:
        raise IllegalTransition("The run", f"not waiting for {event.name!r}", event.kind)
    return state, replace(known, status="done", seq=moment.seq)


def _begin_child(
    state: RunState, work: Work, known: WorkState, event: ev.ChildStarted, moment: Moment
) -> tuple[RunState, WorkState]:
    if known.child:
        raise IllegalTransition(known.child, "started already", event.kind)
    return state, replace(known, child=event.run)


def _end_child(
    state: RunState, work: Work, known: WorkState, event: ev.ChildEnded, moment: Moment
) -> tuple[RunState, WorkState]:
    if not known.child or event.run != known.child:
        raise IllegalTransition(event.run, "not the run that was started", event.kind)
    if event.status == "completed":
        return state, replace(known, status="done", seq=moment.seq)
    error = {
        **_error(work, "run-failed", f"{event.run} {event.status}"),
        "cause": event.error or {},
    }
    return replace(state, error=error), _fail(work, known)


def receive_proposal(state: RunState, event: ev.ProposalReceived) -> RunState:
    known = state.works.get(event.work)
    # A revision stands where what it revises stood; anything else has to find the place empty.
    if known is None or known.status != "deciding":
        raise IllegalTransition(event.proposal, "not asked for", event.kind)
    if known.proposal and known.proposal != event.revises:
        raise IllegalTransition(event.proposal, "not asked for", event.kind)
    if _is_of_an_earlier_visit(known, event):
        raise IllegalTransition(event.proposal, "not asked for", event.kind)
    return state.with_work(event.work, replace(known, proposal=event.proposal))


def _revise(state: RunState, work: Work, known: WorkState, proposal: str) -> tuple[RunState, str]:
    """The agent is asked again, and handed what was proposed and why it was sent back."""
    attempt = known.parts[0].attempt
    if attempt >= work.attempts:
        error = _error(work, "not-accepted", f"{proposal} was sent back and no attempt is left")
        return replace(state, error=error).with_work(work.name, _fail(work, known)), work.name
    again = replace(
        known,
        status="running",
        proposal="",
        parts=(Part("running", attempt + 1),),
        inputs={**known.inputs, "sent_back": proposal},
        calls=known.calls + 1,
    )
    spent = replace(state.spent, agent_calls=state.spent.agent_calls + 1)
    return replace(state, spent=spent).with_work(work.name, again), ""


def _is_of_an_earlier_visit(known: WorkState, event: Any) -> bool:
    visit = getattr(event, "visit", 0)
    return bool(visit) and visit != known.visit


def _check_part(name: str, known: WorkState, event: Any) -> None:
    """An answer belongs to the call that is out, and to no other."""
    part = known.parts[event.index] if 0 <= event.index < len(known.parts) else None
    if part is None or part.status != "running" or part.attempt != event.attempt:
        found = f"{part.status} at attempt {part.attempt}" if part else "without such a part"
        raise IllegalTransition(f"{name}[{event.index}]", found, event.kind)


def _with_part(parts: tuple[Part, ...], index: int, part: Part) -> tuple[Part, ...]:
    return (*parts[:index], part, *parts[index + 1 :])


def _fail(work: Work, known: WorkState) -> WorkState:
    return replace(known, status=_failing(work))


def _failing(work: Work) -> str:
    return "skipped" if work.optional else "failed"


def _spend(state: RunState, event: Any) -> RunState:
    spent = state.spent
    tokens = event.tokens_in + event.tokens_out
    if not tokens and not event.money_micros:
        return state
    money = spent.money_micros + event.money_micros
    return replace(state, spent=replace(spent, tokens=spent.tokens + tokens, money_micros=money))


def _charge(known: WorkState, event: Any) -> WorkState:
    tokens = event.tokens_in + event.tokens_out
    if not tokens and not event.money_micros:
        return known
    money = known.money_micros + event.money_micros
    return replace(known, tokens=known.tokens + tokens, money_micros=money)


def _error(work: Work, code: str, reason: str) -> dict[str, Json]:
    return {"code": code, "who": work.name, "reason": reason, "retryable": False}


_HANDLERS: dict[type[ev.Event], Callable[..., tuple[RunState, WorkState]]] = {
    ev.WorkFinished: _finish,
    ev.WorkFailed: _fail_part,
    ev.PersonAsked: _ask,
    ev.PersonAnswered: _answer,
    ev.SignalReceived: _signal,
    ev.ChildStarted: _begin_child,
    ev.ChildEnded: _end_child,
}

EVENTS = tuple(_HANDLERS)
ANSWERS = (ev.WorkFinished, ev.WorkFailed)
# What can only happen to works of one kind; any work can fail.
KINDS: dict[type[ev.Event], str] = {
    ev.WorkFinished: "agent",
    ev.PersonAsked: "approval",
    ev.PersonAnswered: "approval",
    ev.ChildStarted: "workflow",
    ev.ChildEnded: "workflow",
}
