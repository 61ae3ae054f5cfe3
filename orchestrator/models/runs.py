from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from orchestrator.core.codec import read
from orchestrator.core.state import RunState, from_json
from orchestrator.models.ids import IdField
from orchestrator.models.tokens import ApiToken
from orchestrator.models.workflows import WorkflowVersion


class Run(models.Model):
    """One execution of a workflow version. `state` is the fold of its events, and is never edited.

    Rows are made empty; from then on only the database's own `journal_append` moves them.
    """

    class Status(models.TextChoices):
        NEW = "new"
        RUNNING = "running"
        WAITING = "waiting"
        COMPLETED = "completed"
        FAILED = "failed"
        CANCELLED = "cancelled"

    id = IdField("run")
    # Each is found through an index below; one of its own would be a second to keep at every step.
    workflow_version = models.ForeignKey(
        WorkflowVersion, models.PROTECT, related_name="runs", db_index=False
    )
    parent = models.ForeignKey(
        "self", models.PROTECT, null=True, related_name="children", db_index=False
    )
    token = models.ForeignKey(
        ApiToken, models.PROTECT, null=True, related_name="runs", db_index=False
    )
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="runs", db_index=False
    )
    external_id = models.CharField(max_length=200, default="")
    status = models.CharField(max_length=20, choices=Status, default=Status.NEW)
    # Text, not jsonb: PostgreSQL would reorder keys and rewrite numbers, and the fold must be equal to the byte.
    state = models.TextField(default="")
    seq = models.PositiveIntegerField(default=0)
    head = models.CharField(max_length=64, default="", help_text="hash of the newest event")
    wakes_at = models.DateTimeField(null=True, help_text="the earliest time it waits for")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="run_status_known",
                condition=models.Q(
                    status__in=["new", "running", "waiting", "completed", "failed", "cancelled"]
                ),
            ),
        ]
        indexes = [
            # queries.run_ids: lists of runs, each a few rows from the end of one of these;
            # actions.runs: how many runs of a workflow, and of a token, are open.
            models.Index(fields=["status", "-id"], name="run_by_status"),
            models.Index(fields=["workflow_version", "status", "-id"], name="run_by_version"),
            models.Index(fields=["started_by", "status", "-id"], name="run_by_person"),
            models.Index(fields=["token", "status", "-id"], name="run_by_token"),
            # The page of a run: those it started.
            models.Index(
                fields=["parent", "-id"],
                name="run_children",
                condition=models.Q(parent__isnull=False),
            ),
            # engine.telemetry: runs that have ended, in that order.
            models.Index(
                fields=["ended_at", "id"],
                name="run_ended",
                condition=models.Q(ended_at__isnull=False),
            ),
            # engine.sweep: times that runs wait for.
            models.Index(
                fields=["wakes_at"], name="run_wakes", condition=models.Q(wakes_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def canonical_state(self) -> RunState:
        data = read(self.state) if self.state else None
        return from_json(data) if isinstance(data, dict) else RunState()


class Subscription(models.Model):
    """A run that waits for a message about a topic. The engine keeps it in step with the run's state."""

    run = models.OneToOneField(Run, models.CASCADE, primary_key=True, related_name="subscription")
    topic = models.CharField(max_length=60)

    class Meta:
        indexes = [
            # actions.messages: who waits for a topic.
            models.Index(fields=["topic", "run"], name="subscription_by_topic"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} listens to {self.topic}"
