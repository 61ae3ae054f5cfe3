from typing import Any

from django.conf import settings
from django.db import models

from orchestrator.core.policy import guardrails


class Rule(models.Model):
    """A guardrail by name; what it says is in its versions."""

    slug = models.SlugField(max_length=100, unique=True)
    owner = models.CharField(max_length=100, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.slug


class RuleVersionQuerySet(models.QuerySet["RuleVersion"]):
    def active(self) -> "RuleVersionQuerySet":
        return self.filter(stage=RuleVersion.Stage.ACTIVE).select_related("rule")


class RuleVersion(models.Model):
    """One immutable wording of a rule. Only its stage moves: draft, backtested, shadow, active, retired."""

    class Stage(models.TextChoices):
        DRAFT = "draft"
        BACKTESTED = "backtested"
        SHADOW = "shadow"
        ACTIVE = "active"
        RETIRED = "retired"

    class Effect(models.TextChoices):
        BLOCK = "block", "Block"
        HOLD = "hold", "Hold for a person"
        TWO_PERSON = "two_person", "Hold for two people"
        FLAG = "flag", "Record only"

    rule = models.ForeignKey(Rule, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    title = models.CharField(max_length=200)
    stage = models.CharField(max_length=20, choices=Stage, default=Stage.DRAFT)
    effect = models.CharField(max_length=20, choices=Effect)
    applies_to = models.JSONField(default=dict)
    condition = models.TextField()
    message = models.TextField(default="")
    history = models.JSONField(default=dict)
    content_hash = models.CharField(max_length=71)
    env_hash = models.CharField(max_length=71)
    note = models.TextField(default="")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    activated_at = models.DateTimeField(null=True)

    objects = RuleVersionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rule", "number"], name="rule_version_number_unique"),
            models.UniqueConstraint(
                fields=["rule"],
                condition=models.Q(stage="active"),
                name="rule_version_one_active",
            ),
            models.CheckConstraint(
                name="rule_version_effect_known",
                condition=models.Q(effect__in=guardrails.EFFECTS),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule.slug} v{self.number}"

    @property
    def as_rule(self) -> guardrails.Rule:
        """The typed reader of this row, for the pure core."""
        scope: dict[str, Any] = self.applies_to
        return guardrails.Rule(
            version_id=self.pk,
            slug=self.rule.slug,
            number=self.number,
            effect=self.effect,
            condition=self.condition,
            message=self.message,
            actions=tuple(scope.get("actions", ["*"])),
            agents=tuple(scope.get("agents", ["*"])),
            workflows=tuple(scope.get("workflows", ["*"])),
            enforced=self.stage == self.Stage.ACTIVE,
        )
