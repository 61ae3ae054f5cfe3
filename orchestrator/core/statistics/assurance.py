"""The sentence about what nobody looked at: how many of all that was accepted can be wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.statistics import strata as weighting
from orchestrator.core.statistics.intervals import CONFIDENCE, SHARES_FROM
from orchestrator.core.statistics.strata import Stratum


@dataclass(frozen=True, slots=True)
class Assurance:
    """The counts, and the bound that they allow."""

    accepted: int
    examined: int
    wrong: int
    at_most: float
    confidence: float

    def __str__(self) -> str:
        counts = (
            f"of {self.accepted:,} auto-accepts {self.examined:,} were examined, "
            f"{self.wrong:,} {'was' if self.wrong == 1 else 'were'} wrong"
        )
        if self.examined < SHARES_FROM:
            return f"{counts}; too few to say more"
        return f"{counts}; error at most {percent(self.at_most)} ({percent(self.confidence)})"


def assure(
    strata: Sequence[Stratum], confidence: float = CONFIDENCE, *, watched: bool = False
) -> Assurance:
    """For a dated report; `watched` for a page or a trigger that looks again and again."""
    worst = (
        weighting.watched_bounds(strata, confidence)[1]
        if watched
        else weighting.at_most(strata, confidence)
    )
    return Assurance(
        accepted=sum(one.total for one in strata),
        examined=sum(one.examined for one in strata),
        wrong=sum(one.wrong for one in strata),
        at_most=worst,
        confidence=confidence,
    )


def percent(share: float) -> str:
    """At most two digits behind the point, and none that say nothing: 9.5 %, 1.57 %, 95 %."""
    return f"{share * 100:.2f}".rstrip("0").rstrip(".") + " %"
