from django.db import models

from orchestrator.core.codec import read
from orchestrator.core.state import RunState, from_json
from orchestrator.models.ids import IdField
from orchestrator.models.workflows import WorkflowVersion


class Run(models.Model):
    """One execution of a workflow version. `state` is the fold of its events, and is never edited."""

    class Status(models.TextChoices):
        NEW = "new"
        RUNNING = "running"
        COMPLETED = "completed"
        FAILED = "failed"
        CANCELLED = "cancelled"

    id = IdField("run")
    workflow_version = models.ForeignKey(WorkflowVersion, models.PROTECT, related_name="runs")
    status = models.CharField(max_length=20, choices=Status, default=Status.NEW)
    # Text, not jsonb: PostgreSQL would reorder keys and rewrite numbers, and the fold must be equal to the byte.
    state = models.TextField(default="")
    seq = models.PositiveIntegerField(default=0)
    head = models.CharField(max_length=64, default="", help_text="hash of the newest event")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="run_status_known",
                condition=models.Q(
                    status__in=["new", "running", "completed", "failed", "cancelled"]
                ),
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def canonical_state(self) -> RunState:
        data = read(self.state) if self.state else None
        return from_json(data) if isinstance(data, dict) else RunState()
