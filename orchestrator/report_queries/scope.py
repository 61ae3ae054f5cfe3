"""Of what a report tells: which days, and whose proposals. And the small figures that all reports use."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, time, timedelta

# By currency (ISO 4217), in its minor unit. Amounts of different currencies are never added up.
type Amounts = Mapping[str, int]

# What each report can be narrowed by; the rest of a scope it does not know, and has to say so.
OF_PROPOSALS = frozenset({"agent", "agent_version", "model", "action", "tier", "workflow"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Days in UTC, the last one not included, and what is counted in them; what is empty does not narrow.

    A proposal belongs to the day on which it came, whatever became of it later. What people did belongs
    to the day on which they did it.
    """

    since: date
    until: date
    agent: str = ""
    agent_version: str = ""
    model: str = ""
    action: str = ""
    # low, normal or high.
    tier: str = ""
    # The slugs of a workflow and of a rule.
    workflow: str = ""
    rule: str = ""
    # The id of a person.
    reviewer: int | None = None

    def __post_init__(self) -> None:
        if self.since >= self.until:
            raise ValueError(f"no day lies from {self.since} to before {self.until}")

    @property
    def days(self) -> int:
        return (self.until - self.since).days

    @property
    def before(self) -> "Scope":
        """The same number of days before it: what a report is compared with."""
        return replace(self, since=self.since - timedelta(days=self.days), until=self.since)

    @property
    def starts_at(self) -> datetime:
        return start_of(self.since)

    @property
    def ends_at(self) -> datetime:
        return start_of(self.until)

    def ignored(self, known: frozenset[str]) -> tuple[str, ...]:
        """What narrows this scope, and means nothing to a report that knows only these."""
        given = (one.name for one in fields(self) if one.name not in {"since", "until"})
        return tuple(name for name in given if getattr(self, name) and name not in known)


def start_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


@dataclass(frozen=True, slots=True)
class Tally:
    """So many proposals, and what they are worth where the contract of their action names an amount."""

    proposals: int = 0
    amounts: Amounts = field(default_factory=dict)

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.proposals + other.proposals, add(self.amounts, other.amounts))


def add(one: Amounts, other: Amounts) -> dict[str, int]:
    return {code: one.get(code, 0) + other.get(code, 0) for code in sorted({*one, *other})}


@dataclass(frozen=True, slots=True)
class Times:
    """How long something took. Known to within a tenth, because only counters of buckets are kept."""

    n: int = 0
    # None of nothing.
    median_s: float | None = None
    # What nine of ten stayed under.
    p90_s: float | None = None
    # By bucket: see core/statistics/buckets.py.
    counts: Mapping[int, int] = field(default_factory=dict)
