"""Definitions of supervisors and of consensus: their form, what they leave unsaid, and what they ask of whom."""

from collections.abc import Callable, Mapping
from string import ascii_uppercase
from typing import Any

from orchestrator.core.codec import Json

type Schema = dict[str, Any]
type Definition = Mapping[str, Any]

WORKERS_MAX = 50
MEMBERS_MIN, MEMBERS_MAX = 2, 9


def schemas(
    common: Callable[[str], Schema], name: Schema, agent: Schema, limits: Mapping[str, int]
) -> dict[str, Schema]:
    """`agent` has the fields of a stage that calls one."""
    asked = {field: agent[field] for field in ("agent", "timeout_seconds", "attempts")}
    told = {"output": agent["output"], "contract": agent["contract"]}
    return {
        "supervisor": _supervisor(common("supervisor"), name, limits),
        "consensus": {
            **_consensus(common("consensus"), name, told),
            "anyOf": [{"required": [way]} for way in told],
        },
        "asked": _object(asked, ["agent"]),
        "worker": _worker({**asked, **told}),
    }


def _supervisor(common: Schema, name: Schema, limits: Mapping[str, int]) -> Schema:
    stops = {
        field: {"type": "integer", "minimum": 1, "maximum": limits[field], "description": about}
        for field, about in (
            ("tokens", "from so many tokens on nothing is begun; by default those of the budget"),
            ("money_micros", "from this cost on nothing is begun; by default that of the budget"),
        )
    }
    return _object(
        {
            "supervisor": {"$ref": "#/$defs/asked"},
            "workers": {
                "type": "object",
                "minProperties": 1,
                "maxProperties": WORKERS_MAX,
                "propertyNames": name,
                "additionalProperties": {"$ref": "#/$defs/worker"},
            },
            "result": _schema("what its result must look like; anything without"),
            "at_once": _number(1, 100, "tasks under way together; the others wait"),
            "tasks_at_most": _number(1, 100, "tasks of one round; more are refused"),
            "rounds": _number(1, 10, "rounds, after which it has to sum up"),
            "deadline_seconds": _number(1, 86_400, "for a round; what is late is a gap"),
            "delegations": _number(1, 5, "supervisors below each other, this one counted"),
            "stops_at": _object(stops, []),
            **common,
        },
        ["supervisor", "workers"],
    )


def _consensus(common: Schema, name: Schema, told: Schema) -> Schema:
    criterion = {"type": "string", "minLength": 1, "maxLength": 1_000}
    return _object(
        {
            "high_stakes": {"const": True, "description": "it costs many calls, so it has to be"},
            "reason": {
                "type": "string",
                "minLength": 10,
                "maxLength": 1_000,
                "description": "why one agent is not enough",
            },
            "members": {
                "type": "object",
                "minProperties": MEMBERS_MIN,
                "maxProperties": MEMBERS_MAX,
                "propertyNames": name,
                "additionalProperties": {"$ref": "#/$defs/asked"},
            },
            "quorum": _number(2, MEMBERS_MAX, "members that have to answer; by default most"),
            "deadline_seconds": _number(1, 86_400, "for the members; who is late has no say"),
            "judge": {"$ref": "#/$defs/asked"},
            "rubric": {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 12,
                "propertyNames": name,
                "additionalProperties": criterion,
                "description": "by name, what the judge has to go by",
            },
            **told,
            **common,
        },
        ["high_stakes", "reason", "members", "judge", "rubric"],
    )


def _worker(agent: Schema) -> Schema:
    """An agent, or a run of another workflow."""
    description = {
        "type": "string",
        "maxLength": 1_000,
        "description": "what it is good at; the supervisor reads it",
    }
    slug = {"type": "string", "maxLength": 100, "pattern": "^[A-Za-z0-9_-]+$"}
    return {
        "type": "object",
        "oneOf": [{"required": ["agent"]}, {"required": ["workflow"]}],
        "if": {"required": ["workflow"]},
        "then": _object({"workflow": slug, "description": description}, []),
        "else": _object({**agent, "description": description}, []),
    }


def _schema(about: str) -> Schema:
    return {"type": "object", "description": f"a JSON Schema, 2020-12: {about}"}


