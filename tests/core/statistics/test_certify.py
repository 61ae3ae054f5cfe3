"""Certified thresholds: what they promise is counted over seeded histories."""

import math
import random
from collections.abc import Iterable, Sequence
from itertools import accumulate

import pytest

from orchestrator.core.policy.evaluation import Bands
from orchestrator.core.statistics import intervals
from orchestrator.core.statistics.certify import (
    GRID,
    Answer,
    Basis,
    CertifiedThreshold,
    NoThreshold,
    Pile,
    Row,
    accept_above,
    certify,
    rows_of,
    stale_because,
)
from orchestrator.core.statistics.judged import Judged
from orchestrator.core.statistics.special import incomplete_beta
from orchestrator.core.statistics.strata import Stratum

HISTORIES, LABELS = 2_000, 400
TARGET, DELTA = 0.10, 0.05
# Scores as agents give them, each with how often it comes.
SCORES = (0.55, 0.65, 0.75, 0.82, 0.88, 0.92, 0.94, 0.96, 0.98, 1.0)
WEIGHTS = (5, 5, 10, 10, 10, 15, 10, 15, 10, 10)

# How much is wrong at each score. On the edge: exactly the target everywhere, so that whatever is
# certified breaks the promise. Sloping: right from 0.9 on, and nearly so before.
ON_THE_EDGE = (TARGET,) * len(SCORES)
SLOPING = (0.4, 0.35, 0.3, 0.2, 0.16, 0.12, 0.11, 0.095, 0.08, 0.05)


def history(drawer: random.Random, errors: Sequence[float], labels: int = LABELS) -> list[Judged]:
    wrong_at = dict(zip(SCORES, errors, strict=True))
    scores = drawer.choices(SCORES, WEIGHTS, k=labels)
    return [Judged(score, right=drawer.random() >= wrong_at[score]) for score in scores]


def errors_above(errors: Sequence[float]) -> dict[float, float]:
    """The truth at each threshold of the grid."""
    return {
        at: sum(w * e for s, w, e in zip(SCORES, WEIGHTS, errors, strict=True) if s > at)
        / max(sum(w for s, w in zip(SCORES, WEIGHTS, strict=True) if s > at), 1)
        for at in GRID
    }


def count_above(proposals: Iterable[Judged], grid: Sequence[float] = GRID) -> tuple[Row, ...]:
    """Proposals without a score are above no threshold."""
    # As in the bands, a score over 1 is one: whatever would be accepted is counted.
    return rows_of(
        (
            Pile(one.score, one.chance, 1, int(one.right is not None), int(one.right is False))
            for one in proposals
            if one.score is not None and math.isfinite(one.score)
        ),
        grid,
    )


def breaks(answer: Answer, truth: dict[float, float]) -> bool:
    return isinstance(answer, CertifiedThreshold) and truth[answer.accept_above] >= TARGET


def is_below(target: float, one: Stratum) -> bool:
    """Whether the bound of this threshold alone is: the same as comparing it, and quicker."""
    right = one.examined - one.wrong
    return right > 0 and incomplete_beta(one.wrong + 1, right, target) > 1 - DELTA


@pytest.mark.parametrize("errors", [ON_THE_EDGE, SLOPING], ids=["on the edge", "sloping"])
def test_the_promise_is_kept_in_two_thousand_histories(errors: Sequence[float]) -> None:
    drawer, truth = random.Random(3), errors_above(errors)  # noqa: S311
    broken = careless = 0
    for _ in range(HISTORIES):
        rows = count_above(history(drawer, errors))
        broken += breaks(certify(rows, target=TARGET, delta=DELTA), truth)
        # Without sharing the doubt among all thresholds that are tried.
        careless += errors is ON_THE_EDGE and any(
            is_below(TARGET, one) and truth[row.above] >= TARGET
            for row in rows
            for one in row.strata
        )
    assert broken <= DELTA * HISTORIES
    # So the histories are hard enough to tell who is careful.
    assert errors is SLOPING or careless > 2 * DELTA * HISTORIES


def test_whoever_asks_again_and_again_needs_the_watched_one() -> None:
    drawer, truth, histories = random.Random(4), errors_above(ON_THE_EDGE), 100  # noqa: S311
    broken = {False: 0, True: 0}
    for _ in range(histories):
        told = history(drawer, ON_THE_EDGE, 1_000)
        looks = [count_above(told[:n]) for n in range(100, 1_001, 100)]
        for watched in broken:
            broken[watched] += any(
                breaks(certify(rows, target=TARGET, delta=DELTA, watched=watched), truth)
                for rows in looks
            )
    assert broken[True] <= DELTA * histories
    assert broken[False] > DELTA * histories


