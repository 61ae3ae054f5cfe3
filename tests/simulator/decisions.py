"""What people decide. One decision wins, and it is bound to what was read."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

from orchestrator.core import events as ev
from orchestrator.core.codec import Json, read
from orchestrator.core.errors import IllegalTransition
from tests.simulator.engine import RING_AGAIN_AFTER_MS, Engine, Step
from tests.simulator.tables import CommandRow, EffectRow, ItemRow, ProposalRow


def decide(engine: Engine, seen: ItemRow, person: str, verdict: str) -> bool:
    """One decision wins. Bound to what was read: the version of the item, the digest of the payload."""
    row = engine.tables.items[seen.id]
    if engine.is_mutant("two may decide"):
        row = seen
    if row.status != "waiting" or row.version != seen.version or person in row.approvals:
        return False
    if row.kind in {"proposal"} and row.due_at <= engine.now:
        return False
    engine.tables.decisions.insert((row.id, person), verdict)
    approvals = (*row.approvals, person) if verdict == "approve" else row.approvals
    is_open = verdict == "approve" and len(approvals) < row.approvals_needed
    engine.tables.items[row.id] = replace(
        row,
        approvals=approvals,
        version=row.version + 1,
        status="waiting" if is_open else "decided",
    )
    _move(engine, row, person, verdict, is_open)
    return True


def reopen(engine: Engine, row: ProposalRow) -> None:
    """What was blocked goes before two people."""
    item = engine.open_item(
        row.run, "proposal", proposal=row.id, digest=row.digest, approvals_needed=2
    )
    event = ev.ProposalReopened(
        proposal=row.id, item=item, by="rita", note="look again", approvals_needed=2
    )
    engine.advance([Step(row.run, event)])


def _move(engine: Engine, item: ItemRow, person: str, verdict: str, is_open: bool) -> None:
    if item.kind == "approval":
        answer = ev.PersonAnswered(
            work=item.work, item=item.id, decision=f"{item.id}:{person}", by=person, verdict=verdict
        )
        engine.advance([Step(item.run, answer)])
    elif item.kind == "unknown_effect":
        effect = engine.state_of(item.run).proposals[item.proposal].effect or ""
        settled = ev.EffectSettled(
            proposal=item.proposal,
            effect=effect,
            item=item.id,
            decision=f"{item.id}:{person}",
            by=person,
            verdict=verdict,
        )
        engine.advance([Step(item.run, settled)])
    elif item.kind == "stuck_command":
        _settle_stuck(engine, item, verdict)
    else:
        _decide_proposal(engine, item, person, verdict, is_open)


def _decide_proposal(
    engine: Engine, item: ItemRow, person: str, verdict: str, is_open: bool
) -> None:
    common = {
        "proposal": item.proposal,
        "item": item.id,
        "decision": f"{item.id}:{person}",
        "by": person,
    }
    if verdict == "reject":
        engine.advance([Step(item.run, ev.ProposalRejected(reason="other", **common))])
    elif is_open:
        engine.advance([Step(item.run, ev.ApprovalGiven(digest=item.digest, **common))])
    else:
        effect = f"eff-{item.proposal}"
        row = EffectRow(effect, item.run, item.proposal, item.digest)
        if effect not in engine.tables.effects:
            engine.tables.effects.insert(effect, row)
        approved = ev.ProposalApproved(digest=item.digest, effect=effect, **common)
        engine.advance([Step(item.run, approved)])


def _settle_stuck(engine: Engine, item: ItemRow, verdict: str) -> None:
    row = engine.tables.commands[item.command]
    if row.status != "quarantined":
        return
    if verdict == "retry":
        engine.tables.commands[row.id] = replace(
            row, status="pending", crashes=0, not_before=engine.now, rung_at=-RING_AGAIN_AFTER_MS
        )
        return
    engine.tables.commands[row.id] = replace(row, status="failed")
    event = given_up(engine, row)
    if event is not None:
        with suppress(IllegalTransition):
            engine.advance([Step(row.run, event, f"cmd:{row.id}")])


def given_up(engine: Engine, row: CommandRow) -> ev.Event | None:
    payload: Any = read(row.payload)
    if engine.is_of_an_earlier_visit(engine.state_of(row.run), payload):
        return None
    error: dict[str, Json] = {"code": "gave-up", "reason": "stuck", "retryable": False}
    if row.kind == "run_effect":
        effect = engine.tables.effects[payload["effect"]]
        lost = effect.may_have_happened or effect.status == "calling"
        kind = ev.EffectLost if lost else ev.EffectFailed
        return kind(proposal=payload["proposal"], effect=payload["effect"], error=error)
    if row.kind == "tell_parent":
        return None
    attempt = payload.get("attempt", 1)
    if row.kind == "propose":
        known = engine.state_of(row.run).works[payload["work"]]
        attempt = known.parts[0].attempt
    return ev.WorkFailed(
        work=payload["work"], attempt=attempt, index=payload.get("index", 0), error=error
    )
