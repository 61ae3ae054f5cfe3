"""Bounds for every look: what they promise is counted over seeded histories, looked at after each label."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.statistics.intervals import Bounds, difference, wilson
from orchestrator.core.statistics.sequences import evidence_against, watched, watched_difference

counts = st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
PATHS, LABELS = 2_000, 1_000


def limits(bounds: Callable[[int, int], Bounds], truth: float) -> list[tuple[int, int]]:
    """For each n the fewest and the most k whose bounds hold the truth.

    Bounds grow with k, so a path leaves them when its count does: no bound is computed twice.
    """
    found, fewest, most = [], 0, 0
    for n in range(1, LABELS + 1):
        while bounds(fewest, n)[1] < truth:
            fewest += 1
        most = max(most, fewest)
        while most < n and bounds(most + 1, n)[0] <= truth:
            most += 1
        found.append((fewest, most))
    return found


def missed(bounds: Callable[[int, int], Bounds], truth: float, paths: int, seed: int) -> int:
    """Paths on which the truth was outside at any look."""
    drawer, inside, count = random.Random(seed), limits(bounds, truth), 0  # noqa: S311
    for _ in range(paths):
        k = 0
        for fewest, most in inside:
            k += drawer.random() < truth
            if not fewest <= k <= most:
                count += 1
                break
    return count


@pytest.mark.parametrize("truth", [0.1, 0.02])
def test_the_truth_is_inside_at_all_looks(truth: float) -> None:
    assert missed(watched, truth, PATHS, seed=11) <= 0.05 * PATHS


def test_an_interval_for_one_look_misses_it_in_a_third_of_histories() -> None:
    """Why there are sequences at all."""
    assert missed(wilson, 0.1, 300, seed=11) > 0.25 * 300


def test_the_price_in_width() -> None:
    assert watched(0, 59) == (0, pytest.approx(0.091, abs=0.0005))


@given(counts)
def test_they_hold_the_share_and_are_wider_than_for_one_look(count: tuple[int, int]) -> None:
    k, n = count
    low, high = watched(k, n)
    assert 0 <= low <= k / n <= high <= 1
    assert low <= wilson(k, n)[0] or n < 10
    assert high >= wilson(k, n)[1] or n < 10


@given(counts)
def test_the_other_side_of_the_coin(count: tuple[int, int]) -> None:
    k, n = count
    low, high = watched(k, n)
    assert (1 - high, 1 - low) == pytest.approx(watched(n - k, n), abs=1e-12)


def test_they_are_where_the_mixture_of_scipy_reaches_the_limit(
    scipy_special: Any, scipy_optimize: Any, numpy: Any
) -> None:
    for k, n in ((0, 59), (3, 40), (25, 50), (400, 1_000), (999, 1_000), (20, 100_000)):

        def over(share: float, k: int = k, n: int = n) -> float:
            mixed = scipy_special.betaln(k + 0.5, n - k + 0.5) - scipy_special.betaln(0.5, 0.5)
            plain = scipy_special.xlogy(k, share) + scipy_special.xlog1py(n - k, -share)
            return float(mixed - plain - numpy.log(20))

        low, high = watched(k, n)
        if k:
            expected = scipy_optimize.brentq(over, 1e-15, k / n, xtol=1e-14)
            assert low == pytest.approx(expected, abs=1e-9)
        if k < n:
            expected = scipy_optimize.brentq(over, k / n, 1 - 1e-15, xtol=1e-14)
            assert high == pytest.approx(expected, abs=1e-9)


def test_evidence() -> None:
    assert evidence_against(0.5, 0, 0) == pytest.approx(0)
    assert evidence_against(0, 1, 10) == float("inf")
    assert evidence_against(1, 9, 10) == float("inf")
    # The winnings are a fair bet: over both answers they stay what they were, on average.
    for share in (0.1, 0.5, 0.83):
        before = 2.718281828459045 ** evidence_against(share, 3, 10)
        yes = 2.718281828459045 ** evidence_against(share, 4, 11)
        no = 2.718281828459045 ** evidence_against(share, 3, 11)
        assert share * yes + (1 - share) * no == pytest.approx(before, rel=1e-9)


def test_of_nothing_nothing_is_known() -> None:
    assert watched(0, 0) == (0, 1)
    assert watched_difference(0, 0, 3, 10)[1] > 0.5
    with pytest.raises(ValueError, match="is no share"):
        watched(4, 3)


@given(counts, counts)
def test_a_watched_difference_holds_that_of_one_look(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    low, high = watched_difference(*one, *other)
    assert low <= one[0] / one[1] - other[0] / other[1] <= high
    assert min(one[1], other[1]) < 10 or low <= difference(*one, *other)[0]
    assert (-high, -low) == pytest.approx(watched_difference(*other, *one), abs=1e-12)
