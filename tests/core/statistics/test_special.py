"""Against scipy, for counts from one to a million."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.statistics import special

SHAPES = [0.5, 1, 1.5, 2, 7, 30, 59.5, 300, 2_500, 40_000, 1_000_000]
SHARES = [1e-9, 1e-4, 0.005, 0.025, 0.31, 0.5, 0.77, 0.95, 0.995, 1 - 1e-7]


def places(a: float, b: float) -> Iterator[float]:
    """Where something happens: around the mean, and far from it."""
    mean = a / (a + b)
    spread = (mean * (1 - mean) / (a + b + 1)) ** 0.5
    for steps in (-6, -2, -0.5, 0, 0.5, 2, 6):
        if 0 < mean + steps * spread < 1:
            yield mean + steps * spread
    yield from (1e-12, 0.3, 1 - 1e-12)


def test_beta_is_that_of_scipy(scipy_special: Any) -> None:
    for a in SHAPES:
        for b in SHAPES:
            for x in places(a, b):
                assert special.incomplete_beta(a, b, x) == pytest.approx(
                    scipy_special.betainc(a, b, x), abs=1e-9
                )
            assert special.log_beta(a, b) == pytest.approx(scipy_special.betaln(a, b), rel=1e-9)


def test_its_inverse_is_that_of_scipy(scipy_special: Any) -> None:
    for a in SHAPES:
        for b in SHAPES:
            for share in SHARES:
                expected = scipy_special.betaincinv(a, b, share)
                assert special.beta_quantile(share, a, b) == pytest.approx(expected, abs=1e-9)


def test_gamma_is_that_of_scipy(scipy_special: Any) -> None:
    for shape in SHAPES:
        for part in (0.01, 0.5, 0.9, 1, 1.1, 1.5, 3):
            expected = scipy_special.gammaincc(shape, part * shape)
            assert special.upper_gamma(shape, part * shape) == pytest.approx(expected, abs=1e-9)
    for shape in SHAPES[:8]:
        for tail in SHARES[2:]:
            expected = scipy_special.gammainccinv(shape, tail)
            assert special.upper_gamma_quantile(tail, shape) == pytest.approx(
                expected, abs=1e-9, rel=1e-9
            )


def test_chi_square_and_normal_are_those_of_scipy(scipy_stats: Any) -> None:
    for degrees in (1, 2, 9, 99):
        for statistic in (0, 0.5, 3.84, 16.9, 148.23):
            expected = scipy_stats.chi2.sf(statistic, degrees)
            assert special.chi_square_tail(statistic, degrees) == pytest.approx(expected, abs=1e-12)
    for confidence in (0.5, 0.9, 0.95, 0.999):
        expected = scipy_stats.norm.ppf((1 + confidence) / 2)
        assert special.normal_quantile(confidence) == pytest.approx(expected, abs=1e-12)


@given(st.floats(0.1, 500), st.floats(0.1, 500), st.integers(0, 1_024))
def test_the_incomplete_beta_function_and_its_mirror(a: float, b: float, part: int) -> None:
    x = part / 1_024
    both = special.incomplete_beta(a, b, x) + special.incomplete_beta(b, a, 1 - x)
    assert both == pytest.approx(1, abs=1e-8)


@given(st.integers(1, 50), st.integers(1, 50))
def test_it_grows_from_nothing_to_one(a: int, b: int) -> None:
    values = [special.incomplete_beta(a, b, x / 20) for x in range(21)]
    assert values[0] == 0
    assert values[-1] == 1
    assert all(left <= right + 1e-12 for left, right in pairwise(values))


@given(st.floats(1, 1e5), st.floats(1, 1e5), st.floats(1e-6, 1 - 1e-6))
def test_there_and_back(a: float, b: float, share: float) -> None:
    """For shapes from 1 on, which are those of counts: below it, doubles near 1 lie too far apart."""
    at = special.beta_quantile(share, a, b)
    assert 0 < at < 1
    assert special.incomplete_beta(a, b, at) == pytest.approx(share, abs=1e-8)


def test_the_ends() -> None:
    assert special.beta_quantile(0, 3, 4) == 0
    assert special.beta_quantile(1, 3, 4) == 1
    assert special.upper_gamma(3, 0) == 1
    assert special.crossing(lambda x: x > 0.3, 0, 1) == pytest.approx(0.3, abs=1e-15)


def test_rather_an_error_than_a_wrong_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(special, "_STEPS_MAX", 2)
    for asked in (
        lambda: special.incomplete_beta(300, 200, 0.6),
        lambda: special.upper_gamma(300, 290),
        lambda: special.upper_gamma(300, 310),
    ):
        with pytest.raises(ArithmeticError, match="does not converge"):
            asked()
