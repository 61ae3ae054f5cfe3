"""The format of workflow definitions as one JSON Schema, which is also what people can download."""

from collections.abc import Mapping
from typing import Any

from orchestrator.core.schemas import DIALECT

PATTERNS = ("pipeline", "machine")
# What one piece of work can be; the key that stands in it says which.
WORKS = ("agent", "approval", "signal", "workflow")
BUDGETS = {
    "steps": "how often any stage or state may be entered",
    "depth": "how many runs may stand above each other, each started by the one before",
    "agent_calls": "calls of agents, every attempt counted",
    "tokens": "tokens in and out, of all calls together",
    "money_micros": "cost of all calls together, in millionths of the currency's unit",
    "wall_s": "seconds from start to end, waiting included",
    "repeats": "how often a machine may come to one state with the same data",
}
DEFAULTS = {
    "attempts": 3,
    "timeout_seconds": 60,
    "approvals": 1,
    "due_seconds": 86_400,
    "at_most": 20,
}

type Schema = dict[str, Any]

_NAME: Schema = {
    "type": "string",
    "maxLength": 60,
    "pattern": "^[A-Za-z][A-Za-z0-9_-]*$",
    "description": "a name has letters, digits, hyphens and underscores, and begins with a letter",
}
# Guards say `data.name`, where a hyphen would be a minus.
_STATE_NAME: Schema = {
    "type": "string",
    "maxLength": 60,
    "pattern": "^[A-Za-z][A-Za-z0-9_]*$",
    "description": "a name has letters, digits and underscores, and begins with a letter",
}
_EVENT_NAME: Schema = {
    "type": "string",
    "maxLength": 60,
    "pattern": "^[A-Za-z][A-Za-z0-9_.-]*$",
    "description": "a name has letters, digits, dots, hyphens and underscores, and begins with a letter",
}
_SLUG: Schema = {
    "type": "string",
    "maxLength": 100,
    "pattern": "^[A-Za-z0-9_-]+$",
    "description": "a workflow's name has letters, digits, hyphens and underscores",
}
_SOME_SCHEMA: Schema = {"type": "object", "description": "a JSON Schema of its own, 2020-12"}
_TITLE: Schema = {"type": "string", "maxLength": 200, "description": "one line for people"}


def definition_schema(agents: Mapping[str, Schema], limits: Mapping[str, int]) -> Schema:
    """`agents` by kind; `limits` is the most that a budget may say, and what it says by default."""
    return {
        "$schema": DIALECT,
        "title": "A workflow of Countersign",
        "type": "object",
        "required": ["pattern"],
        "properties": {"pattern": {"enum": list(PATTERNS)}},
        "allOf": [
            {"if": _has("pattern", name), "then": {"$ref": f"#/$defs/{name}"}} for name in PATTERNS
        ],
        "$defs": {
            "pipeline": _pipeline(),
            "machine": _machine(),
            "budget": _budget(limits),
            "stage": _work({"name": _NAME, "needs": _needs(_EARLIER)}, ["name"]),
            "run": _work({"needs": _needs(_STATES)}, []),
            "state": _state(),
            "way": _way(),
            **_agents(agents),
        },
    }


def _pipeline() -> Schema:
    return _object(
        {
            "stages": {
                "type": "array",
                "minItems": 1,
                "maxItems": 200,
                "items": {"$ref": "#/$defs/stage"},
            },
            **_common("pipeline"),
        },
        ["stages"],
    )


def _machine() -> Schema:
    return _object(
        {
            "initial": {"type": "string", "description": "the state that a run begins in"},
            "states": {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 200,
                "propertyNames": _STATE_NAME,
                "additionalProperties": {"$ref": "#/$defs/state"},
            },
            **_common("machine"),
        },
        ["initial", "states"],
    )


def _common(pattern: str) -> Schema:
    return {
        "pattern": {"const": pattern},
        "title": _TITLE,
        "intent": {**_SOME_SCHEMA, "description": "what a run may be asked for; anything without"},
        "budget": {"$ref": "#/$defs/budget"},
    }


def _budget(limits: Mapping[str, int]) -> Schema:
    return _object(
        {
            name: {
                "type": "integer",
                "minimum": 1,
                "maximum": limits[name],
                "default": limits[name],
                "description": about,
            }
            for name, about in BUDGETS.items()
        },
        [],
    )


