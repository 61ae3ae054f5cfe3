"""Acceptance over time: what was accepted as proposed, and what was changed meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.statistics.figures import Outcomes
from orchestrator.report_queries import acceptance as read
from orchestrator.report_queries.acceptance import Acceptance, Marker, Week
from review.presentation.charts.rates import RateChart, rate_chart
from review.presentation.charts.stacks import Part, stack_chart
from review.reports import links, table
from review.reports.filter import Asked
from review.reports.measure import Measure, measure_of
from review.reports.report import Report, Tile, rate_tile
from review.reports.table import Cell, Table

# The name in `Outcomes`, which is also the filter of the list.
PARTS = {
    "automatic": Part("automatic", "Accepted by itself"),
    "by_people": Part("people", "Approved by people"),
    "after_edit": Part("edited", "After an edit"),
    "refused": Part("refused", "Refused"),
    "undecided": Part("open", "Still open"),
}


@dataclass(frozen=True, slots=True)
class Changes:
    """What came into force within one week, under the number that it has in the chart."""

    number: int
    week: Week
    markers: Sequence[Marker]

    def _of(self, kind: str) -> list[Marker]:
        return [one for one in self.markers if one.kind == kind]

    @property
    def rules(self) -> list[Marker]:
        return self._of("rule")

    @property
    def agents(self) -> list[Marker]:
        return self._of("agent")

    @property
    def policies(self) -> list[Marker]:
        return self._of("policy")


def acceptance_report(asked: Asked) -> Report:
    now = read.acceptance(asked.scope)
    before = read.acceptance(asked.before) if asked.before else None
    measure = measure_of(asked, now.amounts)
    weeks = _weeks_table(now, measure)
    changes = _changes(now)
    return Report(
        facts={
            "tiles": _tiles(now, before),
            "chart": _chart(now, before, changes),
            "changes": changes,
            "has_more_markers": now.has_more_markers,
            "compares": before is not None,
            "stack": stack_chart(
                "Proposals a week by what became of them",
                list(PARTS.values()),
                [(_label(week), _values(week, measure)) for week in now.weeks],
                measure.short,
            ),
            "weeks": weeks,
            "scope": asked.scope,
        },
        tables=(weeks,),
        measure=measure,
        ignored=now.ignored,
        is_empty=now.outcomes == Outcomes(),
    )


def _tiles(now: Acceptance, before: Acceptance | None) -> list[Tile]:
    earlier = before.outcomes if before else None
    parts = now.outcomes.parts
    before_parts = earlier.parts if earlier else {}
    scope = now.scope
    return [
        rate_tile(
            "Accepted without an edit",
            now.outcomes.acceptance,
            url=links.proposals(scope, {"ending": "accepted_unchanged"}),
            before=earlier.acceptance if earlier else None,
        ),
        *(
            rate_tile(label, parts[name], url=links.proposals(scope, {"ending": ending}),
                      before=before_parts.get(name))
            for label, name, ending in (
                ("of these by itself", "automatic", "automatic"),
                ("of these by people", "by people", "by_people"),
                ("Accepted after an edit", "after edit", "after_edit"),
            )
        ),
    ]  # fmt: skip


def _chart(now: Acceptance, before: Acceptance | None, changes: Sequence[Changes]) -> RateChart:
    weeks = list(now.weeks)
    return rate_chart(
        "Accepted without an edit, a week",
        [(_label(week), week.outcomes.acceptance) for week in weeks],
        before=[week.outcomes.acceptance for week in before.weeks] if before else (),
        marked=[weeks.index(one.week) for one in changes],
    )


def _changes(now: Acceptance) -> list[Changes]:
    found: list[Changes] = []
    for week in now.weeks:
        inside = [one for one in now.markers if week.first <= one.at.date() <= week.last]
        if inside:
            found.append(Changes(len(found) + 1, week, inside))
    return found


def _label(week: Week) -> str:
    return f"{week.first:%-d %b}"


def _values(week: Week, measure: Measure) -> list[int]:
    found = measure.outcomes(week.outcomes, week.amounts)
    return [getattr(found, name) for name in PARTS]


def _weeks_table(now: Acceptance, measure: Measure) -> Table:
    counted = "value" if measure.in_value else "proposals"
    return Table(
        "weeks",
        "Each week: what was accepted without an edit, and what became of everything",
        (
            table.text_column("Week from", "first_day", "last_day"),
            table.rate_column("Accepted without an edit", "accepted"),
            *(table.number_column(part.label, f"{name}_{counted}") for name, part in PARTS.items()),
        ),
        [_row(week, now, measure) for week in reversed(now.weeks)],
    )


def _row(week: Week, now: Acceptance, measure: Measure) -> tuple[Cell, ...]:
    found = measure.outcomes(week.outcomes, week.amounts)

    def listed(ending: str) -> str:
        return links.proposals(now.scope, {"ending": ending}, first=week.first, last=week.last)

    return (
        table.plain(f"{week.first:%-d %b %Y}", raw=(week.first, week.last)),
        measure.share(
            found.automatic + found.by_people, found.decided, listed("accepted_unchanged")
        ),
        *(measure.cell(getattr(found, name), listed(name)) for name in PARTS),
    )
