"""The controller: canonical state and an event in, new state and commands out. Nothing else happens here.

`TRANSITIONS` is the whole life of a proposal. An event that the table does not allow raises
IllegalTransition; it is never ignored and never guessed at.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from orchestrator.core import events as ev
from orchestrator.core.commands import Command, RunEffect
from orchestrator.core.errors import IllegalTransition
from orchestrator.core.state import ProposalState, RunState

AFTER_DISPOSITION = {
    "accept": "accepted",
    "revise": "revision_requested",
    "escalate": "in_review",
    "hold": "in_review",
    "block": "blocked",
}

# (event kind, status before) -> status after. A disposition decides by AFTER_DISPOSITION.
TRANSITIONS: dict[tuple[str, str], str] = {
    ("proposal_disposed", "received"): "by disposition",
    ("approval_given", "in_review"): "in_review",
    ("proposal_approved", "in_review"): "accepted",
    ("proposal_rejected", "in_review"): "rejected",
    ("proposal_expired", "in_review"): "expired",
    ("proposal_expired", "revision_requested"): "expired",
    ("effect_started", "accepted"): "executing",
    # A crash between the call and its record leaves `executing`; the next attempt says so again.
    ("effect_started", "executing"): "executing",
    ("effect_succeeded", "executing"): "executed",
    ("effect_failed", "executing"): "failed",
    ("effect_failed", "accepted"): "failed",
    ("effect_lost", "executing"): "unknown",
}


def step(state: RunState, event: ev.Event) -> tuple[RunState, list[Command]]:
    """One event. Raises IllegalTransition when the state does not allow it."""
    after = _HANDLERS[type(event)](state, event)
    return _finish(after), _commands(after, event)


def fold(events: Iterable[ev.Event]) -> RunState:
    """The truth: what the log says the state must be."""
    state = RunState()
    for event in events:
        state, _ = step(state, event)
    return state


def _commands(after: RunState, event: ev.Event) -> list[Command]:
    """Accepting is the one way to an effect, by policy or by people; both release the same bytes."""
    if not isinstance(event, ev.ProposalDisposed | ev.ProposalApproved):
        return []
    proposal = after.proposals[event.proposal]
    if proposal.status != "accepted" or proposal.effect is None:
        return []
    return [RunEffect(proposal=event.proposal, effect=proposal.effect, digest=proposal.digest)]


def _start(state: RunState, event: ev.RunStarted) -> RunState:
    if state.status != "new":
        raise IllegalTransition("The run", state.status, event.kind)
    return replace(
        state,
        status="running",
        workflow=event.workflow,
        version=event.version,
        pattern=event.pattern,
    )


def _receive(state: RunState, event: ev.ProposalReceived) -> RunState:
    if state.status == "new" or event.proposal in state.proposals:
        raise IllegalTransition(event.proposal, state.status, event.kind)
    running = replace(state, status="running")
    return running.with_proposal(event.proposal, action=event.action, digest=event.digest)


def _dispose(state: RunState, event: ev.ProposalDisposed) -> RunState:
    _check(state, event.proposal, event.kind)
    return state.with_proposal(
        event.proposal,
        status=AFTER_DISPOSITION[event.disposition],
        disposition=event.disposition,
        item=event.item,
        effect=event.effect,
        approvals_needed=event.approvals_needed,
    )


def _count_approval(state: RunState, event: ev.ApprovalGiven) -> RunState:
    before = _check_decision(state, event, event.digest)
    return state.with_proposal(event.proposal, approvals=(*before.approvals, event.by))


def _approve(state: RunState, event: ev.ProposalApproved) -> RunState:
    before = _check_decision(state, event, event.digest)
    approvals = (*before.approvals, event.by)
    if len(set(approvals)) < before.approvals_needed:
        raise IllegalTransition(
            event.proposal, f"short of {before.approvals_needed} approvals", event.kind
        )
    return state.with_proposal(
        event.proposal, status="accepted", approvals=approvals, effect=event.effect
    )


def _reject(state: RunState, event: ev.ProposalRejected) -> RunState:
    _check_decision(state, event, None)
    return state.with_proposal(event.proposal, status="rejected")


def _move(state: RunState, event: Any) -> RunState:
    before = _check(state, event.proposal, event.kind)
    return state.with_proposal(event.proposal, status=TRANSITIONS[event.kind, before.status])


def _move_effect(state: RunState, event: Any) -> RunState:
    before = _check(state, event.proposal, event.kind)
    if isinstance(event, ev.EffectStarted) and event.digest != before.digest:
        raise IllegalTransition(event.effect, "bound to another payload", event.kind)
    if event.effect != before.effect:
        raise IllegalTransition(event.effect, "not the effect that was released", event.kind)
    return state.with_proposal(event.proposal, status=TRANSITIONS[event.kind, before.status])


def _check(state: RunState, proposal: str, kind: str) -> ProposalState:
    known = state.proposals.get(proposal)
    if known is None:
        raise IllegalTransition(proposal, "not part of this run", kind)
    if (kind, known.status) not in TRANSITIONS:
        raise IllegalTransition(proposal, known.status, kind)
    return known


def _check_decision(state: RunState, event: Any, digest: str | None) -> ProposalState:
    """A decision counts for the item that is open and for exactly the bytes that were read."""
    known = _check(state, event.proposal, event.kind)
    if event.item != known.item:
        raise IllegalTransition(event.item, "not the open item", event.kind)
    if digest is not None and digest != known.digest:
        raise IllegalTransition(event.proposal, f"{known.digest}, not {digest}", event.kind)
    return known


def _finish(state: RunState) -> RunState:
    """A run that only carries proposals is over when the last of them is."""
    proposals = state.proposals.values()
    if state.pattern == "direct" and proposals and not any(p.is_open for p in proposals):
        return replace(state, status="completed")
    return state


_HANDLERS: dict[type[ev.Event], Callable[[RunState, Any], RunState]] = {
    ev.RunStarted: _start,
    ev.ProposalReceived: _receive,
    ev.ProposalDisposed: _dispose,
    ev.ApprovalGiven: _count_approval,
    ev.ProposalApproved: _approve,
    ev.ProposalRejected: _reject,
    ev.ProposalExpired: _move,
    ev.EffectStarted: _move_effect,
    ev.EffectSucceeded: _move_effect,
    ev.EffectFailed: _move_effect,
    ev.EffectLost: _move_effect,
}
