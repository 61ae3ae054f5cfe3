from django.conf import settings
from django.db import models

from orchestrator.models.tokens import ApiToken


class AuditEntry(models.Model):
    """Who did what, when and why; written in the transaction that did it. Append-only by trigger."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(auto_now_add=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True)
    token = models.ForeignKey(ApiToken, models.PROTECT, null=True)
    verb = models.CharField(max_length=60)
    object_id = models.CharField(max_length=120)
    detail = models.JSONField(default=dict)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            # The history of one object, newest first.
            models.Index(fields=["object_id", "-id"], name="audit_by_object"),
            # The filters of the audit log, for what is rare as well.
            models.Index(fields=["verb", "-id"], name="audit_by_verb"),
            models.Index(fields=["user", "-id"], name="audit_by_user"),
            models.Index(fields=["token", "-id"], name="audit_by_token"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.object_id}"

    @property
    def actor(self) -> str:
        """As shown to people: the person, the token with its owner, or the system itself."""
        if self.token:
            return f"{self.token.name} ({self.token.owner.get_username()})"
        return self.user.get_username() if self.user else "Countersign"
