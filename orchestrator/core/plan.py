"""What a workflow version says, as frozen data: the plan a run follows from its first event to its last.

`read_plan` trusts its input: `core/definitions.py` has looked at every definition before it was stored.
"""

from collections.abc import Callable, Mapping
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
    # Of one call of an agent. Definitions from before there were turns say nothing.
    turns: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Who does a part of a work, where not all parts are done by the same."""

    name: str
    queue: str = "agents"
    attempts: int = 1
    # A run of this workflow does it instead of an agent.
    workflow: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One thing to be done or waited for: a stage of a pipeline, the activity of a machine's state."""

    name: str
    kind: str  # agent, approval, signal, workflow, collect, publish, subscribe
    queue: str = "agents"
    attempts: int = 1
    optional: bool = False
    # The output is a suggested action: guardrails and people come before the next work.
    proposes: bool = False
    # A pointer into what came before; each element found there becomes a call of its own.
    for_each: str | None = None
    at_most: int = 20
    # So many parts may be under way together, the others wait for their turn; 0 is all of them.
    at_once: int = 0
    # Whom parts may be given to, by name. Without any, all parts are calls of the work's own agent.
    members: Mapping[str, Member] = field(default_factory=dict)
    # From this cost of the run on no part is begun any more; 0 is no such limit.
    stops_at_tokens: int = 0
    stops_at_money_micros: int = 0
    # Whoever is asked again hears what was wrong with the answer before.
    hears_refusals: bool = False
    # Whose outputs the agent is handed, besides the intent.
    needs: tuple[str, ...] = ()
    approvals: int = 1
    signal: str = ""
    workflow: str = ""
    # Whether the run that is started is waited for here; what it comes to can be collected later.
    waits: bool = True
    collects: str = ""
    topic: str = ""
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
class Pool:
    """How far a supervisor may go."""

    rounds: int
    tasks_at_most: int
    # How many supervisors may stand below each other, this one counted.
    delegations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRule:
    """Of a router: who gets the request when the guard, a CEL condition, holds or there is none."""

    name: str
    to: tuple[str, ...]
    guard: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """How a router finds the worker for a request."""

    rules: tuple[RouteRule, ...]
    workers: tuple[str, ...]
    fallback: str
    asks_model: bool = False
    confidence_at_least: float = 0.0
    # Whether the fallback worker takes over from one that failed.
    catches: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """Peers over a shared memory: what each may read, and when they are done."""

    reads: Mapping[str, tuple[str, ...]]
    rounds: int
    # How many are asked at a time.
    at_once: int
    # After so many failed turns a peer is asked no more.
    failures: int
    # What is written under this key, and with this tag, is the result.
    result_key: str = ""
    result_tag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    pattern: str
    works: Mapping[str, Work] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    initial: str = ""
    router: Router | None = None
    mesh: Mesh | None = None
    budget: Budget = Budget()
    pool: Pool | None = None
    # Of the members of a consensus so many have to answer.
    quorum: int = 0


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


def _read_supervisor(definition: Mapping[str, Any]) -> Plan:
    asked = _read_agent_work(definition["supervisor"], hears_refusals=True)
    stops = definition["stops_at"]
    tasks = Work(
        name="tasks",
        kind="agent",
        # A task that fails is a gap and no end.
        optional=True,
        at_once=definition["at_once"],
        members=_read_members(definition["workers"]),
        due_s=definition["deadline_seconds"],
        stops_at_tokens=stops["tokens"],
        stops_at_money_micros=stops["money_micros"],
    )
    return Plan(
        pattern="supervisor",
        works={
            "plan": Work(name="plan", **asked),
            "tasks": tasks,
            "synthesis": Work(name="synthesis", **asked),
        },
        budget=_read_budget(definition),
        pool=Pool(
            rounds=definition["rounds"],
            tasks_at_most=definition["tasks_at_most"],
            delegations=definition["delegations"],
        ),
    )


def _read_consensus(definition: Mapping[str, Any]) -> Plan:
    members = Work(
        name="members",
        kind="agent",
        optional=True,
        members=_read_members(definition["members"]),
        due_s=definition["deadline_seconds"],
    )
    judge = Work(name="judge", **_read_agent_work(definition["judge"], hears_refusals=True))
    return Plan(
        pattern="consensus",
        works={"members": members, "judge": judge},
        budget=_read_budget(definition),
        quorum=definition["quorum"],
    )


