"""Workflows and situations that tests of pages and API look at, brought about as the product does."""

from typing import Any

from django.utils import timezone

from orchestrator.actions import runs, workflows
from orchestrator.actions.actor import Actor
from orchestrator.core import events as ev
from orchestrator.core.codec import Json
from orchestrator.engine import quarantine
from orchestrator.engine.advance import Ending, Step, advance
from orchestrator.models import Command, Effect, Proposal, ReviewItem, Run
from tests.work import claim_one, work_all

SYSTEM = Actor(None)


def scripted(name: str, says: Json = None, **more: Any) -> dict[str, Any]:
    usage = {"tokens_in": 1_200, "tokens_out": 80, "money_micros": 4_200}
    return {"kind": "scripted", "name": name, "says": says, "usage": usage} | more


def stage(name: str, says: Json = None, *, agent: Any = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "agent": agent or scripted(f"{name}-agent", says), **more}


REFUND: dict[str, Any] = {
    "action": "refund.create",
    "target": "order/A-20931",
    "args": {"amount_minor": 184_000, "currency": "EUR"},
    "confidence": 0.9876,
    "rationale": "The photo shows damage to the frame.",
}
QUESTION = "May this refund go out?"

# Reads, asks a person, then suggests a refund that guardrails look at.
REFUNDS: dict[str, Any] = {
    "pattern": "pipeline",
    "title": "Refunds",
    "stages": [
        stage("read", {"order": "A-20931", "damaged": True}),
        {"name": "ask", "approval": {"question": QUESTION, "due_seconds": 3_600}},
        stage("refund", REFUND, proposes=True),
    ],
}
# Each of three invoices by itself.
INVOICES: dict[str, Any] = {
    "pattern": "pipeline",
    "stages": [
        stage("list", ["2026-1187", "2026-1191", "2026-1193"]),
        stage("check", agent=scripted("check-agent", {"echo": "item"}), for_each="", at_most=20),
        stage("sum", {"total": 3}),
    ],
}
# Fails for good at its second stage.
FAILING: dict[str, Any] = {
    "pattern": "pipeline",
    "stages": [
        stage("read", {"ok": True}),
        stage(
            "book",
            agent=scripted(
                "book-agent",
                fails=[{"attempt": 1, "code": "agent-refused", "reason": "the ledger is closed"}],
            ),
            attempts=1,
        ),
    ],
}
PARENT: dict[str, Any] = {
    "pattern": "pipeline",
    "stages": [stage("read", {"n": 1}), {"name": "book", "workflow": "failing"}],
}
# Waits for a customer, reminds after a day, and ends either way.
SUPPORT: dict[str, Any] = {
    "pattern": "machine",
    "initial": "triage",
    "states": {
        "triage": {
            "run": {"agent": scripted("triage-agent", {"severity": 3})},
            "on": {
                "done": [{"if": "data.triage.severity > 5", "to": "lost"}, {"to": "customer"}],
                "failed": [{"to": "lost"}],
            },
        },
        "customer": {
            "on": {"reply": [{"to": "solved"}]},
            "after": {"seconds": 86_400, "to": "lost"},
        },
        "solved": {"end": "completed"},
        "lost": {"end": "failed"},
    },
}
# Finds two things and fails at the third, then has nothing new to ask for.
TASKS = [
    {"worker": "finder", "task": {"ask": "Who paid?"}},
    {"worker": "finder", "task": "What did they buy?"},
    {"worker": "closer", "task": "Is the case closed?"},
    {"worker": "nobody", "task": "Anything else?"},
]
POOL: dict[str, Any] = {
    "pattern": "supervisor",
    "title": "What became of an order",
    "supervisor": {
        "agent": scripted("boss-agent", {"tasks": TASKS, "result": "A-20931 was paid twice."})
    },
    "workers": {
        "finder": {
            "agent": scripted("finder-agent", {"echo": "item"}),
            "description": "looks things up",
        },
        "closer": {
            "agent": scripted(
                "closer-agent",
                fails=[{"attempt": 1, "code": "agent-refused", "reason": "the ledger is closed"}],
            ),
            "description": "knows the ledger",
        },
        "asker": {"workflow": "support", "description": "asks the customer"},
    },
    "rounds": 2,
}
# Three that do not see each other, one of whom is away, and a judge.
COUNCIL: dict[str, Any] = {
    "pattern": "consensus",
    "title": "Is this a fraud?",
    "high_stakes": True,
    "reason": "An account that is closed is never opened again.",
    "members": {
        "first": {"agent": scripted("first-agent", {"fraud": True})},
        "second": {"agent": scripted("second-agent", {"fraud": True})},
        "third": {
            "agent": scripted(
                "third-agent",
                fails=[{"attempt": 1, "code": "agent-refused", "reason": "no access"}],
            )
        },
    },
    "judge": {
        "agent": scripted(
            "judge-agent",
            {
                "verdict": {"fraud": True},
                "rests_on": ["A"],
                "confidence": 0.9,
                "reasons": {"facts": "A names the device.", "law": "Both keep to the terms."},
            },
        )
    },
    "rubric": {
        "facts": "Which answer rests on facts of the case?",
        "law": "Which answer keeps to the terms?",
    },
    "output": {"type": "object"},
}
WORKFLOWS = {
    "pool": POOL,
    "council": COUNCIL,
    "refunds": REFUNDS,
    "invoices": INVOICES,
    "failing": FAILING,
    "parent": PARENT,
    "support": SUPPORT,
}


