"""What scores mean, and what is made of them."""

import json
import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.codec import canonical
from orchestrator.core.policy.evaluation import Bands
from orchestrator.core.statistics.calibration import (
    Calibrator,
    Reliability,
    edges_of,
    fit_binned,
    fit_isotonic,
    isotonic,
    place_of,
    reliability,
)
from orchestrator.core.statistics.intervals import wilson
from orchestrator.core.statistics.judged import Judged, is_score

scores = st.integers(0, 20).map(lambda place: place / 20)
judged = st.lists(
    st.builds(Judged, scores, st.booleans(), st.sampled_from([1.0, 0.1])), min_size=30, max_size=200
)


# What scores mean --------------------------------------------------------------------------------


def test_bins_end_where_bands_end() -> None:
    """0.9 is not over 0.9; and 0.55, 0.15 and their like fall where they read."""
    for bins in (5, 10, 20, 100):
        edges = edges_of(bins)
        for place, edge in enumerate(edges):
            assert place_of(float(f"{edge:.10g}"), edges) == max(place - 1, 0)
    assert place_of(0.55, edges_of(20)) == 10
    assert place_of(0.0, edges_of(10)) == 0
    assert place_of(1.0, edges_of(10)) == 9


def test_bins_by_hand() -> None:
    told = [(0.95, True), (0.92, True), (1.0, False), (0.9, True), (0.85, False), (0.0, False)]
    found = reliability([Judged(score, right) for score, right in told])
    first, *_, ninth, tenth = found.bins
    assert (first.right.k, first.right.n, first.mean_score) == (0, 1, 0)
    assert (ninth.right.k, ninth.right.n, ninth.mean_score) == (1, 2, pytest.approx(0.875))
    assert (tenth.right.k, tenth.right.n, tenth.share_right) == (2, 3, pytest.approx(2 / 3))
    assert tenth.gap == pytest.approx(2 / 3 - 2.87 / 3)
    assert tenth.bounds == pytest.approx(wilson(2, 3))
    error = (abs(2 - 2.87) + abs(1 - 1.75) + 0) / 6
    assert found.calibration_error == pytest.approx(error)
    squares = [0.05**2, 0.08**2, 1, 0.1**2, 0.85**2, 0]
    assert found.brier == pytest.approx(sum(squares) / 6)


def test_what_is_not_known_is_counted_apart() -> None:
    found = reliability(
        [
            Judged(0.9, None),
            Judged(None, True),
            Judged(float("nan"), False),
            Judged(1.2, True),
            Judged(None, None),
        ]
    )
    assert (found.labels, found.without_score, found.unknown) == (0, 3, 2)
    assert found.brier is None
    assert found.calibration_error is None
    assert found.bins[0].share_right is None
    assert found.bins[0].bounds == (0, 1)


def test_labels_stand_for_what_they_were_drawn_from() -> None:
    """All of what was held is judged, one in a hundred of what ran: counted plainly, the agent looks bad."""
    ran = [Judged(0.95, n % 20 > 0, chance=0.01) for n in range(100)]
    held = [Judged(0.91, n % 2 > 0) for n in range(100)]
    found = reliability([*ran, *held]).bins[-1]
    assert (found.right.k, found.right.n) == (145, 200)
    assert found.share_right == pytest.approx((10_000 * 0.95 + 100 * 0.5) / 10_100)
    # The held ones add next to nothing to what is known of the whole.
    assert found.bounds == pytest.approx(wilson(95, 100), abs=0.01)


@given(judged)
def test_bins_share_everything_among_them(told: list[Judged]) -> None:
    found = reliability(told)
    assert sum(one.right.n for one in found.bins) == found.labels == len(told)
    assert sum(one.part for one in found.bins) == pytest.approx(1)
    assert 0 <= (found.calibration_error or 0) <= 1
    for one in found.bins:
        if one.share_right is not None:
            assert one.bounds[0] <= one.share_right <= one.bounds[1]


# What is made of them ----------------------------------------------------------------------------


def test_isotonic_is_that_of_scipy(scipy_optimize: Any) -> None:
    drawer = random.Random(2)  # noqa: S311
    for length in (1, 2, 10, 500, 5_000):
        for slope in (-1, 0, 0.5, 5):
            values = [slope * place / length + drawer.random() for place in range(length)]
            weights = [drawer.choice((0.5, 1, 20)) for _ in range(length)]
            theirs = scipy_optimize.isotonic_regression(values, weights=weights).x
            assert isotonic(values, weights) == pytest.approx(list(theirs), abs=1e-9)


