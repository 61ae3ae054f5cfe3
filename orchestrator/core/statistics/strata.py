"""The error among everything that was accepted, from samples that were not drawn alike.

One in a hundred is examined of most strata, more of small and new ones. Whoever adds up the counts
describes the sample; here every stratum counts by how much was accepted in it. Strata from which equal
shares were drawn may be put together first (`pooled`), which makes every bound tighter.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.core.statistics import intervals, sequences
from orchestrator.core.statistics.intervals import CONFIDENCE, SHARES_FROM, Bounds
from orchestrator.core.statistics.special import (
    crossing,
    incomplete_beta,
    log_beta,
    upper_gamma_quantile,
)

# The logarithm of what one unit of a share may cost in doubt, from next to nothing to next to everything.
_PRICES = (-60.0, 60.0)
_HALVINGS = 32


@dataclass(frozen=True, slots=True)
class Stratum:
    """How many there are, of how many a verdict is in, and how many of those were wrong.

    What was drawn and nobody judged is not examined. If people leave out the difficult ones, no bound
    here holds.
    """

    total: int
    examined: int
    wrong: int

    def __post_init__(self) -> None:
        if not 0 <= self.wrong <= self.examined <= self.total:
            raise ValueError(f"{self.wrong} of {self.examined} of {self.total} is no stratum")


@dataclass(frozen=True, slots=True)
class Weighted:
    """An estimate for everything in strata of which anything was examined."""

    total: int
    examined: int
    wrong: int
    # In strata that nobody looked at: no part of the share, and never taken for right.
    unknown: int
    # None of nothing.
    share: float | None
    # Like Wilson's, with as many as a plain sample would need to be as sure (Kish). For reports.
    bounds: Bounds

    @property
    def shows_share(self) -> bool:
        return self.examined >= SHARES_FROM


def weigh(strata: Sequence[Stratum]) -> Weighted:
    seen = [one for one in strata if one.examined]
    known = sum(one.total for one in seen)
    share = sum(one.total * one.wrong / one.examined for one in seen) / known if seen else None
    return Weighted(
        total=sum(one.total for one in strata),
        examined=sum(one.examined for one in seen),
        wrong=sum(one.wrong for one in seen),
        unknown=sum(one.total for one in strata) - known,
        share=share,
        bounds=(0.0, 1.0) if share is None else _score_bounds(seen, known, share),
    )


def _score_bounds(seen: Sequence[Stratum], known: int, share: float) -> Bounds:
    parts = [(one.total / known, one) for one in seen]
    equally_sure = 1 / sum(weight**2 / one.examined for weight, one in parts)
    # The same by the spread that was found, which says more where the large strata are the worse.
    spread = sum(
        weight**2 * one.wrong * (one.examined - one.wrong) / one.examined**3
        for weight, one in parts
    )
    if spread > 0:
        equally_sure = min(equally_sure, share * (1 - share) / spread)
    return intervals.score_interval(share, equally_sure)


# Bounds with a guarantee -------------------------------------------------------------------------


def at_most(strata: Sequence[Stratum], confidence: float = CONFIDENCE) -> float:
    """The exact bound from above on the error among everything, for one look.

    Of a single stratum it is Clopper and Pearson's. Of several it is the worst that all of them together
    leave possible, by Fisher's way to combine tests: never right less often than it says, whatever the
    strata are like. A stratum that nobody looked at counts as all wrong.
    """
    seen = [one for one in strata if one.examined]
    if len(seen) == 1:
        # Known without a search, which is what nearly all certified thresholds rest on.
        worst = intervals.at_most(seen[0].wrong, seen[0].examined, confidence)
        return worst if len(strata) == 1 else _with_unseen(strata, worst * seen[0].total)
    limit = upper_gamma_quantile(1 - confidence, len(seen)) if seen else 0.0
    return _with_unseen(strata, _worst(seen, _ONE_LOOK, limit))


def watched_bounds(strata: Sequence[Stratum], confidence: float = CONFIDENCE) -> Bounds:
    """The same for every look, from both sides: for what is watched, and acts by itself.

    Strata that nobody looked at count as all wrong above, and as all right below.
    """
    seen = [one for one in strata if one.examined]
    if len(seen) == len(strata) == 1:
        return sequences.watched(seen[0].wrong, seen[0].examined, confidence)
    turned = [Stratum(one.total, one.examined, one.examined - one.wrong) for one in seen]
    limit = -math.log(1 - confidence)
    total = sum(one.total for one in strata)
    wrong, right = _worst(seen, _EVERY_LOOK, limit), _worst(turned, _EVERY_LOOK, limit)
    known = sum(one.total for one in seen)
    return (known - right) / total if total else 0.0, _with_unseen(strata, wrong)


def pooled(drawn: Iterable[tuple[float, Stratum]]) -> list[Stratum]:
    """Strata that the same chance was drawn from are one sample, and become one stratum."""
    found: dict[float, Stratum] = {}
    for chance, one in drawn:
        sum_ = found.get(chance, Stratum(0, 0, 0))
        found[chance] = Stratum(
            sum_.total + one.total, sum_.examined + one.examined, sum_.wrong + one.wrong
        )
    return [found[chance] for chance in sorted(found)]


def _with_unseen(strata: Sequence[Stratum], wrong: float) -> float:
    total = sum(one.total for one in strata)
    unseen = sum(one.total for one in strata if not one.examined)
    return min(1.0, (wrong + unseen) / total) if total else 1.0


class _Doubts(NamedTuple):
    """Grows with a share that is thought possible, ever more steeply. Also: where it is so steep."""

    of: Callable[[Stratum, float], float]
    steep_at: Callable[[Stratum, float], float]


def _surprise(one: Stratum, share: float) -> float:
    """How unlikely so few wrong ones were, if so large a share is: minus the logarithm."""
    chance = _chance_of_so_few(one, share)
    return -math.log(chance) if chance > 0 else math.inf


def _chance_of_so_few(one: Stratum, share: float) -> float:
    if one.wrong == one.examined:
        return 1.0
    return incomplete_beta(one.examined - one.wrong, one.wrong + 1, 1 - share)


def _surprise_steep_at(one: Stratum, slope: float) -> float:
    if one.wrong == one.examined:
        return 1.0
    right = one.examined - one.wrong
    scale = log_beta(one.wrong + 1, right)

    def is_steeper(share: float) -> bool:
        chance = _chance_of_so_few(one, share)
        log_density = one.wrong * math.log(share) + (right - 1) * math.log1p(-share) - scale
        return chance <= 0 or log_density - math.log(chance) > math.log(slope)

    return crossing(is_steeper, 0.0, 1.0, _HALVINGS)


def _winnings(one: Stratum, share: float) -> float:
    return sequences.evidence_against(share, one.wrong, one.examined)


def _winnings_steep_at(one: Stratum, slope: float) -> float:
    """Where (examined * share - wrong) / (share * (1 - share)) is the slope: a quadratic equation."""
    gap = slope - one.examined
    root = math.sqrt(gap * gap + 4 * slope * one.wrong)
    # Of the two ways to write it, the one that does not take equals from equals.
    return (gap + root) / (2 * slope) if gap >= 0 else 2 * one.wrong / (root - gap)


_ONE_LOOK = _Doubts(_surprise, _surprise_steep_at)
_EVERY_LOOK = _Doubts(_winnings, _winnings_steep_at)


def _worst(seen: Sequence[Stratum], doubts: _Doubts, limit: float) -> float:
    """The most that can be wrong while all doubts together stay within the limit.

    Doubt has one price in all strata: each goes on until more doubt costs more than its size is worth.
    At any price the sum below is no less than the worst (weak duality), and near the right price it is
    wrong by the square of the price's error only, so that few halvings are enough.
    """
    if not seen:
        return 0.0

    def shares_at(price: float) -> list[float]:
        return [doubts.steep_at(one, one.total * math.exp(price)) for one in seen]

    def doubt_of(shares: Sequence[float]) -> float:
        return sum(doubts.of(one, share) for one, share in zip(seen, shares, strict=True))

    price = crossing(lambda p: doubt_of(shares_at(p)) > limit, *_PRICES, _HALVINGS)
    shares = shares_at(price)
    wrong = sum(one.total * share for one, share in zip(seen, shares, strict=True))
    return wrong + (limit - doubt_of(shares)) * math.exp(-price)
