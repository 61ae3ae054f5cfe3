from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone


class ApiToken(models.Model):
    """A key for programs. Only its hash is kept; it acts as its owner, within its scopes."""

    PREFIX_LENGTH: ClassVar[int] = 10

    prefix = models.CharField(max_length=PREFIX_LENGTH, unique=True)
    secret_hash = models.CharField(max_length=64)
    name = models.CharField(max_length=100)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="api_tokens")
    scopes = ArrayField(models.CharField(max_length=20))
    # The agents it may speak for; empty is any.
    agents = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.name} (cs_{self.prefix}_…)"

    @property
    def state(self) -> str:
        """Why it opens nothing, or “good”."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= timezone.now():
            return "expired"
        return "good" if self.owner.is_active else "owner switched off"

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "admin" in self.scopes

    def may_speak_for(self, agent: str) -> bool:
        return not self.agents or agent in self.agents


class IdempotencyRecord(models.Model):
    """The answer that was given to a key, so that a retry is given the same."""

    token = models.ForeignKey(ApiToken, models.CASCADE)
    key = models.CharField(max_length=255)
    request_hash = models.CharField(max_length=71)
    status = models.PositiveSmallIntegerField()
    location = models.CharField(max_length=200, default="")
    body = models.TextField()
    created_at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["token", "key"], name="idempotency_record_unique"),
        ]

    def __str__(self) -> str:
        return self.key
