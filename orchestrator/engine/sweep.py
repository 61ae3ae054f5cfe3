"""Sweep: what crashes, silences and deadlines leave behind. It re-rings and expires; it never executes.

Any number of sweepers may run; each statement takes only rows that nobody else holds.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from orchestrator import queue
from orchestrator.core import events as ev
from orchestrator.core.commands import RunEffect
from orchestrator.engine.advance import Step, advance
from orchestrator.engine.execute import end_effect
from orchestrator.models import AuditEntry, Command, Effect, IdempotencyRecord, Proposal, ReviewItem


@dataclass(frozen=True, slots=True)
class Swept:
    leases: int
    rings: int
    expired: int


def sweep() -> Swept:
    _forget_answers()
    return Swept(leases=_end_leases(), rings=_ring_again(), expired=_expire())


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
    """A command that kills every worker it meets must not meet them all.

    If it was calling its target when the last one died, nobody knows what happened there.
    """
    row = Command.objects.get(pk=command)
    reason = f"{crashes} workers stopped while running it; it was not tried again"
    error = {"code": "gave-up", "reason": reason, "retryable": False}
    Command.objects.filter(pk=command).update(
        status=Command.Status.FAILED, error=error, finished_at=Now()
    )
    effect = Effect.objects.select_related("proposal").get(
        pk=row.key.removeprefix(f"{RunEffect.kind}:")
    )
    lost = effect.status == Effect.Status.CALLING
    end_effect(effect, error, key=f"cmd:{command}", lost=lost)


def _forget_answers() -> None:
    """Answers kept for retries, once no retry can still come."""
    kept_since = Now() - timedelta(hours=settings.IDEMPOTENCY_KEEP_HOURS)
    old = IdempotencyRecord.objects.filter(created_at__lt=kept_since)
    IdempotencyRecord.objects.filter(pk__in=old.values("pk")[: settings.SWEEP_BATCH]).delete()


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


def _expire() -> int:
    return _expire_items() + _expire_revisions()


def _expire_items() -> int:
    """Deadlines expire to no. One transaction an item: a reviewer may be deciding the next one."""
    expired = 0
    for item in ReviewItem.objects.waiting().filter(due_at__lte=Now())[: settings.SWEEP_BATCH]:
        expired += expire_item(item.pk)
    return expired


def expire_item(pk: str) -> int:
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
