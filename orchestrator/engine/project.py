"""What follows from events in other tables, in the same transaction and set-wise.

`Proposal.status` and the columns of `Effect` follow the state, so that lists can filter by them;
people are asked about what only they can find out, and no longer asked about what is over.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, Q
from django.db.models.functions import Now

from orchestrator.core import events as ev
from orchestrator.core.patterns.work import OVER, is_late
from orchestrator.core.state import RunState
from orchestrator.engine import notices, observations, store
from orchestrator.engine.opening import open_item
from orchestrator.engine.routes import Routes
from orchestrator.models import AuditEntry, Command, Effect, Proposal, ReviewItem, Subscription
from orchestrator.models.ids import new_id

DEADLINE = "deadline"
GAVE_UP = "the run gave up on the work that asked for this"


@dataclass(slots=True)
class Projection:
    statuses: dict[str, str] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)
    resting: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    # Effects on their way back.
    moved: dict[str, dict[str, Any]] = field(default_factory=dict)
    stuck: list[ev.RollbackFailed] = field(default_factory=list)
    lost: list[ev.EffectLost] = field(default_factory=list)
    # Review items whose question nobody has to answer any more, and why.
    moot: dict[str, str] = field(default_factory=dict)
    # Runs that ended before their time.
    stopped: list[str] = field(default_factory=list)
    # What each run listens to from now on; empty when it does not any more.
    topics: dict[str, str] = field(default_factory=dict)
    routes: Routes = field(default_factory=Routes)
    # Answers that read or wrote shared memory.
    memories: list[observations.Told] = field(default_factory=list)

    def see(self, run: str, seq: int, before: RunState, after: RunState, event: ev.Event) -> None:
        if after.proposals is not before.proposals:
            self._see_proposals(before, after)
        if after.works is not before.works:
            self._see_works(before, after, event)
        if after.listens_to != before.listens_to:
            self.topics[run] = after.listens_to
        # A mesh may be done while some of its peers are still at it.
        ended_early = after.status != "completed" or bool(after.mesh.ended)
        if after.has_ended and not before.has_ended and ended_early:
            self._see_stop(run, after)
        if isinstance(event, ev.WorkFinished | ev.WorkAsked | ev.WorkFailed):
            self._see_memory(run, seq, before, event)
        self._see_effect(event)
        self.routes.see(run, before, after, event)

    def rest(self, effect: str) -> None:
        self.resting.append(effect)

    def write(self, at: datetime) -> None:
        by_status: dict[str, list[str]] = defaultdict(list)
        for proposal, status in self.statuses.items():
            by_status[status].append(proposal)
        for status, proposals in by_status.items():
            Proposal.objects.filter(pk__in=proposals).update(status=status)
        self._write_effects()
        if self.memories:
            observations.store(self.memories, at)
        for event in self.lost:
            _ask_about(event, ReviewItem.Kind.UNKNOWN_EFFECT, "its outcome is unknown", at)
        for failed in self.stuck:
            _ask_about(failed, ReviewItem.Kind.FAILED_COMPENSATION, "it was not undone", at)
        if self.stopped:
            store.cancel(self.stopped)
            _withdraw_stuck(self.stopped)
        for item, why in self.moot.items():
            _close(item, why)
        if self.topics:
            Subscription.objects.filter(run__in=self.topics).delete()
            Subscription.objects.bulk_create(
                Subscription(run_id=run, topic=topic) for run, topic in self.topics.items() if topic
            )
        self.routes.write(at)

    def _see_memory(
        self,
        run: str,
        seq: int,
        before: RunState,
        event: ev.WorkFinished | ev.WorkAsked | ev.WorkFailed,
    ) -> None:
        late, tainted = is_late(before, event), bool(before.heard)
        told = observations.Told(run, seq, event, is_late=late, is_tainted=tainted)
        if event.recalled or told.remembered:
            self.memories.append(told)

    def _see_proposals(self, before: RunState, after: RunState) -> None:
        for key, proposal in after.proposals.items():
            known = before.proposals.get(key)
            if known is None or known.status != proposal.status:
                self.statuses[key] = proposal.status
                if proposal.status == "withdrawn" and proposal.item:
                    self.moot[proposal.item] = _why_withdrawn(after)

    def _see_works(self, before: RunState, after: RunState, event: ev.Event) -> None:
        """A question whose work ended without an answer, or was begun anew."""
        if isinstance(event, ev.PersonAnswered):
            return
        for name, known in before.works.items():
            work = after.works.get(name)
            if not known.item or known.status in OVER or work is known or work is None:
                continue
            if work.status in OVER or work.item != known.item:
                self.moot[known.item] = DEADLINE

    def _see_stop(self, run: str, after: RunState) -> None:
        """Nobody is asked any more."""
        self.stopped.append(run)
        for work in after.works.values():
            if work.item and work.status not in OVER:
                self.moot[work.item] = f"the run {after.status}"

    def _see_effect(self, event: ev.Event) -> None:
        if isinstance(event, ev.EffectStarted):
            self.started.append(event.effect)
        elif isinstance(event, ev.EffectSucceeded):
            done = {"status": Effect.Status.DONE, "receipt": event.receipt, "error": None}
            self.ended[event.effect] = done
        elif isinstance(event, ev.EffectFailed):
            self.ended[event.effect] = {"status": Effect.Status.FAILED, "error": event.error}
        elif isinstance(event, ev.EffectLost):
            self.ended[event.effect] = {"status": Effect.Status.UNKNOWN, "error": event.error}
            self.lost.append(event)
        elif isinstance(event, ev.EffectSettled):
            self._see_settled(event)
        else:
            self._see_rollback(event)

    def _see_rollback(self, event: ev.Event) -> None:
        status = Effect.Status
        if isinstance(event, ev.RollbackRequested):
            self.moved[event.effect] = {"status": status.UNDOING}
        elif isinstance(event, ev.RollbackDone):
            self.moved[event.effect] = {"status": status.UNDONE, "undo_receipt": event.receipt}
        elif isinstance(event, ev.RollbackFailed):
            self.moved[event.effect] = {"status": status.DONE}
            self.stuck.append(event)
        elif isinstance(event, ev.RollbackSettled):
            by = {"settled_by": event.by, "verdict": event.verdict, "note": event.note}
            after: dict[str, dict[str, Any]] = {
                "retry": {"status": status.UNDOING},
                "happened": {"status": status.UNDONE, "undo_receipt": by},
                "give_up": {"status": status.DONE},
            }
            self.moved[event.effect] = after[event.verdict]

    def _see_settled(self, event: ev.EffectSettled) -> None:
        by = {"settled_by": event.by, "verdict": event.verdict, "note": event.note}
        if event.verdict == "happened":
            self.ended[event.effect] = {"status": Effect.Status.DONE, "receipt": by}
        elif event.verdict == "not_happened":
            self.ended[event.effect] = {"status": Effect.Status.FAILED}
        else:
            self.released.append(event.effect)

    def _write_effects(self) -> None:
        if self.started:
            # Still CALLING: an earlier call never came back, so from now on it may have happened.
            Effect.objects.filter(pk__in=self.started).update(
                may_have_happened=Q(may_have_happened=True) | Q(status=Effect.Status.CALLING),
                status=Effect.Status.CALLING,
                called_at=Now(),
            )
        for effect, values in self.ended.items():
            Effect.objects.filter(pk=effect).update(finished_at=Now(), **values)
        for effect, values in self.moved.items():
            Effect.objects.filter(pk=effect).update(**values)
        if self.resting:
            Effect.objects.filter(pk__in=self.resting).update(status=Effect.Status.PENDING)
        if self.released:
            # A person says that it did not happen: the slate is clean.
            Effect.objects.filter(pk__in=self.released).update(
                status=Effect.Status.PENDING, may_have_happened=False, error=None, finished_at=None
            )


def _ask_about(
    event: ev.EffectLost | ev.RollbackFailed, kind: str, otherwise: str, at: datetime
) -> None:
    """Only a person can find out, so a person is asked."""
    related = ("run__workflow_version__workflow", "run__token__owner", "token__owner")
    proposal = Proposal.objects.select_related(*related, "contract_version").get(pk=event.proposal)
    open_item(
        proposal.run,
        kind,
        proposal=proposal,
        because=[str(event.error.get("reason", otherwise))],
        due_at=at + timedelta(hours=settings.REVIEW_DUE_HOURS),
        pk=event.item or new_id("rev"),
    )


def _why_withdrawn(after: RunState) -> str:
    stopped = after.status in {"failed", "cancelled"}
    return f"the run {after.status}" if stopped else GAVE_UP


def _close(item: str, why: str) -> None:
    """A deadline that passed is told, whoever noticed it: the sweeper, or the run itself."""
    is_over = why == DEADLINE
    status = ReviewItem.Status.EXPIRED if is_over else ReviewItem.Status.WITHDRAWN
    closed = (
        ReviewItem.objects.waiting()
        .filter(pk=item)
        .update(status=status, closed_because=why, closed_at=Now(), version=F("version") + 1)
    )
    if closed and is_over:
        expired = ReviewItem.objects.get(pk=item)
        AuditEntry.objects.create(
            verb="review_item.expired", object_id=expired.run_id, detail={"item": item}
        )
        notices.expired(expired)


def _withdraw_stuck(runs: list[str]) -> None:
    """Nobody has to decide about work that is not wanted any more."""
    stuck = ReviewItem.objects.waiting().filter(
        run__in=runs, command__status=Command.Status.CANCELLED
    )
    stuck.update(
        status=ReviewItem.Status.WITHDRAWN,
        closed_because="the run is over",
        closed_at=Now(),
        version=F("version") + 1,
    )
