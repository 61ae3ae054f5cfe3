"""The overview: from proposed to ran, how long people were waited for, what came in and what went out."""

from dataclasses import dataclass
from datetime import date

from orchestrator.core.statistics.figures import Outcomes
from orchestrator.core.statistics.intervals import Rate
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
    # Of those decided: after their deadline had passed.
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
    raise NotImplementedError
