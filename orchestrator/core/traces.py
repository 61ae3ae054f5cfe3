"""What a run did, as spans: read from its log, from the pieces of its calls and from what is still out.

Nearly everything is in the log, so nothing of it is stored a second time. A span that is not over has no
end. Times are milliseconds since 1970, by the database's clock; how long a call took is the worker's
measure, so a call begins that long before its event.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.core import events as ev
from orchestrator.core.codec import Json
from orchestrator.core.patterns.work import OVER
from orchestrator.core.plan import Plan, Work
from orchestrator.core.state import RunState

RUN = "run"
# What a run is busy with; during everything else it waits, or only holds others together.
ACTIVE = frozenset({"agent", "model", "tool", "guardrail", "validation", "effect"})
WAITING = frozenset({"human", "wait"})
# Their figures are counted; a model's or a tool's are in those of the call they belong to.
CALLS = frozenset({"agent", "validation"})
# What is made of other spans.
HOLDING = frozenset({"run", "work"})
# What works wait for that are no agents, as their kinds name it.
AWAITED = {"signal": "signal", "subscribe": "message", "collect": "run"}
FAILED = frozenset({"failed", "skipped"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Something with a beginning and, once it is over, an end, within something else."""

    id: str
    parent: str
    # run, work, agent, model, tool, message, guardrail, validation, effect, human, wait
    kind: str
    name: str
    began_ms: int
    ended_ms: int | None
    # running, done, failed, skipped (left out after it failed), held, lost, stopped (by the run's end)
    status: str = "done"
    work: str = ""
    attempt: int = 0
    index: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    # Of a run inside, with all runs below it, which tells them only together.
    tokens_inside: int = 0
    # None: nobody knows what it cost. Of a run inside, all that is known of it.
    money_micros: int | None = 0
    is_partly_unpriced: bool = False
    agent: Mapping[str, str] = field(default_factory=dict)
    error: Mapping[str, Json] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    # The event that ended it, and the command it was; what it was handed is found through that.
    seq: int = 0
    command: int = 0
    # The stored piece of a call.
    piece: int = 0
    # The proposal, item or run that it is about.
    about: str = ""
    # Of a wait: signal, message, run or worker.
    awaits: str = ""

    @property
    def has_failed(self) -> bool:
        return self.status in FAILED

    @property
    def tells_cost(self) -> bool:
        """Where neither tokens nor money were reported nobody knows, and 0 would say that it is known."""
        used = (self.tokens_in, self.tokens_out, self.tokens_inside, self.money_micros)
        return used != (0, 0, 0, 0)

    @property
    def is_run_inside(self) -> bool:
        return self.kind == "run" and self.id != RUN

    def took_ms(self, now_ms: int) -> int:
        return max(0, (now_ms if self.ended_ms is None else self.ended_ms) - self.began_ms)


