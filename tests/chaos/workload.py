"""What is asked of the product: workflows of every pattern, proposals from outside, and events."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.chaos import events

RULES: tuple[dict[str, Any], ...] = (
    {
        "slug": "refund-limit",
        "title": "Refunds over 500.00 need a person",
        "effect": "hold",
        "condition": "proposal.args.amount_minor <= 50000",
    },
    {
        "slug": "large-refund",
        "title": "Refunds over 10,000.00 need two people",
        "effect": "two_person",
        "condition": "proposal.args.amount_minor <= 1000000",
    },
    {
        "slug": "absurd-refund",
        "title": "Refunds over a million are refused",
        "effect": "block",
        "condition": "proposal.args.amount_minor <= 100000000",
    },
)
SMALL, HELD, LARGE, ABSURD = 1_200, 60_000, 2_000_000, 200_000_000
# Validators find fault with it.
ODD = 1_301
# Whose proposals are validated: an agent outside, and one of a run.
VALIDATED = ("chaos-validated", "chaos.suggest")
VALIDATORS = [
    {"name": name, "agent": "chaos.validate", "rubric": "Is it even?", "timeout_s": 20}
    for name in ("one", "two")
]
# An agent that is kept in two versions, of which the second is a shadow.
HELPER, SHADOW = "helper", "2"
# Whose accepts an auditor overturns again and again.
AUDITED = "chaos-audited"


def _function(name: str, *, isolated: bool = False) -> dict[str, Any]:
    agent = {"kind": "function", "name": f"chaos.{name}", "isolated": isolated}
    return {"agent": agent, "timeout_seconds": 20, "attempts": 5}


def _scripted(says: Any, takes_ms: int = 20) -> dict[str, Any]:
    agent = {"kind": "scripted", "name": "chaos", "says": says, "takes_ms": takes_ms}
    return {"agent": agent, "timeout_seconds": 20, "attempts": 5}


DEFINITIONS: dict[str, dict[str, Any]] = {
    # Five stages; the fourth puts a refund before guardrails and people.
    "refund": {
        "pattern": "pipeline",
        "title": "Refund",
        "stages": [
            {"name": "read", **_function("count")},
            {"name": "look-up", **_scripted({"echo": "inputs"})},
            {"name": "weigh", "optional": True, **_scripted({"echo": "intent"})},
            {"name": "suggest", "proposes": True, **_function("suggest")},
            {"name": "tell", **_function("count")},
        ],
    },
    # Five calls at once, and one that waits for all of them.
    "fan-out": {
        "pattern": "pipeline",
        "title": "Fan-out",
        "stages": [
            {"name": "parts", "for_each": "/items", "at_most": 5, **_function("count")},
            {"name": "join", **_scripted({"echo": "inputs"})},
        ],
    },
    "two-people": {
        "pattern": "pipeline",
        "title": "Two people",
        "stages": [
            {"name": "draft", **_function("count")},
            {
                "name": "agree",
                "approval": {"question": "Shall it go out?", "approvals": 2, "due_seconds": 3600},
            },
            {"name": "send", **_function("count")},
        ],
    },
    "parent": {
        "pattern": "pipeline",
        "title": "Parent",
        "stages": [
            {"name": "before", **_function("count")},
            {"name": "child", "workflow": "child"},
            {"name": "after", **_function("count")},
        ],
    },
    "child": {
        "pattern": "pipeline",
        "title": "Child",
        "stages": [{"name": "work", **_scripted("done")}],
    },
    # A signal from outside, a timer, and two rounds.
    "machine": {
        "pattern": "machine",
        "title": "Machine",
        "initial": "prepare",
        "states": {
            "prepare": {
                "run": _function("count"),
                "on": {"done": [{"to": "await"}], "failed": [{"to": "broken"}]},
            },
            "await": {
                "on": {"go": [{"if": "event.round >= 2", "to": "rest"}, {"to": "again"}]},
            },
            "again": {
                "run": _scripted({"echo": "intent"}),
                "on": {"done": [{"to": "await"}], "failed": [{"to": "broken"}]},
            },
            "rest": {"after": {"seconds": 1, "to": "finished"}},
            "finished": {"end": "completed"},
            "broken": {"end": "failed"},
        },
    },
    # Remembers, asks for a refund on the way, and tells others; a version of its agent is asked beside it.
    "help": {
        "pattern": "pipeline",
        "title": "Help",
        "stages": [
            {"name": "note", "memory": {"writes": ["facts"]}, **_function("note")},
            {
                "name": "help",
                "agent": {"kind": "agent", "name": HELPER},
                "timeout_seconds": 20,
                "attempts": 5,
                "memory": {"reads": ["facts"], "writes": ["facts"]},
                "tools": [{"name": "refund.create", "kind": "write", "target": "/reference"}],
            },
            {"name": "tell", "publish": {"topic": "helped"}},
        ],
    },
    "listen": {
        "pattern": "pipeline",
        "title": "Listen",
        "stages": [
            {
                "name": "hear",
                "optional": True,
                "subscribe": {"topic": "helped", "due_seconds": 10},
            },
            {"name": "end", **_function("count")},
        ],
    },
    # Functions that crash or spin, in a process that can be killed.
    "stumbling": {
        "pattern": "pipeline",
        "title": "Stumbling",
        "stages": [
            {"name": "try", **_function("stumble", isolated=True), "timeout_seconds": 2},
            {"name": "tell", **_function("count")},
        ],
    },
}


@dataclass(frozen=True, slots=True)
class Request:
    """One workflow as a client asks for it. The reference names it in every place it leaves a trace."""

    kind: str
    reference: str
    path: str
    body: dict[str, Any]
    # Signals to send, in this order, once it waits for them.
    signals: tuple[dict[str, Any], ...] = ()
    # How often it is sent, under another key each time.
    deliveries: int = 1


MIX: dict[str, int] = {
    "accepted": 22,
    "held": 12,
    "large": 5,
    "absurd": 3,
    "validated": 6,
    "doubted": 3,
    "audited": 10,
    "refund": 15,
    "refund-held": 6,
    "fan-out": 10,
    "machine": 9,
    "two-people": 7,
    "parent": 6,
    "stumbling": 5,
    "help": 8,
    "help-held": 3,
    "listen": 3,
    "event": 10,
    "event-parts": 3,
    "event-invalid": 1,
    "event-unknown": 1,
    "event-late": 1,
    "event-unwanted": 1,
}


def requests(seed: int, mix: dict[str, int]) -> Iterator[Request]:
    """Without end, and the same for the same seed."""
    drawer = random.Random(f"{seed}/workload")
    kinds, weights = list(mix), list(mix.values())
    number = 0
    while True:
        number += 1
        (kind,) = drawer.choices(kinds, weights)
        yield _request(kind, f"{seed}-{number}", drawer)


def _request(kind: str, reference: str, drawer: random.Random) -> Request:
    amount = AMOUNTS.get(kind, SMALL)
    if kind in PROPOSALS:
        return Request(kind, reference, "/api/v1/proposals", _proposal(kind, reference, amount))
    if kind in events.FATES:
        body, deliveries = events.envelope(kind, reference, amount), events.draw_deliveries(drawer)
        return Request(kind, reference, events.PATH, body, deliveries=deliveries)
    intent: dict[str, Any] = {"reference": reference, "amount_minor": amount}
    if kind == "fan-out":
        intent["items"] = [f"{reference}/{index}" for index in range(5)]
    if kind == "stumbling":
        intent["ways"] = [drawer.choice(("crash", "spin", "answer")) for _ in range(2)]
    workflow = kind.removesuffix("-held")
    body = {"workflow": workflow, "intent": intent, "external_id": reference}
    return Request(kind, reference, "/api/v1/runs", body, SIGNALS.get(kind, ()))


PROPOSALS = frozenset({"accepted", "held", "large", "absurd", "validated", "doubted", "audited"})
# Of the others it is the one agent.
AGENTS = {"validated": VALIDATED[0], "doubted": VALIDATED[0], "audited": AUDITED}
AMOUNTS = {
    "held": HELD,
    "large": LARGE,
    "absurd": ABSURD,
    "doubted": ODD,
    "refund-held": HELD,
    "help-held": HELD,
}
SIGNALS: dict[str, tuple[dict[str, Any], ...]] = {
    "machine": ({"name": "go", "data": {"round": 1}}, {"name": "go", "data": {"round": 2}})
}


def _proposal(kind: str, reference: str, amount: int) -> dict[str, Any]:
    return {
        "agent": AGENTS.get(kind, "chaos"),
        "action": "refund.create",
        "target": f"order/{reference}",
        "args": {"reference": reference, "amount_minor": amount},
        "confidence": 0.95,
        "external_id": reference,
    }
