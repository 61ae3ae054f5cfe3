"""What people decide, and take back. One decision wins, and it is bound to what was read."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

from orchestrator.core import events as ev
from orchestrator.core.codec import Json, read
from orchestrator.core.errors import IllegalTransition
from tests.simulator.engine import RING_AGAIN_AFTER_MS, Engine, Step
from tests.simulator.options import DUE_MS
from tests.simulator.tables import CommandRow, DecisionRow, EffectRow, ItemRow, ProposalRow

CLOSED = {
    "approve": "approved",
    "reject": "rejected",
    "respond": "sent back",
    "edit": "edited",
}


class RefusedError(Exception):
    """It is not to be decided like this any more."""


class TooLateError(RefusedError):
    """Whoever takes it back was overtaken by a worker."""


def decide(
    engine: Engine, seen: ItemRow, person: str, verdict: str, *, ahead_ms: float = 0.0
) -> DecisionRow:
    """One decision wins. Bound to what was read: the version of the item, the digest of the payload.

    `ahead_ms` is how far the clock of whoever serves the page is ahead of the database's.
    """
    repeated = engine.tables.standing.get((seen.id, person))
    if repeated is not None and engine.tables.decisions[repeated].verdict == verdict:
        return engine.tables.decisions[repeated]
    row = check_open(engine, seen, person)
    if not engine.is_mutant("runs that are over are approved"):
        _check_wanted(engine, row, verdict)
    decision = record(engine, row, person, verdict, ahead_ms)
    approvals = (*row.approvals, person) if verdict == "approve" else row.approvals
    is_open = verdict == "approve" and len(approvals) < row.approvals_needed
    engine.tables.items[row.id] = replace(
        row,
        approvals=approvals,
        version=row.version + 1,
        status="waiting" if is_open else "decided",
        closed_because="" if is_open else CLOSED.get(verdict, verdict),
    )
    _move(engine, row, decision, is_open)
    return decision


def check_open(engine: Engine, seen: ItemRow, person: str) -> ItemRow:
    """As it is now, if it still is what was read."""
    row = engine.tables.items[seen.id]
    if engine.is_mutant("two may decide"):
        row = seen
    if row.status != "waiting" or row.version != seen.version or person in row.approvals:
        raise RefusedError("somebody else was first")
    if row.kind == "proposal" and row.due_at <= engine.now:
        raise RefusedError("its time has passed")
    return row


def _check_wanted(engine: Engine, item: ItemRow, verdict: str) -> None:
    if verdict == "approve" and engine.tables.runs[item.run].status in {"failed", "cancelled"}:
        raise RefusedError("nothing of this run is begun any more")


def record(
    engine: Engine, item: ItemRow, person: str, verdict: str, ahead_ms: float = 0.0
) -> DecisionRow:
    undo_s = _undo_s(engine, item, verdict)
    decision = DecisionRow(
        id=f"decision-{len(engine.tables.decisions) + 1}",
        item=item.id,
        person=person,
        verdict=verdict,
        undo_until=engine.now + ahead_ms + undo_s * 1000 if undo_s else 0.0,
    )
    engine.tables.decisions.insert(decision.id, decision)
    engine.tables.standing.insert((item.id, person), decision.id)
    return decision


def _undo_s(engine: Engine, item: ItemRow, verdict: str) -> int:
    """A run that is more than its proposals goes on from a no at once, and cannot go back."""
    is_direct = engine.tables.runs[item.run].workflow.plan.pattern == "direct"
    may_go_back = verdict == "approve" or (verdict in {"reject", "respond"} and is_direct)
    return item.undo_s if item.kind == "proposal" and may_go_back else 0


def undo(engine: Engine, decision_id: str) -> None:
    """Take one's own decision back while nothing came of it yet."""
    decision = engine.tables.decisions[decision_id]
    item = engine.tables.items[decision.item]
    if decision.is_undone:
        raise RefusedError("it was taken back already")
    is_late = decision.undo_until <= engine.now
    if is_late and not engine.is_mutant("decisions can be taken back at any time"):
        raise RefusedError("its time has passed")
    if decision.verdict == "approve" and item.status != "waiting":
        _withdraw(engine, item, decision)
    engine.tables.decisions[decision.id] = replace(decision, is_undone=True)
    engine.tables.standing.remove((item.id, decision.person))
    _open_again(engine, item, decision)
    undone = ev.DecisionUndone(
        proposal=item.proposal, item=item.id, decision=decision.id, by=decision.person
    )
    engine.advance([Step(item.run, undone)])


def _withdraw(engine: Engine, item: ItemRow, decision: DecisionRow) -> None:
    """Before it ran: its command is not claimed yet, and nobody claims it any more."""
    effect = engine.tables.effects.get(f"eff-{item.proposal}")
    if effect is None or effect.decision != decision.id:
        raise RefusedError("somebody has decided since")
    of_effect = [
        row
        for row in engine.tables.commands.values()
        if row.kind == "run_effect" and row.effect == effect.id
    ]
    waiting = [row for row in of_effect if row.status == "pending" and not row.tries]
    if engine.is_mutant("a command in a worker's hands is cancelled as well"):
        waiting = of_effect
    if not waiting:
        raise TooLateError("it is running, or has run")
    if not engine.is_mutant("an undo does not cancel the command"):
        for row in waiting:
            engine.tables.commands[row.id] = replace(row, status="cancelled")
    engine.tables.effects[effect.id] = replace(effect, status="withdrawn")


