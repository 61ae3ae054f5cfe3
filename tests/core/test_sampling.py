"""The draw is even, the same every time, and its own for each purpose and each key.

The figures are those of one fixed key, so the answers are the same in every run of the tests.
"""

import math
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from scipy.stats import binom

from orchestrator.core import typeid
from orchestrator.core.policy import sampling
from orchestrator.core.policy.sampling import Past, Plan

KEY = sampling.key_from("a secret of this test")
OTHER_KEY = sampling.key_from("another secret")
IDS = [typeid.make("prp", at_ms=1_770_000_000_000 + n // 7, entropy=n) for n in range(200_000)]
FEWER = IDS[:40_000]
BINS = 100
# Of chi-square: what chance exceeds once in a thousand times, at 99 degrees of freedom and at one.
CHI_99, CHI_1 = 148.23, 10.83
# Likewise of the normal distribution, to both sides.
NORMAL = 3.29


def drawn(share: float, purpose: str = "audit", key: bytes = KEY) -> list[bool]:
    return [sampling.drawn(key, pk, share, purpose) for pk in FEWER]


def chi_square(counts: Sequence[float], expected: Sequence[float]) -> float:
    return sum((n - wanted) ** 2 / wanted for n, wanted in zip(counts, expected, strict=True))


def dependence(one: Sequence[bool], other: Sequence[bool]) -> float:
    """Chi-square of the table of both: large when one says something about the other."""
    cells = Counter(zip(one, other, strict=True))
    pairs = [(a, b) for a in (False, True) for b in (False, True)]
    sides = Counter(one), Counter(other)
    expected = [sides[0][a] * sides[1][b] / len(one) for a, b in pairs]
    return chi_square([cells[pair] for pair in pairs], expected)


def test_it_is_even_over_ids_that_follow_each_other() -> None:
    counts = Counter(sampling.place(KEY, pk, "audit") * BINS // sampling.ALL for pk in IDS)
    assert len(counts) == BINS
    assert chi_square(list(counts.values()), [len(IDS) / BINS] * BINS) < CHI_99


@pytest.mark.parametrize("share", [0.005, 0.01, 0.5])
def test_it_draws_the_share(share: float) -> None:
    expected = share * len(FEWER)
    spread = math.sqrt(expected * (1 - share))
    assert abs(sum(drawn(share)) - expected) < NORMAL * spread


def test_what_was_drawn_says_nothing_about_the_next() -> None:
    found = drawn(0.5)
    assert dependence(found[::2], found[1::2]) < CHI_1


@pytest.mark.parametrize(("purpose", "key"), [("blind_label", KEY), ("audit", OTHER_KEY)])
def test_purposes_and_keys_have_nothing_to_do_with_each_other(purpose: str, key: bytes) -> None:
    assert dependence(drawn(0.3), drawn(0.3, purpose, key)) < CHI_1
    # The measure itself tells what is dependent.
    assert dependence(drawn(0.3), drawn(0.35)) > CHI_1


def test_nothing_of_nothing_and_all_of_all() -> None:
    assert not any(drawn(0.0))
    assert all(drawn(1.0))


def test_it_says_the_same_every_time() -> None:
    """Written down, so that a change of the recipe is noticed: it would draw others from then on."""
    found = [n for n, pk in enumerate(IDS[:1_000]) if sampling.drawn(KEY, pk, 0.01, "audit")]
    assert found == [262, 309, 368, 424, 452, 505, 820, 986]


def test_a_larger_share_keeps_what_a_smaller_one_drew() -> None:
    small, large = drawn(0.01), drawn(0.05)
    assert sum(small) < sum(large)
    assert all(after for before, after in zip(small, large, strict=True) if before)


# How likely a draw is ------------------------------------------------------------------------------

PLAN = Plan(share=0.01, new_share=0.2, new_first=20, floor=5)
OLD = 1_000_000


@pytest.mark.parametrize(
    ("past", "chance"),
    [
        # Old and frequent: the share alone.
        (Past(OLD, 500, 0), 0.01),
        (Past(OLD, 5_000, 900), 0.01),
        # New, but so frequent that its floor is met: boosted, and no longer than for the first.
        (Past(19, 500, 0), 0.2),
        (Past(20, 500, 0), 0.01),
        # As rare as the floor, rarer or unknown: the first of the period are all drawn, then it is met.
        (Past(OLD, 0, 0), 1.0),
        (Past(OLD, 0, 4), 1.0),
        (Past(OLD, 0, 5), 0.01),
        (Past(0, 0, 0), 1.0),
        (Past(5, 0, 5), 0.2),
        # In between: spread over the period, rounded up, and over when far more come than last time.
        (Past(OLD, 10, 0), 0.5),
        (Past(OLD, 100, 0), 0.05),
        (Past(OLD, 100, 199), 0.05),
        (Past(OLD, 100, 200), 0.01),
        (Past(OLD, 101, 0), 0.05),
        (Past(OLD, 99, 0), 0.1),
    ],
)
def test_the_highest_of_its_reasons_is_the_chance(past: Past, chance: float) -> None:
    assert sampling.chance(PLAN, past) == chance


@pytest.mark.parametrize("past", [Past(0, 0, 0), Past(OLD, OLD, OLD)])
def test_a_share_of_nothing_draws_nothing(past: Past) -> None:
    assert sampling.chance(Plan(share=0.0, new_share=1, new_first=9, floor=9), past) == 0
    assert Plan(share=0.0, new_first=9, floor=9).is_fixed


def test_what_is_switched_off_raises_nothing() -> None:
    assert sampling.chance(Plan(share=0.01), Past(0, 0, 0)) == 0.01
    assert Plan(share=0.01).is_fixed
    assert not PLAN.is_fixed


def test_no_further_than_it_counts_does_it_matter() -> None:
    """More in the past than the limits say leads to the same chance as the limits do."""
    most = Past(PLAN.new_first, PLAN.last_period_max, PLAN.this_period_max)
    assert sampling.chance(PLAN, most) == PLAN.usual
    for last in range(PLAN.last_period_max, PLAN.last_period_max * 3, 7):
        assert sampling.chance(PLAN, Past(OLD, last, 0)) == PLAN.usual
    for last in range(PLAN.last_period_max):
        assert sampling.chance(PLAN, Past(OLD, last, PLAN.this_period_max)) == PLAN.usual


@pytest.mark.parametrize(
    ("chance", "rung"), [(0, 0), (1e-9, 0.001), (0.01, 0.01), (0.011, 0.02), (0.51, 1), (1, 1)]
)
def test_chances_are_rounded_up(chance: float, rung: float) -> None:
    assert sampling.rung(chance) == rung


def test_periods_follow_each_other_without_a_gap() -> None:
    now = datetime(2026, 11, 21, 20, 30, tzinfo=UTC)
    before, this = sampling.periods(now, 30)
    assert before + timedelta(days=30) == this <= now < this + timedelta(days=30)
    assert sampling.periods(this, 30) == (before, this)
    assert sampling.periods(this - timedelta(microseconds=1), 30)[1] == before


# What chance brings over a year -----------------------------------------------------------------------


def year(per_period: Sequence[int], seed: int) -> list[tuple[int, float, bool]]:
    """One stratum that begins with nothing: the period, the chance and the draw of each proposal."""
    key, made = sampling.key_from(str(seed)), 0
    found = []
    for period, count in enumerate(per_period):
        last = per_period[period - 1] if period else 0
        for number in range(count):
            chance = sampling.chance(PLAN, Past(made, last, number))
            pk = typeid.make("prp", at_ms=1_770_000_000_000 + made, entropy=seed)
            found.append((period, chance, sampling.drawn(key, pk, chance, "audit")))
            made += 1
    return found


@pytest.mark.parametrize("count", [3, 5, 40, 400, 2_000])
def test_the_floor_is_reached(count: int) -> None:
    """In the first period, of which nothing is known, for sure; later by chance, and on average at least."""
    labels = [
        Counter(period for period, _, hit in year([count] * 6, seed) if hit)
        for seed in range(60 if count < 400 else 12)
    ]
    first = min(one[0] for one in labels)
    assert first >= min(count, PLAN.floor)
    mean = sum(sum(one.values()) - one[0] for one in labels) / (5 * len(labels))
    expected = min(count, max(PLAN.floor, count * PLAN.share))
    spread = math.sqrt(expected / (5 * len(labels)))
    assert mean > expected - NORMAL * spread


def test_the_boost_ends() -> None:
    drawn = [chance for _, chance, _ in year([600, 600, 600], seed=1)]
    # The floor of what is unknown, then what is new, then the share; from the next period on it alone.
    assert drawn[:5] == [1.0] * 5
    assert set(drawn[5:20]) == {0.2}
    assert set(drawn[20:]) == {0.01}


def test_small_teams_are_not_buried() -> None:
    """A new version at ten actions that come now and then: at most so many audits in its first month."""
    drawn = sum(hit for seed in range(10) for _, _, hit in year([40], seed))
    assert 50 <= drawn <= 120


def test_at_each_chance_it_is_a_probability_sample() -> None:
    """As many are drawn as a fair coin of that chance would draw, by the exact bounds of each count."""
    drawn = [one for seed in range(80) for one in year([60, 120, 700, 120], seed)]
    counted = Counter(chance for _, chance, _ in drawn)
    hits = Counter(chance for _, chance, hit in drawn if hit)
    assert {0.01, 0.05, 0.1, 0.2, 1.0} <= set(counted)
    for chance, n in counted.items():
        low, high = binom.ppf([0.0005, 0.9995], n, chance)
        assert low <= hits[chance] <= high, (chance, hits[chance], n)


def test_weighted_back_the_estimate_is_right_on_average() -> None:
    """Early proposals are wrong far more often, and are drawn far more often: plain counts mislead."""
    weighted, plain, truths = [], [], []
    for seed in range(400):
        chance = random.Random(seed)  # noqa: S311  (a fixed history)
        drawn = year([30, 300], seed)
        wrong = [chance.random() < (0.4 if period == 0 else 0.05) for period, _, _ in drawn]
        hits = [(p, is_wrong) for (_, p, hit), is_wrong in zip(drawn, wrong, strict=True) if hit]
        weighted.append(sum(is_wrong / p for p, is_wrong in hits))
        plain.append(sum(is_wrong for _, is_wrong in hits) / len(hits) * len(drawn))
        truths.append(sum(wrong))
    n, truth = len(truths), sum(truths) / len(truths)
    errors = [estimate - real for estimate, real in zip(weighted, truths, strict=True)]
    spread = math.sqrt(sum(error**2 for error in errors) / n / n)
    assert abs(sum(errors) / n) < NORMAL * spread
    assert sum(plain) / n > truth + 2 * NORMAL * spread
