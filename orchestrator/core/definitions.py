"""Workflow definitions: what is wrong with one, what it leaves unsaid, and what it says of each work."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from orchestrator.core import definition_pools as pools
from orchestrator.core import mesh_checks, router_checks
from orchestrator.core.codec import Json, canonical
from orchestrator.core.definition_checks import check_meaning
from orchestrator.core.definition_schema import DEFAULTS, definition_schema
from orchestrator.core.definition_works import Path, works
from orchestrator.core.errors import Problem
from orchestrator.core.observations import Scope, scope_of
from orchestrator.core.patterns.router import ROUTE
from orchestrator.core.schemas import check, did_you_mean, pointer

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


def complete(
    raw: Definition, limits: Mapping[str, int], defaults: Mapping[str, int] = DEFAULTS
) -> dict[str, Any]:
    """The definition with everything said that was left to its default. It has no problems."""
    whole = {"title": "", **raw, "budget": {**limits, **raw.get("budget", {})}}
    if raw["pattern"] == "mesh":
        return mesh_checks.complete({**whole}, _complete_work)
    if raw["pattern"] == "machine":
        return {**whole, "states": {k: _complete_state(v) for k, v in raw["states"].items()}}
    if raw["pattern"] in pools.COMPLETED:
        return pools.COMPLETED[raw["pattern"]](whole, defaults)
    if raw["pattern"] == "router":
        return _complete_router(whole)
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
    whole = _follow(raw, newest, "", found) if _is_consensus(raw) else raw
    for path, work in works(raw):
        whole = _put(whole, path, _follow(work, newest, pointer(path), found))
    return whole, found


def contracts_of(raw: Json) -> set[str]:
    """The names of all contracts that a definition follows, however wrong it may be otherwise."""
    holders: list[Json] = [work for _, work in works(raw)]
    holders += [raw] if _is_consensus(raw) else []
    return {name for holder in holders if (name := _contract_name(holder))}


def _is_consensus(raw: Json) -> bool:
    """All its members keep the one contract of the whole."""
    return isinstance(raw, dict) and raw.get("pattern") == "consensus"


def _put(whole: Json, path: Path, work: Json) -> Json:
    """The same with another work at this place; what was given stays as it is."""
    if not path:
        return work
    first, *rest = path
    if isinstance(whole, list) and isinstance(first, int):
        return [*whole[:first], _put(whole[first], tuple(rest), work), *whole[first + 1 :]]
    if isinstance(whole, dict) and isinstance(first, str):
        return {**whole, first: _put(whole[first], tuple(rest), work)}
    return whole


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


def output_schema(definition: Definition, work: str, member: str = "") -> dict[str, Json] | None:
    """What an agent's answer must look like; None when it may say anything."""
    found: dict[str, Json] | None = _work(definition, work, member).get("output")
    return found


def memory_of(definition: Definition, work: str, member: str = "") -> Scope | None:
    """Which shared memory its calls may read and write; None when they have none."""
    return scope_of(_work(definition, work, member))


def has_memory(definition: Definition) -> bool:
    """Whether any of its works may read or write shared memory."""
    return any(scope_of(work) is not None for _, work in works(dict(definition)))


def agent_config(definition: Definition, work: str, member: str = "") -> dict[str, Json]:
    """`member` is who does a part of the work, where not all parts are done by the same."""
    found: dict[str, Json] = _work(definition, work, member)["agent"]
    return found


def tools(definition: Definition, work: str, member: str = "") -> list[Json] | None:
    """What an agent may use here, by name or as a whole; None when its own tools are all there is to say."""
    found: list[Json] | None = _work(definition, work, member).get("tools")
    return found


def timeout_s(definition: Definition, work: str, member: str = "") -> int:
    return int(_work(definition, work, member)["timeout_seconds"])


def descriptions(definition: Definition) -> dict[str, Json]:
    """Of a router's workers, by name: what its model chooses between."""
    return {name: worker["description"] for name, worker in definition["workers"].items()}


def data_of(definition: Definition, work: str, member: str = "") -> frozenset[str]:
    """The classes of the data that a work is handed; empty when nobody said.

    What the whole workflow says holds for each work: every one of them is handed the intent.
    """
    return frozenset(definition.get("data", ())) | frozenset(
        _work(definition, work, member).get("data", ())
    )


def data_in(definition: Definition) -> frozenset[str]:
    """The classes of all that a run of it may hand on to others: of the whole, and of each of its works."""
    return frozenset(name for _, name in data_classes_of(dict(definition)))


