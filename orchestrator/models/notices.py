"""What people and other systems are told: lines behind the bell, mails, and calls of webhooks."""

import secrets
from typing import ClassVar
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from orchestrator.models.ids import IdField
from orchestrator.models.reviews import ReviewItem
from orchestrator.models.teams import Team


class NoticeKind(models.TextChoices):
    ITEM_OPENED = "item_opened", "Something waits for a decision"
    ITEM_EXPIRED = "item_expired", "Nobody decided in time"
    ITEM_ESCALATED = "item_escalated", "Something is escalated"
    ITEM_ASSIGNED = "item_assigned", "Something is assigned"
    MENTIONED = "mentioned", "Somebody is mentioned"
    DECIDED = "decided", "Something is decided"
    SNOOZE_OVER = "snooze_over", "A snooze is over"
    ADJUDICATION = "adjudication", "Two verdicts disagree"
    STOOD_DOWN = "stood_down", "Automatic accepting stands down"


class NoticeQuerySet(models.QuerySet["Notice"]):
    def unread(self) -> "NoticeQuerySet":
        return self.filter(read_at=None)


class Notice(models.Model):
    """One line behind the bell of one person."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="notices", db_index=False
    )
    kind = models.CharField(max_length=20, choices=NoticeKind)
    text = models.CharField(max_length=500)
    item = models.ForeignKey(
        ReviewItem, models.PROTECT, null=True, related_name="+", db_index=False
    )
    read_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    objects = NoticeQuerySet.as_manager()

    class Meta:
        indexes = [
            # The list of one person, newest first.
            models.Index(fields=["user", "-id"], name="notice_by_user"),
            # The bell, on every page.
            models.Index(
                fields=["user"], name="notice_unread", condition=models.Q(read_at__isnull=True)
            ),
            # engine.sweep: what is old enough to forget.
            models.Index(fields=["created_at"], name="notice_by_age"),
        ]

    def __str__(self) -> str:
        return self.text


class NoticeChoice(models.Model):
    """How one person wants to hear of one kind. Without a row, the kind's default counts."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="notice_choices", db_index=False
    )
    kind = models.CharField(max_length=20, choices=NoticeKind)
    in_app = models.BooleanField()
    email = models.BooleanField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "kind"], name="notice_choice_unique"),
        ]
        indexes = [
            # engine.notices: whoever chose to hear of every item of a kind.
            models.Index(fields=["kind"], name="notice_choice_by_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.user} {self.kind}"


class NoticeAddress(models.Model):
    """Where mail for one person goes. Signing in knows nothing of it, so nothing can be recovered by it."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.PROTECT, primary_key=True, related_name="notice_address"
    )
    address = models.EmailField()

    def __str__(self) -> str:
        return self.address


class WeeklyReport(models.Model):
    """Whether one person wants the report of each week by mail, and which they were sent last."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.PROTECT, primary_key=True, related_name="weekly_report"
    )
    is_wanted = models.BooleanField()
    # The Monday on which that week began. It stays when they want no more, so that none comes twice.
    sent_for = models.DateField(null=True)

    def __str__(self) -> str:
        return f"{self.user} {self.sent_for}"


def new_salt() -> str:
    return secrets.token_hex(32)


class WebhookEndpoint(models.Model):
    """Another system that is told. Its address may itself be a secret, as those of chat tools are."""

    id = IdField("whk")
    name = models.CharField(max_length=100)
    url = models.CharField(max_length=2_000)
    # The secret is made of this and of SECRET_KEY, so a copy of the database cannot sign.
    salt = models.CharField(max_length=64, default=new_salt)
    kinds = ArrayField(models.CharField(max_length=20, choices=NoticeKind))
    # Of which team's items; none means of all.
    team = models.ForeignKey(Team, models.PROTECT, null=True, related_name="+", db_index=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(db_default=Now())
    disabled_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=500, default="", blank=True)
    # How often in a row it could not be reached, and until when it is left alone for it.
    failures = models.PositiveIntegerField(default=0)
    rests_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name

    @property
    def host(self) -> str:
        """All of its address that anybody is shown."""
        return urlsplit(self.url).hostname or ""


class Delivery(models.Model):
    """One message on its way out of Countersign: held by a lease, tried again until it is too late."""

    ERROR_LENGTH_MAX: ClassVar[int] = 500
    # No kind of notice: an admin asks whether an endpoint can be reached, a person whether mail comes.
    TEST: ClassVar[str] = "test"
    # A letter of its own, which goes alone.
    WEEKLY_REPORT: ClassVar[str] = "weekly_report"

    class Channel(models.TextChoices):
        EMAIL = "email", "Email"
        WEBHOOK = "webhook", "Webhook"

    class Status(models.TextChoices):
        PENDING = "pending"
        DONE = "done"
        FAILED = "failed"

    id = IdField("dlv")
    channel = models.CharField(max_length=10, choices=Channel)
    kind = models.CharField(max_length=20)
    endpoint = models.ForeignKey(
        WebhookEndpoint, models.PROTECT, null=True, related_name="deliveries", db_index=False
    )
    # Of a mail its recipient, of a webhook its host alone: the rest of the address may be a secret.
    address = models.CharField(max_length=320)
    # JSON, byte for byte what a webhook is sent.
    body = models.TextField()
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    tries = models.PositiveIntegerField(default=0)
    not_before = models.DateTimeField(db_default=Now())
    # Until when it is tried again.
    ends_at = models.DateTimeField()
    # Grows with each claim; whoever holds an older one changes nothing.
    token = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    error = models.CharField(max_length=ERROR_LENGTH_MAX, default="", blank=True)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.CheckConstraint(
                name="delivery_has_a_way",
                condition=models.Q(channel="email", endpoint__isnull=True)
                | models.Q(channel="webhook", endpoint__isnull=False),
            ),
        ]
        indexes = [
            # engine.deliveries: what is to be sent next.
            models.Index(
                fields=["not_before", "id"],
                name="delivery_next",
                condition=models.Q(status="pending"),
            ),
            # engine.deliveries: mails to one person, which go together.
            models.Index(
                fields=["channel", "address", "id"],
                name="delivery_to_same",
                condition=models.Q(status="pending"),
            ),
            # The page of an endpoint: its newest.
            models.Index(fields=["endpoint", "-id"], name="delivery_by_endpoint"),
            # engine.sweep: what is old enough to forget.
            models.Index(
                fields=["finished_at"],
                name="delivery_by_age",
                condition=models.Q(finished_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.kind} by {self.channel} ({self.status})"
