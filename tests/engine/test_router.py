"""A router in the engine: what is decided is a row, and follows what becomes of the run."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.actions import runs
from orchestrator.models import Reason, RouteDecision, Run
from tests import runs as told
from tests.conftest import Cast
from tests.deciding import decide
from tests.runs import REFUND, SYSTEM, scripted
from tests.work import output_of

pytestmark = pytest.mark.django_db

INTENT = {
    "type": "object",
    "properties": {"kind": {"type": "string"}, "amount": {"type": "integer"}},
}


def worker(says: Any = None, about: str = "does it", **more: Any) -> dict[str, Any]:
    return {
        "description": about,
        "agent": scripted("worker", says, **more.pop("agent", {})),
        **more,
    }


def definition(**more: Any) -> dict[str, Any]:
    return {
        "pattern": "router",
        "intent": INTENT,
        "rules": [
            {"name": "money", "if": "intent.amount > 100", "to": "refunds"},
            {"name": "mail", "if": "intent.kind == 'letter'", "to": ["read", "write"]},
        ],
        "workers": {
            "refunds": worker({"echo": "inputs"}),
            "read": worker({"said": "hello"}),
            "write": worker({"echo": "inputs"}),
            "general": worker("general"),
        },
        "fallback": "general",
        **more,
    }


def start(intent: Any, **more: Any) -> Run:
    return told.start("desk", intent=intent, definition=definition(**more))


def decision(run: Run) -> RouteDecision:
    return RouteDecision.objects.get(pk=run.pk)


def test_a_rule_decides_and_the_worker_sees_the_decision() -> None:
    run = start({"amount": 500})
    assert run.status == "completed"
    assert output_of(run) == {"route": {"by": "rule", "rule": "money", "workers": ["refunds"]}}
    row = decision(run)
    assert (row.worker, row.by, row.rule, row.outcome) == ("refunds", "rule", "money", "completed")
    assert row.features == {"intent.amount": 500}
    assert row.version == run.workflow_version
    assert row.workflow == run.workflow_version.workflow


def test_specialists_are_handed_what_the_one_before_said() -> None:
    run = start({"kind": "letter"})
    handed = output_of(run)
    assert isinstance(handed, dict)
    assert handed["read"] == {"said": "hello"}
    assert set(handed) == {"read", "route"}
    row = decision(run)
    assert row.workers == ["read", "write"]
    assert "amount" in row.errors["money"]


def test_a_model_is_told_the_workers_and_decides() -> None:
    says = {"worker": "read", "confidence": 0.8, "features": {"tone": "calm"}, "why": "a letter"}
    run = start({"kind": "x"}, model={"agent": scripted("router", says)})
    row = decision(run)
    assert (row.by, row.worker, row.confidence, row.why) == ("model", "read", 0.8, "a letter")
    assert row.claims == {"tone": "calm"}
    asks = {"agent": scripted("router", {"echo": "inputs"}), "attempts": 1}
    seen = start({"kind": "y"}, model=asks)
    # It answered with what it was handed, which is no choice: so the fallback worker has it.
    assert decision(seen).cause == "model-failed"
    assert output_of(seen) == "general"


def test_a_worker_that_fails_leaves_its_work_to_the_fallback() -> None:
    fails = [{"attempt": 1, "code": "agent-refused", "reason": "no"}]
    workers = definition()["workers"] | {"refunds": worker(agent={"fails": fails})}
    run = start({"amount": 500}, workers=workers)
    assert output_of(run) == "general"
    row = decision(run)
    assert (row.failed, row.outcome, row.worker) == ("refunds", "completed", "refunds")


def test_a_run_that_waits_has_a_decision_that_is_open() -> None:
    workers = definition()["workers"] | {
        "refunds": {"description": "asks", "approval": {"question": "Well?"}}
    }
    run = start({"amount": 500}, workers=workers)
    assert decision(run).outcome == "open"
    runs.cancel(SYSTEM, run.pk, reason="a mistake")
    assert decision(run).outcome == "cancelled"


def test_a_rejection_may_blame_the_choice(cast: Cast, rule: Callable[..., None]) -> None:
    """And the fallback worker is not sent to ask again."""
    rule()
    Reason.objects.create(code="wrong_worker", label="Another worker should have made it")
    workers = definition()["workers"] | {"refunds": worker(REFUND, proposes=True)}
    run = start({"amount": 500}, workers=workers)
    decide(cast.rita, run.review_items.get(), "reject", reason="wrong_worker")
    run.refresh_from_db()
    assert run.status == "failed"
    row = decision(run)
    assert (row.is_refused, row.outcome, row.failed) == (True, "failed", "")


def test_a_router_may_be_a_stage_and_a_worker_a_run() -> None:
    told.save("desk", definition())
    workers = {"inner": {"description": "all", "workflow": "desk"}, "general": worker("general")}
    rules = [{"to": "inner"}]
    told.save("outer", definition(workers=workers, rules=rules))
    stages = [{"name": "desk", "workflow": "outer", "needs": []}]
    run = told.start(
        "top", intent={"amount": 7}, definition={"pattern": "pipeline", "stages": stages}
    )
    assert run.status == "completed"
    assert output_of(run) == "general"
    assert RouteDecision.objects.count() == 2


def test_a_worker_may_propose() -> None:
    workers = definition()["workers"] | {"refunds": worker(REFUND, proposes=True)}
    run = start({"amount": 500}, workers=workers)
    row = decision(run)
    assert row.outcome == run.status == "completed"
    assert [one.status for one in run.canonical_state.proposals.values()] == ["executed"]
