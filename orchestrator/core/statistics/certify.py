"""From which score on proposals may run without a person, with a promise about how many are wrong.

The promise: in at least 1 - delta of all histories the error above the threshold that is found is below
the target. It rests on three things. The grid is fixed before anybody looks at the data. All thresholds
of the grid are bounded at once, each with its part of the doubt (Bonferroni), so that choosing the lowest
that fits costs nothing. And labels are drawn by chance: what somebody picked is left out.

It holds for one look at a time of one's own choosing. Whoever certifies anew whenever labels come in and
takes the first answer that pleases asks with `watched`, which holds at every look. And it holds for what
it was found on: the same agent version, contract version and calibrator, and scores that mean what they
meant (`stale_because`).
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.core.statistics.assurance import percent
from orchestrator.core.statistics.strata import Stratum, at_most, watched_bounds

# Coarse where scores are rare, fine where agents put theirs. Each further one costs all of them some doubt.
GRID = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.99)
DELTA = 0.05


@dataclass(frozen=True, slots=True)
class Row:
    """What scores above a threshold: as in the bands, a score that equals it is not above."""

    above: float
    strata: tuple[Stratum, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A threshold of the grid, with the bound on its error that holds for all of them at once."""

    above: float
    total: int
    examined: int
    wrong: int
    at_most: float


@dataclass(frozen=True, slots=True)
class CertifiedThreshold:
    chosen: Candidate
    target: float
    delta: float
    tried: tuple[Candidate, ...]

    @property
    def accept_above(self) -> float:
        return self.chosen.above

    def __str__(self) -> str:
        one = self.chosen
        return (
            f"above {one.above:g}, of {one.total:,} proposals {one.examined:,} were examined, "
            f"{one.wrong:,} {'was' if one.wrong == 1 else 'were'} wrong; error at most "
            f"{percent(one.at_most)}, below the target of {percent(self.target)} "
            f"({percent(1 - self.delta)}, {len(self.tried)} thresholds tried)"
        )


@dataclass(frozen=True, slots=True)
class NoThreshold:
    """No threshold qualifies: everything goes before people."""

    target: float
    delta: float
    tried: tuple[Candidate, ...]
    # So many labels above a threshold are needed even if none of them is wrong.
    labels_needed: int

    @property
    def closest(self) -> Candidate:
        return min(self.tried, key=lambda one: one.at_most)

    @property
    def lacks_labels(self) -> bool:
        """Whether no threshold had enough of them, however good the agent may be."""
        return all(one.examined < self.labels_needed for one in self.tried)

    def __str__(self) -> str:
        one = self.closest
        tail = (
            f"; at least {self.labels_needed:,} labels without an error are needed"
            if self.lacks_labels
            else ""
        )
        return (
            f"no threshold qualifies: the error was to be below {percent(self.target)}, and the closest "
            f"is above {one.above:g}, where {one.wrong:,} of {one.examined:,} examined "
            f"{'was' if one.wrong == 1 else 'were'} wrong; error at most {percent(one.at_most)} "
            f"({percent(1 - self.delta)}, {len(self.tried)} thresholds tried){tail}"
        )


type Answer = CertifiedThreshold | NoThreshold


def certify(
    rows: Sequence[Row], *, target: float, delta: float = DELTA, watched: bool = False
) -> Answer:
    """The lowest threshold whose error stays below the target, or that there is none.

    `rows` are those of the whole grid, also where nothing was found. With `watched` the promise holds
    however often one asks.
    """
    if not rows or not 0 < target < 1 or not 0 < delta < 1:
        raise ValueError(
            "a threshold is certified on a grid, for a target and a doubt between 0 and 1"
        )
    each = 1 - delta / len(rows)
    tried = tuple(_bound(row, each, watched=watched) for row in sorted(rows, key=lambda r: r.above))
    chosen = next((one for one in tried if one.at_most < target), None)
    if chosen is None:
        return NoThreshold(target, delta, tried, _labels_needed(target, each, watched=watched))
    return CertifiedThreshold(chosen, target, delta, tried)


@dataclass(frozen=True, slots=True)
class Pile:
    """Proposals of one score that were put before people with one chance, as a database counts them."""

    score: float
    chance: float
    total: int
    examined: int
    wrong: int


def rows_of(piles: Iterable[Pile], grid: Sequence[float] = GRID) -> tuple[Row, ...]:
    """Of all proposals of one agent version, action and tier, also of those without a label.

    Labels that were drawn with different chances are strata of their own: without those that nobody
    looked at their sizes would be wrong.
    """
    grid = sorted(set(grid))
    found: dict[float, list[_Counts]] = defaultdict(
        lambda: [_Counts() for _ in range(len(grid) + 1)]
    )
    for one in piles:
        found[one.chance][bisect_left(grid, one.score)].add(one)
    above = {chance: _sums_from_above(counts) for chance, counts in found.items()}
    return tuple(Row(at, _strata_at(place, above)) for place, at in enumerate(grid))


@dataclass(slots=True)
class _Counts:
    total: int = 0
    examined: int = 0
    wrong: int = 0

    def add(self, one: Pile) -> None:
        self.total += one.total
        self.examined += one.examined
        self.wrong += one.wrong


def _sums_from_above(counts: Sequence[_Counts]) -> list[Stratum]:
    """For each threshold everything that fell behind it; before the first one nothing is asked."""
    sums, total, examined, wrong = [], 0, 0, 0
    for one in reversed(counts[1:]):
        total, examined, wrong = total + one.total, examined + one.examined, wrong + one.wrong
        sums.append(Stratum(total, examined, wrong))
    return sums[::-1]


def _strata_at(place: int, above: Mapping[float, Sequence[Stratum]]) -> tuple[Stratum, ...]:
    found = (above[chance][place] for chance in sorted(above))
    return tuple(one for one in found if one.total)


def _bound(row: Row, confidence: float, *, watched: bool) -> Candidate:
    worst = (
        watched_bounds(row.strata, confidence)[1] if watched else at_most(row.strata, confidence)
    )
    return Candidate(
        above=row.above,
        total=sum(one.total for one in row.strata),
        examined=sum(one.examined for one in row.strata),
        wrong=sum(one.wrong for one in row.strata),
        at_most=worst,
    )


def _labels_needed(target: float, confidence: float, *, watched: bool) -> int:
    """With one stratum and none of them wrong."""

    def is_enough(n: int) -> bool:
        return _bound(Row(0, (Stratum(n, n, 0),)), confidence, watched=watched).at_most < target

    most = 1
    while not is_enough(most):
        most *= 2
    return bisect_left(range(most), True, key=is_enough)


# How long it holds -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Basis:
    """What a threshold was certified on, or what is in force now."""

    agent_version: str
    contract_version: str
    # Empty: raw scores.
    calibrator_version: str = ""


def stale_because(then: Basis, now: Basis, drift: Sequence[str] = ()) -> tuple[str, ...]:
    """Why it holds no longer; nothing while it does. `drift` is what was found of it, in sentences."""
    changes = {
        "agent version": (then.agent_version, now.agent_version),
        "contract version": (then.contract_version, now.contract_version),
        "calibrator": (then.calibrator_version, now.calibrator_version),
    }
    return (
        *(
            f"the {name} is {after or 'none'} now and was {before or 'none'}"
            for name, (before, after) in changes.items()
            if before != after
        ),
        *drift,
    )


def accept_above(answer: Answer, stale: Sequence[str]) -> float | None:
    """The threshold in force. None: everything goes before people."""
    return answer.accept_above if isinstance(answer, CertifiedThreshold) and not stale else None
