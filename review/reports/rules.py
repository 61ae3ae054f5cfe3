"""Rules by version: what they stopped, how often people agreed, and what asking them took."""

from orchestrator.core.statistics.intervals import Rate
from orchestrator.report_queries import rules as read
from orchestrator.report_queries.rules import RuleFigures, Rules
from review.presentation.charts.scale import percent
from review.presentation.charts.whiskers import Whisker, rate_whiskers
from review.presentation.chips import EFFECTS, STAGES
from review.reports import links, table
from review.reports.filter import Asked
from review.reports.measure import Measure, measure_of
from review.reports.report import Report, Tile, rate_tile
from review.reports.table import Cell, Column, Table

DRAWN = "Held, then rejected, drawn"


def rules_report(asked: Asked) -> Report:
    now = read.rules(asked.scope)
    before = read.rules(asked.before) if asked.before else None
    measure = measure_of(asked, {code for one in now.versions for code in one.hits.amounts})
    versions = _table(now, measure)
    return Report(
        facts={
            "tiles": _tiles(now, before),
            "versions": versions.without(*_silent(now)),
            "errors": sum(one.errors for one in now.versions),
        },
        tables=(versions,),
        measure=measure,
        ignored=now.ignored,
        is_empty=not now.versions,
    )


def _silent(now: Rules) -> list[str]:
    """Columns that would be empty."""
    return [
        label
        for label, says in {
            DRAWN: any(one.held.precision.shows_share for one in now.versions),
            "Errors": any(one.errors for one in now.versions),
            "In shadow": any(one.shadow_hits for one in now.versions),
        }.items()
        if not says
    ]


def _tiles(now: Rules, before: Rules | None) -> list[Tile]:
    minutes = sum(one.minutes for one in now.versions)
    measured = sum(one.measured for one in now.versions)
    decisions = sum(one.decisions for one in now.versions)
    return [
        rate_tile(
            "Held and then rejected",
            _precision(now),
            before=_precision(before) if before else None,
            more_is="ok",
        ),
        rate_tile(
            "Held needlessly",
            _needless(now),
            before=_needless(before) if before else None,
            more_is="bad",
        ),
        Tile(
            "People's time for it",
            f"{minutes / 60:,.0f} h" if minutes >= 600 else f"{minutes:,.0f} min",
            note=f"{measured:,} of {decisions:,} decisions measured",
        ),
    ]


def _precision(of: Rules) -> Rate:
    """Of all versions; what several rules held counts for each."""
    return Rate(
        sum(one.held.rejected for one in of.versions), sum(one.held.decided for one in of.versions)
    )


def _needless(of: Rules) -> Rate:
    return Rate(
        sum(one.held.approved_unchanged for one in of.versions),
        sum(one.held.decided for one in of.versions),
    )


def _table(now: Rules, measure: Measure) -> Table:
    whiskers = rate_whiskers([one.held.precision for one in now.versions])
    counted = "value" if measure.in_value else "proposals"
    return Table(
        "rules",
        "Rules by version",
        (
            table.text_column("Rule", "rule", "version", "effect", "stage"),
            table.number_column("Objections", f"objections_{counted}", "hit_k", "hit_n"),
            Column(DRAWN, axis=whiskers.axis),
            table.rate_column("Held, then rejected", "precision"),
            table.rate_column("Held needlessly", "needless"),
            table.number_column("Undecided", "undecided"),
            table.number_column("Minutes", "minutes", "decisions", "measured"),
            table.number_column("Errors", "errors"),
            table.number_column("In shadow", "shadow_objections"),
        ),
        [
            _row(one, whisker, now, measure)
            for one, whisker in zip(now.versions, whiskers.rows, strict=True)
        ],
    )


def _row(one: RuleFigures, whisker: Whisker, now: Rules, measure: Measure) -> tuple[Cell, ...]:
    version = links.rule(one.slug, one.number)
    return (
        Cell(
            one.title,
            (one.slug, one.number, one.effect, one.stage),
            version,
            f"{one.slug} v{one.number}, {EFFECTS[one.effect].label}, {STAGES[one.stage].label.lower()}",
            is_said=True,
        ),
        _objections(one, now, measure),
        table.drawn(whisker),
        table.rate(one.held.precision),
        table.rate(one.held.needless),
        table.count(one.held.undecided),
        _minutes(one),
        table.count(one.errors),
        table.count(one.shadow_hits, version),
    )


def _objections(one: RuleFigures, now: Rules, measure: Measure) -> Cell:
    hits, part = measure.of(one.hits), now.hit_rate(one)
    listed = links.proposals(now.scope, {"rule": one.slug, "rule_version": str(one.number)})
    of_all = f"{percent(part.share)} of all" if part.shows_share and part.share is not None else ""
    return Cell(measure.say(hits), (hits, part.k, part.n), listed if hits else "", of_all)


def _minutes(one: RuleFigures) -> Cell:
    raw = (round(one.minutes, 1), one.decisions, one.measured)
    if not one.decisions:
        return Cell("–", raw)
    return Cell(f"{one.minutes:,.0f}", raw, sub=f"{one.minutes / one.decisions:.1f} each")
