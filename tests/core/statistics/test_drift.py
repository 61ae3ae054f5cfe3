"""Whether scores lie where they lay, and whether more is wrong than was expected."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.statistics.drift import DriftWatch, compare_scores

BEFORE = [40, 60, 100, 300, 500]


def test_chance_is_that_of_scipy(scipy_stats: Any) -> None:
    for after in ([45, 55, 110, 290, 480], [80, 60, 100, 200, 500], [10, 10, 10, 10, 10]):
        theirs = scipy_stats.chi2_contingency([BEFORE, after], correction=False)
        assert compare_scores(BEFORE, after).chance == pytest.approx(theirs.pvalue, abs=1e-9)


def test_a_drift_is_large_and_no_chance() -> None:
    found = compare_scores(BEFORE, [240, 60, 100, 100, 500])
    assert found.has_drifted
    assert found.moved == pytest.approx(0.2)
    assert str(found) == "20 % of the scores lie elsewhere than before"
    # Large, but of so few that chance does it.
    assert not compare_scores(BEFORE, [2, 0, 1, 2, 3]).has_drifted
    # Beyond chance, but of no matter.
    small = compare_scores([400_000, 600_000], [410_000, 590_000])
    assert small.chance < 1e-9
    assert not small.has_drifted


def test_scarce_bins_are_joined() -> None:
    """One score in an empty bin is not a drift, and divides nothing by nothing."""
    found = compare_scores([0, 1, 0, 99, 0], [0, 0, 1, 99, 0])
    assert found.chance > 0.5
    assert compare_scores([0, 0], [0, 0]).chance == 1
    assert compare_scores([3], [4]).chance == 1


def test_chance_alone_is_called_a_drift_rarely() -> None:
    drawer, found = random.Random(9), 0  # noqa: S311
    for _ in range(500):
        one, other = (
            [drawer.choices(range(10), range(1, 11), k=200).count(n) for n in range(10)]
            for _ in range(2)
        )
        found += compare_scores(one, other).chance < 0.01
    assert found <= 12


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=20))
def test_the_order_of_both_does_not_matter(bins: list[tuple[int, int]]) -> None:
    before, after = [one for one, _ in bins], [other for _, other in bins]
    found, turned = compare_scores(before, after), compare_scores(after, before)
    assert 0 <= found.moved <= 1
    assert 0 <= found.chance <= 1
    assert (found.moved, found.chance) == pytest.approx((turned.moved, turned.chance))
    assert compare_scores(before, before).moved == 0


def labels_until(drawer: random.Random, error: float, expected: float, limit: int) -> int:
    watch = DriftWatch()
    while not watch.has_drifted(limit):
        watch = watch.after(wrong=drawer.random() < error, expected_error=expected)
    return watch.labels


def test_false_alarms_are_as_rare_as_it_says() -> None:
    drawer = random.Random(12)  # noqa: S311
    waits = [labels_until(drawer, 0.05, 0.05, 200) for _ in range(400)]
    assert sum(waits) / len(waits) >= 200


def test_twice_the_error_is_noticed_also_after_a_long_good_time() -> None:
    drawer, watch = random.Random(13), DriftWatch()  # noqa: S311
    for _ in range(5_000):
        watch = watch.after(wrong=drawer.random() < 0.03, expected_error=0.05)
    assert not watch.has_drifted()
    good = watch.labels
    while not watch.has_drifted():
        watch = watch.after(wrong=drawer.random() < 0.1, expected_error=0.05)
    assert watch.labels - good < 800
    assert str(watch) == f"more is wrong than was expected, by {watch.labels:,} labels"


def test_it_goes_on_from_where_it_was_stored() -> None:
    watch = (
        DriftWatch().after(wrong=True, expected_error=0.1).after(wrong=False, expected_error=0.3)
    )
    assert DriftWatch.from_json(json.loads(json.dumps(watch.to_json()))) == watch


def test_the_ends() -> None:
    assert DriftWatch().after(wrong=True, expected_error=1.0).wealth == (1, 1, 1)
    # Never wrong is expected of nobody: one error is not the end.
    assert not DriftWatch().after(wrong=True, expected_error=0.0).has_drifted(10)
    watch = DriftWatch()
    for _ in range(2_000):
        watch = watch.after(wrong=True, expected_error=0.001)
    assert json.loads(json.dumps(watch.to_json()))["wealth"] == list(watch.wealth)
