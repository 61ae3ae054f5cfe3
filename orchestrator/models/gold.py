"""What people settled, and what the next auditors are tried on."""

from django.conf import settings
from django.db import models

from orchestrator.models.proposals import Proposal
from orchestrator.models.reviews import ReviewItem


class GoldItem(models.Model):
    """A settled proposal with its answer. Taken back, never deleted: results rest on it."""

    proposal = models.ForeignKey(Proposal, models.PROTECT, related_name="gold_items")
    should_run = models.BooleanField()
    # Who settled it: a third person, an auditor, the queue.
    said_by = models.CharField(max_length=20)
    # For whoever said otherwise.
    why = models.TextField()
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="gold_items_added"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    retired_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="gold_items_retired"
    )
    retired_at = models.DateTimeField(null=True)
    retired_why = models.TextField(default="", blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["proposal"],
                condition=models.Q(retired_at=None),
                name="gold_item_one_per_proposal",
            ),
        ]
        indexes = [
            # actions.gold: what is in use, to choose from.
            models.Index(
                fields=["id"], name="gold_item_in_use", condition=models.Q(retired_at=None)
            ),
        ]

    def __str__(self) -> str:
        return f"gold: {self.proposal_id}"


class GoldLook(models.Model):
    """Who was handed which, under which item: nobody is tried on the same one twice."""

    gold = models.ForeignKey(GoldItem, models.PROTECT, related_name="looks")
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="gold_looks"
    )
    item = models.OneToOneField(ReviewItem, models.PROTECT, related_name="gold_look")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["gold", "reviewer"], name="gold_look_once"),
        ]

    def __str__(self) -> str:
        return f"{self.reviewer} at {self.gold}"
