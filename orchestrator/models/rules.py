from typing import Any, cast

from django.conf import settings
from django.db import models

from orchestrator.core.policy import guardrails
from orchestrator.models.ids import IdField
from orchestrator.models.policies import EvaluationPolicy


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

    def asked(self) -> "RuleVersionQuerySet":
        """What every proposal is put to: active versions decide, shadow versions only watch."""
        stages = (RuleVersion.Stage.ACTIVE, RuleVersion.Stage.SHADOW)
        return self.filter(stage__in=stages).select_related("rule")


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
    # Windows over the recent past, by name: see core/policy/history.py.
    history = models.JSONField(default=dict)
    content_hash = models.CharField(max_length=71)
    env_hash = models.CharField(max_length=71)
    note = models.TextField(default="")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    # Since when it watches, and since when it last decides.
    shadowed_at = models.DateTimeField(null=True)
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
            models.UniqueConstraint(
                fields=["rule"],
                condition=models.Q(stage="shadow"),
                name="rule_version_one_shadow",
            ),
            models.CheckConstraint(
                name="rule_version_effect_known",
                condition=models.Q(effect__in=guardrails.EFFECTS),
            ),
        ]
        indexes = [
            # Asked for every proposal: the few versions that are in force.
            models.Index(
                fields=["stage"],
                name="rule_version_asked",
                condition=models.Q(stage__in=["active", "shadow"]),
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
            tiers=tuple(scope.get("tiers", ["*"])),
            history=self.history,
            enforced=self.stage == self.Stage.ACTIVE,
        )


class Backtest(models.Model):
    """A version of a rule or of a policy, asked about recorded proposals. A job: it has progress and can be cancelled."""

    class Status(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        CANCELLED = "cancelled"
        FAILED = "failed"

    ENDED = (Status.DONE, Status.CANCELLED, Status.FAILED)

    id = IdField("bkt")
    # One of the two.
    version = models.ForeignKey(RuleVersion, models.PROTECT, null=True, related_name="backtests")
    policy = models.ForeignKey(
        EvaluationPolicy, models.PROTECT, null=True, related_name="backtests"
    )
    # What a rule is compared with: the version that was active when it began. A policy is compared with
    # what was decided then.
    against = models.ForeignKey(RuleVersion, models.PROTECT, null=True, related_name="+")
    # What it looked at: the newest `proposals_max` of this window.
    since = models.DateTimeField()
    until = models.DateTimeField()
    proposals_max = models.PositiveIntegerField()
    content_hash = models.CharField(max_length=71, help_text="of the version it tested")
    status = models.CharField(max_length=20, choices=Status, default=Status.WAITING)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(null=True)
    # Where a worker that takes over goes on: everything up to this proposal is in `counts`.
    cursor = models.CharField(max_length=30, default="")
    counts = models.JSONField(default=dict)
    error = models.TextField(default="")
    cancel_asked = models.BooleanField(default=False)
    fence = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["version", "-id"], name="backtest_of_version"),
            models.Index(
                fields=["policy", "-id"],
                name="backtest_of_policy",
                condition=models.Q(policy__isnull=False),
            ),
            # engine.backtest: what waits for a worker, or was left by one that died.
            models.Index(
                fields=["id"],
                name="backtest_open",
                condition=models.Q(status__in=["waiting", "running"]),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="backtest_is_about_one_thing",
                condition=models.Q(version=None) ^ models.Q(policy=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.status}"

    @property
    def tested(self) -> RuleVersion | EvaluationPolicy:
        return cast(RuleVersion | EvaluationPolicy, self.version or self.policy)

    @property
    def rule_version(self) -> RuleVersion:
        """For whoever knows that it tests a rule."""
        return cast(RuleVersion, self.version)

    @property
    def tested_policy(self) -> EvaluationPolicy:
        """For whoever knows that it tests a policy."""
        return cast(EvaluationPolicy, self.policy)

    @property
    def has_ended(self) -> bool:
        return self.status in self.ENDED


class BacktestFlip(models.Model):
    """A recorded proposal about which the tested version says something else than what it is compared with."""

    class Human(models.TextChoices):
        APPROVED = "approved"
        REJECTED = "rejected"
        UNKNOWN = "unknown"

    backtest = models.ForeignKey(Backtest, models.CASCADE, related_name="flips")
    proposal = models.ForeignKey("orchestrator.Proposal", models.PROTECT, related_name="+")
    before = models.CharField(max_length=10)
    after = models.CharField(max_length=10)
    human = models.CharField(max_length=10, choices=Human)
    reason = models.TextField(default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["backtest", "proposal"], name="backtest_flip_once_per_proposal"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.proposal_id}: {self.before} to {self.after}"
