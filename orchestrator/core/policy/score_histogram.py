"""How recorded scores are spread, and what people made of them: what thresholds are chosen by.

Only what the bands decide about is shown. What rules held or blocked they would hold at any score, and
it was looked at because of the rule: its verdicts say nothing about the score.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.core.policy.backtest import APPROVED, REJECTED, UNKNOWN
from orchestrator.core.policy.panel import UNSEEN
from orchestrator.core.policy.queue_load import BLOCKED
from orchestrator.core.policy.second_look import Seen, judge_again, score_under
from orchestrator.core.policy.terms import Terms
from orchestrator.core.statistics.intervals import Rate

BINS = 50
# Of a share times BINS, beyond which only the rounding of the machine speaks.
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Bin:
    """Scores over `low`, up to and with `high`: a threshold accepts what is over it. The first one has 0."""

    low: float
    high: float
    right: int = 0
    wrong: int = 0
    unknown: int = 0

    @property
    def count(self) -> int:
        return self.right + self.wrong + self.unknown


@dataclass(frozen=True, slots=True)
class Histogram:
    bins: Sequence[Bin]
    # Without a score, not evaluable because a score was not recorded, and held or blocked by rules.
    without: int
    unseen: int
    by_rules: int
    # Of what people judged and the terms would accept, how much was wrong; and what they would not accept.
    above: Rate
    below: Rate

    @property
    def shown(self) -> int:
        return sum(one.count for one in self.bins)

    @property
    def highest(self) -> int:
        return max(one.count for one in self.bins)


def histogram(terms: Terms, recorded: Iterable[Seen]) -> Histogram:
    places: Counter[tuple[int, str]] = Counter()
    judged: Counter[tuple[bool, str]] = Counter()
    without = unseen = by_rules = 0
    for seen in recorded:
        if seen.verdict in {"hold", BLOCKED}:
            by_rules += 1
            continue
        said, score = judge_again(terms, seen).verdict, score_under(terms, seen)
        judged[said == "accept", seen.human] += said != UNSEEN
        if said == UNSEEN:
            unseen += 1
        elif score is None or not 0 <= score <= 1:
            without += 1
        else:
            places[_place(score), seen.human] += 1
    return Histogram(
        bins=[_bin(place, places) for place in range(BINS)],
        without=without,
        unseen=unseen,
        by_rules=by_rules,
        above=_wrong(judged, is_accepted=True),
        below=_wrong(judged, is_accepted=False),
    )


def _place(score: float) -> int:
    """0.9 belongs below the line of 0.9, as in the bands."""
    return max(0, math.ceil(round(score * BINS, _DIGITS)) - 1)


def _bin(place: int, places: Counter[tuple[int, str]]) -> Bin:
    return Bin(
        low=place / BINS,
        high=(place + 1) / BINS,
        right=places[place, APPROVED],
        wrong=places[place, REJECTED],
        unknown=places[place, UNKNOWN],
    )


def _wrong(judged: Counter[tuple[bool, str]], *, is_accepted: bool) -> Rate:
    wrong = judged[is_accepted, REJECTED]
    return Rate(wrong, wrong + judged[is_accepted, APPROVED])
