"""Lines and bands as SVG writes them, over runs of values that have no gap."""

from collections.abc import Iterator, Sequence
from itertools import groupby

type Point = tuple[float, float]


def unbroken[Value](values: Sequence[Value | None]) -> Iterator[list[tuple[int, Value]]]:
    """Runs of what is there, each with its place."""
    for is_gap, run in groupby(enumerate(values), key=lambda one: one[1] is None):
        if not is_gap:
            yield [(place, value) for place, value in run if value is not None]


def line(points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def area(above: Sequence[Point], below: Sequence[Point]) -> str:
    return line([*above, *reversed(below)]) + "Z"
