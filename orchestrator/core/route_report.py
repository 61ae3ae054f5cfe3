"""How good the choices of a router were, by what came after them.

A person's word goes before everything else. Without one a choice was right when the run was completed,
and wrong when the chosen worker failed, the run failed, or people turned down what the worker proposed
because another one should have made it. Of all else nothing is known.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from orchestrator.core.statistics.intervals import Rate

RIGHT, WRONG, UNKNOWN = "right", "wrong", "unknown"
BY = ("rule", "model", "fallback")
WEEKLY_FROM_DAYS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """`n` decisions that are alike in all of this."""

    day: date
    version: int
    by: str
    # The rule, or why it came to the fallback worker.
    because: str
    worker: str
    outcome: str
    failed: bool
    refused: bool
    should_be: str
    n: int

    @property
    def verdict(self) -> str:
        return verdict(
            self.worker,
            outcome=self.outcome,
            failed=self.failed,
            refused=self.refused,
            should_be=self.should_be,
        )


def verdict(worker: str, *, outcome: str, failed: bool, refused: bool, should_be: str) -> str:
    if should_be:
        return RIGHT if should_be == worker else WRONG
    if failed or refused or outcome == "failed":
        return WRONG
    return RIGHT if outcome == "completed" else UNKNOWN


@dataclass(frozen=True, slots=True)
class Line:
    """Decisions that were made by the same rule, or by the model."""

    by: str
    because: str
    decided: int
    corrected: int
    wrong: int
    right: int

    @property
    def accuracy(self) -> Rate:
        """Of those that anything is known about."""
        return Rate(self.right, self.right + self.wrong)


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often people said of what went to one worker that it should have gone to another."""

    chosen: str
    should_be: str
    n: int


@dataclass(frozen=True, slots=True)
class Shares:
    """By whom was decided, in the days from `first` on."""

    first: date
    rule: int
    model: int
    fallback: int

    @property
    def n(self) -> int:
        return self.rule + self.model + self.fallback


def lines(counted: Iterable[Counted]) -> list[Line]:
    """Rules first, then the model, then the fallback; the busiest first."""
    groups = _grouped(counted, lambda one: (one.by, one.because))
    found = [_line(by, because, rows) for (by, because), rows in groups.items()]
    return sorted(found, key=lambda line: (BY.index(line.by), -line.decided, line.because))


def whole(counted: Iterable[Counted]) -> Line:
    return _line("", "", list(counted))


def confusions(counted: Iterable[Counted]) -> list[Confusion]:
    """The most frequent first; what somebody called right stands on the diagonal."""
    judged: Counter[tuple[str, str]] = Counter()
    for one in counted:
        if one.should_be:
            judged[one.worker, one.should_be] += one.n
    return [Confusion(*pair, n) for pair, n in sorted(judged.items(), key=_by_count)]


def shares(counted: Sequence[Counted], *, first: date, last: date) -> list[Shares]:
    """Day by day, or week by week where that would be too many."""
    step = 1 if (last - first).days < WEEKLY_FROM_DAYS else 7
    found: dict[date, Counter[str]] = defaultdict(Counter)
    for one in counted:
        begins = first + timedelta(days=(one.day - first).days // step * step)
        found[begins][one.by] += one.n
    return [Shares(day, *(found[day][by] for by in BY)) for day in sorted(found)]


def _line(by: str, because: str, rows: Sequence[Counted]) -> Line:
    def count(fits: Callable[[Counted], bool]) -> int:
        return sum(row.n for row in rows if fits(row))

    return Line(
        by=by,
        because=because,
        decided=count(lambda _: True),
        corrected=count(lambda row: row.should_be not in {"", row.worker}),
        wrong=count(lambda row: row.verdict == WRONG),
        right=count(lambda row: row.verdict == RIGHT),
    )


def _by_count(item: tuple[tuple[str, str], int]) -> tuple[int, tuple[str, str]]:
    return -item[1], item[0]


def _grouped[Key: Hashable](
    counted: Iterable[Counted], key: Callable[[Counted], Key]
) -> dict[Key, list[Counted]]:
    found: dict[Key, list[Counted]] = defaultdict(list)
    for one in counted:
        found[key(one)].append(one)
    return found
