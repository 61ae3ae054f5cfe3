"""What people said about review items, and why."""

from django.conf import settings
from django.db import models

from orchestrator.models.ids import IdField
from orchestrator.models.reviews import ReviewItem


class ReasonQuerySet(models.QuerySet["Reason"]):
    def offered(self) -> "ReasonQuerySet":
        return self.filter(retired_at=None).order_by("position", "code")


class Reason(models.Model):
    """Why something is rejected, edited or handed on. Retired, never deleted: old decisions name it."""

    code = models.SlugField(primary_key=True, max_length=40)
    label = models.CharField(max_length=80)
    # Where the words alone do not say it, a note has to.
    needs_note = models.BooleanField(default=False)
    position = models.PositiveSmallIntegerField(default=0)
    retired_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ReasonQuerySet.as_manager()

    def __str__(self) -> str:
        return self.label


class Batch(models.Model):
    """Several items decided with one click, so that one click can take them back."""

    id = IdField("bat")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="batches")
    verdict = models.CharField(max_length=20)
    reason = models.CharField(max_length=40, default="", blank=True)
    note = models.TextField(default="", blank=True)
    # Each item that was asked for, with what became of it: [[id, "decided" or why not], ...].
    outcomes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "batches"

    def __str__(self) -> str:
        return f"{self.id} {self.verdict}"


class Comment(models.Model):
    """What people say to each other about an item. Agents never see it."""

    id = IdField("cmt")
    item = models.ForeignKey(ReviewItem, models.PROTECT, related_name="comments")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="comments")
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.author} on {self.item_id}"


class Decision(models.Model):
    """What a person did, bound to the digest of exactly what they saw."""

    class Verdict(models.TextChoices):
        APPROVE = "approve", "Approved"
        REJECT = "reject", "Rejected"
        HAPPENED = "happened", "It happened"
        NOT_HAPPENED = "not_happened", "It did not happen"
        RETRY = "retry", "Run it again"
        GIVE_UP = "give_up", "Given up"
        EDIT = "edit", "Edited"
        RESPOND = "respond", "Sent back"

    id = IdField("dec")
    item = models.ForeignKey(ReviewItem, models.PROTECT, related_name="decisions")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="decisions")
    verdict = models.CharField(max_length=20, choices=Verdict)
    # A code of `Reason`: one that was retired since still says why.
    reason = models.CharField(max_length=40, default="", blank=True)
    note = models.TextField(default="", blank=True)
    payload_digest = models.CharField(max_length=71)
    item_version = models.PositiveIntegerField()
    # The state of the target that was shown, where its executor can look.
    target_digest = models.CharField(max_length=71, default="", blank=True)
    idempotency_key = models.CharField(max_length=255)
    batch = models.ForeignKey(Batch, models.PROTECT, null=True, related_name="decisions")
    # From taking the item to deciding it; null where several were decided with one click.
    handled_ms = models.PositiveIntegerField(null=True)
    # Until when it could be taken back, and whether it was. The only column that ever changes.
    undo_until = models.DateTimeField(null=True)
    undone_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # Two approvals are two people.
            models.UniqueConstraint(
                fields=["item", "reviewer"],
                condition=models.Q(undone_at=None),
                name="decision_one_per_reviewer_and_item",
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


class Certificate(models.Model):
    """What one approval rests on, in canonical bytes. Made in the transaction that releases the effect."""

    decision = models.OneToOneField(
        Decision, models.PROTECT, primary_key=True, related_name="certificate"
    )
    text = models.TextField()
    digest = models.CharField(max_length=71, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"certificate of {self.decision_id}"
