"""Workflow definitions: what is wrong with one, what it leaves unsaid, and what it says of each work."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from orchestrator.core.codec import Json, canonical
from orchestrator.core.definition_checks import check_meaning
from orchestrator.core.definition_schema import DEFAULTS, definition_schema
from orchestrator.core.errors import Problem
from orchestrator.core.schemas import check, did_you_mean

type Definition = Mapping[str, Any]


class Contracted(NamedTuple):
    """A version of a contract of outputs, as far as a definition needs it."""

    version: int
    schema: Mapping[str, Json]


# Nobody writes this one: it carries proposals from outside, and nothing is planned.
DIRECT = canonical({"pattern": "direct"})


def problems(
    raw: Json,
    *,
    agents: Mapping[str, dict[str, Any]],
    limits: Mapping[str, int],
    slug: str = "",
) -> list[Problem]:
    """Everything that would keep a run of it from working, as far as that can be known now."""
    found = [*check(definition_schema(agents, limits), raw), *check_meaning(raw, slug)]
    return sorted(set(found), key=_place)


def complete(raw: Definition, limits: Mapping[str, int]) -> dict[str, Any]:
    """The definition with everything said that was left to its default. It has no problems."""
    whole = {"title": "", **raw, "budget": {**limits, **raw.get("budget", {})}}
    if raw["pattern"] == "machine":
        return {**whole, "states": {k: _complete_state(v) for k, v in raw["states"].items()}}
    names = [stage["name"] for stage in raw["stages"]]
    stages = [
        {"needs": names[max(0, place - 1) : place], **_complete_work(stage)}
        for place, stage in enumerate(raw["stages"])
    ]
    return {**whole, "stages": stages}


def with_contracts(raw: Json, newest: Mapping[str, Contracted]) -> tuple[Json, list[Problem]]:
    """The definition with each contract's newest version and schema written into it.

    A run keeps to what its definition says, so the contract may get new versions meanwhile. `newest`
    is by name; what names a contract that is not there is a problem.
    """
    found: list[Problem] = []
    if not isinstance(raw, dict):
        return raw, found
    stages, states = raw.get("stages"), raw.get("states")
    whole = dict(raw)
    if isinstance(stages, list):
        whole["stages"] = [
            _follow(work, newest, f"/stages/{n}", found) for n, work in enumerate(stages)
        ]
    if isinstance(states, dict):
        whole["states"] = {
            name: {**state, "run": _follow(state["run"], newest, f"/states/{name}/run", found)}
            if isinstance(state, dict) and "run" in state
            else state
            for name, state in states.items()
        }
    return whole, found


def contracts_of(raw: Json) -> set[str]:
    """The names of all contracts that a definition follows, however wrong it may be otherwise."""
    named: list[Json] = []
    if isinstance(raw, dict):
        stages, states = raw.get("stages"), raw.get("states")
        named += stages if isinstance(stages, list) else []
        named += (
            [state.get("run") for state in states.values() if isinstance(state, dict)]
            if isinstance(states, dict)
            else []
        )
    return {name for work in named if (name := _contract_name(work))}


def _contract_name(work: Json) -> str:
    told = work.get("contract") if isinstance(work, dict) else None
    name = told.get("name") if isinstance(told, dict) else told
    return name if isinstance(name, str) else ""


def _follow(work: Json, newest: Mapping[str, Contracted], place: str, found: list[Problem]) -> Json:
    name = _contract_name(work)
    if not isinstance(work, dict) or not name:
        return work
    if name not in newest:
        reason = (
            f"there is no contract of outputs named “{name}”. {did_you_mean(name, list(newest))}"
        )
        found.append(Problem(f"{place}/contract", reason.strip()))
        return work
    contract = newest[name]
    followed: dict[str, Json] = {"name": name, "version": contract.version}
    return {**work, "contract": followed, "output": dict(contract.schema)}


def output_schema(definition: Definition, work: str) -> dict[str, Json] | None:
    """What an agent's answer must look like; None when it may say anything."""
    found: dict[str, Json] | None = _work(definition, work).get("output")
    return found


def agent_config(definition: Definition, work: str) -> dict[str, Json]:
    found: dict[str, Json] = _work(definition, work)["agent"]
    return found


def timeout_s(definition: Definition, work: str) -> int:
    return int(_work(definition, work)["timeout_seconds"])


def question(definition: Definition, work: str) -> str:
    return str(_work(definition, work)["approval"]["question"])


def intent_schema(definition: Definition) -> dict[str, Json] | None:
    """What a run may be asked for; None when that may be anything."""
    return definition.get("intent")


def _place(problem: Problem) -> list[tuple[int, str]]:
    """The tenth stage comes after the second."""
    parts = problem.pointer.split("/")
    return [(int(part) if part.isdecimal() else 0, part) for part in parts]


def _work(definition: Definition, name: str) -> Definition:
    """Raises KeyError for a work that the definition does not have."""
    if "states" in definition:
        found: Definition = definition["states"][name]["run"]
        return found
    for stage in definition["stages"]:
        if stage["name"] == name:
            return stage  # type: ignore[no-any-return]
    raise KeyError(name)


def _complete_state(state: Definition) -> dict[str, Any]:
    return {**state, "run": _complete_work(state["run"])} if "run" in state else dict(state)


def _complete_work(work: Definition) -> dict[str, Any]:
    whole = {"optional": False, **work}
    if "approval" in work:
        return {**whole, "approval": {**_defaults("approvals", "due_seconds"), **work["approval"]}}
    if "signal" in work:
        return {**whole, "signal": {**_defaults("due_seconds"), **work["signal"]}}
    if "workflow" in work:
        return whole
    fan_out = _defaults("at_most") if "for_each" in work else {}
    calls = _defaults("attempts", "timeout_seconds")
    return {"proposes": False, **calls, **fan_out, **whole}


def _defaults(*names: str) -> dict[str, int]:
    return {name: DEFAULTS[name] for name in names}
