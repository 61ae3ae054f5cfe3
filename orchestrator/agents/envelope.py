"""Calls and answers as bytes. What a function answers passes the gate for outside data."""

import json
from dataclasses import asdict, fields
from typing import Any

from django.conf import settings

from orchestrator.agents.base import AgentAnswer, AgentCall, Usage, shorten
from orchestrator.core.codec import JsonLimits, safe_json
from orchestrator.core.errors import (
    AgentCrashed,
    AgentError,
    AgentRefused,
    AgentTimedOut,
    AgentUnavailable,
    AgentUnknown,
    BadJson,
    OutputInvalid,
)

# What may cross; an error of any other class arrives as the AgentError that it is.
ERRORS: dict[str, type[AgentError]] = {
    kind.code: kind
    for kind in (
        AgentError,
        AgentRefused,
        AgentUnknown,
        AgentUnavailable,
        AgentTimedOut,
        AgentCrashed,
        OutputInvalid,
    )
}


def write_call(call: AgentCall) -> bytes:
    return json.dumps({field.name: getattr(call, field.name) for field in fields(call)}).encode()


def read_call(raw: bytes) -> AgentCall:
    return AgentCall(**json.loads(raw))


def write_answer(answer: AgentAnswer) -> bytes:
    whole = {"output": answer.output, "usage": asdict(answer.usage), "agent": answer.agent}
    try:
        return json.dumps(whole, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise OutputInvalid(shorten(f"it is not JSON ({error}).")) from error


def write_error(error: AgentError) -> bytes:
    kind = ERRORS.get(error.code, AgentError)
    told = {field.name: getattr(error, field.name) for field in fields(kind)}
    return json.dumps({"error": {"code": kind.code, **told}}).encode()


def read_answer(raw: bytes) -> AgentAnswer:
    """The answer, or the error that was sent in its place, raised."""
    try:
        whole: Any = safe_json(raw, _limits())
    except BadJson as error:
        raise OutputInvalid(error.reason) from error
    try:
        if "error" in whole:
            failure = _read_error(whole["error"])
        else:
            usage, agent = _read_usage(whole["usage"]), _read_agent(whole["agent"])
            return AgentAnswer(whole["output"], usage, agent)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise AgentCrashed("what it sent is not an answer.") from error
    raise failure


def _limits() -> JsonLimits:
    return JsonLimits(settings.JSON_BYTES_MAX, settings.JSON_DEPTH_MAX, settings.JSON_NODES_MAX)


def _read_error(told: dict[str, Any]) -> AgentError:
    kind = ERRORS[told["code"]]
    values = {field.name: told[field.name] for field in fields(kind)}
    return kind(**{name: _as_sent(name, value) for name, value in values.items()})


def _as_sent(name: str, value: Any) -> Any:
    return float(value) if name == "timeout_s" else shorten(str(value))


def _read_usage(told: dict[str, Any]) -> Usage:
    for name, number in told.items():
        if type(number) is not int or number < 0:
            raise OutputInvalid(f"usage.{name} is {number!r}, not a whole number from 0.")
    return Usage(**told)


def _read_agent(told: dict[str, Any]) -> dict[str, str]:
    return {shorten(name): shorten(str(value)) for name, value in told.items()}
