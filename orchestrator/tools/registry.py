"""Tools as agents use them: only those that read.

What changes something is never called from here, whatever an agent asks: it becomes a proposal, and
the effect of that proposal calls it, see `acting.py`.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from orchestrator.core.errors import ToolError, ToolRefused
from orchestrator.core.hidden import without
from orchestrator.tools.base import ALONE, Offer, ToolResult, ToolSpec, Use
from orchestrator.tools.calling import BACKENDS, call
from orchestrator.tools.secrets import handed_to

KINDS = tuple(BACKENDS)


def run(spec: ToolSpec, args: Mapping[str, Any], timeout_s: float, use: Use = ALONE) -> ToolResult:
    """What a reading tool says; raises a ToolError. A writing one is refused before anything is looked at."""
    if spec.kind != "read":
        raise ToolRefused(
            spec.name, "it changes something, so it has to be proposed; nothing was called."
        )
    return call(spec, args, timeout_s, use)


def offers(server: Mapping[str, Any], timeout_s: float) -> list[Offer]:
    """What an MCP server says of its tools just now. Raises a ToolError that names the server."""
    try:
        found: list[Offer] = import_module(BACKENDS["mcp"]).offers(server, timeout_s)
    except ToolError as error:
        error.reason = without(handed_to(server), error.reason)
        raise
    return found
