"""Commands that are nothing but a transaction, and requests from outside."""

from contextlib import suppress
from random import Random
from typing import Any

from orchestrator.core import events as ev
from orchestrator.core.codec import Json
from orchestrator.core.errors import IllegalTransition
from tests.simulator import proposals
from tests.simulator.engine import Claimed, Engine, Step
from tests.simulator.options import DUE_MS
from tests.simulator.tables import RunRow, Workflow
from tests.simulator.workflows import WORKFLOWS


def submit(
    engine: Engine, external_id: str, workflow: Workflow, intent: Json, hostile: Random
) -> str:
    """Once per external id. A proposal from outside is judged in the same transaction."""
    known = engine.tables.external_ids.get(external_id)
    if known is not None and not engine.is_mutant("a request repeated is a second run"):
        return known
    run = _begin(engine, workflow, intent)
    if known is None:
        engine.tables.external_ids.insert(external_id, run)
    if workflow.plan.pattern == "direct":
        for number in range(hostile.randint(1, 2)):
            proposals.submit(engine, run, f"{run}-p{number}", hostile)
    return run


def _begin(engine: Engine, workflow: Workflow, intent: Json, **parent: Any) -> str:
    run = f"run-{len(engine.tables.runs) + 1}"
    row = RunRow(run, workflow, intent, lineage=parent.get("lineage", ()))
    engine.tables.runs.insert(run, row)
    started = ev.RunStarted(
        workflow=workflow.slug,
        version=1,
        pattern=workflow.plan.pattern,
        intent=intent,
        **parent,
    )
    engine.advance([Step(run, started)])
    return run


def ask_person(engine: Engine, claimed: Claimed) -> None:
    work = engine.tables.runs[claimed.run].workflow.plan.works[claimed.payload["work"]]
    item = engine.open_item(
        claimed.run,
        "approval",
        work=work.name,
        approvals_needed=work.approvals,
        due_at=engine.now + 10 * DUE_MS,
    )
    engine.complete(claimed, ev.PersonAsked(work=work.name, item=item))


def start_child(engine: Engine, claimed: Claimed) -> None:
    row = engine.tables.runs[claimed.run]
    slug = claimed.payload["workflow"]
    if slug not in WORKFLOWS:
        error: dict[str, Json] = {"code": "not-found", "reason": slug, "retryable": False}
        work = claimed.payload["work"]
        engine.complete(claimed, ev.WorkFailed(work=work, attempt=1, error=error))
        return
    run = _begin(
        engine,
        WORKFLOWS[slug],
        claimed.payload.get("inputs", {}),
        parent=claimed.run,
        parent_work=claimed.payload["work"],
        lineage=(*row.lineage, row.workflow.slug),
    )
    engine.complete(claimed, ev.ChildStarted(work=claimed.payload["work"], run=run))


def tell_parent(engine: Engine, claimed: Claimed) -> None:
    """A parent that does not wait for it any more is left alone."""
    ended = ev.ChildEnded(
        work=claimed.payload["work"],
        run=claimed.run,
        status=engine.tables.runs[claimed.run].status,
    )
    key = f"cmd:{claimed.id}"
    batch = engine.look_up([claimed.payload["parent"]])
    with suppress(IllegalTransition):
        engine.write(batch, [Step(claimed.payload["parent"], ended, key)], [])
    engine.complete(claimed)
