"""The format of workflow definitions as one JSON Schema, which is also what people can download."""

from collections.abc import Mapping
from typing import Any

from orchestrator.core import definition_pools, mesh_checks, observations
from orchestrator.core.schemas import DIALECT

PATTERNS = ("pipeline", "machine", "router", "supervisor", "consensus", "mesh")
# What one piece of work can be; the key that stands in it says which.
WORKS = ("agent", "approval", "signal", "workflow", "collect", "publish", "subscribe")
BUDGETS = {
    "steps": "how often any stage or state may be entered",
    "depth": "how many runs may stand above each other, each started by the one before",
    "agent_calls": "calls of agents, every attempt counted",
    "tokens": "tokens in and out, of all calls together",
    "money_micros": "cost of all calls together, in millionths of the currency's unit",
    "wall_s": "seconds from start to end, waiting included",
    "repeats": "how often a machine may come to one state with the same data",
    "turns": "turns of one call of an agent: each time it asks for something begins another",
}
DEFAULTS: dict[str, Any] = {
    "attempts": 3,
    "timeout_seconds": 60,
    "approvals": 1,
    "due_seconds": 86_400,
    "at_most": 20,
    "deadline_seconds": 600,
    "tasks_at_most": 20,
    # These three are settings of the instance.
    "at_once": 4,
    "rounds": 3,
    "delegations": 2,
    "confidence_at_least": 0.7,
    "on_failure": "fallback",
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
_TOOL_NAME: Schema = {**_EVENT_NAME, "maxLength": 100}
_SOME_SCHEMA: Schema = {"type": "object", "description": "a JSON Schema of its own, 2020-12"}
_DATA: Schema = {
    "type": "array",
    "minItems": 1,
    "maxItems": 20,
    "uniqueItems": True,
    "items": {"type": "string", "minLength": 1, "maxLength": 40},
    "description": "classes of the data that agents are handed; only endpoints that may see all are asked",
}
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
            "router": _router(),
            "mesh": _mesh(),
            "budget": _budget(limits),
            "stage": _work({"name": _NAME, "needs": _needs(_EARLIER)}, ["name"]),
            "run": _work({"needs": _needs(_STATES)}, []),
            "state": _state(),
            "way": _way(),
            **definition_pools.schemas(_common, _NAME, _KINDS["agent"], limits),
            "route_rule": _route_rule(),
            "route_model": _route_model(),
            "route_worker": _worker(),
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


def _router() -> Schema:
    return _object(
        {
            "rules": {
                "type": "array",
                "maxItems": 200,
                "items": {"$ref": "#/$defs/route_rule"},
                "default": [],
            },
            "model": {"$ref": "#/$defs/route_model"},
            "workers": {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 50,
                "propertyNames": _NAME,
                "additionalProperties": {"$ref": "#/$defs/route_worker"},
            },
            "fallback": {"type": "string", "description": "the worker that takes everything else"},
            "on_failure": {
                "enum": ["fallback", "fail"],
                "default": DEFAULTS["on_failure"],
                "description": "what comes after a worker that failed",
            },
            **_common("router"),
        },
        ["workers", "fallback"],
    )


def _route_rule() -> Schema:
    guard = {
        "type": "string",
        "minLength": 1,
        "maxLength": 10_000,
        "description": "a condition in CEL over `intent`; without one, always",
    }
    several = {"type": "array", "minItems": 1, "maxItems": 10, "uniqueItems": True}
    to = {"oneOf": [_NAME, {**several, "items": _NAME}]}
    return _object({"name": _NAME, "if": guard, "to": to}, ["to"])


def _route_model() -> Schema:
    calls = {name: _KINDS["agent"][name] for name in ("agent", "timeout_seconds", "attempts")}
    least = {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "default": DEFAULTS["confidence_at_least"],
        "description": "a choice that is less sure goes to the fallback worker",
    }
    return _object({**calls, "confidence_at_least": least, "output": _SOME_SCHEMA}, ["agent"])


def _worker() -> Schema:
    """One call, one question to people, or one run: nothing that waits for other works."""
    kinds = {name: dict(_KINDS[name]) for name in ("agent", "approval", "workflow")}
    for left_out in ("for_each", "at_most"):
        del kinds["agent"][left_out]
    about = {
        "type": "string",
        "maxLength": 500,
        "description": "what it is for; the model reads it",
    }
    beside: Schema = {"description": about, **dict.fromkeys(kinds, True)}
    return {
        "type": "object",
        "required": ["description"],
        "oneOf": [{"required": [name]} for name in kinds],
        "allOf": [
            {
                "if": {"required": [name]},
                "then": {"properties": {**beside, **fields}, "additionalProperties": False},
            }
            for name, fields in kinds.items()
        ],
        "properties": beside,
    }


def _mesh() -> Schema:
    def number(low: int, high: int, name: str, about: str) -> Schema:
        whole = {"type": "integer", "minimum": low, "maximum": high, "description": about}
        return {**whole, "default": mesh_checks.DEFAULTS[name]}

    asked = ("agent", "data", "output", "contract", "timeout_seconds", "attempts", "tools")
    tag = {"type": "string", "pattern": observations.TAG_PATTERN, "maxLength": 60}
    key = {"type": "string", "minLength": 1, "maxLength": observations.KEY_LENGTH_MAX}
    peer = {
        **{name: _KINDS["agent"][name] for name in asked},
        "reads": _tags("what it may read"),
        "writes": _tags("what it may write"),
    }
    return _object(
        {
            "peers": {
                "type": "object",
                "minProperties": 2,
                "maxProperties": 50,
                "propertyNames": _NAME,
                "additionalProperties": _object(peer, ["agent", "reads", "writes"]),
            },
            "space": _memory()["properties"]["space"],
            "result": {
                **_object({"key": key, "tag": tag}, []),
                "minProperties": 1,
                "description": "what is written under this key, with this tag, ends the run",
            },
            "rounds": number(
                1, 100, "rounds", "in each, whoever has something new to read is asked"
            ),
            "at_once": number(1, 50, "at_once", "peers that are asked at a time"),
            "failures": number(1, 20, "failures", "failed turns after which a peer is left out"),
            "at_most": _memory()["properties"]["at_most"],
            **_common("mesh"),
        },
        ["peers", "result"],
    )


def _common(pattern: str) -> Schema:
    return {
        "pattern": {"const": pattern},
        "title": _TITLE,
        "data": _DATA,
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


_TOOL: Schema = _object(
    {
        "name": _TOOL_NAME,
        "description": {"type": "string", "maxLength": 10_000},
        "parameters": {**_SOME_SCHEMA, "description": "what its arguments must look like"},
        "kind": {"enum": ["read", "write"], "description": "whether it changes anything"},
        "action": {**_TOOL_NAME, "description": "what is proposed; by default its name"},
        "target": {
            "type": "string",
            "format": "json-pointer",
            "description": "which of its arguments names the target",
        },
    },
    ["name", "kind"],
)


def _memory() -> Schema:
    """What the calls of a stage may read and write of a shared memory."""
    return {
        **_object(
            {
                "space": {
                    "type": "string",
                    "maxLength": observations.NAME_LENGTH_MAX,
                    "pattern": observations.SPACE_PATTERN,
                    "description": "a shared memory by name; without one, the run's own",
                },
                "reads": _tags("an observation is handed out when all its tags stand here"),
                "writes": _tags("an observation may carry no other tags than these"),
                "at_most": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": observations.AT_MOST_MAX,
                    "default": observations.AT_MOST,
                    "description": "observations that a call is handed, the newest",
                },
            },
            [],
        ),
        "anyOf": [{"required": ["reads"]}, {"required": ["writes"]}],
    }


def _tags(about: str) -> Schema:
    tag = {
        "type": "string",
        "maxLength": observations.NAME_LENGTH_MAX,
        "pattern": observations.TAG_PATTERN,
        "description": "a tag has small letters, digits, dots and hyphens, and begins with a letter",
    }
    most = observations.SCOPE_TAGS_MAX
    shape = {"type": "array", "minItems": 1, "maxItems": most, "uniqueItems": True, "items": tag}
    return {**shape, "description": about}


_KINDS: dict[str, Schema] = {
    "agent": {
        "agent": {"$ref": "#/$defs/agent"},
        "data": _DATA,
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
        "tools": {
            "type": "array",
            "maxItems": 64,
            "items": {"oneOf": [_TOOL_NAME, _TOOL]},
            "description": "what it may use: names of the agent's own tools, or whole tools",
        },
        "at_once": {
            "type": "integer",
            "minimum": 1,
            "maximum": 1_000,
            "description": "calls under way together, the others wait; all of them without",
        },
        "memory": _memory(),
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
    "workflow": {
        "workflow": _SLUG,
        "wait": {
            "type": "boolean",
            "default": True,
            "description": "whether the run goes on only when that one has ended",
        },
    },
    "collect": {"collect": {**_NAME, "description": "the stage whose run is waited for now"}},
    "publish": {"publish": _object({"topic": _EVENT_NAME}, ["topic"])},
    "subscribe": {"subscribe": _object({"topic": _EVENT_NAME, "due_seconds": _DUE}, ["topic"])},
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
