"""Tools of MCP servers. Nothing outside this package imports the SDK, and this package is imported late.

    {"kind": "mcp", "tool": "get_order", "server": {"slug": "shop", "transport": "http",
     "url": "https://shop.example/mcp", "secret": "TOOL_SECRET_SHOP"}}

A server on this machine is named by its entry in TOOL_COMMANDS instead: {"slug": "files", "transport":
"stdio", "command": "files", "env": ["TOOL_SECRET_FILES"]}.
"""

from collections.abc import Mapping
from typing import Any

from orchestrator.core.errors import ToolChanged, ToolRefused
from orchestrator.tools.base import ALONE, Offer, ToolResult, ToolSpec, Use, digest_of
from orchestrator.tools.mcp import answers, lines
from orchestrator.tools.mcp.server import ServerConfig

__all__ = ["TOOL", "Mcp", "offers", "stop_all"]

stop_all = lines.stop_all


class Mcp:
    """What a server says of a tool now has to be what was approved; else nothing is called."""

    def call(
        self, spec: ToolSpec, args: Mapping[str, Any], *, timeout_s: float, use: Use = ALONE
    ) -> ToolResult:
        line = lines.to(ServerConfig.read(spec.name, spec.backend.get("server")))
        name = str(spec.backend.get("tool"))
        with line.within(spec.name, timeout_s) as left:
            _check_unchanged(spec, line.offers(left()).get(name))
            said = line.call(name, dict(args), use.key, left(), again=spec.kind == "read")
        return answers.result_of(spec.name, said)


TOOL = Mcp()


def offers(config: Mapping[str, Any], timeout_s: float) -> list[Offer]:
    """What a server says of its tools, asked anew. Raises a ToolError that names the server."""
    server = ServerConfig.read(str(config.get("slug")), config)
    line = lines.to(server)
    was_open = line.is_open
    try:
        with line.within(server.slug, timeout_s) as left:
            return list(line.offers(left(), fresh=True).values())
    finally:
        # Whoever only looks keeps no server running.
        if not was_open:
            line.leave()


def _check_unchanged(spec: ToolSpec, offer: Offer | None) -> None:
    if offer is None:
        raise ToolRefused(spec.name, "its server offers it no longer.")
    if digest_of(spec.name, offer.description, offer.parameters) != spec.digest:
        raise ToolChanged(spec.name, "its server says something else of it now.")
