"""How many people a proposal takes, and what a change of one rule does to the queue."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.core.policy.panel import ERROR, FAIL
from orchestrator.core.statistics.intervals import SHARES_FROM, Bounds, paired_difference, wilson

# Another rule closes the proposal, so nobody is asked.
BLOCKED = "block"


class Objection(NamedTuple):
    """What another rule said at the time: the tested one is not alone."""

    rule: int
    effect: str
    result: str


def elsewhere(band: str, objections: Sequence[Objection], rule: int) -> str:
    """What would have become of the proposal without this rule: the same order as `evaluation.dispose`."""
    alone = int(band == "escalate")
    others = [one for one in objections if one.rule != rule] if objections else ()
    if not others:
        return str(alone)
    if any(one.effect == BLOCKED and one.result == FAIL for one in others):
        return BLOCKED
    return str(max(alone, *(_people_of(one.effect, one.result) for one in others)))


def people(elsewhere: str, effect: str, result: str) -> int:
    """How many people have to decide, when this rule says so."""
    if elsewhere == BLOCKED or (effect == BLOCKED and result == FAIL):
        return 0
    return max(int(elsewhere), _people_of(effect, result))


def _people_of(effect: str, result: str) -> int:
    if result not in {FAIL, ERROR}:
        return 0
    if effect in {"two_person", BLOCKED}:
        # A blocking rule gets here when it could not be evaluated.
        return 2
    # What cannot be evaluated is held, whatever the effect.
    return int(effect == "hold" or result == ERROR)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number a day, and the bounds within which it lies (95 %)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Load:
    """What people get to decide, of proposals that either version is asked about.

    The share is estimated (Wilson, and Bonett and Price for the change); how many proposals come in a
    day is taken as it was. What could not be evaluated is left out of the shares.
    """

    days: float
    proposals_a_day: float
    compared: int
    before: Estimate
    after: Estimate
    change: Estimate
    hours_before: float
    hours_after: float
    # An error holds: so many more a day, if what could not be evaluated stays like that.
    errors_a_day: float

    @property
    def shows_shares(self) -> bool:
        """Of fewer the counts say all there is to say."""
        return self.compared >= SHARES_FROM


def measure_load(
    pairs: Mapping[tuple[int, int], int],
    *,
    asked: int,
    errors: int,
    days: float,
    review_minutes: float,
) -> Load:
    """`pairs` counts the proposals by the people each took before and after the change."""
    a_day, n = asked / days, sum(pairs.values())
    hours_each = a_day / n * review_minutes / 60 if n else 0.0
    held_before = _count(pairs, lambda before, after: before > 0)
    held_after = _count(pairs, lambda before, after: after > 0)
    more = _count(pairs, lambda before, after: after > 0 and not before)
    fewer = _count(pairs, lambda before, after: before > 0 and not after)
    return Load(
        days=days,
        proposals_a_day=a_day,
        compared=n,
        before=_estimate(held_before, n, wilson(held_before, n), a_day),
        after=_estimate(held_after, n, wilson(held_after, n), a_day),
        change=_estimate(more - fewer, n, paired_difference(more, fewer, n), a_day),
        hours_before=hours_each * sum(before * k for (before, _), k in pairs.items()),
        hours_after=hours_each * sum(after * k for (_, after), k in pairs.items()),
        errors_a_day=errors / days,
    )


def _count(pairs: Mapping[tuple[int, int], int], fits: Callable[[int, int], bool]) -> int:
    return sum(k for (before, after), k in pairs.items() if fits(before, after))


def _estimate(k: int, n: int, bounds: Bounds, a_day: float) -> Estimate:
    low, high = bounds
    return Estimate(k / n * a_day if n else 0.0, low * a_day, high * a_day)
