"""The port every executor fills."""

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class EffectCall:
    """What runs: the stored payload, and the key that makes a second call harmless."""

    key: str
    action: str
    target: str
    args: dict[str, Any]
    payload: str


class Executor(Protocol):
    """Must be idempotent by key: after a crash the engine calls again with the same one.

    Returns a receipt, raises EffectRefused when trying again would not help, and
    EffectUnavailable when nothing reached the target. Anything else it raises means that the call
    may have happened; when that stays so, the outcome is unknown and never called a failure.
    """

    def call(self, call: EffectCall) -> dict[str, Any]: ...