@dataclass(frozen=True, slots=True)
class Line:
    """An event of the log, without the outputs that it may carry, and the command that it ended."""

    seq: int
    at_ms: int
    event: ev.Event
    command: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What the log does not know: one request to a model or use of a tool inside the call ended by `seq`."""

    id: int
    seq: int
    kind: str
    name: str
    began_ms: int
    took_ms: int
    tokens_in: int = 0
    tokens_out: int = 0
    money_micros: int | None = 0
    error: str = ""
    notes: tuple[str, ...] = ()
    # Within the last one before it that is less deep: an agent behind a tool.
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Out:
    """A command that a worker has, or that waits for one."""

    id: int
    kind: str
    payload: Mapping[str, Any]
    since_ms: int
    is_running: bool


@dataclass(frozen=True, slots=True)
class Trace:
    """Each span after its parent, brothers in the order in which they began."""

    spans: tuple[Span, ...]

    def find(self, key: str) -> Span | None:
        return next((span for span in self.spans if span.id == key), None)

    def children(self, key: str) -> list[Span]:
        return [span for span in self.spans if span.parent == key]


def read_trace(
    plan: Plan,
    state: RunState,
    lines: Sequence[Line],
    *,
    name: str,
    ended_ms: int | None,
    pieces: Iterable[Inside] = (),
    out: Iterable[Out] = (),
) -> Trace:
    reading = _Reading(plan, state, lines, name, ended_ms)
    for line in lines:
        handler = _HANDLERS.get(type(line.event)) or _any_call
        handler(reading, line, line.event)
        reading.before = line.seq
    reading.add_open(out)
    reading.add_waits()
    reading.add_pieces(pieces)
    reading.close_works()
    return Trace(tuple(in_order(reading.spans.values())))


def in_order(spans: Iterable[Span]) -> list[Span]:
    """As a tree is read. What is about to belong to nobody belongs to the run."""
    by_parent: dict[str, list[Span]] = {}
    known = {span.id: span for span in spans}
    for span in known.values():
        parent = span.parent if span.parent in known or not span.parent else RUN
        by_parent.setdefault(parent, []).append(span)
    ordered: list[Span] = []
    waiting = sorted(by_parent.get("", ()), key=_age, reverse=True)
    while waiting:
        span = waiting.pop()
        ordered.append(span)
        waiting += sorted(by_parent.get(span.id, ()), key=_age, reverse=True)
    return ordered


def _age(span: Span) -> tuple[int, int, int, int, str]:
    return span.began_ms, span.index, span.attempt, span.seq or 2**31, span.id


class _Reading:
    """The spans while the log is read."""

    def __init__(
        self, plan: Plan, state: RunState, lines: Sequence[Line], name: str, ended_ms: int | None
    ) -> None:
        self.plan, self.state, self.ended_ms = plan, state, ended_ms
        self.at = {line.seq: line.at_ms for line in lines}
        self.last_ms = lines[-1].at_ms if lines else 0
        self.spans: dict[str, Span] = {}
        # Of each work the visit that is in hand, as far as the log was read.
        self.visits: dict[str, int] = {}
        self.work_of: dict[str, str] = {}
        self.approvals: dict[str, int] = {}
        # The event before the one that is read.
        self.before = 0
        self.too_late: list[Line] = []
        began_ms = lines[0].at_ms if lines else 0
        status = "done" if state.status == "completed" else state.status
        if status not in {"done", "failed"}:
            status = "stopped" if status == "cancelled" else "running"
        error = state.error or {} if status == "failed" else {}
        self.add(
            Span(
                id=RUN, parent="", kind="run", name=name, began_ms=began_ms,
                ended_ms=ended_ms, status=status, error=error,
            )
        )  # fmt: skip

    def add(self, span: Span) -> None:
        self.spans[span.id] = span

    def end(self, key: str, line: Line, status: str, **changes: Any) -> None:
        known = self.spans.get(key)
        if known is not None and known.ended_ms is None:
            changed = {"ended_ms": line.at_ms, "status": status, "seq": line.seq, **changes}
            self.spans[key] = replace(known, **changed)

    def work(self, name: str, visit: int, at_ms: int) -> str:
        """The span of one coming to a work, made when something in it is first seen."""
        if not name:
            return RUN
        known = self.state.works.get(name)
        visit = visit or self.visits.get(name) or (known.visit if known else 0)
        self.visits[name] = visit
        key = f"work:{name}:{visit}"
        if key not in self.spans:
            began_ms = self.at.get(visit, at_ms)
            self.add(
                Span(
                    id=key, parent=RUN, kind="work", name=name, work=name, began_ms=began_ms,
                    ended_ms=None, status="running",
                )
            )  # fmt: skip
        return key

    def add_open(self, out: Iterable[Out]) -> None:
        """What a worker has, and what nobody has taken up yet."""
        for command in out:
            if command.kind == "run_agent":
                self._add_open_call(command)
            elif command.kind == "validate" and command.is_running:
                self._add_open_validation(command)

    def add_waits(self) -> None:
        """Works that are not over, and waits that ended with nothing: nobody came in time, or need not."""
        for name, known in self.state.works.items():
            planned = self.plan.works.get(name)
            waits = planned is not None and planned.kind in AWAITED
            is_open = known.status not in OVER
            if not waits and (not is_open or self.ended_ms is not None):
                continue
            parent = self.work(name, known.visit, self.last_ms)
            if planned is None or not waits or f"wait:{parent}" in self.spans:
                continue
            wait = _wait(parent, planned, self.spans[parent].began_ms)
            ended_ms = None if is_open else self._ran_out(planned, known.visit, wait.began_ms)
            self.add(
                replace(wait, ended_ms=ended_ms, status="running" if is_open else known.status)
            )

    def _ran_out(self, planned: Work, visit: int, began_ms: int) -> int:
        """What is collected after it had ended takes no time."""
        if planned.kind == "collect":
            return began_ms
        late = (line.at_ms for line in self.too_late if line.seq > visit)
        return max(began_ms, next(late, self.ended_ms or self.last_ms))

    def end_wait(
        self, line: Line, kind: str, what: str, status: str = "done", **changes: Any
    ) -> None:
        """Of the work that waited for this. When an earlier coming to it began, the event before says."""
        found = [
            (known.visit if known.visit <= line.seq else self.before, planned)
            for name, planned in self.plan.works.items()
            if planned.kind == kind and what in {planned.signal, planned.topic, planned.collects}
            if (known := self.state.works.get(name)) is not None
            # A run that ended before anybody came to collect it was not waited for.
            if kind != "collect" or known.visit <= line.seq
        ]
        for visit, planned in sorted(found, key=lambda one: one[0], reverse=True):
            parent = self.work(planned.name, visit, line.at_ms)
            key = f"wait:{parent}"
            if key not in self.spans:
                self.add(_wait(parent, planned, min(self.spans[parent].began_ms, line.at_ms)))
                self.end(key, line, status, **changes)
                return

    def _add_open_call(self, out: Out) -> None:
        name, told = str(out.payload.get("work", "")), out.payload
        parent = self.work(name, int(told.get("visit", 0)), out.since_ms)
        self.add(
            Span(
                id=f"call:{out.id}", parent=parent, kind="agent" if out.is_running else "wait",
                name=name if out.is_running else "waits for a worker", work=name,
                awaits="" if out.is_running else "worker",
                began_ms=out.since_ms, ended_ms=None, status="running",
                attempt=int(told.get("attempt", 1)), index=int(told.get("index", 0)),
                command=out.id,
            )
        )  # fmt: skip

    def _add_open_validation(self, out: Out) -> None:
        proposal = str(out.payload.get("proposal", ""))
        self.add(
            Span(
                id=f"call:{out.id}", parent=self.work_of.get(proposal, RUN), kind="validation",
                name=str(out.payload.get("validator", "")), began_ms=out.since_ms, ended_ms=None,
                status="running", command=out.id, about=proposal,
            )
        )  # fmt: skip

    def add_pieces(self, pieces: Iterable[Inside]) -> None:
        """Within the call that ended with the same event, and never outside of it."""
        calls = {span.seq: span for span in self.spans.values() if span.kind in CALLS}
        # Of the call in hand, the pieces that the next one may be within, by their depth.
        above: list[str] = []
        for number, piece in enumerate(pieces):
            call = calls.get(piece.seq)
            if call is None or call.ended_ms is None:
                continue
            if not above or above[0] != call.id:
                above = [call.id]
            above = [*above[: piece.depth + 1], f"piece:{piece.id}"]
            began_ms = min(call.began_ms + piece.began_ms, call.ended_ms)
            self.add(
                Span(
                    id=above[-1], parent=above[-2], kind=piece.kind, name=piece.name,
                    began_ms=began_ms, ended_ms=min(began_ms + piece.took_ms, call.ended_ms),
                    status="failed" if piece.error else "done", work=call.work, index=number,
                    tokens_in=piece.tokens_in, tokens_out=piece.tokens_out,
                    money_micros=piece.money_micros, notes=piece.notes, seq=piece.seq,
                    error={"reason": piece.error} if piece.error else {}, piece=piece.id,
                )
            )  # fmt: skip

    def close_works(self) -> None:
        """A work is over when the state says so; how far it came shows in what is within."""
        if self.ended_ms is not None:
            for key, span in self.spans.items():
                if span.ended_ms is None and span.kind != "work":
                    ended_ms = max(self.ended_ms, span.began_ms)
                    self.spans[key] = replace(span, ended_ms=ended_ms, status="stopped")
        within: dict[str, list[Span]] = {}
        for span in self.spans.values():
            within.setdefault(span.parent, []).append(span)
        for key, span in self.spans.items():
            if span.kind == "work":
                self.spans[key] = self._closed(span, within.get(key, []))

    def _closed(self, span: Span, within: Sequence[Span]) -> Span:
        known = self.state.works.get(span.name)
        visit = int(span.id.rpartition(":")[2])
        is_latest = known is not None and known.visit == visit
        ends = [one.ended_ms for one in within if one.ended_ms is not None]
        ended_ms = max(ends, default=self.ended_ms or self.last_ms)
        if is_latest and known is not None:
            if known.status in OVER:
                return replace(span, ended_ms=ended_ms, status=known.status)
            if self.ended_ms is None:
                return span
            return replace(span, ended_ms=max(ended_ms, self.ended_ms), status="stopped")
        last = max(within, key=lambda one: one.ended_ms or 0, default=None)
        status = "failed" if last is not None and last.status == "failed" else "done"
        return replace(span, ended_ms=ended_ms, status=status)


# Events ------------------------------------------------------------------------------------------


def _any_call(reading: _Reading, line: Line, event: Any) -> None:
    """Whatever says how long a work's agent took is a call of it: finished, failed, or asking."""
    took_ms = getattr(event, "took_ms", None)
    name = getattr(event, "work", "")
    if took_ms is None or not name:
        return
    parent = reading.work(name, getattr(event, "visit", 0), line.at_ms - took_ms)
    error = dict(getattr(event, "error", None) or {})
    agent = dict(getattr(event, "agent", {}))
    began_ms = max(line.at_ms - took_ms, reading.spans[parent].began_ms)
    reading.add(
        Span(
            id=f"event:{line.seq}", parent=parent, kind="agent",
            name=agent.get("name") or str(error.get("who") or name), work=name,
            began_ms=min(began_ms, line.at_ms), ended_ms=line.at_ms,
            status="failed" if error else "done", attempt=getattr(event, "attempt", 1),
            index=getattr(event, "index", 0), agent=agent, error=error, seq=line.seq,
            notes=(*getattr(event, "notes", ()), *getattr(event, "memory_notes", ())),
            command=line.command, **_cost(event),
        )
    )  # fmt: skip


