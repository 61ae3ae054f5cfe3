"""The overview: from proposed to ran, how long people were waited for, what came in and what went out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, LiteralString

from orchestrator.core.statistics.figures import Outcomes
from orchestrator.core.statistics.intervals import Rate
from orchestrator.core.statistics.outcomes import RAN, ending
from orchestrator.report_queries import counted
from orchestrator.report_queries.scope import OF_PROPOSALS, Scope, Tally, Times

KNOWN = OF_PROPOSALS | {"rule"}


@dataclass(frozen=True, slots=True)
class Stream:
    """Proposals that went the same way, from left to right through the columns of the flow.

    The first three are as they are stored, so that a list of proposals can be filtered by them.
    """

    # accept, revise, escalate, hold, block.
    disposition: str
    # As `Proposal.status`.
    status: str
    # A person wrote it, in the place of another.
    edited: bool
    # How it ended: see `core/statistics/outcomes.py` (automatic, by_people, after_edit, rejected, blocked,
    # expired, withdrawn, replaced, with_people, with_agent).
    ending: str
    # What became of what was accepted: waiting, executed, failed, unknown, rolled_back. Else empty.
    ran: str
    tally: Tally


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was put before people on one day, and what left them on that day."""

    day: date
    opened: int
    decided: int
    # Of those decided: after their deadline.
    late: int
    expired: int
    withdrawn: int

    @property
    def closed(self) -> int:
        return self.decided + self.expired + self.withdrawn


@dataclass(frozen=True, slots=True)
class Overview:
    scope: Scope
    # Of proposals of these days. Everything proposed is in exactly one stream.
    streams: tuple[Stream, ...]
    outcomes: Outcomes
    # The same in minor units, by currency. Shares of money have no interval: amounts are no draws.
    amounts: dict[str, Outcomes]
    # From the opening of an item until a person decided it, of items decided in these days.
    wait: Times
    # From taking an item until deciding it, where that was measured.
    handling: Times
    # Every day of the scope, also those without anything.
    traffic: tuple[Traffic, ...]
    # Decided before the deadline, of what was decided or expired in these days.
    in_time: Rate
    ignored: tuple[str, ...]

    @property
    def proposed(self) -> Tally:
        return sum((stream.tally for stream in self.streams), Tally())


def overview(scope: Scope) -> Overview:
    """Narrowed by a rule: proposals that this rule did not let pass where it decided. Then no waits."""
    lines = counted.ended(scope)
    found, amounts = counted.outcomes_of(lines)
    traffic = _traffic(scope)
    decided = sum(day.decided for day in traffic)
    late, expired = sum(day.late for day in traffic), sum(day.expired for day in traffic)
    return Overview(
        scope=scope,
        streams=_streams(lines),
        outcomes=found,
        amounts=amounts,
        wait=counted.times_of({} if scope.rule else _waited(scope)),
        handling=counted.times_of({} if scope.rule else _handled(scope)),
        traffic=traffic,
        in_time=Rate(decided - late, decided + expired),
        ignored=scope.ignored(KNOWN),
    )


def _streams(lines: list[tuple[Any, ...]]) -> tuple[Stream, ...]:
    tallies: dict[tuple[str, str, bool], Tally] = {}
    for disposition, status, edited, currency, count, amount in lines:
        key = (disposition, status, edited)
        more = Tally(int(count), {currency: int(amount)} if currency else {})
        tallies[key] = tallies.get(key, Tally()) + more
    return tuple(
        Stream(
            disposition=disposition,
            status=status,
            edited=edited,
            ending=ending(disposition, status, edited=edited),
            ran=RAN.get(status, ""),
            tally=tally,
        )
        for (disposition, status, edited), tally in tallies.items()
    )


def _traffic(scope: Scope) -> tuple[Traffic, ...]:
    if scope.rule:
        return ()
    sums = counted.rows(
        f"""
        SELECT c.day, c.happened, sum(c.items)
          FROM orchestrator_itemday c
         WHERE {counted.within(scope)} AND c.kind <> ALL(%(blind)s)
         GROUP BY c.day, c.happened
        """,
        counted.values_of(scope, blind=counted.BLIND),
    )
    counts = {(day, happened): int(count) for day, happened, count in sums}
    return tuple(_day(counts, scope.since + timedelta(days=place)) for place in range(scope.days))


def _day(counts: Mapping[tuple[date, str], int], day: date) -> Traffic:
    of = {name: counts.get((day, name), 0) for name in _HAPPENED}
    return Traffic(
        day=day,
        opened=of["opened"],
        decided=of["decided"] + of["late"],
        late=of["late"],
        expired=of["expired"],
        withdrawn=of["withdrawn"],
    )


_HAPPENED = ("opened", "decided", "late", "expired", "withdrawn")


def _waited(scope: Scope) -> dict[int, int]:
    return _buckets(
        f"""
        SELECT c.bucket, sum(c.items)
          FROM orchestrator_itemday c
         WHERE {counted.within(scope)} AND c.kind <> ALL(%(blind)s)
           AND c.happened IN ('decided', 'late')
         GROUP BY c.bucket
        """,
        scope,
    )


def _handled(scope: Scope) -> dict[int, int]:
    return _buckets(
        f"""
        SELECT c.bucket, sum(c.decisions)
          FROM orchestrator_reviewerday c
         WHERE {counted.within(scope)} AND c.kind <> ALL(%(blind)s)
         GROUP BY c.bucket
        """,
        scope,
    )


def _buckets(statement: LiteralString, scope: Scope) -> dict[int, int]:
    found = counted.rows(statement, counted.values_of(scope, blind=counted.BLIND))
    return {bucket: int(count) for bucket, count in found}
