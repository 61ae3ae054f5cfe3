"""A score between the two lines of its bands, as positions on a strip of 200 units."""

from typing import NamedTuple

from orchestrator.core.policy.evaluation import Bands

WIDTH = 200
GAP = 1.5


class Part(NamedTuple):
    name: str
    x: float
    width: float


def on_gauge(score: float) -> float:
    return round(min(1.0, max(0.0, score)) * WIDTH, 1)


def gauge_parts(bands: Bands) -> list[Part]:
    low, high = on_gauge(bands.escalate_at_or_below), on_gauge(bands.accept_above)
    return [
        Part("escalate", 0, low),
        Part("revise", low + GAP, max(0.0, high - low - GAP)),
        Part("accept", high + GAP, max(0.0, WIDTH - high - GAP)),
    ]


def gauge_title(bands: Bands, score: float | None) -> str:
    shown = "no score" if score is None else f"score {score}"
    return (
        f"{shown}; accepted above {bands.accept_above}, "
        f"sent to a person at or below {bands.escalate_at_or_below}"
    )
