"""Whether a model has become less sure than it was: the mean of what it says, before and of late.

A mean can fall by chance, so the difference comes with its interval (Welch), and it can fall by so little
that nobody should be called. Both have to speak: the interval lies below nothing, and the bins of the
scores have moved (`compare_scores`), which a few outliers alone cannot bring about.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.statistics.drift import compare_scores
from orchestrator.core.statistics.forecast import t_quantile
from orchestrator.core.statistics.intervals import CONFIDENCE, SHARES_FROM, Bounds

# A smaller fall is no collapse, however sure it is.
DROP_FROM = 0.05


@dataclass(frozen=True, slots=True)
class Sample:
    """n scores from 0 to 1 by their sums, and how many lie in each bin."""

    n: int
    total: float
    squares: float
    bins: tuple[int, ...] = ()

    @property
    def mean(self) -> float:
        return self.total / self.n if self.n else 0.0

    @property
    def variance(self) -> float:
        if self.n < 2:
            return 0.0
        return max(0.0, self.squares - self.total**2 / self.n) / (self.n - 1)


@dataclass(frozen=True, slots=True)
class ConfidenceDrop:
    before: Sample
    after: Sample

    @property
    def is_known(self) -> bool:
        """Of fewer nothing is said."""
        return min(self.before.n, self.after.n) >= SHARES_FROM

    @property
    def difference(self) -> float:
        return self.after.mean - self.before.mean

    @property
    def bounds(self) -> Bounds:
        room = _room(self.before, self.after)
        return self.difference - room, self.difference + room

    @property
    def has_collapsed(self) -> bool:
        if not self.is_known or self.difference > -DROP_FROM or self.bounds[1] >= 0:
            return False
        return compare_scores(self.before.bins, self.after.bins).has_drifted


def sample(scores: Sequence[float], *, bins: int = 20) -> Sample:
    counts = [0] * bins
    for score in scores:
        counts[min(int(score * bins), bins - 1)] += 1
    return Sample(
        len(scores), math.fsum(scores), math.fsum(one * one for one in scores), tuple(counts)
    )


def _room(one: Sample, other: Sample) -> float:
    """To each side of the difference of two means whose deviations differ."""
    if min(one.n, other.n) < 2:
        return 1.0
    a, b = one.variance / one.n, other.variance / other.n
    if a + b == 0:
        return 0.0
    freedom = (a + b) ** 2 / (a * a / (one.n - 1) + b * b / (other.n - 1))
    return t_quantile(CONFIDENCE, freedom) * math.sqrt(a + b)
