"""The workflows that simulated runs follow: every kind of stage, every kind of way out of a state."""

from typing import Any

from orchestrator.core.plan import read_plan
from tests.core.stories import (
    agent,
    approval,
    child,
    collect,
    consensus,
    machine,
    mesh,
    peer,
    pipeline,
    publish,
    router,
    signal,
    subscribe,
    supervisor,
)
from tests.simulator.tables import Workflow

ENDS: dict[str, Any] = {"good": {"end": "completed"}, "bad": {"end": "failed"}}
FAILED = [{"to": "bad"}]
ISOLATED = {"kind": "function", "name": "sum"}


def _state(run: Any, done: str | list[Any] = "good", **more: Any) -> dict[str, Any]:
    ways = [{"to": done}] if isinstance(done, str) else done
    return {"run": run, "on": {"done": ways, "failed": FAILED, **more.pop("on", {})}, **more}


def _poll() -> dict[str, Any]:
    """Comes back to its agent while the last call of it may still be out."""
    ask = _state(agent(), after={"seconds": 1, "to": "rest"})
    return {"ask": ask, "rest": {"after": {"seconds": 1, "to": "ask"}}, **ENDS}


def _nag() -> dict[str, Any]:
    """Asks people again and again, and each time for an answer of its own."""
    ask = _state(approval(due_s=30), after={"seconds": 1, "to": "rest"})
    return {"ask": ask, "rest": {"after": {"seconds": 1, "to": "ask"}}, **ENDS}


def _hurry() -> dict[str, Any]:
    """Leaves what it asked people for, and asks for it anew."""
    draft = _state(agent(proposes=True), after={"seconds": 4, "to": "rest"})
    return {"draft": draft, "rest": {"after": {"seconds": 1, "to": "draft"}}, **ENDS}


def _support() -> dict[str, Any]:
    sort = [{"if": "event.n % 2 == 0", "to": "draft"}, {"to": "wait"}]
    return {
        "sort": _state(agent(), sort),
        "wait": _state(
            signal(due_s=20), "draft", after={"seconds": 30, "to": "bad"}, on={"stop": FAILED}
        ),
        "draft": _state(agent(proposes=True), "check", on={"stop": FAILED}),
        "check": _state(approval(due_s=30), on={"stop": FAILED}),
        **ENDS,
    }


def _pool(team: str = "letter", **changes: Any) -> dict[str, Any]:
    worker = {"attempts": 2, "timeout_seconds": 60, "description": ""}
    return supervisor(
        **{
            "workers": {
                "read": {**worker, "agent": {"kind": "scripted", "name": "read"}},
                "sum": {**worker, "agent": ISOLATED},
                "team": {"workflow": team, "description": ""},
            },
            "deadline_seconds": 6,
            "stops_at": {"tokens": 120, "money_micros": 0},
            **changes,
        }
    )


# What comes from a stage before has a number, what comes from outside has none.
DESK = router(
    {
        "even": agent(proposes=True),
        "odd": agent(attempts=1),
        "letter": child(workflow="letter"),
        "person": approval(due_s=30),
    },
    ("intent.n % 2 == 0", "even"),
    ("intent.n == 1", "odd", "letter"),
    model={"attempts": 2},
)

DEFINITIONS: dict[str, dict[str, Any]] = {
    "direct": {"pattern": "direct"},
    "letter": pipeline(agent("read"), agent("look", optional=True, attempts=1), agent("send")),
    "invoices": pipeline(
        agent("list"),
        agent("each", for_each="/items", agent=ISOLATED, attempts=4),
        agent("sum"),
    ),
    "refund": pipeline(agent("read"), agent("draft", proposes=True), agent("tell")),
    # Its agents ask for things on the way, some of them for ever.
    "help": pipeline(agent("help"), agent("end"), turns=4),
    "helpers": pipeline(agent("list"), agent("help", for_each="/items", optional=True)),
    # It still waits, and may be cancelled, when what it did is rolled back.
    "parcel": pipeline(agent("send", proposes=True), signal("come", "never", due_s=2)),
    "contract": pipeline(
        agent("draft"),
        approval("sign", approvals=2, due_s=60),
        signal("pay", due_s=20, optional=True),
        agent("file"),
    ),
    "family": pipeline(child("one", "letter"), child("two", "refund", optional=True), agent("end")),
    "meanwhile": pipeline(
        child("one", "letter", wait=False),
        child("two", "refund", wait=False),
        agent("read"),
        collect("get", "one", optional=True),
        agent("end"),
        collect("late", "two", optional=True),
    ),
    "listen": pipeline(subscribe("hear", due_s=20, optional=True), agent("end")),
    "spread": pipeline(agent("write"), publish("tell"), agent("end")),
    "desk": DESK,
    "counter": pipeline(agent("read"), child("route", "desk"), agent("end")),
    "circle": pipeline(child("again", "circle", optional=True), agent("end")),
    "silence": pipeline(signal("wait", "never", due_s=5, optional=True), agent("end")),
    "nobody": pipeline(child("nobody", "unheard-of", optional=True), agent("end")),
    "support": machine(_support()),
    "poll": machine(_poll(), repeats=4),
    "nag": machine(_nag(), repeats=6),
    "hurry": machine(_hurry(), repeats=4),
    "poor": pipeline(agent("a"), agent("b"), agent("c"), agent_calls=4, tokens=60),
    "pool": _pool(),
    "pools": _pool(team="pool", delegations=1, rounds=2),
    "nested": pipeline(child("pool", "pool", optional=True), agent("end")),
    "council": consensus(4, deadline_seconds=4, quorum=3),
    "turns": pipeline(agent("list"), agent("each", for_each="/items", at_once=2, attempts=2)),
    # Some in each round, so that the last round, the result and a failed peer all come about.
    "debate": mesh({name: peer() for name in ("ann", "bob", "cy")}, rounds=3, at_once=2),
    "hasty": pipeline(agent("a"), agent("b"), agent("c"), wall_s=2),
}

WORKFLOWS = {
    slug: Workflow(slug, definition, read_plan(definition))
    for slug, definition in DEFINITIONS.items()
}
# How often each is started: proposals from outside are the ordinary case.
STARTED = [
    *["direct"] * 4,
    *["refund", "support", "invoices", "parcel", "help", "listen", "spread"] * 2,
    *WORKFLOWS,
]
