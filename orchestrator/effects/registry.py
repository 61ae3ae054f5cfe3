"""Which executors exist. An effect keeps the name of its own, so the list may grow but not shrink."""

from collections.abc import Callable
from typing import Any

from orchestrator.core.errors import EffectUnavailable
from orchestrator.effects.base import EffectCall, Executor
from orchestrator.effects.ledger import Ledger
from orchestrator.effects.tool import ONCE, REPEATABLE, ToolExecutor
from orchestrator.plugins import load

# Every action is recorded in the ledger until it is connected to a target of its own.
DEFAULT = "ledger"

EXECUTORS: dict[str, Executor] = {
    DEFAULT: Ledger(),
    # Writing tools, by whether a second call does no harm: an effect keeps which of the two it was.
    REPEATABLE: ToolExecutor(repeatable=True),
    ONCE: ToolExecutor(repeatable=False),
}


def find(name: str) -> Executor:
    """A built-in executor, or one of AGENT_MODULES. A worker without it leaves the effect for later."""
    executor: Executor | None = EXECUTORS.get(name) or load().executors.get(name)
    if executor is None:
        raise EffectUnavailable(
            f"this worker knows no executor {name!r}; it is in none of its AGENT_MODULES"
        )
    return executor


type Undo = Callable[[EffectCall, dict[str, Any]], dict[str, Any]]


def undo_of(executor: Executor) -> Undo | None:
    """How it undoes what it did, if it declares any way, and one that may be gone twice."""
    return getattr(executor, "undo", None) if is_repeatable(executor) else None


def is_repeatable(executor: Executor) -> bool:
    return bool(getattr(executor, "repeatable", True))
