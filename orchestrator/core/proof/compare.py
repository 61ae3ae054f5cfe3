"""Events beside the checkpoints that vouch for them, both in the order of the events' ids."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestrator.core.proof.findings import Finding, Findings, Wrong
from orchestrator.core.proof.statement import DIGITS, Statement, root_of

# Longer than any transaction: what two that overlap write is not suspected.
CLOCK_SLACK = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Seen:
    """An event as it is stored now."""

    id: int
    run: str
    seq: int
    kind: str
    at: datetime
    hash: str


@dataclass(slots=True)
class Compared:
    vouched_up_to: int = 0
    newer: int = 0
    newer_since: datetime | None = None


class Lookahead:
    """Events, taken as far as an id goes."""

    def __init__(self, events: Iterable[Seen]) -> None:
        self._events = iter(events)
        self._next = next(self._events, None)

    def take(self, up_to: float = float("inf")) -> Iterator[Seen]:
        while self._next is not None and self._next.id <= up_to:
            yield self._next
            self._next = next(self._events, None)


@dataclass(slots=True)
class Clock:
    """Ids and times go up together, but for transactions that overlap."""

    findings: Findings
    newest: datetime | None = None

    def look(self, event: Seen, not_after: datetime) -> None:
        ahead = event.at > not_after + CLOCK_SLACK
        behind = self.newest is not None and event.at < self.newest - CLOCK_SLACK
        if ahead or behind:
            self.findings.add(Finding(event.run, event.seq, Wrong.TIME_MOVED, event.kind))
        else:
            self.newest = max(event.at, self.newest or event.at)


def compare(
    events: Iterable[Seen],
    statements: Iterable[Statement],
    findings: Findings,
    *,
    now: datetime,
    only: frozenset[str] | None = None,
) -> Compared:
    """All that a checkpoint vouches for is there, and nothing else in its range."""
    result, clock, rows = Compared(), Clock(findings), Lookahead(events)
    for statement in statements:
        if statement.after_event > result.vouched_up_to:
            # The checkpoint before it is not to be believed, so nobody knows what was in its range.
            for event in rows.take(statement.after_event):
                clock.look(event, now)
        covered = list(rows.take(statement.up_to_event))
        for event in covered:
            clock.look(event, datetime.fromisoformat(statement.at))
        compare_range(covered, statement, findings, only)
        result.vouched_up_to = statement.up_to_event
    for event in rows.take():
        clock.look(event, now)
        result.newer += 1
        result.newer_since = min(event.at, result.newer_since or event.at)
    return result


def compare_range(
    covered: list[Seen], statement: Statement, findings: Findings, only: frozenset[str] | None
) -> None:
    found = [*_differences(covered, statement, only)]
    for finding in found:
        findings.add(finding)
    # Only all events together give the root.
    if not found and only is None and not has_root(covered, statement):
        findings.doubt(
            f"checkpoint {statement.number} covers events that were put in another order"
        )


def has_root(covered: list[Seen], statement: Statement) -> bool:
    return root_of(event.hash for event in covered) == statement.root


def is_vouched(event: Seen, digits: str) -> bool:
    return event.hash[:DIGITS] == digits


def _differences(
    covered: list[Seen], statement: Statement, only: frozenset[str] | None
) -> Iterator[Finding]:
    known = {(run, seq): digits for run, seq, digits in statement.vouched(only)}
    for event in covered:
        digits = known.pop((event.run, event.seq), None)
        if digits is None:
            yield Finding(event.run, event.seq, Wrong.NOT_BY_US, event.kind)
        elif not is_vouched(event, digits):
            number = statement.number
            yield Finding(event.run, event.seq, Wrong.REPLACED, event.kind, number)
    for run, seq in known:
        yield Finding(run, seq, Wrong.MISSING, checkpoint=statement.number)
