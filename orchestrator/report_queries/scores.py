"""How scores lie, and where people found them right: what thresholds are chosen by."""

from dataclasses import dataclass

from orchestrator.core.statistics.calibration import edges_of
from orchestrator.report_queries import counted
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
    sums = counted.rows(
        f"""
        SELECT c.bin, sum(c.proposals)::bigint, sum(c."right")::bigint, sum(c.wrong)::bigint
          FROM orchestrator_scoreday c
         WHERE {counted.within(scope)} AND c.disposition = ANY(%(dispositions)s)
         GROUP BY c.bin
        """,
        counted.values_of(scope, dispositions=list(dispositions)),
    )
    counts = {place: numbers for place, *numbers in sums}
    edges = edges_of(BINS)
    return ScoreHistogram(
        bins=tuple(
            ScoreBin(edges[place], edges[place + 1], *counts.get(place, (0, 0, 0)))
            for place in range(BINS)
        ),
        without_score=counts.get(-1, (0,))[0],
        days=scope.days,
    )