def _validation(reading: _Reading, line: Line, event: Any) -> None:
    error = dict(getattr(event, "error", None) or {})
    reading.add(
        Span(
            id=f"event:{line.seq}", parent=reading.work_of.get(event.proposal, RUN),
            kind="validation", name=event.validator, began_ms=line.at_ms - event.took_ms,
            ended_ms=line.at_ms, status="failed" if error else "done", agent=dict(event.agent),
            error=error, seq=line.seq, command=line.command, about=event.proposal, **_cost(event),
        )
    )  # fmt: skip


def _cost(event: Any) -> dict[str, Any]:
    unpriced = getattr(event, "unpriced", False)
    return {
        "tokens_in": getattr(event, "tokens_in", 0),
        "tokens_out": getattr(event, "tokens_out", 0),
        "money_micros": None if unpriced else getattr(event, "money_micros", 0),
    }


def _asked(reading: _Reading, line: Line, event: ev.PersonAsked) -> None:
    parent = reading.work(event.work, event.visit, line.at_ms)
    reading.add(_human(f"human:{event.item}", parent, "a person is asked", line, event.item))


def _answered(reading: _Reading, line: Line, event: ev.PersonAnswered) -> None:
    """The last of the answers that were wanted: how many there were so far is nobody's business."""
    planned = reading.plan.works.get(event.work)
    reading.approvals[event.item] = reading.approvals.get(event.item, 0) + 1
    if event.verdict != "approve":
        reading.end(f"human:{event.item}", line, "failed")
    elif planned is None or reading.approvals[event.item] >= planned.approvals:
        reading.end(f"human:{event.item}", line, "done")


