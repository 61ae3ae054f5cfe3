"""How urgent an item is, as a sum whose parts can be read out to whoever asks why."""

from collections.abc import Sequence
from typing import NamedTuple


class Part(NamedTuple):
    points: int
    why: str


# Of each kind of item: what waits while nobody answers.
KINDS: dict[str, Part] = {
    "unknown_effect": Part(40, "nobody knows whether it happened"),
    "failed_compensation": Part(40, "what was to be undone still stands"),
    "stuck_command": Part(30, "work stands still"),
    "rule_change": Part(20, "rules or policies wait for it"),
    "guardrail_failure": Part(10, "a rule held it"),
    "approval": Part(10, "a run waits for it"),
}
TIERS: dict[str, Part] = {
    "high": Part(20, "its action is of high risk"),
    "low": Part(-5, "its action is of low risk"),
}
TWO_PEOPLE = Part(5, "it needs two people")
ERROR = Part(10, "a rule could not be evaluated")
INJECTION = Part(10, "it rests on untrusted text")
ESCALATED = Part(50, "somebody escalated it")


def parts_of(
    *,
    kind: str,
    tier: str,
    approvals_needed: int,
    has_error: bool,
    is_tainted: bool,
    is_escalated: bool = False,
) -> list[Part]:
    """The parts that count, the largest first. Their sum orders the queue; the deadline orders equals."""
    found = [
        ESCALATED if is_escalated else None,
        KINDS.get(kind),
        TIERS.get(tier),
        TWO_PEOPLE if approvals_needed > 1 else None,
        ERROR if has_error else None,
        INJECTION if is_tainted else None,
    ]
    return sorted((part for part in found if part), key=lambda part: -part.points)


def score(parts: Sequence[Part]) -> int:
    return sum(part.points for part in parts)
