"""Columns of parts on top of each other, each column one stretch of time."""

from collections.abc import Sequence
from dataclasses import dataclass

from review.presentation.charts.scale import Axis, Say, Tick, compact, count_axis, middle, spread

# Of the width that each column has.
FILL = 0.72


@dataclass(frozen=True, slots=True)
class Part:
    """`kind` is its colour and pattern."""

    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class Box:
    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class StackChart:
    title: str
    axis: Axis
    labels: tuple[Tick, ...]
    boxes: tuple[Box, ...]
    parts: tuple[Part, ...]

    @property
    def is_empty(self) -> bool:
        return not self.boxes


def stack_chart(
    what: str,
    parts: Sequence[Part],
    columns: Sequence[tuple[str, Sequence[float]]],
    say: Say = compact,
) -> StackChart:
    """The first part lies at the bottom."""
    axis = count_axis(max((sum(values) for _, values in columns), default=0), say)
    boxes: list[Box] = []
    for place, (_, values) in enumerate(columns):
        boxes += _boxes(parts, values, place, len(columns), axis)
    totals = [sum(values[n] for _, values in columns) for n in range(len(parts))]
    said = ", ".join(
        f"{say(total)} {part.label.lower()}" for part, total in zip(parts, totals, strict=True)
    )
    return StackChart(
        title=f"{what}: in all {said}",
        axis=axis,
        labels=spread([label for label, _ in columns]),
        boxes=tuple(boxes),
        parts=tuple(parts),
    )


def _boxes(
    parts: Sequence[Part], values: Sequence[float], place: int, count: int, axis: Axis
) -> list[Box]:
    width = round(100 / count * FILL, 2)
    left = round(middle(place, count) - width / 2, 2)
    boxes, below = [], 0.0
    for part, value in zip(parts, values, strict=True):
        if value > 0:
            top, bottom = axis.down(below + value), axis.down(below)
            boxes.append(Box(part.kind, left, top, width, round(bottom - top, 2)))
        below += value
    return boxes
