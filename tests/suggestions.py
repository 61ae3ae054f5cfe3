"""Judged proposals of one action, for tests of what they suggest."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from django.utils import timezone

from orchestrator.actions import contracts
from orchestrator.actions.actor import Actor
from orchestrator.models import Proposal
from tests.conftest import Cast
from tests.deciding import decide
from tests.recorded import Told, record

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


def judge_all(
    cast: Cast,
    propose: Callable[..., Proposal],
    judged: Sequence[tuple[dict[str, Any], bool]],
    ago: timedelta = timedelta(),
) -> list[Proposal]:
    """Recorded as judged: their arguments, and whether a person rejected them."""

    def tell(number: int) -> Told:
        args, rejected = judged[number]
        return Told(args, action=ACTION, band="escalate", human="reject" if rejected else "approve")

    ids = record(
        len(judged),
        tell,
        beside=propose(),
        reviewer=cast.rita,
        until=timezone.now() - ago,
        every=timedelta(milliseconds=1),
    )
    found = Proposal.objects.in_bulk(ids)
    return [found[pk] for pk in ids]


def by_country(bad: str, count: int = 48) -> list[tuple[dict[str, Any], bool]]:
    """Every other one goes to `bad`, which people reject; nothing else tells them apart."""
    return [
        ({"grams": n * 37 % 900, "country": bad if n % 2 else "NL"}, n % 2 > 0)
        for n in range(count)
    ]


def by_chance(count: int, **args: Any) -> list[tuple[dict[str, Any], bool]]:
    """Every other one is rejected, and nothing tells them apart."""
    return [(args, n % 2 > 0) for n in range(count)]
