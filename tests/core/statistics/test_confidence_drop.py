"""A model that is less sure than it was, told from chance."""

from random import Random

import pytest

from orchestrator.core.statistics.confidence_drop import ConfidenceDrop, Sample, sample


def drawn(n: int, mean: float, seed: int = 1, spread: float = 0.1) -> Sample:
    chance = Random(seed)  # noqa: S311  (it has to be repeatable, not secret)
    return sample([min(1.0, max(0.0, chance.gauss(mean, spread))) for _ in range(n)])


def test_a_fall_is_seen_and_measured() -> None:
    """All are seen, and of 19 in 20 the interval holds what they were drawn with."""
    drops = [ConfidenceDrop(drawn(400, 0.7, 2 * n), drawn(100, 0.4, 2 * n + 1)) for n in range(200)]
    assert all(drop.has_collapsed for drop in drops)
    assert all(high - low < 0.06 for low, high in (drop.bounds for drop in drops))
    assert 180 <= sum(low < -0.3 < high for low, high in (drop.bounds for drop in drops)) <= 198


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (drawn(29, 0.9), drawn(400, 0.3)),
        (drawn(400, 0.9), drawn(29, 0.3)),
        (drawn(4_000, 0.80), drawn(4_000, 0.78, 2)),
        (drawn(400, 0.6), drawn(400, 0.9, 2)),
        (sample([]), sample([])),
        (sample([1.0] * 40), sample([1.0] * 40)),
    ],
    ids=["few before", "few after", "too little", "surer", "nothing", "always the same"],
)
def test_what_is_no_collapse(before: Sample, after: Sample) -> None:
    assert not ConfidenceDrop(before, after).has_collapsed


def test_chance_alone_is_seldom_called_a_collapse() -> None:
    found = sum(
        ConfidenceDrop(drawn(200, 0.8, 2 * n), drawn(60, 0.8, 2 * n + 1)).has_collapsed
        for n in range(300)
    )
    assert found <= 3


def test_the_interval_is_that_of_welch() -> None:
    """By scipy.stats.ttest_ind(equal_var=False).confidence_interval() for the same numbers."""
    before, after = sample([0.9, 0.8, 0.95, 0.85]), sample([0.5, 0.7, 0.6])
    drop = ConfidenceDrop(before, after)
    assert drop.difference == pytest.approx(-0.275)
    assert drop.bounds == pytest.approx(BOUNDS, abs=1e-6)


BOUNDS = (-0.4771164, -0.0728836)
