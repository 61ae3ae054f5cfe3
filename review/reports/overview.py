"""From proposed to ran: what came, what the policy made of it, what people made of it, what was done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.core.statistics.intervals import Rate
from orchestrator.report_queries import overview as read
from orchestrator.report_queries.overview import Overview, Stream
from orchestrator.report_queries.scope import Tally, Times
from review.presentation.charts.flow import Step, flow
from review.presentation.charts.trends import TrendChart, trend_chart
from review.reports import links, table
from review.reports.filter import Asked
from review.reports.measure import Measure, measure_of
from review.reports.report import Change, Report, Tile, count_change, rate_tile
from review.reports.table import Table
from review.reports.waits import waits_chart, waits_table

# Each part of a column: its colour and pattern, its words, and what it is of a stream.
DISPOSITIONS = {
    "accept": ("automatic", "Accepted by itself"),
    "escalate": ("escalate", "Score too low"),
    "hold": ("people", "Held by a rule"),
    "revise": ("revise", "Back to the agent"),
    "block": ("blocked", "Blocked"),
}
ENDINGS = {
    "automatic": ("automatic", "Accepted by itself"),
    "by_people": ("people", "Approved by people"),
    "after_edit": ("edited", "Approved after an edit"),
    "rejected": ("refused", "Rejected"),
    "blocked": ("blocked", "Blocked"),
    "expired": ("expired", "Nobody said yes in time"),
    "withdrawn": ("expired", "Withdrawn"),
    "replaced": ("replaced", "Replaced by a revision"),
    "with_agent": ("revise", "Still with the agent"),
    "with_people": ("open", "Still with people"),
}
RAN = {
    "executed": ("automatic", "Done"),
    "rolled_back": ("replaced", "Rolled back"),
    "failed": ("refused", "Failed"),
    "unknown": ("edited", "Outcome unknown"),
    "waiting": ("open", "About to run"),
}
BY = {"agents": ("proposed", "By agents"), "people": ("edited", "By people, as edits")}
WEEK = 7
DAYS_DRAWN_MAX = 62
PEOPLE = frozenset({"hold", "escalate"})


def overview_report(asked: Asked) -> Report:
    now = read.overview(asked.scope)
    before = read.overview(asked.before) if asked.before else None
    measure = measure_of(asked, now.proposed.amounts)
    tables = (_flow_table(now, measure), _traffic_table(now), waits_table(now.wait))
    return Report(
        facts={
            "tiles": _tiles(now, before, measure),
            "flow": flow(_columns(now, measure), measure.say),
            "traffic": _traffic_chart(now),
            "by_week": len(now.traffic) > DAYS_DRAWN_MAX,
            "flow_table": tables[0],
            "traffic_table": tables[1],
            "waits": waits_chart(now.wait),
            "waits_table": tables[2],
        },
        tables=tables,
        measure=measure,
        ignored=now.ignored,
        is_empty=not now.streams,
    )


def _tiles(now: Overview, before: Overview | None, measure: Measure) -> list[Tile]:
    scope = now.scope
    came = Tile(
        "Proposed",
        measure.say(measure.of(now.proposed)),
        links.proposals(scope),
        "by agents, or by people as edits",
        _count_change(now, before, measure),
    )
    by_itself = rate_tile(
        "Accepted by itself",
        _part(now, by_policy),
        url=links.proposals(scope, {"disposition": "accept"}),
        before=_part(before, by_policy) if before else None,
    )
    asked = rate_tile(
        "Put before people",
        _part(now, by_people),
        url=links.proposals(scope, {"disposition": "people"}),
        before=_part(before, by_people) if before else None,
    )
    return [came, by_itself, asked, _wait_tile(now, before), _in_time_tile(now, before)]


def _count_change(now: Overview, before: Overview | None, measure: Measure) -> Change | None:
    if before is None:
        return None
    return count_change(measure.of(now.proposed), measure.of(before.proposed), measure)


def by_policy(one: Stream) -> bool:
    return one.disposition == "accept"


def by_people(one: Stream) -> bool:
    return one.disposition in PEOPLE


def _part(of: Overview, fits: Callable[[Stream], bool]) -> Rate:
    part = sum(one.tally.proposals for one in of.streams if fits(one))
    return Rate(part, of.proposed.proposals)


def _wait_tile(now: Overview, before: Overview | None) -> Tile:
    change = Change(f"before: {_lasting(before.wait)}") if before else None
    note = (
        f"half of {now.wait.n:,}; nine of ten within {table.lasting(now.wait.p90_s).text}"
        if now.wait.n
        else "nobody decided anything"
    )
    return Tile("Waited for a person", _lasting(now.wait), note=note, change=change)


def _lasting(times: Times) -> str:
    return table.lasting(times.median_s).text


def _in_time_tile(now: Overview, before: Overview | None) -> Tile:
    before_rate = before.in_time if before else None
    return rate_tile("Decided in time", now.in_time, before=before_rate, more_is="ok")


# The flow ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Split:
    """A column: by what the streams are told apart in it, which is also the filter of the list."""

    heading: str
    name: str
    parts: Mapping[str, tuple[str, str]]
    of: Callable[[Stream], str]


SPLITS = (
    Split("Proposed", "by", BY, lambda one: "people" if one.edited else "agents"),
    Split("The policy said", "disposition", DISPOSITIONS, lambda one: one.disposition),
    Split("How it ended", "ending", ENDINGS, lambda one: one.ending),
    Split("What was done", "ran", RAN, lambda one: one.ran),
)


def _columns(now: Overview, measure: Measure) -> list[tuple[str, list[Step]]]:
    return [(split.heading, _steps(split, now, measure)) for split in SPLITS]


def _steps(split: Split, now: Overview, measure: Measure) -> list[Step]:
    """What there is none of is left out, so that nobody has to read noughts."""
    sums: dict[str, Tally] = {}
    for stream in now.streams:
        name = split.of(stream)
        sums[name] = sums.get(name, Tally()) + stream.tally
    return [
        Step(kind, label, measure.of(sums[name]), links.proposals(now.scope, {split.name: name}))
        for name, (kind, label) in split.parts.items()
        if name in sums
    ]


def _flow_table(now: Overview, measure: Measure) -> Table:
    rows = []
    for heading, steps in _columns(now, measure):
        whole = round(sum(step.count for step in steps))
        for step in steps:
            part = round(step.count)
            rows.append(
                (
                    table.plain(heading),
                    table.keyed(step.kind, step.label),
                    measure.cell(part, step.url),
                    measure.share(part, whole),
                )
            )
    return Table(
        "flow",
        "From proposed to ran",
        (
            table.text_column("Column", "column"),
            table.text_column("Part", "part"),
            table.number_column("Value" if measure.in_value else "Proposals", "value"),
            table.rate_column("Share of its column", "share"),
        ),
        rows,
    )


# Inflow and outflow -----------------------------------------------------------------------------


def _traffic_chart(now: Overview) -> TrendChart:
    """By weeks where days would be nothing but spikes."""
    days = now.traffic
    wide = WEEK if len(days) > DAYS_DRAWN_MAX else 1
    # The first one may be cut short, so that the last is whole.
    starts = range(len(days) % wide - wide if len(days) % wide else 0, len(days), wide)
    parts = [days[max(0, start) : start + wide] for start in starts]
    return trend_chart(
        f"Put before people a {'week' if wide > 1 else 'day'}, and closed",
        [f"{part[0].day:%-d %b}" for part in parts],
        [sum(one.opened for one in part) for part in parts],
        [sum(one.closed for one in part) for part in parts],
    )


def _traffic_table(now: Overview) -> Table:
    return Table(
        "traffic",
        "What was put before people on each day, and what left them",
        (
            table.text_column("Day (UTC)", "day"),
            table.number_column("Opened", "opened"),
            table.number_column("Decided", "decided"),
            table.number_column("of those late", "late"),
            table.number_column("Expired", "expired"),
            table.number_column("Withdrawn", "withdrawn"),
        ),
        [
            (
                table.plain(f"{one.day:%a %-d %b}", raw=(one.day,)),
                table.count(one.opened),
                table.count(one.decided),
                table.count(one.late),
                table.count(one.expired),
                table.count(one.withdrawn),
            )
            for one in reversed(now.traffic)
        ],
        shown_max=DAYS_DRAWN_MAX,
    )
