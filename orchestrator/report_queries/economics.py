"""Economics: what people's time costs, and what it may have kept from happening."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import LiteralString

from django.conf import settings

from orchestrator.core.statistics import buckets
from orchestrator.report_queries import counted
from orchestrator.report_queries.scope import OF_PROPOSALS, Scope, Tally

KNOWN = OF_PROPOSALS | {"reviewer"}


@dataclass(frozen=True, slots=True)
class Spending:
    """People's time in these days."""

    decisions: int
    # With a measured time; each of the others counts as REVIEW_MINUTES.
    measured: int
    minutes: float
    # None unless REVIEWER_HOUR_MINOR (setting) says what an hour costs; in REVIEWER_CURRENCY.
    cost_minor: int | None
    currency: str


@dataclass(frozen=True, slots=True)
class Prevented:
    """The most that can have been prevented: all that was stopped, as if all of it would have been lost.

    Of proposals of these days. What nobody said yes to in time, or is still open, is not in it.
    """

    rejected: Tally
    blocked: Tally

    @property
    def all(self) -> Tally:
        return self.rejected + self.blocked


@dataclass(frozen=True, slots=True)
class Economics:
    scope: Scope
    spending: Spending
    prevented: Prevented
    # For the staffing forecast: items for people by the day on which they opened, without blind ones;
    # every day of the scope.
    inflow: Mapping[date, int]
    # Minutes that one decision takes: of measured ones where there are any, else REVIEW_MINUTES.
    handling_minutes: float
    ignored: tuple[str, ...]


def economics(scope: Scope) -> Economics:
    decisions, measured, handled_ms = _handled(scope)
    minutes = handled_ms / 60_000 + (decisions - measured) * settings.REVIEW_MINUTES
    an_hour = settings.REVIEWER_HOUR_MINOR
    return Economics(
        scope=scope,
        spending=Spending(
            decisions=decisions,
            measured=measured,
            minutes=minutes,
            cost_minor=round(minutes * an_hour / 60) if an_hour else None,
            currency=settings.REVIEWER_CURRENCY,
        ),
        prevented=_prevented(scope),
        inflow=_inflow(scope),
        handling_minutes=handled_ms / 60_000 / measured if measured else settings.REVIEW_MINUTES,
        ignored=scope.ignored(KNOWN),
    )


def _handled(scope: Scope) -> tuple[int, int, int]:
    alone: LiteralString = "" if scope.reviewer is None else "AND c.reviewer_id = %(reviewer)s"
    ((decisions, measured, handled_ms),) = counted.rows(
        f"""
        SELECT coalesce(sum(c.decisions), 0)::bigint,
               coalesce(sum(c.decisions) FILTER (WHERE c.bucket <> {buckets.NONE}), 0)::bigint,
               coalesce(sum(c.handled_ms), 0)::bigint
          FROM orchestrator_reviewerday c
         WHERE {counted.within(scope)} {alone}
        """,
        counted.values_of(scope, reviewer=scope.reviewer),
    )
    return decisions, measured, handled_ms


def _prevented(scope: Scope) -> Prevented:
    sums = {"rejected": Tally(), "blocked": Tally()}
    for _, status, _, currency, count, amount in counted.ended(replace(scope, rule="")):
        if status in sums:
            sums[status] += Tally(int(count), {currency: int(amount)} if currency else {})
    return Prevented(**sums)


def _inflow(scope: Scope) -> dict[date, int]:
    sums = counted.rows(
        f"""
        SELECT c.day, sum(c.items)::bigint FROM orchestrator_itemday c
         WHERE {counted.within(scope)} AND c.happened = 'opened' AND c.kind <> ALL(%(blind)s)
         GROUP BY c.day
        """,
        counted.values_of(scope, blind=counted.BLIND),
    )
    opened = dict(sums)
    days = (scope.since + timedelta(days=place) for place in range(scope.days))
    return {day: opened.get(day, 0) for day in days}
