"""Whom routers gave their requests, and what people say about it."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from orchestrator.models.runs import Run
from orchestrator.models.workflows import Workflow, WorkflowVersion


class RouteDecision(models.Model):
    """What a router decided about one run. It follows the run's state, so that it can be counted and listed."""

    class By(models.TextChoices):
        RULE = "rule"
        MODEL = "model"
        FALLBACK = "fallback"

    class Outcome(models.TextChoices):
        OPEN = "open"
        COMPLETED = "completed"
        FAILED = "failed"
        CANCELLED = "cancelled"

    run = models.OneToOneField(Run, models.PROTECT, primary_key=True, related_name="route")
    # Found through the index below.
    workflow = models.ForeignKey(Workflow, models.PROTECT, related_name="+", db_index=False)
    version = models.ForeignKey(WorkflowVersion, models.PROTECT, related_name="+", db_index=False)
    # Who was chosen; of specialists the first.
    worker = models.CharField(max_length=60)
    workers = models.JSONField(default=list)
    by = models.CharField(max_length=10, choices=By)
    rule = models.CharField(max_length=60, default="", blank=True)
    # Why it came to the fallback worker, see core.state.Route.
    cause = models.CharField(max_length=20, default="", blank=True)
    why = models.TextField(default="", blank=True)
    confidence = models.FloatField(null=True)
    features = models.JSONField(default=dict)
    claims = models.JSONField(default=dict)
    errors = models.JSONField(default=dict)
    decided_at = models.DateTimeField()
    # What came after: the worker that failed, so that the fallback worker took over; how the run ended;
    # a proposal that people turned down because another worker should have made it.
    failed = models.CharField(max_length=60, default="", blank=True)
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.OPEN)
    is_refused = models.BooleanField(default=False)
    # What the newest correction says; the worker itself where somebody says that it was right.
    should_be = models.CharField(max_length=60, default="", blank=True)

    class Meta:
        indexes = [
            # router_queries: the newest so many of a period are counted from the index alone.
            models.Index(
                fields=["workflow", "-decided_at"],
                include=[
                    "run",
                    "version",
                    "worker",
                    "by",
                    "rule",
                    "cause",
                    "confidence",
                    "failed",
                    "outcome",
                    "is_refused",
                    "should_be",
                ],
                name="route_counted",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} to {self.worker}"


class RouteCorrection(models.Model):
    """Somebody says where a request should have gone. Of several the newest counts."""

    decision = models.ForeignKey(RouteDecision, models.PROTECT, related_name="corrections")
    worker = models.CharField(max_length=60)
    note = models.TextField(default="", blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.decision_id}: {self.worker}"