def _number(low: int, high: int, about: str) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high, "description": about}


def _object(properties: Schema, required: list[str]) -> Schema:
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }


# What is left unsaid ----------------------------------------------------------------------------


def _complete_supervisor(raw: Definition, defaults: Mapping[str, int]) -> dict[str, Any]:
    numbers = ("at_once", "tasks_at_most", "rounds", "deadline_seconds", "delegations")
    stops = {field: raw["budget"][field] for field in ("tokens", "money_micros")}
    return {
        **{field: defaults[field] for field in numbers},
        **raw,
        "supervisor": _complete_asked(raw["supervisor"], defaults),
        "workers": {
            name: {"description": "", **_complete_asked(worker, defaults)}
            for name, worker in raw["workers"].items()
        },
        "stops_at": {**stops, **raw.get("stops_at", {})},
    }


def _complete_consensus(raw: Definition, defaults: Mapping[str, int]) -> dict[str, Any]:
    most = max(MEMBERS_MIN, len(raw["members"]) // 2 + 1)
    return {
        "quorum": most,
        "deadline_seconds": defaults["deadline_seconds"],
        **raw,
        "members": {
            name: _complete_asked(member, defaults) for name, member in raw["members"].items()
        },
        "judge": _complete_asked(raw["judge"], defaults),
    }


def _complete_asked(asked: Definition, defaults: Mapping[str, int]) -> dict[str, Any]:
    if "workflow" in asked:
        return dict(asked)
    calls = {field: defaults[field] for field in ("attempts", "timeout_seconds")}
    return {**calls, **asked}


COMPLETED: dict[str, Callable[[Definition, Mapping[str, int]], dict[str, Any]]] = {
    "supervisor": _complete_supervisor,
    "consensus": _complete_consensus,
}


# What is asked of whom --------------------------------------------------------------------------


def _of_supervisor(definition: Definition, work: str, member: str) -> Definition:
    if work == "tasks":
        found: Definition = definition["workers"][member]
        return found
    said = {"plan": _plan_schema, "synthesis": _synthesis_schema}[work](definition)
    return {**definition["supervisor"], "output": said}


def _of_consensus(definition: Definition, work: str, member: str) -> Definition:
    if work == "judge":
        return {**definition["judge"], "output": _judge_schema(definition)}
    if work != "members":
        raise KeyError(work)
    return {**definition["members"][member], "output": definition["output"]}


WORKS: dict[str, Callable[[Definition, str, str], Definition]] = {
    "supervisor": _of_supervisor,
    "consensus": _of_consensus,
}


def _plan_schema(definition: Definition) -> Schema:
    """Tasks, or when it is done the result. Who is no worker is a gap and not refused here."""
    task = {
        "type": "object",
        "required": ["worker", "task"],
        "properties": {"worker": {"type": "string"}, "task": True},
    }
    return {
        "type": "object",
        "properties": {
            "done": {"type": "boolean"},
            "tasks": {"type": "array", "maxItems": definition["tasks_at_most"], "items": task},
            "result": _inside(definition.get("result", {})),
        },
        "if": {"required": ["done"], "properties": {"done": {"const": True}}},
        "then": {"required": ["result"]},
        "else": {"required": ["tasks"]},
    }


def _synthesis_schema(definition: Definition) -> Schema:
    result = _inside(definition.get("result", {}))
    return {"type": "object", "required": ["result"], "properties": {"result": result}}


def _judge_schema(definition: Definition) -> Schema:
    letters = list(ascii_uppercase[: len(definition["members"])])
    reason = {"type": "string", "minLength": 1, "maxLength": 4_000}
    return _object(
        {
            "verdict": _inside(definition["output"]),
            "rests_on": {"type": "array", "uniqueItems": True, "items": {"enum": letters}},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "reasons": _object(
                dict.fromkeys(definition["rubric"], reason), [*definition["rubric"]]
            ),
        },
        ["verdict", "rests_on", "confidence", "reasons"],
    )


def _inside(schema: Mapping[str, Json]) -> Schema:
    """With an address of its own, so that its references still point into it."""
    return {"$id": "urn:countersign:inside", **schema}
