"""Rates under each other, each a dot with its interval, on one axis that all rows share."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.statistics.intervals import Bounds, Rate
from review.presentation.charts.scale import (
    Axis,
    difference_axis,
    percent,
    points,
    share_axis,
)


@dataclass(frozen=True, slots=True)
class Whisker:
    """Hundredths of the axis. Without a dot there is too little to say a share."""

    title: str
    dot: float | None = None
    low: float = 0.0
    high: float = 0.0
    # Of a difference: whether all of the interval lies on one side of 0.
    tone: str = ""

    @property
    def width(self) -> float:
        return round(self.high - self.low, 2)


@dataclass(frozen=True, slots=True)
class WhiskerChart:
    axis: Axis
    rows: tuple[Whisker, ...]
    # Where the share of all of them lies, or 0 of a difference.
    line: float | None


def rate_whiskers(rates: Sequence[Rate], overall: Rate | None = None) -> WhiskerChart:
    shown = [rate for rate in rates if rate.shows_share]
    axis = share_axis([bound for rate in shown for bound in rate.bounds])
    known = overall is not None and overall.shows_share
    return WhiskerChart(
        axis,
        tuple(_of_rate(rate, axis) for rate in rates),
        axis.at(overall.share or 0.0) if known and overall else None,
    )


def _of_rate(rate: Rate, axis: Axis) -> Whisker:
    if not rate.shows_share or rate.share is None:
        return Whisker(f"{rate.k:,} of {rate.n:,}, too few to say a share")
    low, high = rate.bounds
    title = f"{percent(rate.share)}, between {percent(low)} and {percent(high)}"
    return Whisker(title, axis.at(rate.share), axis.at(low), axis.at(high))


def difference_whiskers(
    differences: Sequence[tuple[float, Bounds] | None], *, more_is: str = ""
) -> WhiskerChart:
    """In percentage points. `more_is` says how good it is to lie over 0: ok, bad or neither."""
    known = [one for one in differences if one]
    axis = difference_axis([bound for _, bounds in known for bound in bounds])
    return WhiskerChart(
        axis, tuple(_of_difference(one, axis, more_is) for one in differences), axis.at(0.0)
    )


def _of_difference(one: tuple[float, Bounds] | None, axis: Axis, more_is: str) -> Whisker:
    if one is None:
        return Whisker("too few to compare")
    value, (low, high) = one
    title = f"{points(value)} points, between {points(low)} and {points(high)}"
    return Whisker(title, axis.at(value), axis.at(low), axis.at(high), _tone(low, high, more_is))


def _tone(low: float, high: float, more_is: str) -> str:
    if not more_is or low <= 0 <= high:
        return ""
    other = "bad" if more_is == "ok" else "ok"
    return more_is if low > 0 else other
