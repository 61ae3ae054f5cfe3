"""A work from its start to its end, whichever pattern it is part of.

`move` takes an event to the work it belongs to. Whether the work ended, and how, is in its status;
the pattern decides what follows.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.core import events as ev
from orchestrator.core.codec import Json
from orchestrator.core.errors import IllegalTransition
from orchestrator.core.handing import find, say
from orchestrator.core.patterns import asking
from orchestrator.core.patterns import parts as parts_of
from orchestrator.core.plan import Plan, Work
from orchestrator.core.state import Moment, Part, RunState, WorkState

OVER = frozenset({"done", "skipped", "failed"})
FAILING = frozenset({"skipped", "failed"})
WAITING = frozenset({"approval", "signal", "workflow", "collect", "subscribe"})
# What became of a proposal that a work waits for; whatever is not here keeps it waiting.
AFTER_PROPOSAL = {
    "executed": "done",
    "rejected": "failed",
    "blocked": "failed",
    "expired": "failed",
    "withdrawn": "failed",
    "failed": "failed",
}


def start(
    plan: Plan,
    state: RunState,
    name: str,
    moment: Moment,
    came: Json,
    *,
    parts: tuple[Part, ...] | None = None,
    inputs: Mapping[str, Json] | None = None,
    tasks_at: int = 0,
) -> RunState:
    """`came` is the output that led here; a fan-out counts its elements. Patterns may know better."""
    work = plan.works[name]
    if parts is None:
        status, parts = _first_parts(work, came)
    else:
        status, parts = parts_of.first(state, work, parts)
    calls = parts_of.calls(work, (), parts)
    error = state.error
    if status in FAILING:
        reason = f"{work.for_each or '/'} is not a list of at most {work.at_most} elements"
        error = _error(work, "no-list", reason)
    ended = state.works[work.collects].ended if work.collects in state.works else {}
    if ended:
        status, error = _collected(work, ended, error)
    begun = WorkState(
        status=status,
        seq=_seq_of(ended),
        topic=work.topic if work.kind == "subscribe" else "",
        visit=moment.seq,
        parts=parts,
        fanned=work.for_each is not None or bool(work.members),
        tasks_at=tasks_at,
        inputs=_inputs(state, work) if inputs is None else inputs,
        calls=calls,
    )
    spent = replace(
        state.spent,
        steps=state.spent.steps + 1,
        agent_calls=state.spent.agent_calls + calls,
    )
    timers = state.timers
    if work.due_s and status not in OVER:
        timers = {**timers, _timer(name): moment.at_ms + work.due_s * 1000}
    works = {**state.works, name: begun}
    return replace(state, position=name, spent=spent, timers=timers, works=works, error=error)


def move(plan: Plan, state: RunState, event: ev.Event, moment: Moment) -> tuple[RunState, str]:
    """The state after, and the work that the event belongs to."""
    name = _work_of(state, event)
    work, known = plan.works.get(name), state.works.get(name)
    if work is None or known is None:
        raise IllegalTransition(f"work {name!r}", "unknown", event.kind)
    if isinstance(event, ev.ChildEnded) and not work.waits:
        return _keep_end(plan, state, name, event, moment)
    if known.status in OVER or _is_of_an_earlier_visit(known, event):
        return late(state, event, moment, known.status), ""
    if KINDS.get(type(event), work.kind) != work.kind and not _is_of_a_child(work, event):
        raise IllegalTransition(f"work {name!r}", f"of the kind {work.kind}", event.kind)
    if isinstance(event, ev.WorkAsked) and event.turn >= plan.budget.turns:
        event = _as_failure(plan, event)
    state, after = _HANDLERS[type(event)](state, work, known, event, moment)
    if after.status in OVER:
        state = state.without_timer(_timer(name))
    return state.with_work(name, after), name


def _as_failure(plan: Plan, event: ev.WorkAsked) -> ev.WorkFailed:
    """Who asks in the last turn would need another one. Nothing of it is proposed."""
    most = plan.budget.turns
    error: dict[str, Json] = {
        "code": "turns-used-up",
        "who": event.agent.get("name", event.work),
        "reason": f"it asked for something in each of its {most} turns",
        "retryable": False,
        "limit": most,
    }
    counted = ("tokens_in", "tokens_out", "money_micros", "unpriced")
    cost = {name: getattr(event, name) for name in counted}
    place = {name: getattr(event, name) for name in ("attempt", "index", "turn", "visit")}
    return ev.WorkFailed(work=event.work, error=error, **place, **cost)


def follow_proposal(
    plan: Plan, state: RunState, proposal: str, moment: Moment
) -> tuple[RunState, str]:
    """A proposal of this run moved: the work that waits for it may be over, or its agent goes on."""
    moved = state.proposals[proposal]
    known = state.works.get(moved.work)
    if known is None or known.status in OVER:
        return state, ""
    work = plan.works[moved.work]
    if known.proposal != proposal:
        return asking.follow(state, work.name, known, proposal, moment), ""
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
    if work.members:
        parts = parts_of.give_up(known.parts, f"no answer within {work.due_s} s")
        return state.with_work(name, replace(known, parts=parts, status=parts_of.sum_up(parts)))
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
    if parts_of.is_given_up(known, event):
        part = replace(known.parts[event.index], seq=moment.seq)
        known = replace(_charge(known, event), parts=_with_part(known.parts, event.index, part))
        return _spend(state, event).with_work(event.work, known)
    _check_part(event.work, known, event)
    status = "done" if isinstance(event, ev.WorkFinished) else "failed"
    came = replace(known.parts[event.index], status=status, seq=moment.seq)
    known = replace(_charge(known, event), parts=_with_part(known.parts, event.index, came))
    return _spend(state, event).with_work(event.work, known)


def is_late(before: RunState, event: Any) -> bool:
    """Whether nobody waited any more for an answer when it came."""
    known = before.works.get(event.work)
    if known is None or before.has_ended:
        return True
    return known.status in OVER or _is_of_an_earlier_visit(known, event)


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
    at_once = work.at_once or len(items)
    statuses = ("running" if place < at_once else "queued" for place in range(len(items)))
    return "running" if items else "done", tuple(map(Part, statuses))


def _work_of(state: RunState, event: Any) -> str:
    heard = isinstance(event, ev.SignalReceived | ev.MessageReceived)
    return state.position if heard else event.work


def _finish(
    state: RunState, work: Work, known: WorkState, event: ev.WorkFinished, moment: Moment
) -> tuple[RunState, WorkState]:
    _check_part(work.name, known, event)
    state, known = _spend(state, event), _charge(known, event)
    done = parts_of.done(known.parts[event.index], moment.seq, event.output)
    state, known = _settle_part(state, work, known, event.index, done)
    if known.status == "done" and work.proposes:
        known = replace(known, status="deciding")
    return state, known


def _settle_part(
    state: RunState, work: Work, known: WorkState, index: int, part: Part
) -> tuple[RunState, WorkState]:
    """One part is over, and what waited for its turn is begun."""
    parts = parts_of.fill(state, work, _with_part(known.parts, index, part))
    calls = parts_of.calls(work, known.parts, parts)
    if calls:
        spent = replace(state.spent, agent_calls=state.spent.agent_calls + calls)
        state, known = replace(state, spent=spent), replace(known, calls=known.calls + calls)
    return state, replace(known, parts=parts, status=parts_of.sum_up(parts))


def _wait_for_asks(
    state: RunState, work: Work, known: WorkState, event: ev.WorkAsked, moment: Moment
) -> tuple[RunState, WorkState]:
    """Whether it may ask once more was looked at by `move`, who knows the budget."""
    _check_part(work.name, known, event)
    state, known = _spend(state, event), _charge(known, event)
    return asking.ask(state, known, event, moment)


def _refuse_ask(
    state: RunState, work: Work, known: WorkState, event: ev.AskRefused, moment: Moment
) -> tuple[RunState, WorkState]:
    return asking.refuse(state, work.name, known, event, moment)


def _fail_part(
    state: RunState, work: Work, known: WorkState, event: ev.WorkFailed, moment: Moment
) -> tuple[RunState, WorkState]:
    """Once more while that may help, then without it if it is optional, then no more."""
    if known.proposal:
        raise IllegalTransition(known.proposal, "proposed already", event.kind)
    if known.status == "deciding":
        # Whoever could not propose an output knows the output, not the attempt it came from.
        event = replace(event, attempt=known.parts[0].attempt, turn=known.parts[0].turn, index=0)
    elif known.parts:
        _check_part(work.name, known, event)
    state, known = _spend(state, event), _charge(known, event)
    if _may_try_again(state, work, known, event):
        parts = _with_part(known.parts, event.index, _again(known.parts[event.index]))
        calls = parts_of.calls(work, known.parts, parts)
        spent = replace(state.spent, agent_calls=state.spent.agent_calls + calls)
        again = replace(
            known,
            status="running",
            proposal="",
            parts=parts,
            calls=known.calls + calls,
            inputs=_with_refusal(work, known, event),
        )
        return replace(state, spent=spent), again
    error = {
        **_error(work, "work-failed", str(event.error.get("reason", ""))),
        "cause": event.error,
    }
    ended = "skipped" if work.optional else "failed"
    if not known.parts:
        return replace(state, error=error), replace(known, status=ended)
    part = parts_of.failed(known.parts[event.index], ended, str(event.error.get("reason", "")))
    return _settle_part(replace(state, error=error), work, known, event.index, part)


def _may_try_again(state: RunState, work: Work, known: WorkState, event: ev.WorkFailed) -> bool:
    if not event.error.get("retryable") or not known.parts or parts_of.is_stopped(state, work):
        return False
    member = work.members.get(known.parts[event.index].who)
    return event.attempt < (member.attempts if member else work.attempts)


def _with_refusal(work: Work, known: WorkState, event: ev.WorkFailed) -> Mapping[str, Json]:
    """An answer that was not what was asked for is told to whoever gave it."""
    if not work.hears_refusals or event.error.get("code") != "output-invalid":
        return known.inputs
    return {**known.inputs, "refused": say(str(event.error.get("reason", "")))}


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
    if work.members:
        part = parts_of.begun(work, known, event)
        return state, replace(known, parts=_with_part(known.parts, event.index, part))
    if known.child:
        raise IllegalTransition(known.child, "started already", event.kind)
    if not work.waits:
        return state, replace(known, child=event.run, status="done", seq=moment.seq)
    return state, replace(known, child=event.run)


def _end_child(
    state: RunState, work: Work, known: WorkState, event: ev.ChildEnded, moment: Moment
) -> tuple[RunState, WorkState]:
    if work.members:
        part = parts_of.ended(work, known, event, moment.seq)
        state, known = _pay(state, known, event)
        return _settle_part(state, work, known, event.index, part)
    if not known.child or event.run != known.child:
        raise IllegalTransition(event.run, "not the run that was started", event.kind)
    state, known = _pay(state, known, event)
    status, error = _collected(work, _end_of(event, moment), state.error)
    seq = moment.seq if status == "done" else known.seq
    return replace(state, error=error), replace(known, status=status, seq=seq)


def _keep_end(
    plan: Plan, state: RunState, name: str, event: ev.ChildEnded, moment: Moment
) -> tuple[RunState, str]:
    """A run that was not waited for: whoever collects it now goes on, and whoever comes later finds it."""
    known = state.works[name]
    if not known.child or event.run != known.child or known.ended:
        raise IllegalTransition(event.run, "not the run that was started", event.kind)
    ended = _end_of(event, moment)
    state, known = _pay(state, known, event)
    state = state.with_work(name, replace(known, ended=ended))
    collector, waits = plan.works[state.position], state.works[state.position]
    if collector.collects != name or waits.status != "running":
        return state, ""
    status, error = _collected(collector, ended, state.error)
    after = replace(waits, status=status, seq=_seq_of(ended))
    return replace(state, error=error).with_work(collector.name, after), collector.name


def _end_of(event: ev.ChildEnded, moment: Moment) -> dict[str, Json]:
    ended: dict[str, Json] = {"run": event.run, "seq": moment.seq, "status": event.status}
    return ended if event.error is None else {**ended, "error": event.error}


def _seq_of(ended: Mapping[str, Json]) -> int:
    return int(str(ended["seq"])) if ended.get("status") == "completed" else 0


def _collected(
    work: Work, ended: Mapping[str, Json], error: Mapping[str, Json] | None
) -> tuple[str, Mapping[str, Json] | None]:
    """What a run came to, for whoever waits for it. Its own error stays readable below theirs."""
    if ended["status"] == "completed":
        return "done", error
    failed = _error(work, "run-failed", f"{ended['run']} {ended['status']}")
    return _failing(work), {**failed, "cause": ended.get("error", {})}


def _publish(
    state: RunState, work: Work, known: WorkState, event: ev.Published, moment: Moment
) -> tuple[RunState, WorkState]:
    return state, replace(known, status="done", seq=moment.seq)


def _hear(
    state: RunState, work: Work, known: WorkState, event: ev.MessageReceived, moment: Moment
) -> tuple[RunState, WorkState]:
    if event.topic != work.topic:
        raise IllegalTransition("The run", f"not waiting for {event.topic!r}", event.kind)
    return state, replace(known, status="done", seq=moment.seq)


def receive_proposal(state: RunState, event: ev.ProposalReceived) -> RunState:
    known = state.works.get(event.work)
    if event.asked and known is not None and known.status not in OVER:
        return asking.receive(state, known, event)
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
        parts=(_again(known.parts[0]),),
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
    place = (event.attempt, event.turn)
    if part is None or part.status != "running" or (part.attempt, part.turn) != place:
        found = f"{part.status} at attempt {part.attempt}" if part else "without such a part"
        raise IllegalTransition(f"{name}[{event.index}]", found, event.kind)


def _again(part: Part) -> Part:
    """The same turn once more, with all that it was handed."""
    return replace(part, status="running", attempt=part.attempt + 1, seq=0)


def _with_part(parts: tuple[Part, ...], index: int, part: Part) -> tuple[Part, ...]:
    return (*parts[:index], part, *parts[index + 1 :])


def _fail(work: Work, known: WorkState) -> WorkState:
    return replace(known, status=_failing(work))


def _failing(work: Work) -> str:
    return "skipped" if work.optional else "failed"


def _spend(state: RunState, event: Any) -> RunState:
    return pay(state, event, event.tokens_in + event.tokens_out)


def _charge(known: WorkState, event: Any) -> WorkState:
    tokens = event.tokens_in + event.tokens_out
    if not tokens and not event.money_micros:
        return known
    money = known.money_micros + event.money_micros
    return replace(known, tokens=known.tokens + tokens, money_micros=money)


def _pay(state: RunState, known: WorkState, event: ev.ChildEnded) -> tuple[RunState, WorkState]:
    """What a run spent for its parent counts there, too."""
    known = replace(
        known,
        tokens=known.tokens + event.tokens,
        money_micros=known.money_micros + event.money_micros,
    )
    return pay(state, event, event.tokens), known


def pay(state: RunState, event: Any, tokens: int) -> RunState:
    """An unknown price makes the sum a lower bound, and stays unknown in every sum above."""
    spent = state.spent
    if not tokens and not event.money_micros and event.unpriced <= spent.unpriced:
        return state
    spent = replace(
        spent,
        tokens=spent.tokens + tokens,
        money_micros=spent.money_micros + event.money_micros,
        unpriced=spent.unpriced or event.unpriced,
    )
    return replace(state, spent=spent)


def _is_of_a_child(work: Work, event: ev.Event) -> bool:
    return bool(work.members) and isinstance(event, ev.ChildStarted | ev.ChildEnded)


def _error(work: Work, code: str, reason: str) -> dict[str, Json]:
    return {"code": code, "who": work.name, "reason": reason, "retryable": False}


_HANDLERS: dict[type[ev.Event], Callable[..., tuple[RunState, WorkState]]] = {
    ev.WorkFinished: _finish,
    ev.WorkFailed: _fail_part,
    ev.WorkAsked: _wait_for_asks,
    ev.AskRefused: _refuse_ask,
    ev.PersonAsked: _ask,
    ev.PersonAnswered: _answer,
    ev.SignalReceived: _signal,
    ev.ChildStarted: _begin_child,
    ev.ChildEnded: _end_child,
    ev.Published: _publish,
    ev.MessageReceived: _hear,
}

EVENTS = tuple(_HANDLERS)
ANSWERS = (ev.WorkFinished, ev.WorkFailed, ev.WorkAsked)
# What can only happen to works of one kind; any work can fail.
KINDS: dict[type[ev.Event], str] = {
    ev.WorkFinished: "agent",
    ev.WorkAsked: "agent",
    ev.AskRefused: "agent",
    ev.PersonAsked: "approval",
    ev.PersonAnswered: "approval",
    ev.ChildStarted: "workflow",
    ev.ChildEnded: "workflow",
    ev.Published: "publish",
    ev.MessageReceived: "subscribe",
}
