"""A rate over time: a line with the band in which the truth lies, and what changed when."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.statistics.intervals import Rate
from review.presentation.charts import paths
from review.presentation.charts.scale import Axis, Tick, middle, percent, share_axis, spread


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened within a slot; several of one slot share a number."""

    number: int
    at: float


@dataclass(frozen=True, slots=True)
class Dot:
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class RateChart:
    title: str
    axis: Axis
    labels: tuple[Tick, ...]
    lines: tuple[str, ...]
    bands: tuple[str, ...]
    dots: tuple[Dot, ...]
    # The same stretch before, as a thin line.
    before: tuple[str, ...]
    marks: tuple[Mark, ...]

    @property
    def is_empty(self) -> bool:
        return not self.dots


def rate_chart(
    what: str,
    slots: Sequence[tuple[str, Rate]],
    *,
    before: Sequence[Rate] = (),
    marked: Sequence[int] = (),
) -> RateChart:
    """`marked` are the slots with a change, in order. Slots with few of anything stay empty."""
    rates = [rate if rate.shows_share else None for _, rate in slots]
    earlier = [rate if rate.shows_share else None for rate in before[: len(slots)]]
    axis = share_axis(_drawn(rates, earlier))
    count = len(slots)
    runs = list(paths.unbroken(rates))
    return RateChart(
        title=_title(what, slots),
        axis=axis,
        labels=spread([label for label, _ in slots]),
        lines=tuple(paths.line(_shares(run, axis, count)) for run in runs if len(run) > 1),
        bands=tuple(_band(run, axis, count) for run in runs),
        dots=tuple(Dot(x, y) for run in runs for x, y in _shares(run, axis, count)),
        before=tuple(
            paths.line(_shares(run, axis, count)) for run in paths.unbroken(earlier) if len(run) > 1
        ),
        marks=tuple(
            Mark(number, middle(slot, count)) for number, slot in enumerate(marked, start=1)
        ),
    )


def _drawn(rates: Sequence[Rate | None], earlier: Sequence[Rate | None]) -> list[float]:
    bounds = [bound for rate in rates if rate for bound in rate.bounds]
    return bounds + [rate.share for rate in earlier if rate and rate.share is not None]


def _shares(run: Sequence[tuple[int, Rate]], axis: Axis, count: int) -> list[paths.Point]:
    return [(middle(place, count), axis.down(rate.share or 0.0)) for place, rate in run]


def _band(run: Sequence[tuple[int, Rate]], axis: Axis, count: int) -> str:
    """Of a single slot as wide as half of it."""
    half = 25 / count if len(run) == 1 else 0.0
    low, high = [], []
    for place, rate in run:
        bottom, top = rate.bounds
        for x in {middle(place, count) - half, middle(place, count) + half}:
            low.append((round(x, 2), axis.down(bottom)))
            high.append((round(x, 2), axis.down(top)))
    return paths.area(sorted(high), sorted(low))


def _title(what: str, slots: Sequence[tuple[str, Rate]]) -> str:
    shown = [(label, rate) for label, rate in slots if rate.shows_share]
    if not shown:
        return f"{what}: too few in each of {len(slots)} to say a share"
    (first, start), (last, end) = shown[0], shown[-1]
    return f"{what}: {percent(start.share or 0.0)} from {first}, {percent(end.share or 0.0)} from {last}"
