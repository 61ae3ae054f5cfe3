"""How sure a share is: k of n, and between which bounds the truth lies.

Wilson for reports, Clopper-Pearson where a guarantee is stated, Bonett and Price for the difference
between two answers about the same things. All of them are sound for small n and for shares near 0 or 1.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95
# Of fewer a share would say more than is known: only the counts are shown.
SHARES_FROM = 30

_TINY = 1e-300
_FRACTION_STEPS_MAX = 100_000
_HALVINGS = 60

type Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rate:
    """k of n, which says more of itself the larger n is."""

    k: int
    n: int

    def __post_init__(self) -> None:
        _check(self.k, self.n)

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
    _check(k, n)
    if n == 0:
        return 0.0, 1.0
    z = _quantile(confidence)
    share, spread = k / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    # At the ends the formula is exact, and only its rounding is not.
    low = 0.0 if k == 0 else max(0.0, middle - half)
    high = 1.0 if k == n else min(1.0, middle + half)
    return low, high


def clopper_pearson(k: int, n: int, confidence: float = CONFIDENCE) -> Bounds:
    """For guarantees: never right less often than it says."""
    _check(k, n)
    tail = (1 - confidence) / 2
    return _exact_low(k, n, tail), _exact_high(k, n, tail)


def at_most(k: int, n: int, confidence: float = CONFIDENCE) -> float:
    """The exact bound from above alone: "k were wrong; at most this share is"."""
    _check(k, n)
    return _exact_high(k, n, 1 - confidence)


def paired_difference(more: int, fewer: int, n: int, confidence: float = CONFIDENCE) -> Bounds:
    """Of n things answered twice `more` turned from no to yes and `fewer` from yes to no.

    The bounds of the difference between the two shares (Bonett and Price 2012).
    """
    if min(more, fewer) < 0 or more + fewer > n:
        raise ValueError(f"{more} and {fewer} of {n} is no pair of counts")
    up, down = (more + 1) / (n + 2), (fewer + 1) / (n + 2)
    difference = up - down
    half = _quantile(confidence) * math.sqrt((up + down - difference**2) / (n + 2))
    return max(-1.0, difference - half), min(1.0, difference + half)


def _check(k: int, n: int) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no share")


def _quantile(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _exact_low(k: int, n: int, tail: float) -> float:
    return 0.0 if k == 0 else _beta_quantile(tail, k, n - k + 1)


def _exact_high(k: int, n: int, tail: float) -> float:
    return 1.0 if k == n else _beta_quantile(1 - tail, k + 1, n - k)


def _beta_quantile(probability: float, a: float, b: float) -> float:
    """Where the beta distribution reaches the probability: halved until a double cannot tell."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if incomplete_beta(a, b, middle) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function, from 0 at x = 0 to 1 at x = 1."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    # The fraction converges quickly on one side of the mean; the other is its mirror image.
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(scale + a * math.log(x) + b * math.log1p(-x))
    return front * _beta_fraction(a, b, x) / a


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Lentz's way through the continued fraction."""
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, _FRACTION_STEPS_MAX):
        before = found
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            found *= c * d
        if abs(found - before) <= abs(found) * 1e-15:
            return found
    raise ArithmeticError(f"the incomplete beta function does not converge at {a}, {b}, {x}")


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
