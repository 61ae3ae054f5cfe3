"""How scores lie, and where people found them right: what thresholds are chosen by."""

from dataclasses import dataclass

from orchestrator.report_queries.scope import Scope

BINS = 100


@dataclass(frozen=True, slots=True)
class ScoreBin:
    """Scores over `above` up to and with `up_to`, a hundredth apart; the first bin holds 0, too."""

    above: float
    up_to: float
    proposals: int
    # Of those that people judged, in the queue or blind: whether they should have run.
    right: int
    wrong: int

    @property
    def labelled(self) -> int:
        return self.right + self.wrong


@dataclass(frozen=True, slots=True)
class ScoreHistogram:
    # BINS of them, from 0 to 1.
    bins: tuple[ScoreBin, ...]
    # Proposals without a usable score, which people decide.
    without_score: int
    days: int


def score_histogram(
    scope: Scope, dispositions: tuple[str, ...] = ("accept", "revise", "escalate")
) -> ScoreHistogram:
    """Of proposals that the bands decided about, unless others are asked for.

    What a rule held or blocked has a score as well, but no threshold changes what becomes of it.
    """
    raise NotImplementedError
