"""The tools of one call: what is offered, what an agent may ask of it, and how a reading one is used."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from orchestrator.agents.base import AgentCall
from orchestrator.core import schemas
from orchestrator.core.codec import Json
from orchestrator.core.errors import AgentError
from orchestrator.tools.base import ToolResult, ToolSpec, Use, from_json

# What every vendor takes for the name of a tool.
NAME_LENGTH_MAX = 60
_OTHER = re.compile(r"[^a-zA-Z0-9_-]")


class UseTool(Protocol):
    """What the registry of tools does with one that reads. Raises a ToolError."""

    def __call__(
        self, spec: ToolSpec, args: Mapping[str, Any], timeout_s: float, use: Use
    ) -> ToolResult: ...


def use_tool(spec: ToolSpec, args: Mapping[str, Any], timeout_s: float, use: Use) -> ToolResult:
    """Looked up when it is first needed: few calls use tools, and what is behind them may be large."""
    run = import_module("orchestrator.tools.registry").run
    found: ToolResult = run(spec, args, timeout_s, use)
    return found


@dataclass(frozen=True, slots=True)
class Offered:
    """By the names that the model knows them by."""

    tools: Mapping[str, ToolSpec]

    def find(self, name: str) -> ToolSpec | None:
        return self.tools.get(name)


def offered_in(call: AgentCall, *, taken: Sequence[str] = ()) -> Offered:
    tools: dict[str, ToolSpec] = {}
    for one in call.tools:
        try:
            spec = from_json(one)
        except TypeError as error:
            raise AgentError(f"one of its tools is not described as tools are: {error}.") from error
        tools[_free_name(spec.name, [*tools, *taken])] = spec
    return Offered(tools)


def wrong_with(spec: ToolSpec, args: Json) -> str:
    """Empty when a tool may be handed these arguments."""
    if not isinstance(args, dict):
        return f"the arguments of {spec.name} have to be an object."
    problems = schemas.check(spec.parameters, args)
    return f"the arguments of {spec.name} do not fit: {problems[0]}." if problems else ""


def _free_name(name: str, taken: Sequence[str]) -> str:
    plain = _OTHER.sub("_", name)[:NAME_LENGTH_MAX] or "tool"
    number, free = 1, plain
    while free in taken:
        number += 1
        free = f"{plain}_{number}"
    return free
