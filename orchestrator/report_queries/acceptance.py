"""Acceptance over time, and what was changed meanwhile."""

from dataclasses import dataclass
from datetime import date, datetime

from orchestrator.core.statistics.figures import Outcomes
from orchestrator.report_queries.scope import OF_PROPOSALS, Scope

KNOWN = OF_PROPOSALS | {"rule"}


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days from a Monday; the first and the last one of a scope may be cut."""

    first: date
    # Included.
    last: date
    outcomes: Outcomes
    # By currency, in minor units.
    amounts: dict[str, Outcomes]


@dataclass(frozen=True, slots=True)
class Marker:
    """Something that may have moved the line: where to draw a vertical one."""

    at: datetime
    # rule, policy or agent.
    kind: str
    # The slug of the rule, "bands", or the name of the agent.
    name: str
    # The version that came: "v3", or as the agent calls its own.
    version: str


@dataclass(frozen=True, slots=True)
class Acceptance:
    scope: Scope
    # Every week of the scope, also those without anything.
    weeks: tuple[Week, ...]
    outcomes: Outcomes
    amounts: dict[str, Outcomes]
    # Oldest first, at most MARKERS_MAX, the newest of them.
    markers: tuple[Marker, ...]
    # There were more.
    has_more_markers: bool
    ignored: tuple[str, ...]


def acceptance(scope: Scope) -> Acceptance:
    raise NotImplementedError
