from django.db import models

from orchestrator.models.decisions import Decision
from orchestrator.models.ids import IdField
from orchestrator.models.proposals import Disposition, Proposal
from orchestrator.models.tools import ToolVersion


class Effect(models.Model):
    """The execution of an accepted proposal: its id is the transaction id, its key makes a repeat harmless."""

    class Status(models.TextChoices):
        PENDING = "pending", "Waiting to run"
        CALLING = "calling", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        UNKNOWN = "unknown", "Outcome unknown"
        # Its approval was taken back before it ran; approving again puts it back to pending.
        WITHDRAWN = "withdrawn", "Taken back"
        UNDOING = "undoing", "Being rolled back"
        UNDONE = "undone", "Rolled back"

    id = IdField("eff")
    proposal = models.OneToOneField(Proposal, models.PROTECT, related_name="effect")
    payload_digest = models.CharField(max_length=71)
    # What allowed it: a disposition by policy, or a decision by a person. Never neither.
    disposition = models.OneToOneField(Disposition, models.PROTECT, null=True)
    decision = models.OneToOneField(Decision, models.PROTECT, null=True)
    executor = models.CharField(max_length=60)
    # Of a tool: as it stood when this was allowed, and approved. Another wording is not called for it.
    tool_version = models.ForeignKey(ToolVersion, models.PROTECT, null=True, related_name="+")
    idempotency_key = models.CharField(max_length=120, unique=True)
    status = models.CharField(max_length=20, choices=Status, default=Status.PENDING)
    # A call ended without an answer; without a receipt the outcome can then only be unknown.
    may_have_happened = models.BooleanField(default=False)
    receipt = models.JSONField(null=True)
    error = models.JSONField(null=True)
    # What undoing it left behind; the receipt of doing it stays.
    undo_receipt = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    called_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="effect_was_allowed",
                condition=models.Q(disposition__isnull=False) | models.Q(decision__isnull=False),
            ),
            models.CheckConstraint(
                name="effect_done_has_receipt",
                condition=~models.Q(status="done") | models.Q(receipt__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} ({self.status})"


class LedgerEntry(models.Model):
    """The built-in target of effects, standing where another system would be.

    It knows nothing of proposals: it takes a key and a payload, and keeps the first of each key.
    """

    id = models.BigAutoField(primary_key=True)
    key = models.CharField(max_length=120, unique=True)
    target = models.CharField(max_length=500, default="", blank=True)
    payload = models.TextField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "ledger entries"
        indexes = [
            # What has been done to one target, newest first.
            models.Index(fields=["target", "-id"], name="ledger_by_target"),
        ]

    def __str__(self) -> str:
        return self.key
