"""The parts of a work: which are under way, which wait for their turn, and what became of each.

A part ends once: `done` with an answer, `failed`, or as a gap: `skipped` when it came to nothing, `given_up`
when nobody waits for it any more.
"""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.core import events as ev
from orchestrator.core.codec import Json, canonical, digest
from orchestrator.core.errors import IllegalTransition
from orchestrator.core.handing import part_of
from orchestrator.core.plan import Work
from orchestrator.core.state import OPEN_PARTS, Part, RunState, WorkState

WHY_LENGTH_MAX = 300
GAPS = frozenset({"skipped", "given_up"})
STOPPED = "the cost limit of the run was reached"


def first(state: RunState, work: Work, parts: tuple[Part, ...]) -> tuple[str, tuple[Part, ...]]:
    """As many of them as may be under way at once are begun."""
    parts = fill(state, work, parts)
    return sum_up(parts), parts


def fill(state: RunState, work: Work, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """What waits for its turn is begun while there is room, and given up when no more may be begun."""
    if all(part.status != "queued" for part in parts) or sum_up(parts) == "failed":
        return parts
    if is_stopped(state, work):
        return tuple(_drop(part) if part.status == "queued" else part for part in parts)
    busy = sum(part.status in {"running", "asking"} for part in parts)
    room = (work.at_once or len(parts)) - busy
    waiting = [place for place, part in enumerate(parts) if part.status == "queued"][:room]
    return tuple(
        replace(part, status="running") if place in waiting else part
        for place, part in enumerate(parts)
    )


def is_stopped(state: RunState, work: Work) -> bool:
    """The run has cost so much that nothing new is begun."""
    tokens, money = work.stops_at_tokens, work.stops_at_money_micros
    spent = state.spent
    return bool(tokens and spent.tokens >= tokens) or bool(money and spent.money_micros >= money)


def give_up(parts: tuple[Part, ...], why: str) -> tuple[Part, ...]:
    """Nobody waits any longer. What is under way may still answer; that counts as a cost and no more."""
    return tuple(_give_up(part, why) if part.is_open else part for part in parts)


def _give_up(part: Part, why: str) -> Part:
    if part.status == "queued":
        return replace(_drop(part), why=f"{why}: it was not begun")
    return replace(part, status="given_up", why=why)


def _drop(part: Part) -> Part:
    """It was never asked for, so that no answer can belong to it."""
    return replace(part, status="given_up", attempt=0, why=STOPPED)


def is_given_up(known: WorkState, event: ev.WorkFinished | ev.WorkFailed | ev.WorkAsked) -> bool:
    """Whether this answer is the one that nobody waits for any more. Who waited for asks had given its own."""
    part = known.parts[event.index] if 0 <= event.index < len(known.parts) else None
    if part is None or part.status != "given_up" or not all(ask.seq for ask in part.asks):
        return False
    is_out = (part.attempt, part.turn) == (event.attempt, event.turn)
    return is_out and not part.seq and not part.child


def done(part: Part, seq: int, output: Json) -> Part:
    return replace(part, status="done", seq=seq, said=mark(output) if part.who else "")


def failed(part: Part, status: str, why: str) -> Part:
    return replace(part, status=status, seq=0, why=why[:WHY_LENGTH_MAX] if part.who else "")


def begun(work: Work, known: WorkState, event: ev.ChildStarted) -> Part:
    part = _running(work, known, event)
    if part.child:
        raise IllegalTransition(part.child, "started already", event.kind)
    return replace(part, child=event.run)


def ended(work: Work, known: WorkState, event: ev.ChildEnded, seq: int) -> Part:
    part = _running(work, known, event)
    if not part.child or part.child != event.run:
        raise IllegalTransition(event.run, "not the run that was started", event.kind)
    if event.status == "completed":
        return done(part, seq, event.output)
    reason = str((event.error or {}).get("reason", ""))
    return failed(part, "skipped", f"its run {event.status}: {reason}".rstrip(": "))


def _running(work: Work, known: WorkState, event: ev.ChildStarted | ev.ChildEnded) -> Part:
    part = known.parts[event.index] if 0 <= event.index < len(known.parts) else None
    if part is None or part.status != "running" or not work.members[part.who].workflow:
        raise IllegalTransition(f"{work.name}[{event.index}]", "waiting for no run", event.kind)
    return part


def calls(work: Work, before: Sequence[Part], after: Sequence[Part]) -> int:
    """How many calls of agents were begun from one to the other."""
    return sum(
        part.status == "running"
        and not (part.who and work.members[part.who].workflow)
        and is_begun(before, place, part)
        for place, part in enumerate(after)
    )


def is_begun(before: Sequence[Part], place: int, part: Part) -> bool:
    """Whether it was not under way before, or at another attempt or turn."""
    if place >= len(before):
        return True
    was = before[place]
    return (was.status, was.attempt, was.turn) != (part.status, part.attempt, part.turn)


def sum_up(parts: Sequence[Part]) -> str:
    """Of the parts together: one failure fails all, and what was skipped leaves a gap."""
    found = {part.status for part in parts}
    if "failed" in found:
        return "failed"
    if found & OPEN_PARTS:
        return "running"
    return "done" if "done" in found else "skipped"


def task_at(plan: int, place: int) -> dict[str, Json]:
    """Where a supervisor's answer says what is to be done."""
    return part_of(plan, f"/tasks/{place}/task")


def mark(value: Json) -> str:
    """Equal for equal values."""
    return digest(canonical(value))[7:23]
