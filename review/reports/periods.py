"""Which days a report is about. Days are those of UTC, as the counters are kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

# Enough for any report, and little enough to be read in one piece.
DAYS_MAX = 400
DAYS = "days"
CHOICES = {
    "7": "Last 7 days",
    "30": "Last 30 days",
    "90": "Last 90 days",
    "180": "Last 180 days",
    "this_month": "This month",
    "last_month": "Last month",
    DAYS: "From day to day",
}
USUAL = "30"


@dataclass(frozen=True, slots=True)
class Period:
    """Both days are part of it."""

    first: date
    last: date

    def __str__(self) -> str:
        if self.first == self.last:
            return _day(self.last)
        same_year = self.first.year == self.last.year
        return f"{f'{self.first:%-d %b}' if same_year else _day(self.first)} to {_day(self.last)}"


def _day(day: date) -> str:
    return f"{day:%-d %b %Y}"


def period_of(choice: str, today: date) -> Period:
    """Of every choice but DAYS; what is not over yet ends today."""
    if choice == "this_month":
        return Period(today.replace(day=1), today)
    if choice == "last_month":
        last = today.replace(day=1) - timedelta(days=1)
        return Period(last.replace(day=1), last)
    return Period(today - timedelta(days=int(choice) - 1), today)


def problems_of(first: date | None, last: date | None, today: date) -> Mapping[str, str]:
    """By field, why two days are no period."""
    if first is None or last is None:
        both = {"since": first, "until": last}
        return {name: "A day is missing." for name, day in both.items() if not day}
    if first > last:
        return {"until": "This is before the first day."}
    if first > today:
        return {"since": "This day has not come yet."}
    if (last - first).days >= DAYS_MAX:
        return {"since": f"A report is about {DAYS_MAX} days at most."}
    return {}
