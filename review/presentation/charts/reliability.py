"""What scores mean: the share that was right over the score that was stated, beside the line of the honest."""

from dataclasses import dataclass

from orchestrator.core.statistics.calibration import Bin, Reliability
from review.presentation.charts.scale import Axis, between, percent, share_axis


@dataclass(frozen=True, slots=True)
class Place:
    """One bin: a dot with its interval, and how many of all labels it has."""

    x: float
    y: float
    top: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Weight:
    """A bar under the plot: where the labels lie."""

    x: float
    width: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class ReliabilityChart:
    title: str
    axis: Axis
    places: tuple[Place, ...]
    weights: tuple[Weight, ...]


def reliability_chart(of: Reliability) -> ReliabilityChart:
    """Bins with few labels have their bar below alone."""
    axis = share_axis([])
    places = [_place(one, axis) for one in of.bins if one.right.shows_share]
    return ReliabilityChart(_title(of), axis, tuple(places), tuple(_weights(of)))


def _place(one: Bin, axis: Axis) -> Place:
    low, high = one.bounds
    return Place(
        x=axis.at(one.mean_score or 0.0),
        y=axis.down(one.share_right or 0.0),
        top=axis.down(high),
        bottom=axis.down(low),
    )


def _weights(of: Reliability) -> list[Weight]:
    most = max((one.right.n for one in of.bins), default=0)
    found = []
    for one in of.bins:
        if one.right.n:
            height = round(100 * one.right.n / most, 2)
            width = round(100 * (one.up_to - one.above) - 1, 2)
            found.append(Weight(round(100 * one.above + 0.5, 2), width, 100 - height, height))
    return found


def _title(of: Reliability) -> str:
    shown = [one for one in of.bins if one.right.shows_share and one.share_right is not None]
    if not shown:
        return f"Stated confidence and how often it was right: too few of {of.labels} labels in any bin"
    last = shown[-1]
    return (
        f"Of answers with a stated confidence of {between((last.above, last.up_to))}, "
        f"{percent(last.share_right or 0.0)} were right"
    )
