"""How much will come for people in the next days, and how many of them it takes.

The method: counts of whole days, each weekday with a mean of its own, on the scale of square roots
(Anscombe's), where counts spread alike however large they are. What the days deviate from their weekday
by is pooled, never taken for less than chance alone brings, and gives the prediction interval of one
more day (Student's t). So it needs no assumption about how much more than chance the days differ. It
does assume that the coming weeks are like the last ones: no forecast knows of a new workflow, or of a
holiday.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from orchestrator.core.statistics.intervals import CONFIDENCE, Bounds
from orchestrator.core.statistics.special import beta_quantile

# Of fewer no weekday was seen twice, and nothing tells a weekday from chance.
DAYS_MIN = 14
# Older ones say more about what was than about what comes.
DAYS_MAX = 56
AHEAD = 14
_WEEK = 7
_ANSCOMBE = 3 / 8
# What the square root of a count spreads by chance alone.
_CHANCE_VARIANCE = 1 / 4


@dataclass(frozen=True, slots=True)
class Handling:
    """How long people took for one item: of so many, on average, and with which deviation."""

    minutes: float
    deviation: float = 0.0
    # 0: nobody measured it, the minutes are assumed.
    items: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """What one day is expected to bring, and between which bounds it will lie 19 times of 20."""

    day: date
    items: float
    items_between: Bounds
    hours: float
    hours_between: Bounds

    def reviewers(self, hours_a_day: float) -> tuple[int, int]:
        """So many for the day as expected, and so many for nearly every such day."""
        if hours_a_day <= 0:
            raise ValueError(f"nobody reviews {hours_a_day} hours a day")
        return math.ceil(self.hours / hours_a_day), math.ceil(self.hours_between[1] / hours_a_day)


@dataclass(frozen=True, slots=True)
class Forecast:
    loads: tuple[Load, ...]
    # Of so many whole days it is made.
    days: int


def forecast(
    first: date,
    counts: Sequence[int],
    handling: Handling,
    ahead: int = AHEAD,
    confidence: float = CONFIDENCE,
) -> Forecast | None:
    """For the days after the last count, one count for each day from the first. None: too few to say.

    Give whole days only. Empty ones before anything came at all are no history.
    """
    begin = next((place for place, count in enumerate(counts) if count), len(counts))
    begin = max(begin, len(counts) - DAYS_MAX)
    known = counts[begin:]
    if len(known) < DAYS_MIN:
        return None
    start = first + timedelta(days=begin)
    pattern = _Pattern(known, confidence)
    loads = (
        _load(start + timedelta(days=place), pattern, place % _WEEK, handling)
        for place in range(len(known), len(known) + ahead)
    )
    return Forecast(tuple(loads), len(known))


class _Pattern:
    """The weekdays, by how many days after the first day they come."""

    def __init__(self, counts: Sequence[int], confidence: float) -> None:
        self.weekdays = [counts[place::_WEEK] for place in range(_WEEK)]
        roots = [[math.sqrt(n + _ANSCOMBE) for n in days] for days in self.weekdays]
        self.means = [math.fsum(of) / len(of) for of in roots]
        freedom = len(counts) - _WEEK
        squares = math.fsum(
            (root - mean) ** 2 for of, mean in zip(roots, self.means, strict=True) for root in of
        )
        self.variance = max(squares / freedom, _CHANCE_VARIANCE)
        self.quantile = t_quantile(confidence, freedom)

    def items(self, weekday: int) -> float:
        days = self.weekdays[weekday]
        return sum(days) / len(days)

    def between(self, weekday: int) -> Bounds:
        """Whole items, the bounds among them."""
        # The day itself deviates, and so does the mean of those it is predicted by.
        spread = math.sqrt(self.variance * (1 + 1 / len(self.weekdays[weekday])))
        root, half = self.means[weekday], self.quantile * spread
        low = max(root - half, 0.0) ** 2 - _ANSCOMBE
        high = (root + half) ** 2 - _ANSCOMBE
        items = self.items(weekday)
        return max(float(math.floor(min(low, items))), 0.0), float(math.ceil(max(high, items)))


def _load(day: date, pattern: _Pattern, weekday: int, handling: Handling) -> Load:
    items, (low, high) = pattern.items(weekday), pattern.between(weekday)
    # How much longer or shorter such a day takes because single items do, and because their mean is
    # itself not exactly known.
    doubt = pattern.quantile * handling.deviation * math.sqrt(_variances(items, handling.items))
    fewer, more = (items - low) * handling.minutes, (high - items) * handling.minutes
    minutes = items * handling.minutes
    return Load(
        day=day,
        items=items,
        items_between=(low, high),
        hours=minutes / 60,
        hours_between=(
            max(0.0, minutes - math.hypot(fewer, doubt)) / 60,
            (minutes + math.hypot(more, doubt)) / 60,
        ),
    )


def _variances(items: float, measured: int) -> float:
    return items + (items * items / measured if measured else 0.0)


def t_quantile(confidence: float, freedom: float) -> float:
    """How many standard errors to each side, when the deviation is estimated as well (Student)."""
    x = beta_quantile(1 - confidence, freedom / 2, 0.5)
    return math.sqrt(freedom * (1 - x) / x)