def _work(own: Schema, required: list[str]) -> Schema:
    """Exactly one key says what the work is; only that kind's own fields may stand beside it."""
    optional = {
        "type": "boolean",
        "default": False,
        "description": "goes on without it when it fails",
    }
    beside = {**own, "optional": optional, **dict.fromkeys(WORKS, True)}
    return {
        "type": "object",
        "required": required,
        "oneOf": [{"required": [name]} for name in WORKS],
        "allOf": [
            {
                "if": {"required": [name]},
                "then": {"properties": {**beside, **fields}, "additionalProperties": False},
            }
            for name, fields in _KINDS.items()
        ],
        "properties": beside,
    }


_EARLIER = "earlier stages whose outputs it is handed; by default the one before"
_STATES = "states whose newest outputs it is handed; by default none"


def _needs(about: str) -> Schema:
    names = {"type": "array", "uniqueItems": True, "items": {"type": "string"}}
    return {**names, "description": about}


def _number(low: int, high: int, name: str, about: str) -> Schema:
    return {
        "type": "integer",
        "minimum": low,
        "maximum": high,
        "default": DEFAULTS[name],
        "description": about,
    }


_DUE = _number(1, 31_536_000, "due_seconds", "an answer after this many seconds is late, a no")


def _object(properties: Schema, required: list[str]) -> Schema:
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }


_KINDS: dict[str, Schema] = {
    "agent": {
        "agent": {"$ref": "#/$defs/agent"},
        "output": {**_SOME_SCHEMA, "description": "what its answer must look like"},
        "contract": {
            "description": "the name of the contract that its answer keeps, in place of `output`",
            "oneOf": [
                {"type": "string", "minLength": 1, "maxLength": 100},
                _object(
                    {"name": {"type": "string"}, "version": {"type": "integer", "minimum": 1}},
                    ["name", "version"],
                ),
            ],
        },
        "timeout_seconds": _number(1, 3_600, "timeout_seconds", "for one attempt"),
        "attempts": _number(1, 20, "attempts", "calls until it counts as failed"),
        "proposes": {
            "type": "boolean",
            "default": False,
            "description": "its output is a suggested action: guardrails and people decide first",
        },
        "for_each": {
            "type": "string",
            "format": "json-pointer",
            "description": "a list in the output before it, or in the intent: a call per element",
        },
        "at_most": _number(1, 1_000, "at_most", "elements; a longer list fails the stage"),
    },
    "approval": {
        "approval": _object(
            {
                "question": {"type": "string", "minLength": 1, "maxLength": 2_000},
                "approvals": _number(1, 10, "approvals", "how many different people must agree"),
                "due_seconds": _DUE,
            },
            ["question"],
        )
    },
    "signal": {"signal": _object({"name": _EVENT_NAME, "due_seconds": _DUE}, ["name"])},
    "workflow": {"workflow": _SLUG},
}


def _state() -> Schema:
    ways = {"type": "array", "minItems": 1, "maxItems": 20, "items": {"$ref": "#/$defs/way"}}
    on = {"type": "object", "propertyNames": _EVENT_NAME, "additionalProperties": ways}
    after = _object(
        {"seconds": {"type": "integer", "minimum": 1, "maximum": 31_536_000}, "to": _STATE_NAME},
        ["seconds", "to"],
    )
    end = {"enum": ["completed", "failed"], "description": "how the run ends here"}
    return _object({"run": {"$ref": "#/$defs/run"}, "on": on, "after": after, "end": end}, [])


def _way() -> Schema:
    guard = {
        "type": "string",
        "minLength": 1,
        "maxLength": 10_000,
        "description": "a condition in CEL over `data` and `event`; without one, always",
    }
    return _object({"if": guard, "to": _STATE_NAME}, ["to"])


def _agents(agents: Mapping[str, Schema]) -> Schema:
    chosen = {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"enum": sorted(agents)}},
        "allOf": [
            {"if": _has("kind", kind), "then": {"$ref": f"#/$defs/agent_{kind}"}}
            for kind in sorted(agents)
        ],
    }
    return {"agent": chosen, **{f"agent_{kind}": schema for kind, schema in agents.items()}}


def _has(field: str, value: str) -> Schema:
    return {"type": "object", "required": [field], "properties": {field: {"const": value}}}
