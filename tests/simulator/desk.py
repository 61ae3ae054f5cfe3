"""Commands that are nothing but a transaction, and requests from outside."""

import hashlib
from contextlib import suppress
from random import Random
from typing import Any

from orchestrator.core import commands as cm
from orchestrator.core import events as ev
from orchestrator.core.codec import Json
from orchestrator.core.errors import IllegalTransition
from tests.simulator.engine import DUE_MS, Claimed, Engine, Step
from tests.simulator.tables import EffectRow, ProposalRow, RunRow, Workflow
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
            propose(engine, run, f"{run}-p{number}", work="", hostile=hostile)
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


def propose(
    engine: Engine,
    run: str,
    proposal: str,
    *,
    work: str,
    hostile: Random,
    claimed: Claimed | None = None,
) -> None:
    """Taken in and disposed of in one transaction; the guardrails' verdict is drawn."""
    digest = "sha256:" + hashlib.sha256(proposal.encode()).hexdigest()
    judged = hostile.choice(["accept", "accept", "accept", "hold", "escalate", "revise", "block"])
    needed = hostile.randint(1, 2) if judged in {"hold", "escalate"} else 0
    item = effect = None
    row = ProposalRow(proposal, run, digest, engine.now + DUE_MS if judged == "revise" else 0.0)
    engine.tables.proposals.insert(proposal, row)
    if needed:
        item = engine.open_item(
            run, "proposal", proposal=proposal, digest=digest, approvals_needed=needed
        )
    if judged == "accept" or engine.is_mutant("effects are released with the proposal"):
        effect = f"eff-{proposal}"
        engine.tables.effects.insert(effect, EffectRow(effect, run, proposal, digest))
    events = [
        ev.ProposalReceived(
            proposal=proposal,
            action="refund.create",
            digest=digest,
            agent="a",
            agent_version="1",
            model="m",
            work=work,
        ),
        ev.ProposalDisposed(
            proposal=proposal,
            disposition=judged,
            score=0.5,
            policy_version=1,
            rules=(),
            approvals_needed=needed,
            item=item,
            effect=effect,
        ),
    ]
    if claimed is not None:
        engine.complete(claimed, *events)
    else:
        engine.advance([Step(run, event) for event in events])
    if effect and judged != "accept":
        engine.want(run, 1, cm.RunEffect(proposal=proposal, effect=effect, digest=digest), False)


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
