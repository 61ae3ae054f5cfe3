"""The weekly report: of one week what the other reports say of it, for whoever reads it by mail."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from orchestrator.core.statistics import forecast as forecasting
from orchestrator.core.statistics.forecast import Forecast, Handling
from orchestrator.report_queries.audits import Audits, audits
from orchestrator.report_queries.economics import Economics, economics
from orchestrator.report_queries.freshness import counted_until
from orchestrator.report_queries.overview import Overview, overview
from orchestrator.report_queries.rules import Rules, rules
from orchestrator.report_queries.scope import Scope

DAYS = 7


@dataclass(frozen=True, slots=True)
class Week:
    """From Monday to Sunday, in UTC."""

    scope: Scope
    audits: Audits
    overview: Overview
    # The same of the week before, for comparison.
    before: Overview
    rules: Rules
    # For the seven days after it; None when there are too few days to say.
    expected: Forecast | None
    # Whatever was committed before this moment is in it.
    counted_until: datetime


def week_over_at(now: datetime, hour: int) -> Scope:
    """The newest week whose report may be written, which is from this hour of the Monday after it."""
    today = (now - timedelta(hours=hour)).date()
    monday = today - timedelta(days=today.weekday())
    return Scope(since=monday - timedelta(days=DAYS), until=monday)


def week(scope: Scope) -> Week | None:
    """None while not everything that happened in it is counted."""
    known: datetime | None = counted_until()
    if known is None or known < scope.ends_at:
        return None
    return Week(
        scope=scope,
        audits=audits(scope),
        overview=overview(scope),
        before=overview(scope.before),
        rules=rules(scope),
        expected=_expected(economics(_lately(scope))),
        counted_until=known,
    )


def _lately(scope: Scope) -> Scope:
    return replace(scope, since=scope.until - timedelta(days=forecasting.DAYS_MAX))


def _expected(lately: Economics) -> Forecast | None:
    days = sorted(lately.inflow.items())
    first: date = days[0][0] if days else lately.scope.since
    handling = Handling(lately.handling_minutes, items=lately.spending.measured)
    return forecasting.forecast(first, [count for _, count in days], handling, ahead=DAYS)
