"""Economics: what people's time costs, and what it may have kept from happening."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

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
    raise NotImplementedError