def agents_of(raw: Json) -> list[tuple[str, str, bool]]:
    """The agents that a definition names: where, which, and whether what it says is proposed."""
    return [
        (f"{pointer(place)}/agent/name", agent["name"], work.get("proposes") is True)
        for place, work in works(raw)
        if isinstance(agent := work.get("agent"), dict)
        and agent.get("kind") == "agent"
        and isinstance(agent.get("name"), str)
    ]


def own_agents_of(raw: Json) -> list[tuple[str, str]]:
    """The agents that a definition brings itself, whole: where, and what it calls them."""
    return [
        (f"{pointer(place)}/agent/name", agent["name"])
        for place, work in works(raw)
        if isinstance(agent := work.get("agent"), dict)
        and agent.get("kind") != "agent"
        and isinstance(agent.get("name"), str)
    ]


def data_classes_of(raw: Json) -> list[tuple[str, str]]:
    """Every class of data that a definition names, with its place."""
    holders: list[tuple[Path, Json]] = [((), raw), *works(raw)]
    return [
        (f"{pointer(place)}/data/{number}", name)
        for place, holder in holders
        if isinstance(holder, dict) and isinstance(data := holder.get("data"), list)
        for number, name in enumerate(data)
        if isinstance(name, str)
    ]


def proposes(definition: Definition, work: str, member: str = "") -> bool:
    return bool(_work(definition, work, member).get("proposes", False))


def question(definition: Definition, work: str) -> str:
    return str(_work(definition, work)["approval"]["question"])


def intent_schema(definition: Definition) -> dict[str, Json] | None:
    """What a run may be asked for; None when that may be anything."""
    return definition.get("intent")


def _place(problem: Problem) -> list[tuple[int, str]]:
    """The tenth stage comes after the second."""
    parts = problem.pointer.split("/")
    return [(int(part) if part.isdecimal() else 0, part) for part in parts]


def _work(definition: Definition, name: str, member: str = "") -> Definition:
    """Raises KeyError for a work that the definition does not have."""
    if definition["pattern"] in pools.WORKS:
        return pools.WORKS[definition["pattern"]](definition, name, member)
    if "states" in definition:
        found: Definition = definition["states"][name]["run"]
        return found
    if "workers" in definition:
        chosen: Definition = definition["model"] if name == ROUTE else definition["workers"][name]
        return chosen
    if "peers" in definition:
        peer: Definition = definition["peers"][name]
        return peer
    for stage in definition["stages"]:
        if stage["name"] == name:
            return stage  # type: ignore[no-any-return]
    raise KeyError(name)


def _complete_router(whole: Definition) -> dict[str, Any]:
    """Rules by name and with lists of workers; the model's answer in the form that is asked for."""
    rules = [
        {"name": f"rule-{number}", **rule, "to": _listed(rule["to"])}
        for number, rule in enumerate(whole.get("rules", ()), start=1)
    ]
    workers = {name: _complete_worker(worker) for name, worker in whole["workers"].items()}
    found = {**_defaults("on_failure"), **whole, "rules": rules, "workers": workers}
    if "model" in whole:
        calls = _defaults("attempts", "timeout_seconds", "confidence_at_least")
        output = router_checks.answer_schema(sorted(workers))
        found["model"] = {**calls, **whole["model"], "output": output}
    return found


def _complete_worker(worker: Definition) -> dict[str, Any]:
    """What comes when one fails is the router's to say."""
    whole = _complete_work(worker)
    del whole["optional"]
    return whole


def _listed(to: Json) -> list[Json]:
    return to if isinstance(to, list) else [to]


def _complete_state(state: Definition) -> dict[str, Any]:
    return {**state, "run": _complete_work(state["run"])} if "run" in state else dict(state)


def _complete_work(work: Definition) -> dict[str, Any]:
    whole = {"optional": False, **work}
    if "approval" in work:
        return {**whole, "approval": {**_defaults("approvals", "due_seconds"), **work["approval"]}}
    if "signal" in work:
        return {**whole, "signal": {**_defaults("due_seconds"), **work["signal"]}}
    if "subscribe" in work:
        return {**whole, "subscribe": {**_defaults("due_seconds"), **work["subscribe"]}}
    if work.keys() & {"workflow", "collect", "publish"}:
        return whole
    fan_out = _defaults("at_most") if "for_each" in work else {}
    calls = _defaults("attempts", "timeout_seconds")
    return {"proposes": False, **calls, **fan_out, **whole}


def _defaults(*names: str) -> dict[str, Any]:
    return {name: DEFAULTS[name] for name in names}
