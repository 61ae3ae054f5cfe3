"""Economics: people's time against what it may have kept from happening, and how much of it is coming."""

from dataclasses import replace
from datetime import date, timedelta

from django.conf import settings
from django.template.defaultfilters import pluralize

from orchestrator.core.statistics.forecast import DAYS_MAX, Forecast, Handling, forecast
from orchestrator.report_queries import economics as read
from orchestrator.report_queries.economics import Economics
from orchestrator.report_queries.scope import Scope, Tally
from review.presentation.charts.trends import TrendChart, forecast_chart
from review.presentation.money import money
from review.reports import links, table
from review.reports.filter import Asked
from review.reports.report import Change, Report, Tile, count_change
from review.reports.table import Cell, Table


def economics_report(asked: Asked, *, today: date) -> Report:
    now = read.economics(asked.scope)
    before = read.economics(asked.before) if asked.before else None
    lately = read.economics(_lately(asked.scope, today))
    expected = _expected(lately, today)
    prevented = _prevented_table(now)
    coming = _coming_table(expected)
    return Report(
        facts={
            "tiles": _tiles(now, before),
            "prevented": prevented,
            "chart": _chart(lately, expected),
            "coming": coming,
            "expected": expected,
            "hours_a_day": settings.REVIEWER_HOURS_A_DAY,
            "handling_minutes": lately.handling_minutes,
            "spending": now.spending,
        },
        tables=(prevented, coming),
        ignored=now.ignored,
        is_empty=not now.spending.decisions and not now.prevented.all.proposals,
    )


def _tiles(now: Economics, before: Economics | None) -> list[Tile]:
    spent = now.spending
    change = count_change(spent.minutes / 60, before.spending.minutes / 60) if before else None
    tiles = [
        Tile(
            "People's time",
            f"{spent.minutes / 60:,.1f} h",
            note=f"{spent.decisions:,} decision{pluralize(spent.decisions)}, {spent.measured:,} measured",
            change=change,
        )
    ]
    if spent.cost_minor is not None:
        cost = money(spent.cost_minor, spent.currency)
        tiles.append(Tile("What it cost", cost, note="at the cost of an hour that is set"))
    for currency, minor in sorted(now.prevented.all.amounts.items()):
        tiles.append(
            Tile(
                "Prevented at most",
                money(minor, currency),
                note="all that was rejected or blocked, as if all of it were lost",
                change=_before(before, currency),
            )
        )
    if not now.prevented.all.amounts:
        stopped = now.prevented.all.proposals
        note = "no contract of these actions names an amount"
        tiles.append(Tile("Rejected or blocked", f"{stopped:,}", note=note))
    return tiles


def _before(before: Economics | None, currency: str) -> Change | None:
    if before is None:
        return None
    return Change(f"before: {money(before.prevented.all.amounts.get(currency, 0), currency)}")


def _prevented_table(now: Economics) -> Table:
    scope = now.scope
    lines = (
        ("refused", "Rejected by people", now.prevented.rejected, "rejected"),
        ("blocked", "Blocked by rules", now.prevented.blocked, "blocked"),
    )
    currencies = sorted(now.prevented.all.amounts)
    return Table(
        "prevented",
        "What was stopped, and what it is worth",
        (
            table.text_column("What stopped it", "stopped_by"),
            table.number_column("Proposals", "proposals"),
            *(
                table.number_column(f"Worth in {code}", f"worth_{code.lower()}_minor")
                for code in currencies
            ),
        ),
        [
            (
                table.keyed(kind, label),
                table.count(tally.proposals, links.proposals(scope, {"ending": ending})),
                *(_amount(tally, code) for code in currencies),
            )
            for kind, label, tally, ending in lines
        ],
    )


def _amount(tally: Tally, code: str) -> Cell:
    minor = tally.amounts.get(code, 0)
    return Cell(money(minor, code), (minor,))


# What is coming ---------------------------------------------------------------------------------


def _lately(scope: Scope, today: date) -> Scope:
    """What comes follows from what came of late, whatever days the report is about. Today is not over."""
    return replace(scope, since=today - timedelta(days=DAYS_MAX), until=today)


def _days(lately: Economics) -> list[tuple[date, int]]:
    return sorted(lately.inflow.items())


def _expected(lately: Economics, today: date) -> Forecast | None:
    days = _days(lately)
    first = days[0][0] if days else today
    handling = Handling(lately.handling_minutes, items=lately.spending.measured)
    return forecast(first, [count for _, count in days], handling)


def _chart(lately: Economics, expected: Forecast | None) -> TrendChart:
    days = _days(lately)
    coming = expected.loads if expected else ()
    return forecast_chart(
        "Items for people a day, and those that are expected",
        [f"{day:%-d %b}" for day, _ in days] + [f"{one.day:%-d %b}" for one in coming],
        [count for _, count in days],
        [(one.items_between[0], one.items, one.items_between[1]) for one in coming],
    )


def _coming_table(expected: Forecast | None) -> Table:
    hours = settings.REVIEWER_HOURS_A_DAY
    return Table(
        "forecast",
        "What is expected for people",
        (
            table.text_column("Day (UTC)", "day"),
            table.number_column("Items", "items"),
            table.number_column("19 times of 20", "items_low", "items_high"),
            table.number_column("Hours", "hours"),
            table.number_column("19 times of 20", "hours_low", "hours_high"),
            table.number_column("People", "people"),
            table.number_column("to be safe", "people_safe"),
        ),
        [
            (
                table.plain(f"{one.day:%a %-d %b}", raw=(one.day,)),
                Cell(f"{one.items:,.0f}", (round(one.items, 2),)),
                _between(one.items_between, 0),
                Cell(f"{one.hours:,.1f}", (round(one.hours, 2),)),
                _between(one.hours_between, 1),
                *(table.count(people) for people in one.reviewers(hours)),
            )
            for one in (expected.loads if expected else ())
        ],
    )


def _between(bounds: tuple[float, float], digits: int) -> Cell:
    low, high = bounds
    return Cell(f"{low:,.{digits}f} to {high:,.{digits}f}", (round(low, 2), round(high, 2)))
