"""Calls and answers as bytes. What a function answers passes the gate for outside data."""

import json
from dataclasses import asdict, fields
from typing import Any

from django.conf import settings

from orchestrator.agents.base import AgentAnswer, AgentCall, Ask, Piece, Usage, shorten
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
    if answer.pieces:
        whole["pieces"] = [asdict(piece) for piece in answer.pieces]
    if answer.asks:
        whole |= {"asks": [asdict(ask) for ask in answer.asks], "memory": answer.memory}
    if answer.untrusted:
        whole["untrusted"] = list(answer.untrusted)
    try:
        return json.dumps(whole, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise OutputInvalid(shorten(f"it is not JSON ({error}).")) from error


def write_error(error: AgentError) -> bytes:
    kind = ERRORS.get(error.code, AgentError)
    told = {name: getattr(error, name) for name in _told_of(kind)}
    if isinstance(error.usage, Usage):
        told["usage"] = asdict(error.usage)
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
            pieces = tuple(_read_piece(told) for told in whole.get("pieces", ()))
            asks = tuple(_read_ask(ask) for ask in whole.get("asks", ()))
            return AgentAnswer(
                whole["output"],
                usage,
                agent,
                pieces,
                asks=asks,
                memory=whole.get("memory"),
                untrusted=tuple(whole.get("untrusted", ())),
            )
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise AgentCrashed("what it sent is not an answer.") from error
    raise failure


def _limits() -> JsonLimits:
    return JsonLimits(settings.JSON_BYTES_MAX, settings.JSON_DEPTH_MAX, settings.JSON_NODES_MAX)


def _read_error(told: dict[str, Any]) -> AgentError:
    kind = ERRORS[told["code"]]
    error = kind(**{name: _as_sent(name, told[name]) for name in _told_of(kind)})
    error.usage = _read_usage(told["usage"]) if "usage" in told else None
    return error


# What it had done and spent; an isolated process is asked for its answer alone.
_OF_THIS_SIDE = frozenset({"usage", "pieces", "notes"})


def _told_of(kind: type[AgentError]) -> list[str]:
    return [field.name for field in fields(kind) if field.name not in _OF_THIS_SIDE]


def _as_sent(name: str, value: Any) -> Any:
    if name.endswith("_s"):
        return None if value is None else float(value)
    return shorten(str(value))


def _read_usage(told: dict[str, Any]) -> Usage:
    for name, number in told.items():
        if number is None and name == "money_micros":
            continue
        if type(number) is not int or number < 0:
            raise OutputInvalid(f"usage.{name} is {number!r}, not a whole number from 0.")
    return Usage(**told)


def _read_piece(told: dict[str, Any]) -> Piece:
    """As it was sent; whoever stores it bounds its texts."""
    usage, notes = _read_usage(told["usage"]), tuple(str(note) for note in told["notes"])
    kind, name, error = (str(told[key]) for key in ("kind", "name", "error"))
    given, said = str(told["given"]), str(told["said"])
    began_ms, took_ms, depth = (int(told[key]) for key in ("began_ms", "took_ms", "depth"))
    return Piece(kind, name, began_ms, took_ms, usage, error, given, said, notes, depth)


def _read_ask(told: dict[str, Any]) -> Ask:
    args = told["args"]
    if not isinstance(args, dict):
        raise OutputInvalid(f"it asks for {told['tool']!r} with arguments that are no object.")
    sure = told["confidence"]
    return Ask(
        str(told["key"]),
        str(told["tool"]),
        args,
        str(told["rationale"]),
        float(sure) if sure is not None else None,
    )


def _read_agent(told: dict[str, Any]) -> dict[str, str]:
    return {shorten(name): shorten(str(value)) for name, value in told.items()}
