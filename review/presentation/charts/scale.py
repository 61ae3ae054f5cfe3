"""Axes: where a value lies between two ends, and which round values are written beside it."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

# More labels than this would touch each other on a phone.
LABELS_MAX = 6
TICKS = 4
_STEPS = (1, 2, 2.5, 5, 10)
# A share is drawn from 0 to 100 % unless all of it fits into less than this.
CUT_BELOW = 0.5
# Shares that are all alike still get an axis.
SPAN_MIN = 0.02

# A number and its unit stay on one line.
UNIT = "\u00a0%"

type Say = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Tick:
    """`at` in hundredths from the low end, `rest` from the high one."""

    at: float
    text: str

    @property
    def rest(self) -> float:
        return round(100 - self.at, 2)


@dataclass(frozen=True, slots=True)
class Axis:
    low: float
    high: float
    ticks: tuple[Tick, ...]

    @property
    def is_cut(self) -> bool:
        """It does not begin at 0, or a share does not end at 100 %: the chart has to say so."""
        return self.low > 0

    @property
    def ends(self) -> str:
        return f"from {self.ticks[0].text} to {self.ticks[-1].text}"

    def at(self, value: float) -> float:
        """Hundredths from the low end; what lies outside stays on the edge."""
        part = (value - self.low) / (self.high - self.low)
        return round(100 * min(1.0, max(0.0, part)), 2)

    def down(self, value: float) -> float:
        """The same from above, as SVG counts."""
        return round(100 - self.at(value), 2)


def count_axis(most: float, say: Say | None = None) -> Axis:
    """From 0: bars and areas would lie on any other."""
    return _axis(0.0, max(most, 1.0), say or compact, whole=True)


def share_axis(values: Iterable[float]) -> Axis:
    """From 0 to 100 %, or around what there is when that is much less."""
    found = list(values)
    low, high = min(found, default=0.0), max(found, default=1.0)
    if not found or high - low >= CUT_BELOW:
        return _axis(0.0, 1.0, percent)
    low = max(0.0, min(low, high - SPAN_MIN))
    return _axis(low, min(1.0, max(high, low + SPAN_MIN)), percent)


def difference_axis(values: Iterable[float]) -> Axis:
    """As far to the left of 0 as to the right of it."""
    most = max((abs(value) for value in values), default=0.1)
    step = _step(max(most, 0.02) / 2)
    end = min(1.0, step * math.ceil(max(most, 0.02) / step))
    places = (-end, 0.0, end)
    return Axis(-end, end, tuple(Tick(50 + 50 * one / end, points(one)) for one in places))


def _axis(low: float, high: float, say: Say, *, whole: bool = False) -> Axis:
    step = _step((high - low) / TICKS or high / TICKS or 1.0)
    step = max(1.0, step) if whole else step
    first, last = math.floor(round(low / step, 6)), math.ceil(round(high / step, 6))
    last = max(last, first + 1)
    low, high = round(first * step, 9), round(last * step, 9)
    count = last - first
    return Axis(
        low,
        high,
        tuple(Tick(round(100 * n / count, 2), say(low + n * step)) for n in range(count + 1)),
    )


def _step(least: float) -> float:
    """The first round number that is not smaller."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in _STEPS if step * power >= least * 0.999)


def spread(labels: Sequence[str]) -> tuple[Tick, ...]:
    """So many labels of slots that lie beside each other that none touches the next."""
    every = max(1, math.ceil(len(labels) / LABELS_MAX))
    return tuple(
        Tick(middle(place, len(labels)), label)
        for place, label in enumerate(labels)
        if place % every == 0
    )


def middle(place: int, count: int) -> float:
    """Of one of so many slots."""
    return round(100 * (place + 0.5) / count, 2)


# How values are written -------------------------------------------------------------------------


def percent(share: float) -> str:
    return f"{share * 100:.1f}".removesuffix(".0") + UNIT


def between(bounds: tuple[float, float]) -> str:
    """The unit once: 76.7 to 86.8 %."""
    low, high = bounds
    return f"{percent(low).removesuffix(UNIT)} to {percent(high)}"


def points(difference: float) -> str:
    """Percentage points, with their sign."""
    text = f"{abs(difference) * 100:.1f}".removesuffix(".0")
    return f"{'−' if difference < 0 else '+' if difference > 0 else ''}{text}"


def compact(value: float) -> str:
    """3, 450, 1.2k, 3.4M: as long as there is room for beside an axis."""
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:.1f}".removesuffix(".0") + letter
    return f"{value:,.0f}"
