"""Sweep: what crashes, silences and deadlines leave behind. It re-rings and expires; it never executes.

Any number of sweepers may run; each statement takes only rows that nobody else holds.
"""

import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models.functions import Now

from orchestrator import queue
from orchestrator.core import events as ev
from orchestrator.core.commands import RunEffect
from orchestrator.engine.advance import Step, advance
from orchestrator.engine.execute import end_effect
from orchestrator.models import AuditEntry, Command, Effect, IdempotencyRecord, Proposal, ReviewItem

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    leases: int
    rings: int
    expired: int


def sweep() -> Swept:
    """Each broom on its own: what one cannot lift must not keep the others from their work."""
    _guarded(_forget)
    return Swept(
        leases=_guarded(_end_leases),
        rings=_guarded(_ring_again),
        expired=_guarded(_expire_items) + _guarded(_expire_revisions),
    )


def _guarded(broom: Callable[[], int]) -> int:
    try:
        return broom()
    except Exception:
        logger.exception("%s stopped; the rest goes on", broom.__name__)
        return 0


# A lease that ran out means that the worker died or hangs. The token stays; the next claim adds one,
# and the old worker's late answer changes nothing.
_END_LEASES = """
    UPDATE orchestrator_command
       SET status = 'pending', crashes = crashes + 1, lease_until = NULL, rung_at = to_timestamp(0)
     WHERE id IN (SELECT id FROM orchestrator_command
                   WHERE status = 'running' AND lease_until < statement_timestamp()
                   ORDER BY lease_until LIMIT %s FOR UPDATE SKIP LOCKED)
    RETURNING id, crashes
"""


def _end_leases() -> int:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_END_LEASES, [settings.SWEEP_BATCH])
            rows = cursor.fetchall()
        for command, crashes in rows:
            if crashes >= settings.COMMAND_CRASHES_MAX:
                _give_up(command, crashes)
    return len(rows)


def _give_up(command: int, crashes: int) -> None:
    """A command that costs every worker its lease must not meet them all."""
    reason = (
        f"its lease ran out {crashes} times: workers stopped while running it, or its target "
        "takes longer than COMMAND_LEASE_S; it was not tried again"
    )
    error = {"code": "gave-up", "reason": reason, "retryable": False}
    Command.objects.filter(pk=command).update(
        status=Command.Status.FAILED, error=error, finished_at=Now()
    )
    try:
        # A savepoint: whatever is wrong with its effect, the command itself stays given up.
        with transaction.atomic():
            _end_effect_of(command, error)
    except Exception:
        logger.exception("command %s was given up, its effect could not be ended", command)


def _end_effect_of(command: int, error: dict[str, Any]) -> None:
    """If it was calling its target when the last worker stopped, nobody knows what happened there."""
    key = Command.objects.get(pk=command).key
    effect = Effect.objects.select_related("proposal").get(
        pk=key.removeprefix(f"{RunEffect.kind}:")
    )
    lost = effect.may_have_happened or effect.status == Effect.Status.CALLING
    end_effect(effect, error, key=f"cmd:{command}", lost=lost)


def _forget() -> int:
    """Answers kept for retries, once no retry can still come, and sessions that are over."""
    kept_since = Now() - timedelta(hours=settings.IDEMPOTENCY_KEEP_HOURS)
    old = IdempotencyRecord.objects.filter(created_at__lt=kept_since)
    IdempotencyRecord.objects.filter(pk__in=old.values("pk")[: settings.SWEEP_BATCH]).delete()
    over = Session.objects.filter(expire_date__lt=Now())
    return Session.objects.filter(pk__in=over.values("pk")[: settings.SWEEP_BATCH]).delete()[0]


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


def _expire_items() -> int:
    """Deadlines expire to no. One transaction an item: a reviewer may be deciding the next one."""
    expired = 0
    for item in ReviewItem.objects.waiting().filter(due_at__lte=Now())[: settings.SWEEP_BATCH]:
        expired += _expire_item(item.pk)
    return expired


def _expire_item(pk: str) -> int:
    with transaction.atomic():
        item = (
            ReviewItem.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related("proposal")
            .waiting()
            .filter(pk=pk, due_at__lte=Now())
            .first()
        )
        if item is None:
            return 0
        ReviewItem.objects.filter(pk=pk).update(
            status=ReviewItem.Status.EXPIRED,
            closed_because="deadline",
            closed_at=Now(),
            version=item.version + 1,
        )
        event = ev.ProposalExpired(proposal=item.proposal_id, item=item.pk)
        advance([Step(item.proposal.run_id, event)])
        AuditEntry.objects.create(
            verb="review_item.expired", object_id=item.proposal_id, detail={"item": item.pk}
        )
    return 1


def _expire_revisions() -> int:
    due = Proposal.objects.filter(status=Proposal.Status.REVISION_REQUESTED, due_at__lte=Now())
    expired = 0
    for pk in due.values_list("pk", flat=True)[: settings.SWEEP_BATCH]:
        with transaction.atomic():
            proposal = due.select_for_update(skip_locked=True).filter(pk=pk).first()
            if proposal is None:
                continue
            advance([Step(proposal.run_id, ev.ProposalExpired(proposal=pk))])
            AuditEntry.objects.create(verb="revision.expired", object_id=pk)
            expired += 1
    return expired
