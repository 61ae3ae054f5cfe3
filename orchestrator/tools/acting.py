"""Tools that change something, for the executor of effects and for nobody else."""

from collections.abc import Mapping
from typing import Any

from orchestrator.core.errors import ToolRefused
from orchestrator.tools.base import ToolResult, ToolSpec, Use
from orchestrator.tools.calling import call


def carry_out(spec: ToolSpec, args: Mapping[str, Any], timeout_s: float, key: str) -> ToolResult:
    """What was proposed and accepted, to the letter. The key tells a target that knows keys of a repeat."""
    if spec.kind != "write":
        raise ToolRefused(spec.name, "it only reads, so there is nothing to carry out.")
    return call(spec, args, timeout_s, Use(key=key))