def _signalled(reading: _Reading, line: Line, event: ev.SignalReceived) -> None:
    reading.end_wait(line, "signal", event.name)


def _heard(reading: _Reading, line: Line, event: ev.MessageReceived) -> None:
    reading.end_wait(line, "subscribe", event.topic, about=event.run)


def _published(reading: _Reading, line: Line, event: ev.Published) -> None:
    waited = "1 run that waited" if event.reached == 1 else f"{event.reached:,} runs that waited"
    reading.add(
        Span(
            id=f"event:{line.seq}", parent=reading.work(event.work, event.visit, line.at_ms),
            kind="message", name=f"to {event.topic}", work=event.work, began_ms=line.at_ms,
            ended_ms=line.at_ms, notes=(f"It reached {waited}.",), seq=line.seq,
            command=line.command,
        )
    )  # fmt: skip


def _time_reached(reading: _Reading, line: Line, event: ev.TimeReached) -> None:
    reading.too_late.append(line)


def _child_started(reading: _Reading, line: Line, event: ev.ChildStarted) -> None:
    parent = reading.work(event.work, event.visit, line.at_ms)
    planned = reading.plan.works.get(event.work)
    name = planned.workflow if planned and planned.workflow else ""
    name = name or _of_member(reading, planned, event.run) or event.run
    reading.add(
        Span(
            id=f"run:{event.run}", parent=parent, kind="run", name=name, work=event.work,
            began_ms=line.at_ms, ended_ms=None, status="running", about=event.run,
        )
    )  # fmt: skip


