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
from orchestrator.core.patterns.work import OVER
from orchestrator.core.state import RunState
from orchestrator.engine import store
from orchestrator.models import Command, Effect, Proposal, ReviewItem


@dataclass(slots=True)
class Projection:
    statuses: dict[str, str] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)
    resting: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    lost: list[tuple[str, ev.EffectLost]] = field(default_factory=list)
    # Review items whose question nobody has to answer any more, and why.
    moot: dict[str, str] = field(default_factory=dict)
    # Runs that ended before their time.
    stopped: list[str] = field(default_factory=list)

    def see(self, run: str, before: RunState, after: RunState, event: ev.Event) -> None:
        if after.proposals is not before.proposals:
            self._see_proposals(before, after)
        if after.works is not before.works:
            self._see_works(before, after, event)
        if after.has_ended and not before.has_ended and after.status != "completed":
            self._see_stop(run, after)
        self._see_effect(run, event)

    def rest(self, effect: str) -> None:
        self.resting.append(effect)

    def write(self, at: datetime) -> None:
        by_status: dict[str, list[str]] = defaultdict(list)
        for proposal, status in self.statuses.items():
            by_status[status].append(proposal)
        for status, proposals in by_status.items():
            Proposal.objects.filter(pk__in=proposals).update(status=status)
        self._write_effects()
        ReviewItem.objects.bulk_create(_unknown(run, event, at) for run, event in self.lost)
        if self.stopped:
            store.cancel(self.stopped)
            _withdraw_stuck(self.stopped)
        for item, why in self.moot.items():
            ReviewItem.objects.waiting().filter(pk=item).update(
                status=ReviewItem.Status.EXPIRED
                if why == "deadline"
                else ReviewItem.Status.WITHDRAWN,
                closed_because=why,
                closed_at=Now(),
                version=F("version") + 1,
            )

    def _see_proposals(self, before: RunState, after: RunState) -> None:
        for key, proposal in after.proposals.items():
            known = before.proposals.get(key)
            if known is None or known.status != proposal.status:
                self.statuses[key] = proposal.status

    def _see_works(self, before: RunState, after: RunState, event: ev.Event) -> None:
        """A question whose work ended without an answer, or was begun anew."""
        if isinstance(event, ev.PersonAnswered):
            return
        for name, known in before.works.items():
            work = after.works.get(name)
            if not known.item or known.status in OVER or work is known or work is None:
                continue
            if work.status in OVER or work.item != known.item:
                self.moot[known.item] = "deadline"

    def _see_stop(self, run: str, after: RunState) -> None:
        """Nobody is asked any more."""
        self.stopped.append(run)
        for work in after.works.values():
            if work.item and work.status not in OVER:
                self.moot[work.item] = f"the run {after.status}"

    def _see_effect(self, run: str, event: ev.Event) -> None:
        if isinstance(event, ev.EffectStarted):
            self.started.append(event.effect)
        elif isinstance(event, ev.EffectSucceeded):
            done = {"status": Effect.Status.DONE, "receipt": event.receipt, "error": None}
            self.ended[event.effect] = done
        elif isinstance(event, ev.EffectFailed):
            self.ended[event.effect] = {"status": Effect.Status.FAILED, "error": event.error}
        elif isinstance(event, ev.EffectLost):
            self.ended[event.effect] = {"status": Effect.Status.UNKNOWN, "error": event.error}
            self.lost.append((run, event))
        elif isinstance(event, ev.EffectSettled):
            self._see_settled(event)

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
        if self.resting:
            Effect.objects.filter(pk__in=self.resting).update(status=Effect.Status.PENDING)
        if self.released:
            # A person says that it did not happen: the slate is clean.
            Effect.objects.filter(pk__in=self.released).update(
                status=Effect.Status.PENDING, may_have_happened=False, error=None, finished_at=None
            )


def _unknown(run: str, event: ev.EffectLost, at: datetime) -> ReviewItem:
    """Only a person can find out, so a person is asked."""
    return ReviewItem(
        run_id=run,
        proposal_id=event.proposal,
        kind=ReviewItem.Kind.UNKNOWN_EFFECT,
        opened_because=[str(event.error.get("reason", "its outcome is unknown"))],
        priority=1,
        due_at=at + timedelta(hours=settings.REVIEW_DUE_HOURS),
    )


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
