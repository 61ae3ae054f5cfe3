"""What a version of a rule or of a policy would have said about recorded proposals, against what people decided.

Each proposal becomes a `Cell`: what the tested version says, what it is compared with says, what a
person decided, and whether it went before a person anyway. Equal cells are counted together (`Tally`),
so that a million proposals are a few dozen numbers; `find` makes of them what a page shows. What nobody
decided is unknown, and never counts as right.

A rule passes or fails, and is compared with the active version on the same inputs. A policy accepts, or
does something else (see `second_look`), and is compared with what was decided then.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Self

from orchestrator.core.codec import Json
from orchestrator.core.policy.panel import ERROR, FAIL, OUT, PASS, UNSEEN
from orchestrator.core.policy.queue_load import Load, measure_load, people
from orchestrator.core.statistics.intervals import Rate

APPROVED, REJECTED, UNKNOWN = "approved", "rejected", "unknown"
# Different reasons why a version could not be asked; rarer ones are counted and not named.
REASONS_KEPT_MAX = 20


class Cell(NamedTuple):
    after: str
    before: str
    human: str
    # How many people it takes without this rule: "0", "1", "2", or "block".
    elsewhere: str

    @property
    def flip(self) -> str:
        """Which kind of flip it is: both versions have an answer that counts, and it is not the same."""
        return _flip_of(self)


@lru_cache(maxsize=1_000)
def _flip_of(cell: Cell) -> str:
    if cell.after in {ERROR, UNSEEN} or cell.before == UNSEEN:
        return ""
    after, before = _stance(cell.after), _stance(cell.before)
    return f"{before} to {after}, {cell.human}" if after != before else ""


def _stance(result: str) -> str:
    return PASS if result == OUT else result


class Tally(Counter[Cell]):
    """How often each cell was met."""

    def to_json(self) -> dict[str, Json]:
        return {"|".join(cell): count for cell, count in sorted(self.items())}

    @classmethod
    def from_json(cls, stored: Mapping[str, int]) -> Self:
        return cls({Cell(*text.split("|")): count for text, count in stored.items()})

    def flips(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for cell, count in self.items():
            if cell.flip:
                found[cell.flip] += count
        return found


@dataclass(frozen=True, slots=True)
class Counts:
    """What one version says about the proposals in its scope. A `flag` rule flags where others hold."""

    in_scope: int = 0
    caught: int = 0
    needless: int = 0
    missed: int = 0
    passed_approved: int = 0
    hits_unknown: int = 0
    passes_unknown: int = 0
    not_evaluable: int = 0

    @property
    def hits(self) -> int:
        """What it would hold, block or flag."""
        return self.caught + self.needless + self.hits_unknown

    @property
    def unknown(self) -> int:
        return self.hits_unknown + self.passes_unknown

    @property
    def precision(self) -> Rate:
        """Of what it would hold and a person decided, how much they rejected."""
        return Rate(self.caught, self.caught + self.needless)

    @property
    def recall(self) -> Rate:
        """Of what people rejected, how much it would hold."""
        return Rate(self.caught, self.caught + self.missed)

    def less(self, other: "Counts") -> dict[str, int]:
        """The difference of each count."""
        return {name: getattr(self, name) - getattr(other, name) for name in COUNTED}


COUNTED = (
    "in_scope",
    "hits",
    "caught",
    "needless",
    "missed",
    "passed_approved",
    "unknown",
    "not_evaluable",
)
_STOPPED = {REJECTED: "caught", APPROVED: "needless", UNKNOWN: "hits_unknown"}
_LET_PASS = {REJECTED: "missed", APPROVED: "passed_approved", UNKNOWN: "passes_unknown"}
# By what either kind of version says.
_KINDS: dict[str, Mapping[str, str]] = {
    PASS: _LET_PASS,
    FAIL: _STOPPED,
    "accept": _LET_PASS,
    "revise": _STOPPED,
    "escalate": _STOPPED,
    "hold": _STOPPED,
    "block": _STOPPED,
}


def classify(result: str, human: str) -> str:
    """The count that one proposal belongs to; outside the scope it belongs to none."""
    if result == OUT:
        return ""
    return _KINDS[result][human] if result in _KINDS else "not_evaluable"


class Effects(NamedTuple):
    """What a failure of either version does."""

    after: str
    # Empty when there is no active version.
    before: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """The result of a backtest, or of as much of it as is done."""

    looked_at: int
    after: Counts
    # None when there is nothing to compare with.
    before: Counts | None
    flips: Mapping[str, int]
    load: Load

    @property
    def delta(self) -> dict[str, int]:
        return self.after.less(self.before or Counts())

    @property
    def flips_total(self) -> int:
        return sum(self.flips.values())


type People = Callable[[Cell], tuple[int, int]]


def find(
    tally: Tally, *, looked_at: int, effects: Effects, days: float, review_minutes: float
) -> Findings:
    """Of a rule."""

    def asked(cell: Cell) -> tuple[int, int]:
        before = people(cell.elsewhere, effects.before, cell.before)
        return before, people(cell.elsewhere, effects.after, cell.after)

    has_before = bool(effects.before)
    return findings_of(
        tally, looked_at, asked, has_before, days=days, review_minutes=review_minutes
    )


def findings_of(
    tally: Tally,
    looked_at: int,
    asked: People,
    has_before: bool,
    *,
    days: float,
    review_minutes: float,
) -> Findings:
    """`asked` says how many people a proposal took before and after."""
    before = _count((cell.before, cell.human, count) for cell, count in tally.items())
    return Findings(
        looked_at=looked_at,
        after=_count((cell.after, cell.human, count) for cell, count in tally.items()),
        before=before if has_before else None,
        flips=dict(tally.flips()),
        load=measure_load(
            _pair(tally, asked),
            asked=tally.total(),
            errors=sum(count for cell, count in tally.items() if cell.after == ERROR),
            days=days,
            review_minutes=review_minutes,
        ),
    )


def _count(told: Iterable[tuple[str, str, int]]) -> Counts:
    found: Counter[str] = Counter()
    for result, human, count in told:
        kind = classify(result, human)
        if kind:
            found[kind] += count
            found["in_scope"] += count
    return Counts(**found)


def _pair(tally: Tally, asked: People) -> Counter[tuple[int, int]]:
    """The people that each proposal took before and after, where both versions can be asked."""
    pairs: Counter[tuple[int, int]] = Counter()
    for cell, count in tally.items():
        if cell.after not in {ERROR, UNSEEN} and cell.before != UNSEEN:
            pairs[asked(cell)] += count
    return pairs


def note_reason(reasons: Counter[str], reason: str) -> None:
    """Why a version could not be asked; of many different reasons the first few are named."""
    if reason in reasons or len(reasons) < REASONS_KEPT_MAX:
        reasons[reason] += 1
