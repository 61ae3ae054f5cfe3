"""The draw is even, the same every time, and its own for each purpose and each key.

The figures are those of one fixed key, so the answers are the same in every run of the tests.
"""

import math
from collections import Counter
from collections.abc import Sequence

import pytest

from orchestrator.core import typeid
from orchestrator.core.policy import sampling

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
