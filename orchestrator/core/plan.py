"""What a workflow version says, as frozen data: the plan a run follows from its first event to its last.

`read_plan` trusts its input: `core/definitions.py` has looked at every definition before it was stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.core.codec import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much one run may use up. 0 is no limit, which only plans without agents have."""

    steps: int = 0
    depth: int = 0
    agent_calls: int = 0
    tokens: int = 0
    money_micros: int = 0
    wall_s: int = 0
    # How often a machine may come back to the same state with the same data.
    repeats: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One thing to be done or waited for: a stage of a pipeline, the activity of a machine's state."""

    name: str
    kind: str  # agent, approval, signal, workflow
    queue: str = "agents"
    attempts: int = 1
    optional: bool = False
    # The output is a suggested action: guardrails and people come before the next work.
    proposes: bool = False
    # A pointer into what came before; each element found there becomes a call of its own.
    for_each: str | None = None
    at_most: int = 20
    # Whose outputs the agent is handed, besides the intent.
    needs: tuple[str, ...] = ()
    approvals: int = 1
    signal: str = ""
    workflow: str = ""
    # Until when an answer counts. What is late is a no.
    due_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Out of a machine's state: taken when the guard, a CEL condition, holds or there is none."""

    to: str
    guard: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A state of a machine."""

    name: str
    work: Work | None = None
    ways: Mapping[str, tuple[Way, ...]] = field(default_factory=dict)
    after_s: int = 0
    after_to: str = ""
    end: str = ""  # completed or failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    pattern: str
    works: Mapping[str, Work] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    initial: str = ""
    budget: Budget = Budget()


DIRECT = Plan(pattern="direct")


def read_plan(definition: Mapping[str, Any]) -> Plan:
    """Raises KeyError for a pattern this version does not know."""
    return _READERS[definition["pattern"]](definition)


def _read_direct(definition: Mapping[str, Any]) -> Plan:
    return DIRECT


def _read_pipeline(definition: Mapping[str, Any]) -> Plan:
    works: dict[str, Work] = {}
    before: tuple[str, ...] = ()
    for stage in definition["stages"]:
        works[stage["name"]] = _read_work(stage["name"], stage, needs=before)
        before = (stage["name"],)
    return Plan(pattern="pipeline", works=works, budget=_read_budget(definition))


def _read_machine(definition: Mapping[str, Any]) -> Plan:
    places = {name: _read_place(name, state) for name, state in definition["states"].items()}
    works = {name: place.work for name, place in places.items() if place.work}
    return Plan(
        pattern="machine",
        works=works,
        places=places,
        initial=definition["initial"],
        budget=_read_budget(definition),
    )


_READERS = {"direct": _read_direct, "pipeline": _read_pipeline, "machine": _read_machine}


def _read_place(name: str, state: Mapping[str, Any]) -> Place:
    after = state.get("after", {})
    ways = {
        event: tuple(Way(to=way["to"], guard=way.get("if", "")) for way in ways)
        for event, ways in state.get("on", {}).items()
    }
    return Place(
        name=name,
        work=_read_work(name, state["run"], needs=()) if "run" in state else None,
        ways=ways,
        after_s=after.get("seconds", 0),
        after_to=after.get("to", ""),
        end=state.get("end", ""),
    )


def _read_work(name: str, stage: Mapping[str, Any], *, needs: tuple[str, ...]) -> Work:
    common: dict[str, Any] = {
        "name": name,
        "optional": stage.get("optional", False),
        "needs": tuple(stage.get("needs", needs)),
    }
    if "approval" in stage:
        asked = stage["approval"]
        return Work(
            kind="approval", approvals=asked["approvals"], due_s=asked["due_seconds"], **common
        )
    if "signal" in stage:
        awaited = stage["signal"]
        return Work(kind="signal", signal=awaited["name"], due_s=awaited["due_seconds"], **common)
    if "workflow" in stage:
        return Work(kind="workflow", workflow=stage["workflow"], **common)
    return Work(
        kind="agent",
        queue=queue_of(stage["agent"]),
        attempts=stage["attempts"],
        proposes=stage.get("proposes", False),
        for_each=stage.get("for_each"),
        at_most=stage.get("at_most", 20),
        **common,
    )


def queue_of(agent: Mapping[str, Json]) -> str:
    """Functions may crash, leak or spin; unless their author vouches for them they run apart."""
    isolated = agent["kind"] == "function" and agent.get("isolated", True)
    return "isolated" if isolated else "agents"


def _read_budget(definition: Mapping[str, Any]) -> Budget:
    return Budget(**definition["budget"])
