"""Keys of endpoints: handed over as they are, or named as a variable of this worker's environment.

Whoever edits an endpoint could otherwise have any key of the workers sent to an address of their own. So a
variable says where its key may go, as those of tools do: LOCAL_API_KEY is for the host that
LOCAL_API_KEY_HOST names, and for no other. The own host of a vendor needs no such word.
"""

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from orchestrator.core.errors import AgentError

# Whoever edits an endpoint must not be able to send it any other secret of the worker, such as SECRET_KEY.
KEY_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,90}_API_KEY\Z")
HOST = "_HOST"


def key_of(endpoint: Mapping[str, Any], url: str, *, is_vendor: bool = False) -> str:
    """Empty when the endpoint needs none."""
    if endpoint.get("api_key"):
        return str(endpoint["api_key"])
    name = str(endpoint.get("api_key_env") or "")
    if not name:
        return ""
    if not KEY_NAME.match(name):
        raise AgentError(
            f"its endpoint takes its key from {name}; the name of such a variable has to end in _API_KEY."
        )
    if not is_vendor:
        _check_host(name, url)
    key = os.environ.get(name, "").strip()
    if not key:
        raise AgentError(
            f"its endpoint takes its key from {name}, which is not set in the environment of this worker. "
            "Set it and start the worker again."
        )
    return key


def _check_host(name: str, url: str) -> None:
    host, allowed = urlsplit(url).hostname, os.environ.get(f"{name}{HOST}", "").strip()
    if not allowed or host != allowed.lower():
        raise AgentError(
            f"{name} may not be used for {host}: {name}{HOST} in the environment of the workers says which "
            "host it is for. Set it and start the worker again."
        )
