"""Commands that are nothing but a transaction, and requests from outside."""

from contextlib import suppress
from random import Random
from typing import Any

from orchestrator.core import budgets
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
        cancels_below=workflow.plan.pattern != "direct",
        withdraws=_withdraws(engine, workflow),
        **parent,
    )
    engine.advance([Step(run, started)])
    return run


def _withdraws(engine: Engine, workflow: Workflow) -> bool:
    is_forgotten = engine.is_mutant("what nobody waits for can still be approved")
    return workflow.plan.pattern != "direct" and not is_forgotten


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
    slug, index = claimed.payload["workflow"], claimed.payload.get("index", 0)
    if slug not in WORKFLOWS:
        error: dict[str, Json] = {"code": "not-found", "reason": slug, "retryable": False}
        attempt = claimed.payload.get("attempt", 1)
        failed = ev.WorkFailed(
            work=claimed.payload["work"], index=index, attempt=attempt, error=error
        )
        engine.complete(claimed, failed)
        return
    run = _begin(
        engine,
        WORKFLOWS[slug],
        claimed.payload.get("inputs", {}),
        parent=claimed.run,
        parent_work=claimed.payload["work"],
        parent_index=index,
        lineage=(*row.lineage, row.workflow.slug),
        **_brought(engine, row.id),
        delegations=budgets.delegations_below(row.workflow.plan, engine.state_of(row.id)),
    )
    started = ev.ChildStarted(work=claimed.payload["work"], run=run, index=index)
    engine.complete(claimed, started)


def cancel_child(engine: Engine, claimed: Claimed) -> None:
    """With all below it. One that has just ended by itself is no obstacle."""
    if engine.is_mutant("runs below run on"):
        engine.complete(claimed)
        return
    event = ev.RunCancelled(by="engine", reason="nobody waits", withdraws=True)
    stopped = [str(claimed.payload["run"])]
    for run in stopped:
        with suppress(IllegalTransition):
            engine.write(engine.look_up([run]), [Step(run, event)], [])
            stopped += [key for key in engine.tables.runs if engine.state_of(key).parent == run]
    engine.complete(claimed)


def _brought(engine: Engine, run: str) -> dict[str, Any]:
    """What goes along with whatever a run hands on. Every workflow here has a class of data of its own."""
    found = _heard(engine, run)
    if not engine.is_mutant("classes of data stay in their run"):
        came = engine.state_of(run).classes
        found["classes"] = tuple(sorted({*came, engine.tables.runs[run].workflow.slug}))
    return found


def _heard(engine: Engine, run: str) -> dict[str, Any]:
    if not engine.state_of(run).heard or engine.is_mutant("what was heard stays in its run"):
        return {}
    return {"untrusted": ({"origin": run, "value": 1},)}


def tell_parent(engine: Engine, claimed: Claimed) -> None:
    """A parent that does not wait for it any more pays for it, and that is all."""
    ended = ev.ChildEnded(
        work=claimed.payload["work"],
        run=claimed.run,
        index=claimed.payload.get("index", 0),
        status=engine.tables.runs[claimed.run].status,
        tokens=engine.state_of(claimed.run).spent.tokens,
        **_brought(engine, claimed.run),
    )
    key = f"cmd:{claimed.id}"
    batch = engine.look_up([claimed.payload["parent"]])
    parent = claimed.payload["parent"]
    try:
        engine.write(batch, [Step(parent, ended, key)], [])
    except IllegalTransition:
        if not engine.is_mutant("what nobody waits for costs nothing"):
            spent = ev.ChildSpent(
                work=ended.work, run=ended.run, status=ended.status, tokens=ended.tokens
            )
            engine.write(engine.look_up([parent]), [Step(parent, spent, key)], [])
    engine.complete(claimed)


def publish(engine: Engine, claimed: Claimed) -> None:
    """Everybody who waits, and the publisher, in one transaction."""
    topic = claimed.payload["topic"]
    waiting = [run for run in engine.tables.runs if engine.state_of(run).listens_to == topic]
    about = _brought(engine, claimed.run)
    heard = ev.MessageReceived(topic=topic, run=claimed.run, data=1, **about)
    batch = engine.look_up(waiting)
    for run in waiting:
        engine.write(batch, [Step(run, heard)], [])
    sent = ev.Published(work=claimed.payload["work"], topic=topic, reached=len(waiting))
    engine.complete(claimed, sent)