def _of_member(reading: _Reading, planned: Work | None, run: str) -> str:
    """The workflow of the member that it works for, in whichever round."""
    known = reading.state.works.get(planned.name) if planned else None
    rounds = [one.parts for one in reading.state.rounds] + ([known.parts] if known else [])
    who = next((part.who for parts in rounds for part in parts if part.child == run), "")
    member = planned.members.get(who) if planned else None
    return member.workflow if member else ""


def _child_ended(reading: _Reading, line: Line, event: ev.ChildEnded) -> None:
    status = "done" if event.status == "completed" else "failed"
    reading.end(
        f"run:{event.run}", line, status, error=dict(event.error or {}), **_cost_inside(event)
    )
    reading.end_wait(line, "collect", event.work, status, about=event.run)


def _child_spent(reading: _Reading, line: Line, event: ev.ChildSpent) -> None:
    """It went on for a while after nobody waited for it any more."""
    status = "done" if event.status == "completed" else "stopped"
    reading.end(f"run:{event.run}", line, status, **_cost_inside(event))


def _cost_inside(event: ev.ChildEnded | ev.ChildSpent) -> dict[str, Any]:
    # Early events do not say what had no price, and tokens are never for nothing.
    is_unpriced = event.unpriced or bool(event.tokens and not event.money_micros)
    return {
        "tokens_inside": event.tokens,
        "money_micros": event.money_micros or (None if is_unpriced else 0),
        "is_partly_unpriced": bool(is_unpriced and event.money_micros),
    }


def _received(reading: _Reading, line: Line, event: ev.ProposalReceived) -> None:
    parent = reading.work(event.work, event.visit, line.at_ms)
    reading.work_of[event.proposal] = parent
    reading.add(
        Span(
            id=f"checks:{event.proposal}", parent=parent, kind="guardrail", name=event.action,
            work=event.work, began_ms=line.at_ms, ended_ms=None, status="running",
            about=event.proposal,
        )
    )  # fmt: skip


def _disposed(reading: _Reading, line: Line, event: ev.ProposalDisposed) -> None:
    said = {"block": "failed", "hold": "held", "escalate": "held", "revise": "held"}
    status = said.get(event.disposition, "done")
    key = f"checks:{event.proposal}"
    reading.end(key, line, status, notes=(f"disposition: {event.disposition}",))
    if event.item:
        parent = reading.work_of.get(event.proposal, RUN)
        reading.add(_human(f"human:{event.item}", parent, "in review", line, event.proposal))


def _judged(reading: _Reading, line: Line, event: Any) -> None:
    kept = isinstance(event, ev.ProposalApproved | ev.ProposalSuperseded | ev.RevisionRequested)
    reading.end(f"human:{event.item}", line, "done" if kept else "failed")


