"""How sure a share is: k of n, and between which bounds the truth lies.

Wilson for reports, Clopper-Pearson where a guarantee is stated, Newcombe for the difference between two
groups, Bonett and Price for the difference between two answers about the same things. All of them are
sound for small n and for shares near 0 or 1, and for one look: what is looked at again and again until
it pleases needs `sequences`.
"""

import math
from dataclasses import dataclass

from orchestrator.core.statistics.special import beta_quantile, normal_quantile

CONFIDENCE = 0.95
# Of fewer a share would say more than is known: only the counts are shown.
SHARES_FROM = 30

type Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rate:
    """k of n, which says more of itself the larger n is."""

    k: int
    n: int

    def __post_init__(self) -> None:
        check_counts(self.k, self.n)

    @property
    def share(self) -> float | None:
        """None of nothing."""
        return self.k / self.n if self.n else None

    @property
    def bounds(self) -> Bounds:
        return wilson(self.k, self.n)

    @property
    def shows_share(self) -> bool:
        return self.n >= SHARES_FROM

    def __str__(self) -> str:
        counts = f"{self.k:,} of {self.n:,}"
        if not self.shows_share:
            return counts
        low, high = self.bounds
        return f"{counts} ({self.k / self.n * 100:.1f} %, {low * 100:.1f} to {high * 100:.1f} %)"


def rate(k: int, n: int) -> Rate:
    return Rate(k, n)


def wilson(k: int, n: int, confidence: float = CONFIDENCE) -> Bounds:
    """For reports: right about as often as it says, on average over all true shares."""
    check_counts(k, n)
    return score_interval(k / n, n, confidence) if n else (0.0, 1.0)


def score_interval(share: float, n: float, confidence: float = CONFIDENCE) -> Bounds:
    """Wilson's, of a share that need not be a count over a count: weighted ones have an effective n."""
    z = normal_quantile(confidence)
    spread = z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    # At the ends the formula is exact, and only its rounding is not.
    low = 0.0 if share <= 0 else max(0.0, middle - half)
    high = 1.0 if share >= 1 else min(1.0, middle + half)
    return low, high


def clopper_pearson(k: int, n: int, confidence: float = CONFIDENCE) -> Bounds:
    """For guarantees: never right less often than it says."""
    check_counts(k, n)
    tail = (1 - confidence) / 2
    return _exact_low(k, n, tail), _exact_high(k, n, tail)


def at_most(k: int, n: int, confidence: float = CONFIDENCE) -> float:
    """The exact bound from above alone: "k were wrong; at most this share is"."""
    check_counts(k, n)
    return _exact_high(k, n, 1 - confidence)


def difference(
    k: int, n: int, other_k: int, other_n: int, confidence: float = CONFIDENCE
) -> Bounds:
    """Between two shares of different things, such as two agent versions (Newcombe 1998, method 10)."""
    check_counts(k, n)
    check_counts(other_k, other_n)
    if not n or not other_n:
        return -1.0, 1.0
    share, other = k / n, other_k / other_n
    low, high = wilson(k, n, confidence)
    other_low, other_high = wilson(other_k, other_n, confidence)
    down = math.hypot(share - low, other_high - other)
    up = math.hypot(high - share, other - other_low)
    return share - other - down, share - other + up


def paired_difference(more: int, fewer: int, n: int, confidence: float = CONFIDENCE) -> Bounds:
    """Of n things answered twice `more` turned from no to yes and `fewer` from yes to no.

    The bounds of the difference between the two shares (Bonett and Price 2012).
    """
    if min(more, fewer) < 0 or more + fewer > n:
        raise ValueError(f"{more} and {fewer} of {n} is no pair of counts")
    up, down = (more + 1) / (n + 2), (fewer + 1) / (n + 2)
    change = up - down
    half = normal_quantile(confidence) * math.sqrt((up + down - change**2) / (n + 2))
    return max(-1.0, change - half), min(1.0, change + half)


def check_counts(k: int, n: int) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no share")


def _exact_low(k: int, n: int, tail: float) -> float:
    return 0.0 if k == 0 else beta_quantile(tail, k, n - k + 1)


def _exact_high(k: int, n: int, tail: float) -> float:
    return 1.0 if k == n else beta_quantile(1 - tail, k + 1, n - k)
