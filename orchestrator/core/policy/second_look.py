"""What other terms would have made of recorded proposals: only what follows from the score can change.

What rules held or blocked stays held or blocked, as they were recorded; what was in doubt stays in doubt.
Where a score was not recorded that the terms ask for, nobody can say what they would have made of it.
A certificate that the terms ask for is not asked about: it could only turn some that are accepted here
into some that people decide.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.core.policy.backtest import UNKNOWN, Cell, Findings, Tally, findings_of
from orchestrator.core.policy.panel import UNSEEN
from orchestrator.core.policy.queue_load import BLOCKED
from orchestrator.core.policy.terms import CALIBRATED, Scope, Terms

VERDICTS = ("accept", "revise", "escalate", "hold", "block")
NO_CALIBRATED = "no calibrated score was recorded then"


@dataclass(frozen=True, slots=True)
class Seen:
    """A recorded proposal with everything that is known about how it was judged."""

    scope: Scope
    # What the agent said of itself.
    stated: float | None
    verdict: str
    band: str
    # It was put before people though its score was high enough.
    was_doubted: bool = False
    # How many people rules asked for.
    people: int = 0
    # Whether people found it right, by whichever way they came to judge it.
    human: str = UNKNOWN
    # What the terms of then held against the bands, where that was the calibrated score.
    calibrated: float | None = None
    was_calibrated: bool = False
    # What validators said, by what they were asked.
    validated: Mapping[tuple[str, str], float | None] = field(default_factory=dict)

    @property
    def elsewhere(self) -> str:
        """What it took whatever the score: see `Cell`."""
        return BLOCKED if self.verdict == BLOCKED else str(self.people)


@dataclass(frozen=True, slots=True)
class Said:
    verdict: str
    # Why nobody can say.
    reason: str = ""


def judge_again(terms: Terms, seen: Seen) -> Said:
    """What these terms would have made of it."""
    if seen.verdict in {"hold", BLOCKED}:
        return Said(seen.verdict)
    if seen.was_doubted:
        return Said("escalate")
    if terms.score == CALIBRATED and not seen.was_calibrated:
        return Said(UNSEEN, NO_CALIBRATED)
    missing = next((one.name for one in terms.validators if one.asks not in seen.validated), None)
    if missing is not None:
        return Said(UNSEEN, f"{missing} was not asked then")
    return Said(terms.bands.of(score_under(terms, seen)))


def score_under(terms: Terms, seen: Seen) -> float | None:
    """The lowest of those that count; None when one of them is missing."""
    own = seen.calibrated if terms.score == CALIBRATED else seen.stated
    counting = [own, *(seen.validated.get(one.asks) for one in terms.validators)]
    known = [one for one in counting if one is not None]
    return min(known) if len(known) == len(counting) else None


def cell_of(terms: Terms, seen: Seen) -> Cell:
    return Cell(judge_again(terms, seen).verdict, seen.verdict, seen.human, seen.elsewhere)


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of what goes on unseen is drawn for people to judge, by what was made of it."""

    accept: float
    revise: float
    block: float

    def of(self, verdicts: Mapping[str, int]) -> float:
        return (
            self.accept * verdicts.get("accept", 0)
            + self.revise * verdicts.get("revise", 0)
            + self.block * verdicts.get("block", 0)
        )


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change of terms does, of as many proposals as were looked at."""

    findings: Findings
    days: float
    # How many were made what of, where both are known.
    before: Mapping[str, int]
    after: Mapping[str, int]
    # Drawn to be judged blind, on average.
    audits_before: float
    audits_after: float

    def a_day(self, count: float) -> float:
        return count / self.days


def effect_of(
    tally: Tally, *, looked_at: int, days: float, review_minutes: float, shares: Shares
) -> Effect:
    before, after = _verdicts(tally)
    return Effect(
        findings=findings_of(
            tally, looked_at, people_of, True, days=days, review_minutes=review_minutes
        ),
        days=days,
        before=before,
        after=after,
        audits_before=shares.of(before) / days,
        audits_after=shares.of(after) / days,
    )


def tally_of(terms: Terms, recorded: Iterable[tuple[Seen, int]]) -> Tally:
    """Of proposals that were counted together where they are alike."""
    tally = Tally()
    for seen, count in recorded:
        tally[cell_of(terms, seen)] += count
    return tally


def people_of(cell: Cell) -> tuple[int, int]:
    """How many people it took then, and how many it would take."""
    return _people(cell.elsewhere, cell.before), _people(cell.elsewhere, cell.after)


def _people(elsewhere: str, verdict: str) -> int:
    if elsewhere == BLOCKED:
        return 0
    return max(int(elsewhere), int(verdict in {"escalate", "hold"}))


def _verdicts(tally: Tally) -> tuple[dict[str, int], dict[str, int]]:
    before, after = dict.fromkeys(VERDICTS, 0), dict.fromkeys(VERDICTS, 0)
    for cell, count in tally.items():
        if cell.after != UNSEEN and cell.before in before:
            before[cell.before] += count
            after[cell.after] += count
    return before, after
