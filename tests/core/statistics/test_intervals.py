"""Against published values, and what has to be true of any interval."""

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.statistics.intervals import (
    at_most,
    clopper_pearson,
    difference,
    paired_difference,
    rate,
    wilson,
)

counts = st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))

# Newcombe, Statistics in Medicine 17 (1998), table I: k, n, Wilson, Clopper-Pearson.
NEWCOMBE = [
    (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
    (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
    (0, 20, (0.0000, 0.1611), (0.0000, 0.1684)),
    (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
]


@pytest.mark.parametrize(("k", "n", "score", "exact"), NEWCOMBE)
def test_published_intervals(
    k: int, n: int, score: tuple[float, float], exact: tuple[float, float]
) -> None:
    assert wilson(k, n) == pytest.approx(score, abs=0.00005)
    assert clopper_pearson(k, n) == pytest.approx(exact, abs=0.00005)


@pytest.mark.parametrize(
    ("k", "n", "percent"),
    [(0, 30, 9.50), (0, 100, 2.95), (0, 300, 0.99), (1, 300, 1.57), (0, 1_000, 0.30)],
)
def test_how_wrong_it_can_be_when_so_few_were_wrong(k: int, n: int, percent: float) -> None:
    assert at_most(k, n) * 100 == pytest.approx(percent, abs=0.005)


@given(st.integers(1, 100_000))
def test_none_wrong_has_a_closed_form(n: int) -> None:
    assert at_most(0, n) == pytest.approx(1 - 0.05 ** (1 / n), rel=1e-9)


@given(counts)
def test_intervals_hold_the_share_and_stay_within_bounds(count: tuple[int, int]) -> None:
    k, n = count
    for low, high in (wilson(k, n), clopper_pearson(k, n)):
        assert 0 <= low <= k / n <= high <= 1
        assert low < high


@given(counts)
def test_the_other_side_of_the_coin(count: tuple[int, int]) -> None:
    k, n = count
    for interval in (wilson, clopper_pearson):
        low, high = interval(k, n)
        mirrored = interval(n - k, n)
        assert (1 - high, 1 - low) == pytest.approx(mirrored, abs=1e-9)


@given(counts)
def test_the_exact_bounds_are_where_a_tail_is_left(count: tuple[int, int]) -> None:
    """By their definition, with the tails of the binomial added up one by one."""
    k, n = count[0] % 40, min(count[1], 40) + 40
    low, high = clopper_pearson(k, n)

    def at_least(p: float) -> float:
        return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))

    def no_more_than(p: float) -> float:
        return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))

    assert k == 0 or at_least(low) == pytest.approx(0.025, rel=1e-6)
    assert no_more_than(high) == pytest.approx(0.025, rel=1e-6)


@given(counts, st.floats(0.5, 0.999))
def test_more_confidence_is_a_wider_interval(count: tuple[int, int], confidence: float) -> None:
    for interval in (wilson, clopper_pearson):
        narrow, wide = interval(*count, confidence), interval(*count, (1 + confidence) / 2)
        assert wide[0] <= narrow[0]
        assert narrow[1] <= wide[1]


def test_exact_bounds_are_the_wider_ones() -> None:
    for k, n, _, _ in NEWCOMBE:
        assert clopper_pearson(k, n)[1] >= wilson(k, n)[1]
        assert clopper_pearson(k, n)[0] <= wilson(k, n)[0]


def test_a_million_is_no_harder_than_ten() -> None:
    low, high = clopper_pearson(500_000, 1_000_000)
    assert (low, high) == pytest.approx(wilson(500_000, 1_000_000), abs=1e-6)
    assert at_most(0, 1_000_000) == pytest.approx(2.9957e-6, rel=1e-4)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
def test_they_are_those_of_statsmodels_and_scipy(
    confidence: float, proportions: Any, scipy_stats: Any
) -> None:
    for n in (1, 2, 7, 30, 59, 300, 4_999, 100_000, 1_000_000):
        for k in {0, 1, n // 50, n // 3, n // 2, n - 1, n}:
            for ours, method in ((wilson, "wilson"), (clopper_pearson, "beta")):
                theirs = proportions.proportion_confint(k, n, 1 - confidence, method)
                assert ours(k, n, confidence) == pytest.approx(theirs, abs=1e-9)
            one_sided = scipy_stats.binomtest(k, n, alternative="less").proportion_ci(confidence)
            assert at_most(k, n, confidence) == pytest.approx(one_sided.high, abs=1e-9)


# Newcombe, Statistics in Medicine 17 (1998), 873-890, table II, method 10.
@pytest.mark.parametrize(
    ("one", "other", "bounds"),
    [
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((10, 10), (0, 10), (0.6075, 1.0000)),
    ],
)
def test_published_differences(
    one: tuple[int, int], other: tuple[int, int], bounds: tuple[float, float]
) -> None:
    assert difference(*one, *other) == pytest.approx(bounds, abs=0.00006)


def test_differences_are_those_of_statsmodels(proportions: Any) -> None:
    for n, other_n in ((10, 10), (29, 300), (5_000, 40), (100_000, 100_000)):
        for k in (0, n // 3, n):
            for other_k in (0, other_n // 2, other_n):
                theirs = proportions.confint_proportions_2indep(
                    k, n, other_k, other_n, compare="diff", method="newcomb"
                )
                assert difference(k, n, other_k, other_n) == pytest.approx(theirs, abs=1e-9)


@given(counts, counts)
def test_a_difference_of_two_groups_and_its_opposite(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    low, high = difference(*one, *other)
    assert -1 - 1e-12 <= low <= one[0] / one[1] - other[0] / other[1] <= high <= 1 + 1e-12
    assert (-high, -low) == pytest.approx(difference(*other, *one), abs=1e-12)


def test_of_nothing_no_difference_is_known() -> None:
    assert difference(0, 0, 3, 4) == (-1, 1)


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300))
def test_a_difference_and_its_opposite(more: int, fewer: int, same: int) -> None:
    n = more + fewer + same
    low, high = paired_difference(more, fewer, n)
    assert -1 <= low < high <= 1
    assert (-high, -low) == pytest.approx(paired_difference(fewer, more, n))
    assert n == 0 or low <= (more - fewer + 0.0) / (n + 2) <= high


def test_a_difference_is_missed_about_as_rarely_as_it_says() -> None:
    drawer, rounds, missed = random.Random(7), 2_000, 0  # noqa: S311
    up, down = 0.10, 0.04
    for _ in range(rounds):
        draws = [drawer.random() for _ in range(150)]
        more = sum(draw < up for draw in draws)
        fewer = sum(up <= draw < up + down for draw in draws)
        low, high = paired_difference(more, fewer, 150)
        missed += not low <= up - down <= high
    assert 0.03 <= missed / rounds <= 0.065


def test_few_are_shown_as_counts() -> None:
    assert str(rate(3, 29)) == "3 of 29"
    assert str(rate(3, 30)) == "3 of 30 (10.0 %, 3.5 to 25.6 %)"
    assert str(rate(12_000, 400_000)) == "12,000 of 400,000 (3.0 %, 2.9 to 3.1 %)"
    assert str(rate(0, 0)) == "0 of 0"
    assert rate(0, 0).share is None
    assert rate(0, 0).bounds == (0.0, 1.0)


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3)])
def test_what_is_no_share_is_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="is no share"):
        rate(k, n)
    with pytest.raises(ValueError, match="is no share"):
        at_most(k, n)
    with pytest.raises(ValueError, match="is no pair of counts"):
        paired_difference(k, n, 3)
