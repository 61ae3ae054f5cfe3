"""What went wrong: an error with all the errors it came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.core.codec import Json

CAUSES_SHOWN_MAX = 20
WISHES = frozenset({"cancelled", "given-up"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One error, with the one it came from."""

    who: str
    where: str
    code: str
    reason: str
    is_retryable: bool
    more: dict[str, Json]
    cause: "Fault | None"

    @property
    def is_wish(self) -> bool:
        """A person wanted it so."""
        return self.code in WISHES


_SAID = ("who", "where", "code", "reason", "retryable", "cause")


def fault(error: Mapping[str, Any] | None, depth: int = 0) -> Fault | None:
    """From the outermost inwards: what ended the run first, what it came from below."""
    if not isinstance(error, Mapping) or not error or depth >= CAUSES_SHOWN_MAX:
        return None
    return Fault(
        who=str(error.get("who", "")),
        where=str(error.get("where", "")),
        code=str(error.get("code", "")),
        reason=str(error.get("reason", "")) or "It gave no reason.",
        is_retryable=bool(error.get("retryable")),
        more={name: value for name, value in error.items() if name not in _SAID and value},
        cause=fault(error.get("cause"), depth + 1),
    )
