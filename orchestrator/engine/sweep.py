"""Sweep: what crashes, silences and deadlines leave behind. It re-rings and expires; it never executes.

Any number of sweepers may run; each statement takes only rows that nobody else holds.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from orchestrator import queue
from orchestrator.core import events as ev
from orchestrator.engine import (
    audits,
    deliveries,
    notices,
    observations,
    pieces,
    quarantine,
    rollups,
    weekly_reports,
)
from orchestrator.engine.advance import Step, advance
from orchestrator.engine.checkpoint import checkpoint
from orchestrator.failpoints import failpoint
from orchestrator.models import (
    AuditEntry,
    BrowserSession,
    Command,
    IdempotencyRecord,
    Proposal,
    ReviewItem,
    Run,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    leases: int
    rings: int
    expired: int


def sweep() -> Swept:
    """Each broom on its own: what one cannot lift must not keep the others from their work."""
    _guarded(_forget)
    _guarded(deliveries.forget)
    _guarded(pieces.forget)
    _guarded(observations.forget)
    leases = _guarded(_end_leases)
    _guarded(quarantine.set_apart)
    _guarded(_wake_items)
    _guarded(audits.expire)
    _guarded(checkpoint)
    swept = Swept(
        leases=leases,
        expired=_guarded(_wake_runs) + _guarded(_expire_items) + _guarded(_expire_revisions),
        rings=_guarded(_ring_again),
    )
    # After everything that somebody waits for.
    _guarded(rollups.follow)
    _guarded(weekly_reports.follow)
    return swept


def _guarded(broom: Callable[[], int]) -> int:
    try:
        return broom()
    except Exception:
        logger.exception("%s stopped; the rest goes on", broom.__name__)
        return 0


def _each[Row](rows: Iterable[Row], broom: Callable[[Row], int]) -> int:
    """One transaction each: what is wrong with one row must not keep its neighbours waiting."""
    swept = 0
    for row in rows:
        try:
            swept += broom(row)
        except Exception:
            logger.exception("%s could not deal with %s", broom.__name__, row)
    return swept


# A lease that ran out means that the worker died or hangs. The token stays; the next claim adds one,
# and the old worker's late answer changes nothing.
_END_LEASES = """
    UPDATE orchestrator_command
       SET status = 'pending', crashes = crashes + 1, lease_until = NULL, rung_at = to_timestamp(0)
     WHERE id IN (SELECT id FROM orchestrator_command
                   WHERE status = 'running' AND lease_until < statement_timestamp()
                   ORDER BY lease_until LIMIT %s FOR UPDATE SKIP LOCKED)
    RETURNING id
