"""What is weighted back to everything that was accepted, and what is promised about it."""

import math
import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.statistics import intervals, sequences
from orchestrator.core.statistics.assurance import assure
from orchestrator.core.statistics.special import incomplete_beta, upper_gamma_quantile
from orchestrator.core.statistics.strata import (
    Stratum,
    at_most,
    pooled,
    watched_bounds,
    weigh,
)

strata = st.integers(0, 400).flatmap(
    lambda n: st.builds(
        Stratum, st.integers(n, 100_000).filter(bool), st.just(n), st.integers(0, n)
    )
)


def test_a_stratum_counts_by_its_size() -> None:
    # One in a hundred of the many, half of the few: the counts alone would say 13 of 150.
    found = weigh([Stratum(10_000, 100, 1), Stratum(100, 50, 12)])
    assert found.share == pytest.approx((10_000 * 0.01 + 100 * 0.24) / 10_100)
    assert (found.total, found.examined, found.wrong, found.unknown) == (10_100, 150, 13, 0)
    assert found.shows_share
    low, high = found.bounds
    assert low < 0.0123 < high < 0.06


def test_one_stratum_is_a_plain_sample() -> None:
    assert weigh([Stratum(9_000, 300, 4)]).bounds == pytest.approx(intervals.wilson(4, 300))
    # Strata that were examined in proportion are one, too, as long as they do not differ.
    both = weigh([Stratum(3_000, 100, 2), Stratum(6_000, 200, 4)])
    assert both.share == pytest.approx(6 / 300)
    assert both.bounds == pytest.approx(intervals.wilson(6, 300))


def test_what_nobody_looked_at_is_unknown() -> None:
    found = weigh([Stratum(900, 30, 0), Stratum(100, 0, 0)])
    assert (found.share, found.unknown) == (0, 100)
    assert at_most([Stratum(900, 30, 0), Stratum(100, 0, 0)]) == pytest.approx(
        0.9 * intervals.at_most(0, 30) + 0.1
    )
    assert weigh([Stratum(100, 0, 0)]).share is None
    assert weigh([]).bounds == (0, 1)
    assert at_most([]) == at_most([Stratum(5, 0, 0)]) == 1
    assert watched_bounds([]) == watched_bounds([Stratum(5, 0, 0)]) == (0, 1)


@given(st.integers(0, 300), st.integers(0, 300), st.floats(0.5, 0.999))
def test_of_one_stratum_the_bounds_are_the_plain_ones(k: int, more: int, confidence: float) -> None:
    one = Stratum(10 * (k + more) + 7, k + more, k)
    if not one.examined:
        return
    assert at_most([one], confidence) == intervals.at_most(k, one.examined, confidence)
    assert watched_bounds([one], confidence) == pytest.approx(
        sequences.watched(k, one.examined, confidence), abs=1e-9
    )
    # A stratum of nothing changes nothing for what holds at every look.
    with_another = watched_bounds([one, Stratum(0, 0, 0)], confidence)
    assert with_another == pytest.approx(watched_bounds([one], confidence), abs=1e-9)


def test_of_two_strata_the_worst_is_found() -> None:
    """Against a walk along the border of what is possible."""
    one, other = Stratum(1_000, 40, 1), Stratum(3_000, 25, 0)
    limit, worst = upper_gamma_quantile(0.05, 2), 0.0
    for step in range(1, 60_000):
        share = step / 100_000
        doubt = -math.log(1 - incomplete_beta(2, 39, share))
        if doubt > limit:
            break
        # None wrong of 25: its doubt is -25 log(1 - share).
        worst = max(worst, (1_000 * share + 3_000 * (1 - math.exp((doubt - limit) / 25))) / 4_000)
    assert at_most([one, other]) == pytest.approx(worst, abs=1e-6)


@settings(max_examples=40)
@given(st.lists(strata, min_size=1, max_size=3))
def test_bounds_hold_the_estimate(found: list[Stratum]) -> None:
    share, worst = weigh(found).share, at_most(found)
    low, high = watched_bounds(found)
    assert 0 <= low <= high <= 1
    assert 0 < worst <= 1
    if share is not None and not weigh(found).unknown:
        assert low - 1e-9 <= share <= min(worst, high) + 1e-9
        assert weigh(found).bounds[0] <= share <= weigh(found).bounds[1]


def test_the_promise_is_kept_where_counts_alone_break_it() -> None:
    """The small stratum is examined more, and better; 2,000 seeded samples."""
    drawer, rounds = random.Random(5), 2_000  # noqa: S311
    world = ((9_000, 40, 0.08), (1_000, 60, 0.01))
    truth = sum(size * share for size, _, share in world) / 10_000
    kept = kept_by_counts = inside = 0

    # Few different counts come up, so few bounds are computed.
    @cache
    def said_of(*wrong: int) -> tuple[float, intervals.Bounds]:
        drawn = [Stratum(size, n, k) for (size, n, _), k in zip(world, wrong, strict=True)]
        return at_most(drawn), weigh(drawn).bounds

    for _ in range(rounds):
        wrong = [drawer.binomialvariate(n, share) for _, n, share in world]
        bound, (low, high) = said_of(*wrong)
        kept += bound >= truth
        kept_by_counts += intervals.at_most(sum(wrong), 100) >= truth
        inside += low <= truth <= high
    assert kept >= 0.95 * rounds
    assert kept_by_counts < 0.95 * rounds
    # Approximate, as Wilson's.
    assert inside >= 0.93 * rounds


def test_strata_drawn_alike_are_put_together() -> None:
    drawn = [
        (0.01, Stratum(3_000, 30, 1)),
        (0.5, Stratum(40, 20, 0)),
        (0.01, Stratum(5_000, 50, 0)),
    ]
    assert pooled(drawn) == [Stratum(8_000, 80, 1), Stratum(40, 20, 0)]
    assert at_most(pooled(drawn)) < at_most([one for _, one in drawn])


@pytest.mark.parametrize(
    ("k", "n", "bound"),
    [
        (0, 30, "9.5 %"),
        (0, 100, "2.95 %"),
        (0, 300, "0.99 %"),
        (1, 300, "1.57 %"),
        (0, 1_000, "0.3 %"),
    ],
)
def test_the_sentence(k: int, n: int, bound: str) -> None:
    were = "was" if k == 1 else "were"
    assert str(assure([Stratum(10_412, n, k)])) == (
        f"of 10,412 auto-accepts {n:,} were examined, {k} {were} wrong; error at most {bound} (95 %)"
    )


def test_of_few_the_sentence_counts_only() -> None:
    said = str(assure([Stratum(10_412, 29, 0)]))
    assert said == "of 10,412 auto-accepts 29 were examined, 0 were wrong; too few to say more"


def test_whoever_looks_again_and_again_is_promised_less() -> None:
    one = [Stratum(10_412, 300, 1)]
    assert assure(one, watched=True).at_most > assure(one).at_most


@pytest.mark.parametrize("counts", [(1, 2, 0), (3, 2, 3), (3, 2, -1)])
def test_what_is_no_stratum_is_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="is no stratum"):
        Stratum(*counts)
