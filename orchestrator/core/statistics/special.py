"""The functions that intervals and tests stand on: beta, gamma and normal, by the standard library alone.

For counts up to a million right to nine digits behind the point; the tests compare each with scipy.
"""

import math
from collections.abc import Callable
from statistics import NormalDist

_TINY = 1e-300
_STIRLING_FROM = 10
_PRECISION = 1e-15
_STEPS_MAX = 100_000
_HALVINGS = 60
# Newton's steps are quick where they work; where they leave the bracket it is halved instead.
_APPROACHES_MAX = 200
# Each of Newton's steps squares the error of the one before; smaller ones would chase rounding.
_CLOSE_ENOUGH = 1e-11


def normal_quantile(confidence: float) -> float:
    """How many standard deviations to each side hold so much of the normal distribution."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


def log_beta(a: float, b: float) -> float:
    """The logarithm of the beta function.

    Of a million the logarithms of gamma are so large that their difference is right to eight digits
    only. So what would cancel is left out of Stirling's series before it is added up.
    """
    a, b = min(a, b), max(a, b)
    both = a + b
    if b < _STIRLING_FROM:
        return math.lgamma(a) + math.lgamma(b) - math.lgamma(both)
    of_b = (b - 0.5) * math.log1p(-a / both) + _stirling_rest(b) - _stirling_rest(both)
    if a < _STIRLING_FROM:
        return math.lgamma(a) - a * math.log(both) + a + of_b
    of_a = a * math.log(a / both) - math.log(a / math.tau) / 2 + _stirling_rest(a)
    return of_a + of_b


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function, from 0 at x = 0 to 1 at x = 1."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(a * math.log(x) + b * math.log1p(-x) - log_beta(a, b))
    # The fraction converges quickly on one side of the mean; the other is its mirror image.
    if x > (a + 1) / (a + b + 2):
        return 1 - front * _beta_fraction(b, a, 1 - x) / b
    return front * _beta_fraction(a, b, x) / a


def beta_quantile(probability: float, a: float, b: float) -> float:
    """Where the beta distribution reaches the probability."""
    if probability <= 0 or probability >= 1:
        return float(probability >= 1)
    low, high, scale = 0.0, 1.0, log_beta(a, b)
    at = _near(probability, a, b)
    for _ in range(_APPROACHES_MAX):
        off = incomplete_beta(a, b, at) - probability
        low, high = (low, at) if off > 0 else (at, high)
        density = math.exp((a - 1) * math.log(at) + (b - 1) * math.log1p(-at) - scale)
        newton = at - off / density if density > _TINY else -1.0
        is_inside = 0 < newton < 1 and low <= newton <= high
        before, at = at, newton if is_inside else (low + high) / 2
        if abs(at - before) <= _CLOSE_ENOUGH * at:
            break
    return at


def _near(probability: float, a: float, b: float) -> float:
    """Where a normal distribution reaches it: near enough to begin with."""
    mean = a / (a + b)
    spread = math.sqrt(mean * (1 - mean) / (a + b + 1))
    at = mean + spread * NormalDist().inv_cdf(probability)
    return at if 0 < at < 1 else mean


def upper_gamma(shape: float, x: float) -> float:
    """The regularised upper incomplete gamma function, from 1 at x = 0 down to 0.

    With half the degrees of freedom and half of x it is the upper tail of chi-square.
    """
    if x <= 0:
        return 1.0
    front = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    if x < shape + 1:
        return 1 - front * _gamma_series(shape, x)
    return front * _gamma_fraction(shape, x)


def upper_gamma_quantile(tail: float, shape: float) -> float:
    """From where on only so much is left."""
    high = shape + 1.0
    while upper_gamma(shape, high) > tail:
        high *= 2
    return crossing(lambda x: upper_gamma(shape, x) < tail, 0.0, high)


def chi_square_tail(statistic: float, degrees: float) -> float:
    """How often chance alone exceeds the statistic."""
    return upper_gamma(degrees / 2, statistic / 2)


def crossing(
    is_beyond: Callable[[float], bool], low: float, high: float, halvings: int = _HALVINGS
) -> float:
    """Where a condition that fails at `low` begins to hold: halved until a double can hardly tell."""
    for _ in range(halvings):
        middle = (low + high) / 2
        low, high = (low, middle) if is_beyond(middle) else (middle, high)
    return (low + high) / 2


def _stirling_rest(x: float) -> float:
    """What Stirling's formula leaves of the logarithm of gamma: to fourteen digits from 10 on."""
    square = 1 / (x * x)
    series = 1 / 1188
    for term in (-1 / 1680, 1 / 1260, -1 / 360, 1 / 12):
        series = term + square * series
    return series / x


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Lentz's way through the continued fraction."""
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, _STEPS_MAX):
        before = found
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            found *= c * d
        if abs(found - before) <= abs(found) * _PRECISION:
            return found
    raise ArithmeticError(f"the incomplete beta function does not converge at {a}, {b}, {x}")


def _gamma_series(shape: float, x: float) -> float:
    term = found = 1 / shape
    for n in range(1, _STEPS_MAX):
        term *= x / (shape + n)
        found += term
        if term <= found * _PRECISION:
            return found
    raise ArithmeticError(f"the incomplete gamma function does not converge at {shape}, {x}")


def _gamma_fraction(shape: float, x: float) -> float:
    b = x + 1 - shape
    c, d = 1 / _TINY, 1 / _away_from_zero(b)
    found = d
    for n in range(1, _STEPS_MAX):
        term, b = -n * (n - shape), b + 2
        d = 1 / _away_from_zero(term * d + b)
        c = _away_from_zero(b + term / c)
        found *= c * d
        if abs(c * d - 1) <= _PRECISION:
            return found
    raise ArithmeticError(f"the incomplete gamma function does not converge at {shape}, {x}")


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