def test_the_lowest_that_qualifies_is_found() -> None:
    told = [Judged(0.95, right=True)] * 400 + [Judged(0.85, right=n % 5 > 0) for n in range(400)]
    answer = certify(count_above(told), target=0.05)
    assert isinstance(answer, CertifiedThreshold)
    assert answer.accept_above == 0.85
    assert (answer.chosen.examined, answer.chosen.wrong) == (400, 0)
    assert answer.chosen.at_most == intervals.at_most(0, 400, 1 - 0.05 / len(GRID))
    assert str(answer) == (
        "above 0.85, of 400 proposals 400 were examined, 0 were wrong; error at most 1.32 %, "
        "below the target of 5 % (95 %, 10 thresholds tried)"
    )


def test_that_none_qualifies_is_said_out_loud() -> None:
    answer = certify(count_above([Judged(0.96, right=n > 20) for n in range(300)]), target=0.05)
    assert isinstance(answer, NoThreshold)
    assert not answer.lacks_labels
    assert str(answer) == (
        "no threshold qualifies: the error was to be below 5 %, and the closest is above 0.5, where "
        "21 of 300 examined were wrong; error at most 11.68 % (95 %, 10 thresholds tried)"
    )


def test_too_few_labels_are_told_from_too_many_errors() -> None:
    answer = certify(count_above([Judged(0.96, right=True)] * 100), target=0.02)
    assert isinstance(answer, NoThreshold)
    assert answer.lacks_labels
    assert answer.labels_needed == 263
    assert str(answer).endswith("; at least 263 labels without an error are needed")
    enough = certify(count_above([Judged(0.96, right=True)] * 263), target=0.02)
    assert isinstance(enough, CertifiedThreshold)


def test_above_means_what_the_bands_mean() -> None:
    told = [
        Judged(score, right=True)
        for score in (0.5, 0.9, 0.9000001, None, float("nan"), float("inf"), 1.0, 1.5)
    ]
    for row in count_above(told):
        bands = Bands(accept_above=row.above, escalate_at_or_below=0.1)
        expected = sum(bands.of(one.score) == "accept" for one in told)
        assert sum(one.total for one in row.strata) == expected


def test_labels_drawn_with_different_chances_are_weighted() -> None:
    """People judge all of what is held, and one in ten of what runs: the held ones are worse."""
    ran = [Judged(0.95, right=True if n % 10 == 0 else None, chance=0.1) for n in range(9_000)]
    held = [Judged(0.95, right=n % 2 > 0) for n in range(200)]
    row = count_above([*ran, *held], grid=(0.9,))[0]
    assert row.strata == (Stratum(9_000, 900, 0), Stratum(200, 200, 100))
    # 100 of 1,100 labels are wrong, and about one of a hundred proposals.
    assert isinstance(certify([row], target=0.03), CertifiedThreshold)
    as_counted = [Row(0.9, (Stratum(1_100, 1_100, 100),))]
    assert isinstance(certify(as_counted, target=0.03), NoThreshold)


def test_what_nobody_judged_is_never_taken_for_right() -> None:
    unknown = [Judged(0.95, right=None, chance=0.01)] * 500
    known = [Judged(0.95, right=True)] * 500
    assert isinstance(certify(count_above([*unknown, *known]), target=0.05), NoThreshold)


def test_it_holds_as_long_as_nothing_changes() -> None:
    then = Basis("14", "3", "isotonic-1-ab")
    answer = certify(count_above([Judged(0.96, right=True)] * 300), target=0.05)
    assert stale_because(then, then) == ()
    assert accept_above(answer, ()) == 0.5
    now = Basis("15", "3", "")
    assert stale_because(then, now, ["12 % of the scores lie elsewhere than before"]) == (
        "the agent version is 15 now and was 14",
        "the calibrator is none now and was isotonic-1-ab",
        "12 % of the scores lie elsewhere than before",
    )
    assert accept_above(answer, stale_because(then, now)) is None
    assert accept_above(certify([Row(0.9, ())], target=0.05), ()) is None


def test_the_order_of_rows_does_not_matter() -> None:
    rows = count_above(history(random.Random(8), SLOPING))  # noqa: S311
    assert certify(rows[::-1], target=0.2) == certify(rows, target=0.2)
    totals = [sum(one.total for one in row.strata) for row in rows]
    assert totals == list(accumulate(totals, min))


@pytest.mark.parametrize(
    "wanted", [{"target": 0.0}, {"target": 1.0}, {"target": 0.1, "delta": 1.0}]
)
def test_what_cannot_be_promised_is_refused(wanted: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="certified on a grid"):
        certify([Row(0.9, ())], **wanted)
    with pytest.raises(ValueError, match="certified on a grid"):
        certify([], target=0.1)