def _read_router(definition: Mapping[str, Any]) -> Plan:
    """The model's choice is a work of the name `route`; without it the router goes on all the same."""
    model, workers = definition.get("model"), definition["workers"]
    works = {name: _read_work(name, worker, needs=()) for name, worker in workers.items()}
    if model:
        works["route"] = _read_work("route", {**model, "optional": True}, needs=())
    router = Router(
        rules=tuple(_read_rule(rule) for rule in definition["rules"]),
        workers=tuple(workers),
        fallback=definition["fallback"],
        asks_model=bool(model),
        confidence_at_least=model["confidence_at_least"] if model else 0.0,
        catches=definition["on_failure"] == "fallback",
    )
    return Plan(pattern="router", works=works, router=router, budget=_read_budget(definition))


def _read_rule(rule: Mapping[str, Any]) -> RouteRule:
    return RouteRule(name=rule["name"], to=tuple(rule["to"]), guard=rule.get("if", ""))


def _read_mesh(definition: Mapping[str, Any]) -> Plan:
    peers = definition["peers"]
    # One that fails is done without.
    works = {
        name: _read_work(name, {**peer, "optional": True}, needs=()) for name, peer in peers.items()
    }
    mesh = Mesh(
        reads={name: tuple(peer["memory"].get("reads", ())) for name, peer in peers.items()},
        rounds=definition["rounds"],
        at_once=definition["at_once"],
        failures=definition["failures"],
        result_key=definition["result"].get("key", ""),
        result_tag=definition["result"].get("tag", ""),
    )
    return Plan(pattern="mesh", works=works, mesh=mesh, budget=_read_budget(definition))


_READERS = {
    "direct": _read_direct,
    "pipeline": _read_pipeline,
    "machine": _read_machine,
    "router": _read_router,
    "supervisor": _read_supervisor,
    "consensus": _read_consensus,
    "mesh": _read_mesh,
}


def _read_agent_work(asked: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "kind": "agent",
        "queue": queue_of(asked["agent"]),
        "attempts": asked["attempts"],
        **more,
    }


def _read_members(members: Mapping[str, Any]) -> dict[str, Member]:
    return {name: _read_member(name, member) for name, member in members.items()}


def _read_member(name: str, member: Mapping[str, Any]) -> Member:
    if "workflow" in member:
        return Member(name=name, workflow=member["workflow"])
    return Member(name=name, queue=queue_of(member["agent"]), attempts=member["attempts"])


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
    for kind, read in _OTHERS.items():
        if kind in stage:
            return Work(kind=kind, **read(stage), **common)
    return Work(
        kind="agent",
        queue=queue_of(stage["agent"]),
        attempts=stage["attempts"],
        proposes=stage.get("proposes", False),
        for_each=stage.get("for_each"),
        at_most=stage.get("at_most", 20),
        at_once=stage.get("at_once", 0),
        **common,
    )


# What else than an agent a work can be, and what each says of itself.
_OTHERS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "approval": lambda stage: {
        "approvals": stage["approval"]["approvals"],
        "due_s": stage["approval"]["due_seconds"],
    },
    "signal": lambda stage: {
        "signal": stage["signal"]["name"],
        "due_s": stage["signal"]["due_seconds"],
    },
    "workflow": lambda stage: {
        "workflow": stage["workflow"],
        "waits": stage.get("wait", True),
    },
    "collect": lambda stage: {"collects": stage["collect"]},
    "publish": lambda stage: {"topic": stage["publish"]["topic"]},
    "subscribe": lambda stage: {
        "topic": stage["subscribe"]["topic"],
        "due_s": stage["subscribe"]["due_seconds"],
    },
}


def queue_of(agent: Mapping[str, Json]) -> str:
    """Functions may crash, leak or spin; unless their author vouches for them they run apart."""
    isolated = agent["kind"] == "function" and agent.get("isolated", True)
    return "isolated" if isolated else "agents"


def _read_budget(definition: Mapping[str, Any]) -> Budget:
    return Budget(**definition["budget"])
