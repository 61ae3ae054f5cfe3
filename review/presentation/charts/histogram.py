"""How many of each: bars beside each other, and lines at what is worth naming."""

from collections.abc import Sequence
from dataclasses import dataclass

from review.presentation.charts.scale import Axis, Say, Tick, compact, count_axis, middle, spread

FILL = 0.86


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Histogram:
    title: str
    axis: Axis
    labels: tuple[Tick, ...]
    bars: tuple[Bar, ...]
    lines: tuple[Tick, ...]

    @property
    def is_empty(self) -> bool:
        return not self.bars


def histogram(
    what: str,
    bins: Sequence[tuple[str, float]],
    *,
    lines: Sequence[tuple[float, str]] = (),
    say: Say = compact,
) -> Histogram:
    """`lines` lie at a place counted in bins: 2.5 is the middle of the third."""
    axis = count_axis(max((count for _, count in bins), default=0), say)
    return Histogram(
        title=what,
        axis=axis,
        labels=spread([label for label, _ in bins]),
        bars=tuple(_bar(place, count, len(bins), axis) for place, (_, count) in enumerate(bins) if count),
        lines=tuple(Tick(round(100 * at / len(bins), 2), text) for at, text in lines),
    )  # fmt: skip


def _bar(place: int, count: float, bins: int, axis: Axis) -> Bar:
    width = round(100 / bins * FILL, 2)
    top = axis.down(count)
    return Bar(round(middle(place, bins) - width / 2, 2), top, width, round(100 - top, 2))