def _open_again(engine: Engine, item: ItemRow, decision: DecisionRow) -> None:
    still_counts = engine.is_mutant("approvals that were taken back still count")
    left = tuple(name for name in item.approvals if name != decision.person or still_counts)
    engine.tables.items[item.id] = replace(
        item, status="waiting", closed_because="", version=item.version + 1, approvals=left
    )


def reopen(engine: Engine, row: ProposalRow) -> None:
    """What was blocked goes before two people."""
    item = engine.open_item(
        row.run, "proposal", proposal=row.id, digest=row.digest, approvals_needed=2
    )
    event = ev.ProposalReopened(
        proposal=row.id, item=item, by="rita", note="look again", approvals_needed=2
    )
    engine.advance([Step(row.run, event)])


def _move(engine: Engine, item: ItemRow, decision: DecisionRow, is_open: bool) -> None:
    common = {"item": item.id, "decision": decision.id, "by": decision.person}
    verdict = decision.verdict
    if item.kind == "stuck_command":
        _settle_stuck(engine, item, verdict)
        return
    if item.kind == "approval":
        event: ev.Event = ev.PersonAnswered(work=item.work, verdict=verdict, **common)
    elif item.kind in SETTLED:
        effect = engine.state_of(item.run).proposals[item.proposal].effect or ""
        event = SETTLED[item.kind](proposal=item.proposal, effect=effect, verdict=verdict, **common)
    else:
        event = _about_proposal(engine, item, decision, is_open)
    engine.advance([Step(item.run, event)])


SETTLED: dict[str, type[ev.EffectSettled | ev.RollbackSettled]] = {
    "unknown_effect": ev.EffectSettled,
    "failed_compensation": ev.RollbackSettled,
}


def _about_proposal(
    engine: Engine, item: ItemRow, decision: DecisionRow, is_open: bool
) -> ev.Event:
    common = {
        "proposal": item.proposal,
        "item": item.id,
        "decision": decision.id,
        "by": decision.person,
    }
    if decision.verdict == "reject":
        return ev.ProposalRejected(reason="other", **common)
    if decision.verdict == "respond":
        row = engine.tables.proposals[item.proposal]
        engine.tables.proposals[row.id] = replace(row, due_at=engine.now + DUE_MS)
        return ev.RevisionRequested(text="less", **common)
    if is_open:
        return ev.ApprovalGiven(digest=item.digest, **common)
    effect = _release_again(engine, item, decision)
    return ev.ProposalApproved(digest=item.digest, effect=effect, undo_s=item.undo_s, **common)


def _release_again(engine: Engine, item: ItemRow, decision: DecisionRow) -> str:
    """An effect that was taken back before it ran keeps its id and its key."""
    name = f"eff-{item.proposal}"
    row = EffectRow(name, item.run, item.proposal, item.digest, decision=decision.id)
    if name in engine.tables.effects:
        engine.tables.effects[name] = row
    else:
        engine.tables.effects.insert(name, row)
    return name


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
    if row.kind in {"run_effect", "roll_back"}:
        return _without_receipt(engine, row, error)
    if row.kind in {"tell_parent", "cancel_run", "validate"}:
        return None
    if row.kind == "dispose":
        return ev.ProposalWithdrawn(proposal=payload["proposal"], reason="stuck")
    return ask_refused(payload, error) if payload.get("ask") else _work_failed(engine, row, error)


def _without_receipt(engine: Engine, row: CommandRow, error: dict[str, Json]) -> ev.Event:
    payload: Any = read(row.payload)
    about = {"proposal": payload["proposal"], "effect": payload["effect"]}
    if row.kind == "roll_back":
        return ev.RollbackFailed(error=error, item=f"stuck-{row.id}", **about)
    effect = engine.tables.effects[payload["effect"]]
    if effect.may_have_happened or effect.status == "calling":
        return ev.EffectLost(error=error, item=f"lost-{row.id}", **about)
    return ev.EffectFailed(error=error, **about)


def _work_failed(engine: Engine, row: CommandRow, error: dict[str, Json]) -> ev.Event:
    payload: Any = read(row.payload)
    attempt, turn = payload.get("attempt", 1), payload.get("turn", 1)
    if row.kind == "propose":
        part = engine.state_of(row.run).works[payload["work"]].parts[0]
        attempt, turn = part.attempt, part.turn
    return ev.WorkFailed(
        work=payload["work"],
        attempt=attempt,
        turn=turn,
        index=payload.get("index", 0),
        error=error,
    )


def ask_refused(payload: Any, error: dict[str, Json]) -> ev.Event:
    return ev.AskRefused(
        work=payload["work"],
        asked=payload["output"],
        ask=payload["ask"],
        visit=payload.get("visit", 0),
        error=error,
    )
