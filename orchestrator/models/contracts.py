from typing import Any

from django.conf import settings
from django.db import models

from orchestrator.core.codec import read


class Contract(models.Model):
    """What events, arguments of an action, or outputs of an agent of one name look like."""

    class Kind(models.TextChoices):
        EVENT = "event", "Event"
        ACTION = "action", "Action"
        OUTPUT = "output", "Agent output"

    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "name"], name="contract_name_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class ContractVersion(models.Model):
    """One immutable version. The newest is in force; events may name an older one."""

    class Idempotency(models.TextChoices):
        """Of actions: whether a call that may have happened may be made again. Events count once anyway."""

        REQUIRED = "required", "A second call with the same key does no harm"
        NONE = "none", "Every call counts"

    class Tier(models.TextChoices):
        LOW = "low", "Low risk"
        NORMAL = "normal", "Normal risk"
        HIGH = "high", "High risk"

    contract = models.ForeignKey(Contract, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    description = models.CharField(max_length=500, default="", blank=True)
    owner = models.CharField(max_length=100, default="", blank=True)
    # JSON Schema 2020-12 in canonical form.
    schema = models.TextField()
    # How long after its time an event is still worth handling; how long an action's target may take.
    timeout_s = models.PositiveIntegerField()
    idempotency = models.CharField(max_length=10, choices=Idempotency, default=Idempotency.REQUIRED)
    tier = models.CharField(max_length=10, choices=Tier, default=Tier.NORMAL)
    # JSON pointers into the value, whose values are hidden before checks are stored.
    masked = models.JSONField(default=list, blank=True)
    # Of 10,000 events, how many may end in failure before the budget is spent.
    error_budget_bp = models.PositiveIntegerField(default=100)
    # Of actions, how people meet them: `core/policy/display.py` says what it may hold.
    review = models.JSONField(default=dict, blank=True)
    content_hash = models.CharField(max_length=71)
    note = models.TextField(default="", blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["contract", "number"], name="contract_version_number_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.contract} v{self.number}"

    @property
    def parsed(self) -> dict[str, Any]:
        found = read(self.schema)
        return found if isinstance(found, dict) else {}
