"""Whether an agent still is what it was when it was calibrated and certified.

Two questions. Do scores lie where they lay (`compare_scores`)? That needs no labels and can be asked of
every proposal, but says nothing about errors. And is more wrong than was expected (`DriftWatch`)? That
needs labels, and is asked again with each of them.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from orchestrator.core.codec import Json
from orchestrator.core.statistics.assurance import percent
from orchestrator.core.statistics.special import chi_square_tail

# With a million proposals every difference is beyond chance. It has to be one that matters, too.
MOVED_FROM = 0.1
DOUBT = 0.01
# Chi-square is sound from so many expected in a bin; scarcer ones are joined with their neighbours.
_EXPECTED_MIN = 5

# Of wrong answers: how many times the odds that are looked for.
_ODDS = (1.5, 2.0, 4.0)
# Nobody is expected never to be wrong, or a single error would end everything.
_EXPECTED_ERROR_MIN = 0.001
# Wealth stops growing here, far over any limit, so that it stays a number that JSON can hold.
_WEALTH_MAX = 1e12
LABELS_BETWEEN_FALSE_ALARMS = 10_000


# Scores ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ScoreDrift:
    """Scores before and after, for one dated comparison.

    Looked at every week, chance alone calls one of a hundred comparisons a drift.
    """

    before: int
    after: int
    # The part of scores that would have to lie in another bin for both to look alike.
    moved: float
    # How often chance alone makes two samples differ so much.
    chance: float

    @property
    def has_drifted(self) -> bool:
        return self.moved >= MOVED_FROM and self.chance < DOUBT

    def __str__(self) -> str:
        return f"{percent(self.moved)} of the scores lie elsewhere than before"


def compare_scores(before: Sequence[int], after: Sequence[int]) -> ScoreDrift:
    """By the counts of the same bins, in the order of the scores."""
    both = _joined(list(zip(before, after, strict=True)))
    n, m = sum(before), sum(after)
    if not n or not m:
        return ScoreDrift(n, m, moved=0.0, chance=1.0)
    moved = sum(abs(one / n - other / m) for one, other in both) / 2
    # Of a table of two rows, written without its expected counts.
    statistic = sum((one * m - other * n) ** 2 / (one + other) for one, other in both) / (n * m)
    chance = chi_square_tail(statistic, len(both) - 1) if len(both) > 1 else 1.0
    return ScoreDrift(n, m, moved, chance)


type _Pair = tuple[int, int]


def _joined(bins: Iterable[_Pair]) -> list[_Pair]:
    """Neighbours are joined until both sides expect enough of them; the rest goes to the last."""
    bins = list(bins)
    n, m = sum(one for one, _ in bins), sum(other for _, other in bins)
    found: list[_Pair] = []
    open_ = (0, 0)
    for one, other in bins:
        open_ = (open_[0] + one, open_[1] + other)
        if sum(open_) * min(n, m) >= _EXPECTED_MIN * (n + m):
            found.append(open_)
            open_ = (0, 0)
    if sum(open_) and found:
        last = found.pop()
        open_ = (last[0] + open_[0], last[1] + open_[1])
    return [*found, open_] if sum(open_) else found


# Errors ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DriftWatch:
    """Bets that more is wrong than was expected, begun anew with every label (Shiryaev and Roberts).

    While no more is wrong than expected there are on average at least as many labels before the first
    false alarm as `has_drifted` is asked for, whatever happens in between. Unlike a confidence sequence
    it forgets: a long good time does not hide a bad one that begins after it.
    """

    labels: int = 0
    wealth: tuple[float, ...] = (0.0,) * len(_ODDS)

    def after(self, *, wrong: bool, expected_error: float) -> Self:
        """With one more label. What is expected may differ from label to label.

        After a calibrator that is one less the calibrated score, and a margin for what the calibrator
        itself does not know; after a certified threshold its target.
        """
        at = max(expected_error, _EXPECTED_ERROR_MIN)
        return type(self)(
            labels=self.labels + 1,
            wealth=tuple(
                min((held + 1) * _gain(odds, at, wrong=wrong), _WEALTH_MAX)
                for held, odds in zip(self.wealth, _ODDS, strict=True)
            ),
        )

    def has_drifted(self, labels_between_false_alarms: int = LABELS_BETWEEN_FALSE_ALARMS) -> bool:
        return math.fsum(self.wealth) / len(self.wealth) >= labels_between_false_alarms

    def __str__(self) -> str:
        return f"more is wrong than was expected, by {self.labels:,} labels"

    def to_json(self) -> dict[str, Json]:
        return {"labels": self.labels, "wealth": list(self.wealth)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        return cls(labels=stored["labels"], wealth=tuple(stored["wealth"]))


def _gain(odds: float, expected: float, *, wrong: bool) -> float:
    """What one bet becomes: a likelihood ratio, so no more than one on average if all is as expected."""
    if expected >= 1:
        return 1.0
    feared = odds * expected / (1 - expected + odds * expected)
    return feared / expected if wrong else (1 - feared) / (1 - expected)