"""


def _end_leases() -> int:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_END_LEASES, [settings.SWEEP_BATCH])
            ended = len(cursor.fetchall())
        failpoint("sweeper-mid-batch")
    if ended:
        failpoint("lease-ended-not-rung")
    return ended


def _forget() -> int:
    """Answers kept for retries, once no retry can still come, and sessions that are over."""
    kept_since = Now() - timedelta(hours=settings.IDEMPOTENCY_KEEP_HOURS)
    old = IdempotencyRecord.objects.filter(created_at__lt=kept_since)
    IdempotencyRecord.objects.filter(pk__in=old.values("pk")[: settings.SWEEP_BATCH]).delete()
    over = BrowserSession.objects.filter(expire_date__lt=Now())
    return BrowserSession.objects.filter(pk__in=over.values("pk")[: settings.SWEEP_BATCH]).delete()[
        0
    ]


def _ring_again() -> int:
    """Ready, yet nobody has come for a while: the bell was lost, or Redis was wiped."""
    quiet_since = Now() - timedelta(seconds=settings.RING_AGAIN_AFTER_S)
    with transaction.atomic():
        ready = list(
            Command.objects.select_for_update(skip_locked=True)
            .filter(status=Command.Status.PENDING, not_before__lte=Now(), rung_at__lt=quiet_since)
            .order_by("not_before", "id")
            .values_list("pk", "queue")[: settings.SWEEP_BATCH]
        )
        Command.objects.filter(pk__in=[pk for pk, _ in ready]).update(rung_at=Now())
    by_queue: dict[str, list[int]] = defaultdict(list)
    for pk, name in ready:
        by_queue[name].append(pk)
    for name, ids in by_queue.items():
        queue.ring(name, ids)
    return len(ready)


def _wake_runs() -> int:
    """Timers: deadlines of questions and signals, the time a run may take at most."""
    due = Run.objects.filter(wakes_at__lte=Now()).order_by("wakes_at")
    return _each(list(due.values_list("pk", flat=True)[: settings.SWEEP_BATCH]), _wake_run)


def _wake_run(pk: str) -> int:
    with transaction.atomic():
        if not _hold(pk, wakes_at__lte=Now()):
            return 0
        advance([Step(pk, ev.TimeReached())])
        failpoint("timer-fired-in-transaction")
    return 1


def _hold(run: str, **conditions: Any) -> bool:
    """The run's row first, as everybody does who locks more than that; busy ones are passed by."""
    rows = Run.objects.select_for_update(of=("self",), skip_locked=True)
    return rows.filter(pk=run, **conditions).first() is not None


def _expire_items() -> int:
    """Deadlines expire to no."""
    due = ReviewItem.objects.waiting().filter(due_at__lte=Now(), kind__in=ReviewItem.EXPIRING)
    return _each(list(due.values_list("pk", "run")[: settings.SWEEP_BATCH]), _expire_item)


def _expire_item(row: tuple[str, str]) -> int:
    pk, run = row
    with transaction.atomic():
        if not _hold(run):
            return 0
        item = (
            ReviewItem.objects.select_for_update(of=("self",), skip_locked=True)
            .waiting()
            .filter(pk=pk, due_at__lte=Now())
            .first()
        )
        if item is None or item.proposal_id is None:
            return 0
        ReviewItem.objects.filter(pk=pk).update(
            status=ReviewItem.Status.EXPIRED,
            closed_because="deadline",
            closed_at=Now(),
            version=item.version + 1,
            lease="",
            lease_until=None,
        )
        advance([Step(run, ev.ProposalExpired(proposal=item.proposal_id, item=item.pk))])
        AuditEntry.objects.create(
            verb="review_item.expired", object_id=item.proposal_id, detail={"item": item.pk}
        )
        notices.expired(item)
    return 1


def _wake_items() -> int:
    """Snoozed until news of their run, and there is some."""
    asleep = ReviewItem.objects.waiting().filter(
        wakes_on=ReviewItem.WakesOn.RUN,
        snoozed_until__gt=Now(),
        run__seq__gt=F("snoozed_at_seq"),
    )
    with transaction.atomic():
        waking = list(
            asleep.select_for_update(of=("self",), skip_locked=True)[: settings.SWEEP_BATCH]
        )
        ReviewItem.objects.filter(pk__in=[item.pk for item in waking]).update(
            snoozed_until=None, wakes_on=""
        )
        notices.woken(waking)
    return len(waking)


def _expire_revisions() -> int:
    due = Proposal.objects.filter(status=Proposal.Status.REVISION_REQUESTED, due_at__lte=Now())
    return _each(list(due.values_list("pk", "run")[: settings.SWEEP_BATCH]), _expire_revision)


def _expire_revision(row: tuple[str, str]) -> int:
    pk, run = row
    with transaction.atomic():
        requested = Proposal.objects.filter(pk=pk, status=Proposal.Status.REVISION_REQUESTED)
        if not _hold(run) or not requested.exists():
            return 0
        advance([Step(run, ev.ProposalExpired(proposal=pk))])
        AuditEntry.objects.create(verb="revision.expired", object_id=pk)
    return 1
