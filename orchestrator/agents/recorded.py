"""An agent that was recorded: it says again what it said once, step by step, and so do its failures.

For the logs of runs that went wrong, and for tests of what has to come after them.
"""

import time
from collections.abc import Mapping
from typing import Any

from orchestrator.agents.base import (
    AgentAnswer,
    AgentCall,
    Ask,
    Piece,
    Usage,
    accountable,
    describe,
)
from orchestrator.agents.scripted import FAILURES
from orchestrator.core.codec import Json
from orchestrator.core.errors import AgentError, AgentTimedOut

STEPS_MAX = 10_000
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 10**15}
_TEXT: dict[str, Any] = {"type": "string", "maxLength": 100_000}


def _object(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(required),
    }


_USAGE = _object(
    {
        "tokens_in": _COUNT,
        "tokens_out": _COUNT,
        # Null: nobody knows.
        "money_micros": {"anyOf": [_COUNT, {"type": "null"}]},
    }
)
_PIECE = _object(
    {
        "kind": {"enum": ["model", "tool"]},
        "name": {"type": "string", "maxLength": 200},
        "began_ms": _COUNT,
        "took_ms": _COUNT,
        "usage": _USAGE,
        "error": _TEXT,
        "given": _TEXT,
        "said": _TEXT,
        "notes": {"type": "array", "maxItems": 20, "items": _TEXT},
    },
    ("kind", "name", "began_ms", "took_ms"),
)
_ASK = _object(
    {
        "key": {"type": "string"},
        "tool": {"type": "string"},
        "args": {"type": "object"},
        "rationale": {"type": "string", "maxLength": 20_000},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
    },
    ("key", "tool", "args"),
)
_FAILS = _object(
    {"code": {"enum": sorted(FAILURES)}, "reason": {"type": "string", "maxLength": 500}}, ("code",)
)
_STEP = _object(
    {
        # Which call it answers. What is not said is any.
        "attempt": {"type": "integer", "minimum": 1},
        "turn": {"type": "integer", "minimum": 1},
        "index": {"type": "integer", "minimum": 0},
        "work": {"type": "string"},
        "output": True,
        "fails": _FAILS,
        "took_ms": {"type": "integer", "minimum": 0, "maximum": 3_600_000},
        "usage": _USAGE,
        "agent": {"type": "object", "additionalProperties": {"type": "string"}},
        "pieces": {"type": "array", "maxItems": 1_000, "items": _PIECE},
        "asks": {"type": "array", "maxItems": 100, "items": _ASK},
        "memory": True,
    }
)
SCHEMA: dict[str, Any] = _object(
    {
        "kind": {"const": "recorded"},
        "name": {"type": "string", "minLength": 1, "maxLength": 100},
        # One object for each line of a JSONL file.
        "trajectory": {"type": "array", "minItems": 1, "maxItems": STEPS_MAX, "items": _STEP},
        # Whether it takes the time that it took.
        "in_time": {"type": "boolean"},
    },
    ("kind", "name", "trajectory"),
)


class Recorded:
    def call(self, call: AgentCall) -> AgentAnswer:
        with accountable(call.config):
            step = _find(call)
            _take_time(call, step)
            usage, pieces = _usage(step), tuple(map(_piece, step.get("pieces", ())))
            if "fails" in step:
                raise _failure(step["fails"], usage, pieces)
            return AgentAnswer(
                step.get("output"),
                usage,
                # It says who it was then; who was asked now is known here.
                {**step.get("agent", {}), **_known(call.config)},
                pieces,
                tuple(Ask(**ask) for ask in step.get("asks", ())),
                step.get("memory"),
            )


def _find(call: AgentCall) -> Mapping[str, Any]:
    """The first step that fits the call: each number that it names has to be that of the call."""
    about: dict[str, Json] = {
        "attempt": call.attempt,
        "turn": call.turn,
        "index": call.index,
        "work": call.work,
    }
    trajectory: list[dict[str, Any]] = call.config.get("trajectory", [])
    for step in trajectory:
        if all(step.get(name, value) == value for name, value in about.items()):
            return step
    told = ", ".join(f"{name} {value}" for name, value in about.items())
    raise AgentError(f"none of its {len(trajectory)} recorded steps is for {told}.")


def _take_time(call: AgentCall, step: Mapping[str, Any]) -> None:
    takes_s = step.get("took_ms", 0) / 1000 if call.config.get("in_time") else 0
    if takes_s:
        time.sleep(min(takes_s, call.timeout_s))
    if takes_s > call.timeout_s:
        raise AgentTimedOut("it took longer when it was recorded", timeout_s=call.timeout_s)


def _usage(told: Mapping[str, Any]) -> Usage:
    """Without a word on it nobody knows what it cost."""
    found: dict[str, Any] = {"money_micros": None, **told.get("usage", {})}
    return Usage(**found)


def _piece(told: Mapping[str, Any]) -> Piece:
    values = {**told, "usage": _usage(told), "notes": tuple(told.get("notes", ()))}
    return Piece(**values)


def _failure(told: Mapping[str, str], usage: Usage, pieces: tuple[Piece, ...]) -> AgentError:
    reason = told.get("reason", "it did when it was recorded")
    return FAILURES[told["code"]](reason, usage=usage, pieces=pieces)


def _known(config: dict[str, Any]) -> dict[str, str]:
    version = {"version": str(config["version"])} if "version" in config else {}
    return describe(config) | version
