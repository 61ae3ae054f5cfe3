"""Two counts over time: what came in as an area, what went out as a line."""

from collections.abc import Sequence
from dataclasses import dataclass

from review.presentation.charts import paths
from review.presentation.charts.scale import Axis, Say, Tick, compact, count_axis, middle, spread


@dataclass(frozen=True, slots=True)
class TrendChart:
    title: str
    axis: Axis
    labels: tuple[Tick, ...]
    area: str
    line: str
    # From where on it is only expected, in hundredths; 100 where nothing is.
    expected_from: float = 100.0
    # Where the expectation is, what it may as well be.
    band: str = ""

    @property
    def is_empty(self) -> bool:
        return not self.area

    @property
    def expected_width(self) -> float:
        return round(100 - self.expected_from, 2)


def trend_chart(
    what: str,
    labels: Sequence[str],
    incoming: Sequence[float],
    outgoing: Sequence[float],
    *,
    say: Say = compact,
) -> TrendChart:
    axis = count_axis(max([*incoming, *outgoing], default=0), say)
    if not labels or not any([*incoming, *outgoing]):
        return TrendChart(f"{what}: nothing yet", axis, (), "", "")
    return TrendChart(
        title=f"{what}: {say(sum(incoming))} came, {say(sum(outgoing))} went",
        axis=axis,
        labels=spread(labels),
        area=_area(incoming, axis, len(labels)),
        line=paths.line(_points(outgoing, axis, len(labels))),
    )


def forecast_chart(
    what: str,
    labels: Sequence[str],
    measured: Sequence[float],
    expected: Sequence[tuple[float, float, float]],
    *,
    say: Say = compact,
) -> TrendChart:
    """What was measured as an area, then what is expected as (low, middle, high)."""
    axis = count_axis(max([*measured, *(high for _, _, high in expected)], default=0), say)
    count = len(labels)
    if not count:
        return TrendChart(f"{what}: nothing yet", axis, (), "", "")
    start = len(measured)
    low, mid, high = (
        [(middle(start + n, count), axis.down(one[part])) for n, one in enumerate(expected)]
        for part in range(3)
    )
    return TrendChart(
        title=f"{what}: {say(sum(measured))} measured, "
        f"{say(sum(one for _, one, _ in expected))} expected",
        axis=axis,
        labels=spread(labels),
        area=_area(measured, axis, count) if measured else "",
        line=paths.line(mid) if len(mid) > 1 else "",
        expected_from=round(100 * start / count, 2),
        band=paths.area(high, low) if len(low) > 1 else "",
    )


def _points(values: Sequence[float], axis: Axis, count: int) -> list[paths.Point]:
    return [(middle(place, count), axis.down(value)) for place, value in enumerate(values)]


def _area(values: Sequence[float], axis: Axis, count: int) -> str:
    top = _points(values, axis, count)
    return paths.area(top, [(top[0][0], 100.0), (top[-1][0], 100.0)])
