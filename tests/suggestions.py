"""Judged proposals of one action, for tests of what they suggest."""

from collections.abc import Callable, Sequence
from typing import Any

from orchestrator.actions import contracts
from orchestrator.actions.actor import Actor
from orchestrator.models import Proposal
from tests.conftest import Cast
from tests.deciding import decide

ACTION = "parcel.send"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["grams", "country"],
    "properties": {
        "grams": {"type": "integer"},
        "country": {"type": "string"},
        "note": {"type": "string"},
        "card": {"type": "string"},
    },
    "additionalProperties": False,
}


def declare(cast: Cast, *, masked: Sequence[str] = ()) -> None:
    contracts.record(
        Actor(cast.ada),
        kind="action",
        name=ACTION,
        schema=SCHEMA,
        timeout_s=60,
        masked=list(masked),
    )


def judge(
    cast: Cast, propose: Callable[..., Proposal], args: dict[str, Any], *, rejected: bool
) -> Proposal:
    """Put before a person by its score, and decided."""
    made = propose(action=ACTION, args=args, confidence=0.3)
    verdict, more = ("reject", {"reason": "wrong_value"}) if rejected else ("approve", {})
    decide(cast.rita, made.review_items.get(), verdict, **more)
    return made


def judge_by_country(
    cast: Cast, propose: Callable[..., Proposal], bad: str, count: int = 48, good: str = "NL"
) -> list[Proposal]:
    """Every other one goes to `bad`, which people reject; nothing else tells them apart."""
    return [
        judge(
            cast,
            propose,
            {"grams": n * 37 % 900, "country": bad if n % 2 else good},
            rejected=n % 2 > 0,
        )
        for n in range(count)
    ]
