"""What a run used up of what it may."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from review.presentation.money import at_least, cost
from review.presentation.times import took
from review.run_reads import RunCase


class Gauge(NamedTuple):
    name: str
    used: str
    limit: str
    # In hundredths, for the strip.
    share: float
    tone: str


def gauges(case: RunCase, now: datetime) -> list[Gauge]:
    """Only what has a limit: plans without agents have none."""
    budget, spent = case.plan.budget, case.state.spent
    # Only a machine can come round.
    repeats = budget.repeats if case.plan.places else 0
    lineage = case.started.get("lineage", ())
    rows = (
        ("Steps", spent.steps, budget.steps, _whole),
        ("Agent calls", spent.agent_calls, budget.agent_calls, _whole),
        ("Tokens", spent.tokens, budget.tokens, _whole),
        ("Money", spent.money_micros, budget.money_micros, at_least if spent.unpriced else cost),
        ("Time", _seconds(case, now), budget.wall_s, took),
        ("Depth", len(lineage) + 1, budget.depth, _whole),
        ("Same state again", max(case.state.visits.values(), default=0), repeats, _whole),
    )
    return [_gauge(name, used, limit, say) for name, used, limit, say in rows if limit]


def _gauge(name: str, used: float, limit: int, say: Callable[[float], str]) -> Gauge:
    share = min(1.0, used / limit)
    tone = "bad" if used > limit else "warn" if share >= 0.75 else "quiet"
    return Gauge(name, say(used), say(limit), round(share * 100, 1), tone)


def _whole(number: float) -> str:
    return f"{number:,}"


def _seconds(case: RunCase, now: datetime) -> float:
    return ((case.run.ended_at or now) - case.run.created_at).total_seconds()
