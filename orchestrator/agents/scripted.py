"""An agent given as data: for demonstrations, tests and load. It costs nothing and never surprises."""

import time
from typing import Any

from orchestrator.agents.base import AgentAnswer, AgentCall, Ask, Usage, accountable, describe
from orchestrator.core.codec import Json
from orchestrator.core.errors import (
    AgentCrashed,
    AgentError,
    AgentRefused,
    AgentTimedOut,
    AgentUnavailable,
    OutputInvalid,
)

FAILURES: dict[str, type[AgentError]] = {
    kind.code: kind
    for kind in (
        AgentError,
        AgentRefused,
        AgentUnavailable,
        AgentTimedOut,
        AgentCrashed,
        OutputInvalid,
    )
}

_ASK: dict[str, Any] = {
    "type": "object",
    "required": ["tool"],
    "additionalProperties": False,
    "properties": {
        "key": {"type": "string", "minLength": 1, "maxLength": 100},
        "tool": {"type": "string", "minLength": 1, "maxLength": 100},
        "args": {"type": "object"},
        "rationale": {"type": "string", "maxLength": 20_000},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
    },
}
# Turn by turn; the last one is said again as often as it is asked.
_TURNS: dict[str, Any] = {
    "type": "array",
    "minItems": 1,
    "maxItems": 100,
    "items": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "says": True,
            "asks": {"type": "array", "items": _ASK},
            "memory": True,
            # What tools are to have said to it in this turn.
            "untrusted": {"type": "array"},
        },
    },
}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["kind", "name"],
    "additionalProperties": False,
    "properties": {
        "kind": {"const": "scripted"},
        "name": {"type": "string", "minLength": 1, "maxLength": 100},
        "says": True,
        "turns": _TURNS,
        "takes_ms": {"type": "integer", "minimum": 0, "maximum": 3_600_000},
        "usage": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                name: {"type": "integer", "minimum": 0, "maximum": 10**15}
                for name in ("tokens_in", "tokens_out", "money_micros")
            },
        },
        "fails": {
            "type": "array",
            "maxItems": 100,
            "items": {
                "type": "object",
                "required": ["attempt", "code"],
                "additionalProperties": False,
                "properties": {
                    "attempt": {"type": "integer", "minimum": 1},
                    "code": {"enum": sorted(FAILURES)},
                    "reason": {"type": "string", "maxLength": 500},
                },
            },
        },
    },
}


class Scripted:
    def call(self, call: AgentCall) -> AgentAnswer:
        with accountable(call.config):
            _take_time(call)
            _fail_as_told(call)
            usage = Usage(**call.config.get("usage", {}))
            script = _turn(call)
            return AgentAnswer(
                _says(call, script.get("says")),
                usage,
                describe(call.config),
                asks=_asks(call, script),
                memory=script.get("memory"),
                untrusted=tuple(script.get("untrusted", ())),
            )


def _turn(call: AgentCall) -> dict[str, Any]:
    turns = call.config.get("turns")
    if not turns:
        return call.config
    script: dict[str, Any] = turns[min(call.turn, len(turns)) - 1]
    return script


def _asks(call: AgentCall, script: dict[str, Any]) -> tuple[Ask, ...]:
    return tuple(
        Ask(
            ask.get("key", f"{call.turn}-{number}"),
            ask["tool"],
            ask.get("args", {}),
            ask.get("rationale", ""),
            ask.get("confidence"),
        )
        for number, ask in enumerate(script.get("asks", ()), start=1)
    )


def _take_time(call: AgentCall) -> None:
    takes_s = call.config.get("takes_ms", 0) / 1000
    if not takes_s:
        # Even a sleep of nothing hands the processor to somebody else.
        return
    time.sleep(min(takes_s, call.timeout_s))
    if takes_s > call.timeout_s:
        raise AgentTimedOut("its script takes longer", timeout_s=call.timeout_s)


def _fail_as_told(call: AgentCall) -> None:
    for failure in call.config.get("fails", []):
        if failure["attempt"] == call.attempt:
            raise FAILURES[failure["code"]](failure.get("reason", "its script says so"))


def _says(call: AgentCall, says: Json) -> Json:
    echoes: dict[str, Json] = {
        "intent": call.intent,
        "inputs": call.inputs,
        "item": call.item,
        "memory": call.memory,
        "answers": list(call.answers),
    }
    for name, echo in echoes.items():
        if says == {"echo": name}:
            return echo
    return says
