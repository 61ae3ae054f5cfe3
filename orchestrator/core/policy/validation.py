"""What a validator may answer, and when what it says is a doubt.

A validator is an agent, so what it says is outside data: a score and a verdict that count, and texts
that are only ever shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.core import schemas
from orchestrator.core.codec import Json, storable
from orchestrator.core.errors import OutputInvalid
from orchestrator.core.policy.terms import Validator

PASS = "pass"  # noqa: S105  (a verdict, not a password)
REASONS_MAX = 10
REASON_LENGTH_MAX = 500
ANSWER: dict[str, Any] = {
    "type": "object",
    "required": ["score", "verdict", "reasons"],
    "additionalProperties": False,
    "properties": {
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "verdict": {"enum": [PASS, "fail"]},
        "reasons": {
            "type": "array",
            "maxItems": REASONS_MAX,
            "items": {"type": "string", "maxLength": REASON_LENGTH_MAX},
        },
    },
}


@dataclass(frozen=True, slots=True)
class Answer:
    score: float
    verdict: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Heard:
    """A validator that was asked, and what became of that: an answer, or the reason why there is none."""

    validator: Validator
    answer: Answer | None
    error: str = ""
    # What it rests on and what it cost, to be kept with it.
    facts: Mapping[str, Json] = field(default_factory=dict)


def read_answer(output: Json) -> Answer:
    """Raises OutputInvalid for whatever does not fit, and never guesses."""
    if not storable(output):
        raise OutputInvalid("it holds text or numbers that cannot be stored")
    problems = schemas.check(ANSWER, output)
    if problems:
        raise OutputInvalid(problems[0].reason, pointer=problems[0].pointer)
    found: Any = output
    return Answer(float(found["score"]), found["verdict"], tuple(found["reasons"]))


def doubts(heard: Sequence[Heard], wanted: Sequence[Validator]) -> list[str]:
    """Why a score is not to be trusted: who gave no answer, who said no, and who was not asked.

    Whoever is wanted now may have another rubric than when the others were asked.
    """
    asked = {one.validator for one in heard}
    return [
        *(_failed(one) for one in heard if one.answer is None),
        *(_against(one) for one in heard if one.answer and one.answer.verdict != PASS),
        *(_missed(one) for one in wanted if one not in asked),
    ]


def _failed(one: Heard) -> str:
    return f"the validator {one.validator.name} gave no answer that counts: {one.error}"


def _against(one: Heard) -> str:
    return f"the validator {one.validator.name} does not let it pass"


def _missed(one: Validator) -> str:
    return f"the validator {one.name} is wanted by now and was not asked"
