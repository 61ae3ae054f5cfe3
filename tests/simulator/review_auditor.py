"""What people were promised: that their word counts once, can be taken back in time, and binds what runs."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from orchestrator.core import events as ev
from orchestrator.core.state import RunState
from tests.simulator import limit
from tests.simulator.tables import EffectRow, Tables
from tests.simulator.target import Target
from tests.simulator.violation import hold

OVER = frozenset({"done", "failed", "cancelled"})
# How the effect of a proposal stands in the end, where it has one; whatever is not here never ran.
ENDS = {"executed": "done", "failed": "failed", "rolled_back": "undone"}


class ReviewAuditor:
    """Keeps its own account of who stands by what, and of what was to be undone."""

    def __init__(self, tables: Tables, target: Target, seen: Counter[str]) -> None:
        self.tables = tables
        self.target = target
        self.seen = seen
        # Effects that somebody or the policy accepted, with the digest that was accepted.
        self._accepted: dict[str, str] = {}
        # Until when an approval can be taken back, by the effect that it released.
        self._windows: dict[str, float] = {}
        # Who approves a proposal, each by one decision.
        self._approvals: dict[str, dict[str, str]] = {}
        self._closed: Counter[tuple[str, str]] = Counter()
        self._edited: set[str] = set()
        # What a validator said of a proposal.
        self._heard: dict[tuple[str, str], str] = {}
        self._superseded: set[str] = set()
        self._to_undo: set[str] = set()
        # Left as they are by a person, whatever a worker that was about to call still did.
        self._given_up: set[str] = set()
        self._handlers: dict[type[ev.Event], Callable[[RunState, Any, int], None]] = {
            ev.ProposalReceived: self._receive,
            ev.ProposalDisposed: self._dispose,
            ev.ValidationFinished: self._hear,
            ev.ValidationFailed: self._hear,
            ev.ApprovalGiven: self._count,
            ev.ProposalApproved: self._approve,
            ev.ProposalRejected: self._close,
            ev.ProposalExpired: self._close,
            ev.RevisionRequested: self._send_back,
            ev.ProposalSuperseded: self._supersede,
            ev.DecisionUndone: self._take_back,
            ev.PersonAnswered: self._answer,
            ev.EffectSettled: self._settle,
            ev.RollbackRequested: self._ask_back,
            ev.RollbackDone: self._roll_back,
            ev.RollbackFailed: self._fail_to_roll_back,
            ev.RollbackSettled: self._settle_rollback,
        }

    def see(self, state: RunState, event: ev.Event, at_ms: int) -> None:
        """After its commit; `state` is the one that the event met."""
        handle = self._handlers.get(type(event))
        if handle is not None:
            handle(state, event, at_ms)

    # Proposals -----------------------------------------------------------------------------

    def _receive(self, state: RunState, event: ev.ProposalReceived, at_ms: int) -> None:
        before = self.tables.proposals[event.proposal].revises
        if before:
            self._once(before, "revised")
            is_gone = state.proposals[before].status == "superseded"
            hold(is_gone, f"{event.proposal} stands for {before}, which still stands itself")
        if event.edited_by:
            self._edited.add(event.proposal)

    def _dispose(self, state: RunState, event: ev.ProposalDisposed, at_ms: int) -> None:
        if event.disposition == "accept":
            self._hold_let_through(state, event.proposal)
            is_edited = event.proposal in self._edited
            hold(not is_edited, f"{event.proposal} was edited and let through")
            self._accepted[event.effect or ""] = state.proposals[event.proposal].digest

    def _hold_let_through(self, state: RunState, proposal: str) -> None:
        """Nobody doubts it, and it is within the limit that a rule sets for all of them."""
        for name in state.proposals[proposal].validations:
            verdict = self._heard.get((proposal, name), "nothing")
            hold(verdict == "pass", f"{proposal} was let through and {name} said {verdict}")
        others = [row for row in self.tables.proposals.values() if row.id != proposal]
        hold(not limit.is_reached(others), f"{proposal} was let through beyond the limit")

    def _hear(self, state: RunState, event: Any, at_ms: int) -> None:
        self._once(f"{event.proposal} {event.validator}", "validated")
        self._heard[event.proposal, event.validator] = getattr(event, "verdict", "nothing")

    def _close(self, state: RunState, event: Any, at_ms: int) -> None:
        self._once(event.proposal, "closed")

    def _send_back(self, state: RunState, event: ev.RevisionRequested, at_ms: int) -> None:
        """What was sent back may still be answered or expire."""
        self._once(event.proposal, "sent back")

    def _supersede(self, state: RunState, event: ev.ProposalSuperseded, at_ms: int) -> None:
        self._close(state, event, at_ms)
        self._superseded.add(event.proposal)
        self._approvals.pop(event.proposal, None)
        effect = state.proposals[event.proposal].effect
        hold(effect not in self._accepted, f"{event.proposal} was accepted and is superseded")
        is_asked = self._is_asked(event.proposal, "proposal")
        hold(not is_asked, f"{event.proposal} is superseded and can still be decided")

    # Decisions -----------------------------------------------------------------------------

    def _count(
        self, state: RunState, event: ev.ApprovalGiven | ev.ProposalApproved, at_ms: int
    ) -> None:
        given = self._approvals.setdefault(event.proposal, {})
        counted = state.proposals[event.proposal].approvals
        hold(set(counted) == set(given), f"{event.proposal} counts {counted}, not {tuple(given)}")
        hold(event.by not in given, f"{event.by} approves {event.proposal} twice")
        self._hold_waited_for(state, event.proposal)
        given[event.by] = event.decision

    def _hold_waited_for(self, state: RunState, proposal: str) -> None:
        """What its run has given up may be asked for once more, and is not to happen twice."""
        row = self.tables.proposals[proposal]
        work = state.works.get(row.work)
        is_left = work is not None and (
            work.status in {"done", "skipped", "failed"} or row.visit not in {0, work.visit}
        )
        waits = not state.has_ended and not is_left
        hold(waits, f"{proposal} is approved and nobody waits for it")

    def _approve(self, state: RunState, event: ev.ProposalApproved, at_ms: int) -> None:
        self._count(state, event, at_ms)
        self._once(event.proposal, "closed")
        item = self.tables.items[event.item]
        given = self._approvals[event.proposal].values()
        standing = [name for name in given if not self.tables.decisions[name].is_undone]
        hold(
            len(standing) >= item.approvals_needed,
            f"{event.proposal} is approved by {len(standing)} of {item.approvals_needed}",
        )
        self.seen["approved again"] += event.effect in self._windows
        self._accepted[event.effect] = event.digest
        self._windows[event.effect] = at_ms + item.undo_s * 1000

    def _take_back(self, state: RunState, event: ev.DecisionUndone, at_ms: int) -> None:
        self._once(event.decision, "taken back")
        if self.tables.decisions[event.decision].verdict == "approve":
            given = self._approvals.get(event.proposal, {})
            hold(given.get(event.by) == event.decision, f"{event.decision} did not count")
            del given[event.by]
        known = state.proposals[event.proposal]
        if known.status == "accepted":
            self._accepted.pop(known.effect or "", None)
            self._hold_cancelled(known.effect or "")
        if known.status != "in_review":
            self._closed[event.proposal, "closed"] = self._closed[event.proposal, "sent back"] = 0

    def _hold_cancelled(self, effect: str) -> None:
        for row in self.tables.commands.values():
            if row.kind == "run_effect" and row.effect == effect:
                hold(row.status in OVER, f"{effect} still waits to run and was taken back")

    def _answer(self, state: RunState, event: ev.PersonAnswered, at_ms: int) -> None:
        self._once(event.item, event.by)

    def _settle(self, state: RunState, event: ev.EffectSettled, at_ms: int) -> None:
        self._once(event.item, "closed")

    def _is_asked(self, proposal: str, kind: str) -> bool:
        """Whether people have an item of it before them."""
        of_proposal = [row for row in self.tables.items.values() if row.proposal == proposal]
        return any(row.kind == kind and row.status == "waiting" for row in of_proposal)

    def _once(self, about: str, what: str) -> None:
        self._closed[about, what] += 1
        hold(self._closed[about, what] == 1, f"{about} was decided twice ({what})")

    # Rolling back --------------------------------------------------------------------------

    def _ask_back(self, state: RunState, event: ev.RollbackRequested, at_ms: int) -> None:
        hold(self.happened(event.effect), f"{event.effect} is to be undone and was never done")
        self._to_undo.add(event.effect)
        self._given_up.discard(event.effect)

    def _roll_back(self, state: RunState, event: ev.RollbackDone, at_ms: int) -> None:
        hold(self._was_undone(event.effect), f"{event.effect} is called undone and was not")

    def _fail_to_roll_back(self, state: RunState, event: ev.RollbackFailed, at_ms: int) -> None:
        is_asked = self._is_asked(event.proposal, "failed_compensation")
        hold(is_asked, f"{event.effect} was not undone and nobody is told")

    def _settle_rollback(self, state: RunState, event: ev.RollbackSettled, at_ms: int) -> None:
        self._once(event.item, "closed")
        if event.verdict == "give_up":
            self._given_up.add(event.effect)

    # Calls of the target -------------------------------------------------------------------

    def happened(self, effect: str) -> bool:
        return any(key.split()[0] == effect for key in self.target.executed)

    def _was_undone(self, effect: str) -> bool:
        return any(key.split(":")[0] == effect for key in self.target.undone)

    def see_call(self, effect: EffectRow, now: float) -> None:
        """The moment before the target hears of it."""
        digest = self._accepted.get(effect.id)
        hold(digest == effect.digest, f"{effect.id} is called and nobody accepted it")
        hold(effect.proposal not in self._superseded, f"{effect.id} is called and superseded")
        is_early = now < self._windows.get(effect.id, 0.0)
        hold(not is_early, f"{effect.id} is called while its approval can be taken back")

    def see_undoing(self, effect: EffectRow) -> None:
        """The moment before the target hears that it is to be undone."""
        hold(effect.id in self._to_undo, f"{effect.id} is undone and nobody asked for it")
        hold(self.happened(effect.id), f"{effect.id} is undone and was never done")

    # In the end ----------------------------------------------------------------------------

    def audit_end(self) -> None:
        for key, times in self.target.undone.items():
            hold(times == 1, f"{key} was undone {times} times")
        once = Counter(key.split(":")[0] for key in self.target.undone)
        for effect, times in once.items():
            hold(times == 1, f"{effect} was undone under {times} keys")
        for effect, row in self.tables.effects.items():
            self._audit_effect(effect, row)

    def _audit_effect(self, effect: str, row: EffectRow) -> None:
        """Where the log says that it stands, and where it does."""
        status = self.tables.proposals[row.proposal].status
        hold(row.status == ENDS.get(status, "withdrawn"), f"{effect} is {row.status}, not {status}")
        if status not in ENDS:
            hold(not self.happened(effect), f"{effect} was executed and is {status}")
        if effect not in self._given_up:
            is_undone = status == "rolled_back"
            hold(self._was_undone(effect) == is_undone, f"{effect} is {status} and was undone")
