"""The port every tool fills. The model does not know what is behind it, and its result is never trusted.

A tool that only reads is used inside the call of the agent. One that writes is never: what an agent asks
of it becomes a proposal, and the effect of that proposal is what calls it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from orchestrator.core.codec import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as an agent's version names it; `digest` is over all that the model is told of it."""

    name: str
    description: str
    # JSON Schema of its arguments.
    parameters: Mapping[str, Json]
    kind: Literal["read", "write"] = "read"
    # What is behind it: function, http, mcp or agent, and what that needs.
    backend: Mapping[str, Json] = field(default_factory=dict)
    digest: str = ""
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool said. It is data from outside: followed into whatever is made of it, and obeyed never."""

    value: Json
    # What was left out to keep it small, in words.
    notes: tuple[str, ...] = ()


class Tool(Protocol):
    """Answers within `timeout_s`, or raises a ToolError that says whether trying again may help."""

    def call(self, spec: ToolSpec, args: Mapping[str, Any], *, timeout_s: float) -> ToolResult: ...