def _reopened(reading: _Reading, line: Line, event: Any) -> None:
    parent = reading.work_of.get(event.proposal, RUN)
    key = f"human:{event.item}"
    key = f"{key}:{line.seq}" if key in reading.spans else key
    reading.add(_human(key, parent, "in review again", line, event.proposal))


def _effect_started(reading: _Reading, line: Line, event: ev.EffectStarted) -> None:
    key = f"effect:{event.effect}"
    if key in reading.spans and reading.spans[key].ended_ms is None:
        return
    reading.add(
        Span(
            id=key, parent=reading.work_of.get(event.proposal, RUN), kind="effect",
            name=event.executor, began_ms=line.at_ms, ended_ms=None, status="running",
            about=event.proposal,
        )
    )  # fmt: skip


def _effect_ended(reading: _Reading, line: Line, event: Any) -> None:
    error = dict(getattr(event, "error", None) or {})
    status = "lost" if isinstance(event, ev.EffectLost) else "failed" if error else "done"
    reading.end(f"effect:{event.effect}", line, status, error=error, command=line.command)
    if status == "lost":
        parent = reading.work_of.get(event.proposal, RUN)
        key = f"settle:{event.effect}"
        reading.add(_human(key, parent, "somebody finds out", line, event.proposal))


def _settled(reading: _Reading, line: Line, event: ev.EffectSettled) -> None:
    reading.end(f"settle:{event.effect}", line, "done")


def _rollback_asked(reading: _Reading, line: Line, event: ev.RollbackRequested) -> None:
    reading.add(
        Span(
            id=f"undo:{event.effect}", parent=reading.work_of.get(event.proposal, RUN),
            kind="effect", name="roll back", began_ms=line.at_ms, ended_ms=None,
            status="running", about=event.proposal,
        )
    )  # fmt: skip


def _rolled_back(reading: _Reading, line: Line, event: Any) -> None:
    error = dict(getattr(event, "error", None) or {})
    reading.end(f"undo:{event.effect}", line, "failed" if error else "done", error=error)


def _human(key: str, parent: str, name: str, line: Line, about: str) -> Span:
    return Span(
        id=key, parent=parent, kind="human", name=name, began_ms=line.at_ms, ended_ms=None,
        status="running", about=about,
    )  # fmt: skip


def _wait(parent: str, planned: Work, began_ms: int) -> Span:
    awaited = AWAITED[planned.kind]
    what = planned.signal or planned.topic or f"of {planned.collects}"
    return Span(
        id=f"wait:{parent}", parent=parent, kind="wait", name=f"{awaited} {what}",
        work=planned.name, began_ms=began_ms, ended_ms=None, status="running", awaits=awaited,
    )  # fmt: skip


_HANDLERS: dict[type[ev.Event], Callable[[_Reading, Line, Any], None]] = {
    ev.ValidationFinished: _validation,
    ev.ValidationFailed: _validation,
    ev.PersonAsked: _asked,
    ev.PersonAnswered: _answered,
    ev.SignalReceived: _signalled,
    ev.Published: _published,
    ev.MessageReceived: _heard,
    ev.TimeReached: _time_reached,
    ev.ChildStarted: _child_started,
    ev.ChildEnded: _child_ended,
    ev.ChildSpent: _child_spent,
    ev.ProposalReceived: _received,
    ev.ProposalDisposed: _disposed,
    ev.ProposalApproved: _judged,
    ev.ProposalRejected: _judged,
    ev.ProposalExpired: _judged,
    ev.ProposalSuperseded: _judged,
    ev.RevisionRequested: _judged,
    ev.ProposalReopened: _reopened,
    ev.DecisionUndone: _reopened,
    ev.EffectStarted: _effect_started,
    ev.EffectSucceeded: _effect_ended,
    ev.EffectFailed: _effect_ended,
    ev.EffectLost: _effect_ended,
    ev.EffectSettled: _settled,
    ev.RollbackRequested: _rollback_asked,
    ev.RollbackDone: _rolled_back,
    ev.RollbackFailed: _rolled_back,
}
