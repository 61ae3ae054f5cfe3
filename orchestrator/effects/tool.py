"""Carries an accepted proposal to the writing tool whose action it is: its stored arguments, and its key.

A tool that did not say that a second call does no harm is called once: see `Executor`. What is called is what
was approved when its proposal was accepted, and still is; a tool whose text or address changed since, or
in whose place another one came, is not called at all.
"""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseError

from orchestrator import tool_queries
from orchestrator.core.codec import canonical, digest
from orchestrator.core.errors import (
    EffectRefused,
    EffectUnavailable,
    ToolRefused,
    ToolUnavailable,
)
from orchestrator.effects.base import EffectCall
from orchestrator.tool_queries import ONCE, REPEATABLE
from orchestrator.tools.acting import carry_out
from orchestrator.tools.base import ToolSpec
from orchestrator.tools.trim import trimmed

__all__ = ["ONCE", "REPEATABLE", "ToolExecutor"]


@dataclass(frozen=True, slots=True)
class ToolExecutor:
    repeatable: bool

    def call(self, call: EffectCall) -> dict[str, Any]:
        """What a tool did not foresee is left as it is raised: the call may have happened."""
        try:
            spec = _spec_for(call.action, call.tool_version)
        except DatabaseError as error:
            raise EffectUnavailable(
                "its tool could not be looked up; nothing was called"
            ) from error
        try:
            result = carry_out(spec, call.args, settings.EFFECT_TIMEOUT_S, call.key)
        except ToolRefused as error:
            raise EffectRefused(str(error)) from error
        except ToolUnavailable as error:
            raise EffectUnavailable(str(error)) from error
        # A receipt is small; the digest is over all that the tool said.
        said, note = trimmed(result.value, settings.SHORT_OUTPUT_BYTES_MAX // 2)
        return {
            "target": f"tool {spec.name}",
            "backend": spec.backend["kind"],
            "tool_digest": spec.digest,
            "said": said,
            "said_digest": digest(canonical(result.value)),
            "notes": [*result.notes, note] if note else list(result.notes),
        }


def _spec_for(action: str, accepted: int | None) -> ToolSpec:
    tool = tool_queries.tool_for(action)
    if tool is None:
        raise EffectRefused(f"no approved tool has the action {action}; nothing was called")
    if why := tool_queries.why_not(tool):
        raise EffectRefused(
            f"the tool {tool.name}, which carries out {action}, cannot be called: {why}; "
            "nothing was called"
        )
    if tool.current_id != accepted:
        raise EffectRefused(
            f"the tool {tool.name} is not what it was when this was accepted; nothing was called. "
            "Propose it again."
        )
    return tool_queries.spec_of(tool)
