from django.conf import settings
from django.db import models
from django.utils import timezone

from orchestrator.models.ids import IdField
from orchestrator.models.journal import Command
from orchestrator.models.proposals import Proposal
from orchestrator.models.runs import Run


class ReviewItemQuerySet(models.QuerySet["ReviewItem"]):
    def waiting(self) -> "ReviewItemQuerySet":
        return self.filter(status=ReviewItem.Status.WAITING)


class ReviewItem(models.Model):
    """Something a person must look at. It closes once, by one decision or by its deadline."""

    class Kind(models.TextChoices):
        GUARDRAIL_FAILURE = "guardrail_failure", "Guardrail failure"
        ESCALATION = "escalation", "Escalation"
        APPROVAL = "approval", "Approval"
        UNKNOWN_EFFECT = "unknown_effect", "Outcome unknown"
        STUCK_COMMAND = "stuck_command", "Stuck work"
        RULE_CHANGE = "rule_change", "Rule change"

    # Of these kinds, silence until the deadline is a no that the sweeper says.
    EXPIRING = (Kind.GUARDRAIL_FAILURE, Kind.ESCALATION, Kind.RULE_CHANGE)

    class Status(models.TextChoices):
        WAITING = "waiting"
        DECIDED = "decided"
        EXPIRED = "expired"
        # The run ended while it was waiting, so there is nothing left to decide.
        WITHDRAWN = "withdrawn"

    id = IdField("rev")
    run = models.ForeignKey(Run, models.PROTECT, related_name="review_items")
    # What it is about: a proposal, a command that no worker survives, or a question the run asks.
    proposal = models.ForeignKey(Proposal, models.PROTECT, null=True, related_name="review_items")
    command = models.ForeignKey(Command, models.PROTECT, null=True, related_name="review_items")
    work = models.CharField(max_length=100, default="", blank=True)
    question = models.TextField(default="", blank=True)
    kind = models.CharField(max_length=30, choices=Kind)
    status = models.CharField(max_length=20, choices=Status, default=Status.WAITING)
    # Why it opened and why it closed are two questions, and stay two fields.
    opened_because = models.JSONField(default=list)
    closed_because = models.CharField(max_length=60, default="")
    # Every decision names the version it looked at; a change in between refuses it.
    version = models.PositiveIntegerField(default=1)
    priority = models.SmallIntegerField(default=0)
    approvals_needed = models.PositiveSmallIntegerField(default=1)
    holder = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="held_items"
    )
    lease_until = models.DateTimeField(null=True)
    # What nobody decided by then is a no. What became of an effect no silence can settle: such items stay.
    due_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True)

    objects = ReviewItemQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["proposal", "kind"],
                condition=models.Q(status="waiting"),
                name="review_item_one_open_per_kind",
            ),
            models.UniqueConstraint(
                fields=["command"],
                condition=models.Q(status="waiting"),
                name="review_item_one_open_per_command",
            ),
            models.CheckConstraint(
                name="review_item_is_about_something",
                condition=models.Q(
                    kind__in=["guardrail_failure", "escalation", "unknown_effect", "rule_change"],
                    proposal__isnull=False,
                )
                | models.Q(kind="stuck_command", command__isnull=False)
                | (models.Q(kind="approval") & ~models.Q(work="")),
            ),
            models.CheckConstraint(
                name="review_item_closed_has_time",
                condition=models.Q(status="waiting") | models.Q(closed_at__isnull=False),
            ),
        ]
        indexes = [
            # The queue page: most urgent first, paged by key.
            models.Index(
                fields=["-priority", "due_at", "id"],
                name="review_item_queue",
                condition=models.Q(status="waiting"),
            ),
            # engine.sweep: deadlines that passed.
            models.Index(
                fields=["due_at"],
                name="review_item_due",
                condition=models.Q(status="waiting"),
            ),
            # The top bar: how many were decided today.
            models.Index(fields=["closed_at"], name="review_item_closed"),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.kind} ({self.status})"

    @property
    def is_waiting(self) -> bool:
        return self.status == self.Status.WAITING

    @property
    def is_overdue(self) -> bool:
        return self.is_waiting and self.due_at <= timezone.now()


class Decision(models.Model):
    """What a person did, bound to the digest of exactly what they saw."""

    class Verdict(models.TextChoices):
        APPROVE = "approve", "Approved"
        REJECT = "reject", "Rejected"
        HAPPENED = "happened", "It happened"
        NOT_HAPPENED = "not_happened", "It did not happen"
        RETRY = "retry", "Run it again"
        GIVE_UP = "give_up", "Given up"

    class Reason(models.TextChoices):
        WRONG_TARGET = "wrong_target", "Wrong target"
        WRONG_VALUE = "wrong_value", "Wrong value"
        WRONG_ACTION = "wrong_action", "Wrong action"
        MISSING_EVIDENCE = "missing_evidence", "Missing evidence"
        POLICY_BREACH = "policy_breach", "Breaks a policy"
        WORDING = "wording", "Wording"
        DUPLICATE_OR_STALE = "duplicate_or_stale", "Duplicate or out of date"
        BAD_SOURCE_DATA = "bad_source_data", "Bad source data"
        SUSPECTED_INJECTION = "suspected_injection", "Suspected injection"
        OTHER = "other", "Other (say what)"

    id = IdField("dec")
    item = models.ForeignKey(ReviewItem, models.PROTECT, related_name="decisions")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="decisions")
    verdict = models.CharField(max_length=20, choices=Verdict)
    reason = models.CharField(max_length=40, choices=Reason, default="", blank=True)
    note = models.TextField(default="", blank=True)
    payload_digest = models.CharField(max_length=71)
    item_version = models.PositiveIntegerField()
    idempotency_key = models.CharField(max_length=255)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # Two approvals are two people.
            models.UniqueConstraint(
                fields=["item", "reviewer"], name="decision_one_per_reviewer_and_item"
            ),
            models.UniqueConstraint(
                fields=["reviewer", "idempotency_key"], name="decision_idempotency_key_unique"
            ),
            models.CheckConstraint(
                name="decision_reject_has_reason",
                condition=~models.Q(verdict="reject") | ~models.Q(reason=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} {self.item_id} by {self.reviewer}"
