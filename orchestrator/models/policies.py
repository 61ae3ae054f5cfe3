from django.conf import settings
from django.db import models

from orchestrator.core.policy import terms
from orchestrator.core.policy.evaluation import Bands


class EvaluationPolicyQuerySet(models.QuerySet["EvaluationPolicy"]):
    def active(self) -> "EvaluationPolicyQuerySet":
        return self.filter(stage=EvaluationPolicy.Stage.ACTIVE)

    def deciding(self, proposal: terms.Scope) -> "EvaluationPolicy | None":
        """The most specific one in force."""
        return terms.most_specific([(one.scope, one) for one in self.active()], proposal)


class EvaluationPolicy(models.Model):
    """One immutable version of the terms of one scope. Only its stage moves, as with rules."""

    class Stage(models.TextChoices):
        DRAFT = "draft"
        BACKTESTED = "backtested"
        ACTIVE = "active"
        RETIRED = "retired"

    class Score(models.TextChoices):
        STATED = terms.STATED, "The agent's stated confidence"
        CALIBRATED = terms.CALIBRATED, "The calibrated confidence"

    # Counts the versions of all scopes, so that a number alone says which terms were in force.
    number = models.PositiveIntegerField(unique=True)
    # The scope: what is empty fits everything.
    agent = models.CharField(max_length=100, default="", blank=True)
    agent_version = models.CharField(max_length=100, default="", blank=True)
    action = models.CharField(max_length=100, default="", blank=True)
    tier = models.CharField(max_length=20, default="", blank=True)
    stage = models.CharField(max_length=20, choices=Stage, default=Stage.DRAFT)
    accept_above = models.FloatField()
    escalate_at_or_below = models.FloatField()
    score = models.CharField(max_length=20, choices=Score, default=Score.STATED)
    target_error = models.FloatField(null=True, blank=True)
    # See core/policy/terms.py.
    validators = models.JSONField(default=list, blank=True)
    content_hash = models.CharField(max_length=71, default="")
    note = models.TextField(default="", blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    # Since when it last decides.
    activated_at = models.DateTimeField(null=True)

    objects = EvaluationPolicyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["agent", "agent_version", "action", "tier"],
                condition=models.Q(stage="active"),
                name="evaluation_policy_one_active",
            ),
            models.CheckConstraint(
                name="evaluation_policy_bands_ordered",
                condition=models.Q(
                    escalate_at_or_below__gte=0,
                    escalate_at_or_below__lt=models.F("accept_above"),
                    accept_above__lte=1,
                ),
            ),
            models.CheckConstraint(
                name="evaluation_policy_target_is_share",
                condition=models.Q(target_error=None)
                | models.Q(target_error__gt=0, target_error__lt=1),
            ),
        ]

    def __str__(self) -> str:
        scope = f" for {self.scope}" if self.scope.named else ""
        return f"evaluation policy v{self.number}{scope}"

    @property
    def scope(self) -> terms.Scope:
        return terms.Scope(self.agent, self.agent_version, self.action, self.tier)

    @property
    def bands(self) -> Bands:
        return Bands(self.accept_above, self.escalate_at_or_below)

    @property
    def terms(self) -> terms.Terms:
        """The typed reader of this row, for the pure core."""
        return terms.Terms(
            bands=self.bands,
            score=self.score,
            target_error=self.target_error,
            validators=tuple(terms.Validator.from_json(one) for one in self.validators),
        )

    @property
    def digest(self) -> str:
        """Of what it says. Computed, because the first versions are older than the column."""
        return terms.content_hash(self.scope, self.terms)