@given(judged)
def test_a_fit_is_that_of_scipy_with_one_answer_more_at_either_end(told: list[Judged]) -> None:
    # hypothesis and fixtures do not mix: each example asks for the module anew, which is free.
    optimize = pytest.importorskip("scipy.optimize")
    at = sorted({one.score for one in told if one.score is not None})
    each = sum(one.weight for one in told) / len(told)
    lines = [(one.score, one.right, one.weight) for one in told]
    lines += [(at[-1], False, each), (at[0], True, each)]
    weights = [sum(w for s, _, w in lines if s == score) for score in at]
    shares = [
        sum(w for s, right, w in lines if s == score and right) / weight
        for score, weight in zip(at, weights, strict=True)
    ]
    expected = optimize.isotonic_regression(shares, weights=weights).x
    found = fit_isotonic(told)
    assert found is not None
    assert [found.apply(score) for score in at] == pytest.approx(list(expected), abs=1e-9)


@given(judged, scores, scores)
def test_a_higher_score_is_never_worth_less(told: list[Judged], one: float, other: float) -> None:
    found = fit_isotonic(told)
    assert found is not None
    low, high = found.apply(min(one, other)), found.apply(max(one, other))
    assert low is None or (high is not None and 0 < low <= high < 1)


@given(judged, scores)
def test_what_was_stored_says_the_same(told: list[Judged], score: float) -> None:
    for found in (fit_isotonic(told), fit_binned(told)):
        assert found is not None
        again = Calibrator.from_json(json.loads(json.dumps(found.to_json())))
        assert again == found
        assert again.version == found.version
        assert again.apply(score) == found.apply(score)


def test_versions_tell_calibrators_apart() -> None:
    told = [Judged(0.8 + n % 3 / 10, n % 7 > 0) for n in range(60)]
    one, other, binned = fit_isotonic(told), fit_isotonic(told[1:]), fit_binned(told)
    assert one
    assert other
    assert binned
    assert one == fit_isotonic(reversed(told))
    assert len({one.version, other.version, binned.version}) == 3
    assert one.version.startswith("isotonic-1-")


def test_few_that_were_right_are_no_certainty() -> None:
    told = [Judged(0.7, n % 3 > 0) for n in range(60)] + [Judged(0.99, True)] * 3
    found = fit_isotonic(told)
    assert found
    assert found.apply(0.99) == pytest.approx(3 / 4)
    binned = fit_binned(told)
    assert binned
    assert binned.apply(0.99) == pytest.approx(4 / 5)


def test_where_nothing_is_known_a_person_decides() -> None:
    told = [Judged(0.9 + n % 10 / 100, n % 9 > 0) for n in range(90)]
    bands = Bands(accept_above=0.9, escalate_at_or_below=0.6)
    for found in (fit_isotonic(told), fit_binned(told)):
        assert found
        for score in (0.2, None, float("nan"), float("inf"), True, "0.95", 1.01):
            assert found.apply(score) is None
            assert bands.of(found.apply(score)) == "escalate"
        assert found.apply(1) is not None


def test_between_two_steps_the_lower_one_counts() -> None:
    found = Calibrator("isotonic", (0.5, 0.8), (0.4, 0.9), 100)
    assert [found.apply(at) for at in (0.49, 0.5, 0.7999, 0.8, 1.0)] == [None, 0.4, 0.4, 0.9, 0.9]
    bins = Calibrator("binned", (0.0, 0.5), (0.4, None), 100)
    assert [bins.apply(at) for at in (0.0, 0.5, 0.50001, 1.0)] == [0.4, 0.4, None, None]


def test_of_few_labels_there_is_no_calibrator() -> None:
    few = [Judged(0.9, True)] * 29 + [Judged(None, True), Judged(0.9, None)]
    assert fit_isotonic(few) is None
    assert fit_binned(few) is None


def test_what_is_no_calibrator_is_refused() -> None:
    with pytest.raises(ValueError, match="is no calibrator"):
        Calibrator("guess", (0.5,), (0.5,), 40)
    with pytest.raises(ValueError, match="is no calibrator"):
        Calibrator("binned", (0.5, 0.6), (0.5,), 40)
    stored = Calibrator("binned", (0.5,), (0.5,), 40).to_json() | {"format": 2}
    with pytest.raises(ValueError, match="format 2"):
        Calibrator.from_json(stored)


def test_chances_are_chances() -> None:
    for chance in (0.0, -1.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match="no chance"):
            Judged(0.9, True, chance)
    assert is_score(0)
    assert not is_score(-0.1)


def test_a_hundred_thousand_points_take_less_than_a_second() -> None:
    drawer = random.Random(6)  # noqa: S311
    values = [place / 1e5 + drawer.random() for place in range(100_000)]
    began = time.process_time()
    found = isotonic(values, [1.0] * len(values))
    assert time.process_time() - began < 1
    assert found == sorted(found)


def test_what_scores_meant_can_be_stored() -> None:
    told = [Judged(n / 40, n % 3 > 0, 0.5 if n % 2 else 1.0) for n in range(41)]
    found = reliability([*told, Judged(None, True), Judged(0.5, None)])
    assert Reliability.from_json(json.loads(canonical(found.to_json()))) == found
