"""From proposed to ran: columns of parts, each as high as its share of everything that was proposed."""

from collections.abc import Sequence
from dataclasses import dataclass

from review.presentation.charts.scale import UNIT, Say, compact


@dataclass(frozen=True, slots=True)
class Step:
    """One part of a column. `url` leads to the list of exactly those."""

    kind: str
    label: str
    count: float
    url: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    step: Step
    y: float
    height: float
    # Of everything in its column.
    share: str
    text: str


@dataclass(frozen=True, slots=True)
class Column:
    heading: str
    total: str
    # Of what the first column holds.
    share: str
    title: str
    segments: tuple[Segment, ...]


def flow(columns: Sequence[tuple[str, Sequence[Step]]], say: Say = compact) -> tuple[Column, ...]:
    """The first step of a column lies at the bottom; what is none is named and not drawn."""
    everything = sum(step.count for step in columns[0][1]) if columns else 0
    return tuple(_column(heading, steps, everything, say) for heading, steps in columns)


def _column(heading: str, steps: Sequence[Step], everything: float, say: Say) -> Column:
    total = sum(step.count for step in steps)
    said = ", ".join(f"{say(step.count)} {step.label.lower()}" for step in steps if step.count)
    segments, below = [], 0.0
    for step in steps:
        height = round(100 * step.count / everything, 2) if everything else 0.0
        below = round(below + height, 2)
        segments.append(
            Segment(step, round(100 - below, 2), height, share(step.count, total), say(step.count))
        )
    return Column(
        heading=heading,
        total=say(total),
        share=share(total, everything),
        title=f"{heading}: {said or 'nothing'}",
        segments=tuple(segments),
    )


def share(count: float, of: float) -> str:
    """`12 %`; `under 1 %` of what is there and rounds to nothing."""
    if not of:
        return ""
    found = 100 * count / of
    if 0 < found < 1:
        return f"under 1{UNIT}"
    return f"{found:.0f}{UNIT}"
