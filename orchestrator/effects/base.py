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
    # Which wording of a tool was there when it was allowed.
    tool_version: int | None = None


class Executor(Protocol):
    """Carries an effect to its target.

    Returns a receipt, raises EffectRefused when trying again would not help, and
    EffectUnavailable when nothing reached the target. Anything else it raises means that the call
    may have happened.

    A receipt is believed: agents may repeat what stands in it without anybody looking. So it has ids,
    times and amounts, and no words that somebody outside wrote.

    Idempotent by key: after a crash the engine calls again with the same one. A target that cannot
    promise that says so by an attribute `repeatable = False`; it is never called twice, and a call
    without an answer is put before a person.

    One that has a method `undo(call, receipt)` can roll an effect back: it is handed what was done and
    the receipt and a key of its own, and after a crash is called again with the same one. Without such
    a method, or where calls are not `repeatable`, nothing offers it.

    One that has a method `look(call)` gives the state of the target as JSON without changing it, in
    at most a few seconds: people see it, and an approval counts for the state that was shown.
    """

    def call(self, call: EffectCall) -> dict[str, Any]: ...
