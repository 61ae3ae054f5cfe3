"""Against statsmodels and krippendorff, and against what a person would say."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.statistics.agreement import (
    Confusion,
    agree,
    agree_several,
    cohen_kappa,
    kappa_bounds,
)

ANSWERS = ["approve", "reject", "edit"]


def draw(seed: int = 1) -> Any:
    return random.Random(seed).binomialvariate  # noqa: S311


def pairs_of(confusion: Confusion) -> list[tuple[str, str]]:
    return [pair for pair, count in confusion.items() for _ in range(count)]


def test_kappa_is_that_of_statsmodels(raters: Any) -> None:
    drawer = random.Random(4)  # noqa: S311
    for _ in range(50):
        table = [[drawer.randrange(60) for _ in ANSWERS] for _ in ANSWERS]
        confusion = {
            (first, second): table[row][column]
            for row, first in enumerate(ANSWERS)
            for column, second in enumerate(ANSWERS)
        }
        theirs = raters.cohens_kappa(table).kappa
        assert cohen_kappa(confusion) == pytest.approx(theirs, abs=1e-9)


def test_its_bounds_are_near_those_of_statsmodels(raters: Any) -> None:
    """Theirs are for large samples, ours are drawn: near, not equal."""
    confusion = {("y", "y"): 300, ("y", "n"): 60, ("n", "y"): 50, ("n", "n"): 190}
    theirs = raters.cohens_kappa([[300, 60], [50, 190]])
    found = kappa_bounds(confusion, draw(), rounds=1_000)
    assert found == pytest.approx((theirs.kappa_low, theirs.kappa_upp), abs=0.02)


def test_nearly_always_the_same_answer_agrees_by_habit() -> None:
    pairs = [("approve", "approve")] * 967 + [("approve", "reject"), ("reject", "approve")] * 13
    pairs += [("reject", "reject")] * 7
    found = agree(pairs, draw(), rounds=200)
    assert found.raw.share == pytest.approx(0.974)
    assert found.kappa == pytest.approx(0.34, abs=0.01)
    assert found.bounds
    assert found.bounds[0] < 0.34 < found.bounds[1]
    assert found.confusion["approve", "reject"] == 13


def test_of_always_the_same_answer_kappa_says_nothing() -> None:
    found = agree([("approve", "approve")] * 100, draw(), rounds=50)
    assert (found.raw.k, found.n, found.kappa, found.bounds) == (100, 100, None, None)
    # One that differs: in a third of all rounds it is not drawn.
    assert agree([("a", "a")] * 99 + [("a", "b")], draw(), rounds=100).bounds is None


def test_of_few_there_are_no_bounds() -> None:
    pairs = [("a", "a"), ("b", "b"), ("a", "b")] * 9
    assert agree(pairs, draw()).bounds is None
    assert agree([], draw()).kappa is None


def test_the_same_chance_gives_the_same_bounds() -> None:
    confusion = {("a", "a"): 30, ("a", "b"): 9, ("b", "b"): 20}
    assert kappa_bounds(confusion, draw(7), 100) == kappa_bounds(confusion, draw(7), 100)


@given(
    st.dictionaries(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), st.integers(0, 50))
)
def test_who_is_first_does_not_matter(confusion: Confusion) -> None:
    turned = {(second, first): count for (first, second), count in confusion.items()}
    kappa = cohen_kappa(confusion)
    assert kappa == cohen_kappa(turned)
    assert kappa is None or -1 <= kappa <= 1


def as_numbers(things: Sequence[Sequence[str | None]]) -> list[list[float]]:
    """A line a person, as krippendorff wants it."""
    codes: dict[str | None, float] = {None: float("nan")}
    codes |= {answer: place for place, answer in enumerate(ANSWERS)}
    return [[codes[answer] for answer in line] for line in zip(*things, strict=True)]


def test_alpha_is_that_of_krippendorff(krippendorff: Any) -> None:
    drawer, compared = random.Random(5), 0  # noqa: S311
    for people in (2, 3, 5):
        for gaps in (0, 0.3, 0.5):
            for _ in range(10):
                truth = [drawer.choice(ANSWERS) for _ in range(40)]
                things = [
                    [
                        None
                        if drawer.random() < gaps
                        else one
                        if drawer.random() < 0.7
                        else drawer.choice(ANSWERS)
                        for _ in range(people)
                    ]
                    for one in truth
                ]
                theirs = krippendorff.alpha(
                    reliability_data=as_numbers(things), level_of_measurement="nominal"
                )
                assert agree_several(things).alpha == pytest.approx(theirs, abs=1e-9)
                compared += 1
    assert compared == 90


def test_krippendorffs_own_example() -> None:
    """Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C: nominal, with gaps."""
    lines = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    ]
    things = [
        [None if one is None else str(one) for one in thing] for thing in zip(*lines, strict=True)
    ]
    found = agree_several(things)
    assert found.alpha == pytest.approx(0.743, abs=0.0005)
    assert (found.things, found.judgements) == (11, 40)


def test_what_one_person_judged_is_compared_with_nothing() -> None:
    found = agree_several([["a", None], [None, None], ["a", "b"], ["a", "a"]])
    assert (found.things, found.judgements, found.raw) == (2, 4, 0.5)
    assert found.confusion == {("a", "a"): 1, ("a", "b"): 1}
    assert agree_several([]).raw is None
    assert agree_several([["a", "a"]] * 5).alpha is None


@given(
    st.lists(
        st.lists(st.sampled_from([*ANSWERS, None]), min_size=3, max_size=3), min_size=1, max_size=30
    )
)
def test_pairs_add_up(things: list[list[str | None]]) -> None:
    found = agree_several(things)
    expected = [Counter(one for one in thing if one)[a] for thing in things for a in ANSWERS]
    judged = [sum(one is not None for one in thing) for thing in things]
    assert found.judgements == sum(n for n in judged if n > 1) <= sum(expected)
    assert sum(found.confusion.values()) == sum(n * (n - 1) // 2 for n in judged)
