"""Secrets that tools are handed, by the names of environment variables.

Only names with one prefix count. Whoever configures a tool could otherwise have any secret of this
machine sent to an address of their own. For the same reason a secret says where it may go: TOOL_SECRET_SHOP
is sent to the host that TOOL_SECRET_SHOP_HOST names, and to no other.
"""

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from orchestrator.core.errors import ToolRefused, ToolUnavailable

PREFIX = "TOOL_SECRET_"
HOST = "_HOST"
_IN_A_HEADER = re.compile(r"[ -~]+")


def secret(tool: str, name: str) -> str:
    found = _read(name)
    if not found:
        raise ToolUnavailable(
            tool, f"this worker has no secret {name}; its name has to begin with {PREFIX}."
        )
    return found


def secret_for(tool: str, name: str, url: str) -> str:
    """The same, for whoever sends it over the network."""
    found = secret(tool, name)
    host, allowed = urlsplit(url).hostname, os.environ.get(f"{name}{HOST}", "")
    if not allowed or host != allowed.lower():
        raise ToolRefused(
            tool,
            f"{name} may not be sent to {host}: the workers' {name}{HOST} says where it may go.",
        )
    if not _IN_A_HEADER.fullmatch(found):
        raise ToolUnavailable(
            tool,
            f"{name} of this worker cannot be sent: a secret that goes over the network is one line "
            "of printable ASCII.",
        )
    return found


def handed_to(backend: Mapping[str, Any]) -> list[str]:
    """The values of all that whatever is behind a tool is handed, so that no echo of them is kept."""
    server = backend.get("server")
    found = server if isinstance(server, Mapping) else backend
    names = [found.get("secret"), *found.get("env", ())]
    return [_read(name) for name in names if isinstance(name, str)]


def _read(name: str) -> str:
    """Files and shells leave the end of a line behind a secret, which is no part of it."""
    return os.environ.get(name, "").strip() if name.startswith(PREFIX) else ""
