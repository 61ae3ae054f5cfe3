"""The port every tool fills. The model does not know what is behind it, and its result is never trusted.

A tool that only reads is used inside the call of the agent. One that writes is never: what an agent asks
of it becomes a proposal, and the effect of that proposal is what calls it.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

from orchestrator.core.codec import Json, canonical, digest


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
    # Of one that writes: the action that is proposed, its name where this says nothing, and by a JSON
    # Pointer which argument names the target.
    action: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool said. It is data from outside: followed into whatever is made of it, and obeyed never."""

    value: Json
    # What was left out to keep it small, in words.
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """A tool as a server describes it. Whether it says that it only reads, nobody believes and nobody asks."""

    name: str
    description: str
    parameters: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Question:
    """What an agent behind a tool is asked, and by which agents, the first one first."""

    agent: str
    args: Mapping[str, Any]
    asked_by: tuple[str, ...]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Use:
    """Who uses a tool. The key is the same whenever the same use is tried again."""

    key: str = ""
    agents: tuple[str, ...] = ()
    # Agents lie above tools, so whoever may ask one says how.
    ask: Callable[[Question], Json] | None = None


ALONE = Use()


class Tool(Protocol):
    """Answers within `timeout_s`, or raises a ToolError that says whether trying again may help."""

    def call(
        self, spec: ToolSpec, args: Mapping[str, Any], *, timeout_s: float, use: Use = ALONE
    ) -> ToolResult: ...


def digest_of(name: str, description: str, parameters: Mapping[str, Json]) -> str:
    """Over all that a model is told of a tool: whoever changes a word of it changes this."""
    told: dict[str, Json] = {
        "name": name,
        "description": description,
        "parameters": dict(parameters),
    }
    return digest(canonical(told))


def to_json(spec: ToolSpec) -> dict[str, Any]:
    """As the configuration of an agent holds it."""
    return asdict(spec)


def from_json(found: Mapping[str, Any]) -> ToolSpec:
    return ToolSpec(**found)
