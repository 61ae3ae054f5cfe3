"""What evaluators said of a proposal, for people who may see it."""

from typing import Any, NamedTuple

from orchestrator.models import Evaluation
from review.presentation.money import cost
from review.presentation.times import took

_LOOKS = {
    "pass": ("quiet", "ok", "circle-check", "passes"),
    "fail": ("", "warn", "triangle-alert", "does not pass"),
    "": ("bad", "bad", "circle-alert", "no answer that counts"),
}


class Score(NamedTuple):
    title: str
    score: float | None


class Validated(NamedTuple):
    name: str
    policy: int
    score: float | None
    verdict: str
    tone: str
    chip_tone: str
    icon: str
    # An agent's own words, and what is known of it.
    reasons: list[str]
    error: str
    who: str
    took: str
    tokens: int
    cost: str


def is_validated(one: Evaluation) -> bool:
    return one.evaluator == Evaluation.Evaluator.VALIDATOR


def score_of(one: Evaluation) -> Score:
    return Score(one.get_evaluator_display(), one.score)


def validated_of(one: Evaluation) -> Validated:
    raw: dict[str, Any] = one.raw if isinstance(one.raw, dict) else {}
    tone, chip_tone, icon, verdict = _LOOKS[raw.get("verdict", "")]
    money = raw.get("money_micros", 0)
    return Validated(
        name=one.name,
        policy=raw.get("policy", 0),
        score=one.score,
        verdict=verdict,
        tone=tone,
        chip_tone=chip_tone,
        icon=icon,
        reasons=raw.get("reasons", []),
        error=raw.get("error", ""),
        who=_who(raw.get("agent", {})),
        took=took(raw["took_ms"] / 1000) if raw.get("took_ms") else "",
        tokens=raw.get("tokens_in", 0) + raw.get("tokens_out", 0),
        cost=cost(money) if money else "",
    )


def _who(agent: dict[str, str]) -> str:
    known = [agent.get("name", ""), agent.get("version", ""), agent.get("model", "")]
    return " ".join(part for part in known if part) or "unknown agent"