def save(workflow: str, definition: dict[str, Any] | None = None) -> None:
    workflows.save(SYSTEM, workflow, definition or WORKFLOWS[workflow])


def start(
    workflow: str,
    *,
    actor: Actor = SYSTEM,
    intent: Json = None,
    definition: dict[str, Any] | None = None,
    work: bool = True,
) -> Run:
    """A run of one of the workflows above, taken as far as it goes without people."""
    save(workflow, definition)
    run = runs.start(actor, workflow=workflow, intent=intent)
    if work:
        work_all()
    run.refresh_from_db()
    return run


def asked(actor: Actor = SYSTEM, **changes: Any) -> ReviewItem:
    """The question of a run."""
    definition = REFUNDS | {
        "stages": [
            one | {"approval": one["approval"] | changes} if "approval" in one else one
            for one in REFUNDS["stages"]
        ]
    }
    run = start("refunds", actor=actor, intent={"order": "A-20931"}, definition=definition)
    return run.review_items.get()


def lose(proposal: Proposal) -> ReviewItem:
    """Its effect was called, and the worker heard nothing."""
    claimed = claim_one("effects")
    assert claimed is not None
    effect = Effect.objects.get(pk=claimed.payload["effect"])
    started = ev.EffectStarted(
        proposal=proposal.pk,
        effect=effect.pk,
        digest=effect.payload_digest,
        executor=effect.executor,
    )
    advance(endings=[Ending(claimed, "running", [Step(claimed.run, started)])])
    error: dict[str, Json] = {
        "code": "effect-interrupted",
        "who": "ledger",
        "where": "host:7",
        "reason": "The call ended without an answer, so it may have happened: connection reset",
        "retryable": True,
    }
    lost = ev.EffectLost(proposal=proposal.pk, effect=effect.pk, error=error)
    advance(endings=[Ending(claimed, "failed", [Step(claimed.run, lost, claimed.once)], error)])
    return proposal.review_items.get(kind="unknown_effect")


def stick(run: Run) -> ReviewItem:
    """Its next command cost three workers their lease."""
    command = Command.objects.filter(run=run, status="pending").latest("pk")
    Command.objects.filter(pk=command.pk).update(
        crashes=3,
        tries=3,
        worker="host:4711",
        not_before=timezone.now(),
        error={"code": "lease-lost", "reason": "the worker stopped", "retryable": True},
    )
    assert quarantine.set_apart() == 1
    return ReviewItem.objects.get(command=command)
