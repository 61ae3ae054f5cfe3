"""From scores and checks to one disposition, with its reasons.

Precedence, published and tested: an error holds; block beats hold beats two_person beats the band;
flag only records. Arguments that came from untrusted data hold as a rule would that nobody can retire. A score that is missing or is not a finite number escalates, and so does one that is
in doubt.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.core.policy.guardrails import Check

NO_SCORE = "no usable score was given"


@dataclass(frozen=True, slots=True)
class Bands:
    """accept above the upper line, escalate at or below the lower one, revise in between."""

    accept_above: float
    escalate_at_or_below: float

    def of(self, score: Any) -> str:
        if (
            isinstance(score, bool)
            or not isinstance(score, int | float)
            or not math.isfinite(score)
        ):
            return "escalate"
        if score > self.accept_above:
            return "accept"
        if score > self.escalate_at_or_below:
            return "revise"
        return "escalate"


@dataclass(frozen=True, slots=True)
class Disposition:
    verdict: str
    band: str
    reasons: tuple[str, ...]
    approvals_needed: int


def dispose(
    score: Any,
    bands: Bands,
    checks: Sequence[Check],
    doubts: Sequence[str] = (),
    tainted: Sequence[str] = (),
) -> Disposition:
    """The one place where a machine's yes or no is made.

    `doubts` say why no score can be trusted just now, be it ever so high: a person decides. `tainted`
    says of each argument that came from untrusted data where it did, and a person decides as well.
    """
    band = "escalate" if doubts else bands.of(score)
    enforced = [check for check in checks if check.enforced and check.result != "pass"]
    errors = [check for check in enforced if check.result == "error"]
    failed = {
        effect: [c for c in enforced if c.effect == effect and c.result == "fail"]
        for effect in ("block", "hold", "two_person")
    }
    if failed["block"]:
        return Disposition("block", band, _reasons(failed["block"]), 0)
    holding = [*errors, *failed["hold"], *failed["two_person"]]
    if holding or tainted:
        # Whoever makes a blocking rule fail to work gets no further than if it had blocked.
        two = any(check.effect in {"two_person", "block"} for check in holding)
        return Disposition("hold", band, (*_reasons(holding), *tainted), 2 if two else 1)
    needed = 1 if band == "escalate" else 0
    reasons = tuple(doubts) or (_band_reason(score, band, bands),)
    return Disposition(band, band, reasons, needed)


def follows_from_score(reason: str) -> bool:
    """Whether the first reason of a disposition that no rule made is its score, and no doubt about it."""
    return reason in {"", NO_SCORE} or reason.startswith("score ")


def _reasons(checks: Sequence[Check]) -> tuple[str, ...]:
    return tuple(f"{check.rule}: {check.reason}" for check in checks)


def _band_reason(score: Any, band: str, bands: Bands) -> str:
    if band == "accept":
        return f"score {score} is over {bands.accept_above}"
    if band == "revise":
        return (
            f"score {score} is over {bands.escalate_at_or_below} but not over {bands.accept_above}"
        )
    if isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score):
        return f"score {score} is not over {bands.escalate_at_or_below}"
    return NO_SCORE
