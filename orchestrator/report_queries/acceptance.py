"""Acceptance over time, and what was changed meanwhile."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, LiteralString

from django.db.models import Min

from orchestrator.core.statistics.figures import Outcomes
from orchestrator.models import AuditEntry, Segment
from orchestrator.report_queries import counted
from orchestrator.report_queries.scope import OF_PROPOSALS, Scope

KNOWN = OF_PROPOSALS | {"rule"}
MARKERS_MAX = 50
_MONDAY: LiteralString = "c.day - extract(isodow FROM c.day)::integer + 1"
# What changes who decides, in the words of the audit log.
_VERBS = ("rule.activated", "rule.retired", "policy.activated", "policy.retired")


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
    # The slug of the rule, the name of the policy, or of the agent.
    name: str
    # The version that came: "v3", or as the agent calls its own; "retired" where one went.
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
    by_week: dict[date, list[tuple[Any, ...]]] = {}
    for monday, *line in counted.ended(scope, by=_MONDAY):
        by_week.setdefault(monday, []).append(tuple(line))
    found, amounts = counted.outcomes_of(line for lines in by_week.values() for line in lines)
    markers = _markers(scope)
    return Acceptance(
        scope=scope,
        weeks=tuple(_week(scope, monday, by_week.get(monday, [])) for monday in _mondays(scope)),
        outcomes=found,
        amounts=amounts,
        markers=tuple(markers[-MARKERS_MAX:]),
        has_more_markers=len(markers) > MARKERS_MAX,
        ignored=scope.ignored(KNOWN),
    )


def _mondays(scope: Scope) -> Iterator[date]:
    monday = scope.since - timedelta(days=scope.since.weekday())
    while monday < scope.until:
        yield monday
        monday += timedelta(days=7)


def _week(scope: Scope, monday: date, lines: list[tuple[Any, ...]]) -> Week:
    found, amounts = counted.outcomes_of(lines)
    return Week(
        first=max(monday, scope.since),
        last=min(monday + timedelta(days=6), scope.until - timedelta(days=1)),
        outcomes=found,
        amounts=amounts,
    )


def _markers(scope: Scope) -> list[Marker]:
    """Oldest first, and one more than are shown where there are more."""
    return sorted([*_changes(scope), *_first_seen(scope)], key=lambda marker: marker.at)


def _changes(scope: Scope) -> Iterator[Marker]:
    entries = AuditEntry.objects.filter(
        verb__in=_VERBS, at__gte=scope.starts_at, at__lt=scope.ends_at
    )
    if scope.rule:
        entries = entries.filter(object_id=f"rule/{scope.rule}")
    for entry in entries.order_by("-pk")[: MARKERS_MAX + 1]:
        kind, _, name = entry.object_id.partition("/")
        number = entry.detail.get("version")
        version = "retired" if entry.verb.endswith("retired") else f"v{number}" if number else ""
        yield Marker(at=entry.at, kind=kind, name=name, version=version)


def _first_seen(scope: Scope) -> Iterator[Marker]:
    """Versions of agents that proposed for the first time."""
    names = {name: getattr(scope, name) for name in OF_PROPOSALS if getattr(scope, name)}
    versions = Segment.objects.filter(**names).values_list("agent", "agent_version")
    first = versions.annotate(at=Min("first_at")).filter(
        at__gte=scope.starts_at, at__lt=scope.ends_at
    )
    for agent, version, at in first.order_by("-at")[: MARKERS_MAX + 1]:
        yield Marker(at=at, kind="agent", name=agent, version=version)
