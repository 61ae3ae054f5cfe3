"""One call of a tool, whatever stands behind it: arguments checked, time kept, results cut to size.

For `registry.py` and `acting.py`, which say who may call what; nobody else imports this.
"""

import logging
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from django.conf import settings

from orchestrator.core import schemas
from orchestrator.core.codec import JsonLimits, storable
from orchestrator.core.errors import ToolChanged, ToolError, ToolRefused
from orchestrator.core.hidden import without, without_in
from orchestrator.tools.base import Tool, ToolResult, ToolSpec, Use, digest_of
from orchestrator.tools.secrets import handed_to
from orchestrator.tools.trim import trimmed

logger = logging.getLogger(__name__)

REASON_LENGTH_MAX = 500
ANY_SIZE = 2**40
# Imported when one of the kind is first called: a process pays for the tools that it uses.
BACKENDS = {
    "function": "orchestrator.tools.function",
    "http": "orchestrator.tools.http",
    "mcp": "orchestrator.tools.mcp",
    "agent": "orchestrator.tools.agent",
}


def call(spec: ToolSpec, args: Mapping[str, Any], timeout_s: float, use: Use) -> ToolResult:
    """Every error that leaves is a ToolError and names the tool."""
    _check_spec(spec)
    _check_args(spec, args)
    within = min(timeout_s, spec.timeout_s, settings.TOOL_TIMEOUT_MAX_S)
    if within <= 0:
        raise ToolRefused(spec.name, "no time is left for it.")
    try:
        return _fitted(spec, backend(spec).call(spec, args, timeout_s=within, use=use))
    except ToolError as error:
        error.reason = shorten(without(handed_to(spec.backend), error.reason))
        raise
    except (Exception, SystemExit) as error:
        logger.exception("the tool %s failed", spec.name)
        said = without(handed_to(spec.backend), f"{type(error).__name__}: {error}")
        raise ToolError(spec.name, shorten(said)) from error


def backend(spec: ToolSpec) -> Tool:
    kind = spec.backend.get("kind")
    if not isinstance(kind, str) or kind not in BACKENDS:
        raise ToolRefused(spec.name, f"behind it is {kind!r}, and not {', '.join(BACKENDS)}.")
    found: Tool = import_module(BACKENDS[kind]).TOOL
    return found


def _check_spec(spec: ToolSpec) -> None:
    """What was approved is what the digest is over; anything else was changed on its way."""
    if spec.digest != digest_of(spec.name, spec.description, spec.parameters):
        raise ToolChanged(spec.name, "its description or parameters do not have the digest.")


def _check_args(spec: ToolSpec, args: Mapping[str, Any]) -> None:
    if not storable(dict(args), JsonLimits(settings.JSON_BYTES_MAX)):
        raise ToolRefused(spec.name, "its arguments are no JSON that can be stored.")
    problems = schemas.check(spec.parameters, dict(args))
    if problems:
        told = "; ".join(f"{problem.pointer or '/'}: {problem.reason}" for problem in problems[:5])
        raise ToolRefused(spec.name, f"the arguments do not fit: {told}")


def _fitted(spec: ToolSpec, result: ToolResult) -> ToolResult:
    # How much it is does not matter yet, only that it can be read at all.
    limits = JsonLimits(ANY_SIZE, settings.JSON_DEPTH_MAX, ANY_SIZE)
    if not storable(result.value, limits):
        raise ToolError(spec.name, "its answer is no JSON that can be stored.")
    secrets = handed_to(spec.backend)
    notes = tuple(without(secrets, note) for note in result.notes)
    value, cut = trimmed(without_in(secrets, result.value), settings.TOOL_RESULT_BYTES_MAX)
    return ToolResult(value, (*notes, cut) if cut else notes)


def shorten(text: str) -> str:
    legible = text.replace("\x00", "\ufffd").encode(errors="replace").decode()
    if len(legible) <= REASON_LENGTH_MAX:
        return legible
    return legible[: REASON_LENGTH_MAX - 1] + "…"
