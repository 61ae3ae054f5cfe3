from django.db import models
from django.db.models.functions import Now

from orchestrator.models.runs import Run


class Event(models.Model):
    """What happened. Append-only, gapless per run, each chained to the one before by its hash.

    Only the database's function `journal_append` writes here; a trigger refuses UPDATE and DELETE.
    """

    id = models.BigAutoField(primary_key=True)
    # Found through its unique constraint; an index of its own would be a second one.
    run = models.ForeignKey(Run, models.PROTECT, related_name="events", db_index=False)
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=60)
    payload = models.TextField()
    # Set by whoever may say a thing only once, such as `cmd:17`; the second saying fails.
    key = models.CharField(max_length=100, null=True, unique=True)  # noqa: DJ001  (NULLs do not clash)
    at = models.DateTimeField()
    prev_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "seq"], name="event_run_seq_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} #{self.seq} {self.kind}"


class Command(models.Model):
    """What to do next: the transactional outbox. Redis only rings; this row is the work.

    Leases and fencing tokens are issued when a worker claims, by the database's clock.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"
        QUARANTINED = "quarantined"

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(Run, models.PROTECT, related_name="commands", db_index=False)
    seq = models.PositiveIntegerField(help_text="the event that caused it")
    kind = models.CharField(max_length=60)
    queue = models.CharField(max_length=40)
    payload = models.TextField()
    key = models.CharField(max_length=200)
    status = models.CharField(max_length=20, choices=Status, default=Status.PENDING)
    not_before = models.DateTimeField(db_default=Now())
    rung_at = models.DateTimeField(db_default=Now())
    token = models.PositiveIntegerField(default=0)
    tries = models.PositiveSmallIntegerField(default=0)
    crashes = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    worker = models.CharField(max_length=100, default="")
    error = models.JSONField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            # engine.claim: the next ready command of a queue.
            models.Index(
                fields=["queue", "not_before", "id"],
                name="command_ready",
                condition=models.Q(status="pending"),
            ),
            # engine.quarantine: what crashes again and again.
            models.Index(
                fields=["crashes"],
                name="command_crashing",
                condition=models.Q(status="pending", crashes__gt=0),
            ),
            # engine.sweep: leases that ran out.
            models.Index(
                fields=["lease_until"],
                name="command_leased",
                condition=models.Q(status="running"),
            ),
        ]
        constraints = [
            # The same thing asked for twice is one command.
            models.UniqueConstraint(fields=["run", "key"], name="command_run_key_unique"),
            models.CheckConstraint(
                name="command_status_known",
                condition=models.Q(
                    status__in=["pending", "running", "done", "failed", "cancelled", "quarantined"]
                ),
            ),
            models.CheckConstraint(
                name="command_running_has_lease",
                condition=~models.Q(status="running") | models.Q(lease_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key} ({self.status})"
