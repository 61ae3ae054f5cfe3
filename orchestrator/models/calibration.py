"""What is known of one action of one agent version, and what it is trusted with because of it."""

from django.conf import settings
from django.db import models

from orchestrator.core.policy.terms import Scope
from orchestrator.core.statistics import calibration
from orchestrator.models.contracts import ContractVersion
from orchestrator.models.ids import IdField
from orchestrator.models.policies import EvaluationPolicy
from orchestrator.models.proposals import Proposal
from orchestrator.models.reviews import ReviewItem


class TrackRecord(models.Model):
    """One action of one agent version. Its figures are as of `checked_at`; judging reads this one row."""

    class Use(models.TextChoices):
        NEWEST = "newest", "The newest calibrator"
        PINNED = "pinned", "One that an admin chose"
        OFF = "off", "None"

    id = IdField("trk")
    agent = models.CharField(max_length=100)
    agent_version = models.CharField(max_length=100, default="", blank=True)
    action = models.CharField(max_length=100)
    # The calibrator in force, and who says which one that is.
    use = models.CharField(max_length=10, choices=Use, default=Use.NEWEST)
    calibrator = models.ForeignKey("Calibrator", models.PROTECT, null=True, related_name="+")
    # Of the newest drift. What was proposed before `counts_since` says nothing about what is proposed now.
    drifted_at = models.DateTimeField(null=True)
    drifted_because = models.TextField(default="", blank=True)
    counts_since = models.DateTimeField(null=True)
    # Verdicts came in since it was looked at last.
    is_due = models.BooleanField(default=True)
    checked_at = models.DateTimeField(null=True)
    # See core/statistics/calibration.py: what `Reliability` says, as JSON.
    reliability = models.JSONField(default=dict)
    # Of what it was let do by itself: how much that was, and the bound on the error among it.
    accepts = models.PositiveIntegerField(default=0)
    accepts_examined = models.PositiveIntegerField(default=0)
    accepts_wrong = models.PositiveIntegerField(default=0)
    accepts_error_at_most = models.FloatField(default=1.0)
    # The watch over errors: what it came to, by which calibrator, and the last label that it has seen.
    watch = models.JSONField(default=dict)
    watched_by = models.ForeignKey("Calibrator", models.PROTECT, null=True, related_name="+")
    watched_up_to = models.BigIntegerField(default=0)
    # The newest comparison of scores with those before.
    compared_at = models.DateTimeField(null=True)
    compared = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["agent", "agent_version", "action"], name="track_record_unique"
            ),
        ]
        indexes = [
            # engine.track_records: what is to be looked at again.
            models.Index(fields=["is_due", "checked_at"], name="track_record_due"),
        ]

    def __str__(self) -> str:
        return str(self.scope)

    @property
    def scope(self) -> Scope:
        return Scope(self.agent, self.agent_version, self.action)

    @property
    def scores(self) -> calibration.Reliability:
        """What scores meant, as of `checked_at`; of nothing until somebody has looked."""
        stored = self.reliability
        return calibration.Reliability.from_json(stored) if stored else calibration.reliability([])


class TrackedLabel(models.Model):
    """What people said of one proposal. Numbers grow in the order in which verdicts became known."""

    number = models.BigAutoField(primary_key=True)
    record = models.ForeignKey(TrackRecord, models.PROTECT, related_name="labels", db_index=False)
    proposal = models.OneToOneField(Proposal, models.PROTECT, related_name="tracked_label")
    # The agent's own confidence.
    score = models.FloatField(null=True)
    # Whether it should have run as it was proposed. None while two verdicts disagree.
    right = models.BooleanField(null=True)
    said_by = models.CharField(max_length=20, default="", blank=True)
    # With which it was put before people. None: a rule held it or somebody picked it, so that it
    # stands for nothing but itself.
    chance = models.FloatField(null=True)
    judged_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["record", "number"], name="tracked_label_by_record"),
            # engine.labels: up to when verdicts were taken in.
            models.Index(fields=["judged_at"], name="tracked_label_judged"),
        ]

    def __str__(self) -> str:
        return f"{self.proposal_id} {self.right}"


class Calibrator(models.Model):
    """What a stated confidence has meant so far. Immutable; fitted anew, it is another version."""

    record = models.ForeignKey(TrackRecord, models.PROTECT, related_name="calibrators")
    number = models.PositiveIntegerField()
    # Of its content: equal calibrators have equal versions.
    version = models.CharField(max_length=60)
    fitted = models.JSONField()
    labels = models.PositiveIntegerField()
    # The last label that it was fitted on.
    up_to = models.BigIntegerField()
    fitted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True)
    fitted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["record", "number"], name="calibrator_number_unique"),
        ]

    def __str__(self) -> str:
        return f"calibrator v{self.number} of {self.record}"

    @property
    def name(self) -> str:
        """As evaluations and certificates keep it."""
        return f"v{self.number} {self.version}"

    @property
    def steps(self) -> calibration.Calibrator:
        return calibration.Calibrator.from_json(self.fitted)


class ThresholdCertificate(models.Model):
    """From which score on one action of one agent version may run by itself, or that there is no such score.

    Immutable. The newest one of its scope, target and kind of score is in force until it is stale.
    """

    record = models.ForeignKey(TrackRecord, models.PROTECT, related_name="certificates")
    tier = models.CharField(max_length=20)
    target = models.FloatField()
    delta = models.FloatField()
    score = models.CharField(max_length=20, choices=EvaluationPolicy.Score)
    # What it rests on, beside the agent version: another contract or calibrator makes it stale.
    contract_version = models.ForeignKey(ContractVersion, models.PROTECT, null=True)
    calibrator = models.ForeignKey(Calibrator, models.PROTECT, null=True)
    # What was proposed from then on was looked at.
    since = models.DateTimeField()
    # None: no threshold qualifies.
    accept_above = models.FloatField(null=True)
    sentence = models.TextField()
    # Every threshold of the grid with what was found above it.
    tried = models.JSONField()
    labels = models.PositiveIntegerField()
    wrong = models.PositiveIntegerField()
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["record", "target", "score", "tier", "-id"], name="threshold_in_force"
            ),
        ]

    def __str__(self) -> str:
        return self.sentence


class Drift(models.Model):
    """Somebody who was known became somebody else: what was fitted and certified before holds no longer."""

    class Kind(models.TextChoices):
        SCORES = "scores", "Scores lie elsewhere"
        ERRORS = "errors", "More is wrong than was expected"

    record = models.ForeignKey(TrackRecord, models.PROTECT, related_name="drifts")
    kind = models.CharField(max_length=10, choices=Kind)
    sentence = models.TextField()
    # What it was measured by.
    detail = models.JSONField(default=dict)
    # From when on proposals count again.
    counts_since = models.DateTimeField()
    found_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.sentence


class StandDownQuerySet(models.QuerySet["StandDown"]):
    def standing(self) -> "StandDownQuerySet":
        return self.filter(lifted_at=None)


class StandDown(models.Model):
    """While it stands, one action of one agent version is let run by nobody but people."""

    id = IdField("std")
    record = models.ForeignKey(TrackRecord, models.PROTECT, related_name="stand_downs")
    opened_at = models.DateTimeField(auto_now_add=True)
    lifted_at = models.DateTimeField(null=True)
    # The person who allowed automatic accepting again; nobody, when all its causes fell away.
    lifted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True)
    lifted_because = models.TextField(default="", blank=True)

    objects = StandDownQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["record"],
                condition=models.Q(lifted_at__isnull=True),
                name="stand_down_one_stands",
            ),
        ]

    def __str__(self) -> str:
        return f"stand-down of {self.record}"


class StandDownCause(models.Model):
    """An automatic accept that an auditor would have rejected."""

    stand_down = models.ForeignKey(StandDown, models.PROTECT, related_name="causes")
    item = models.OneToOneField(ReviewItem, models.PROTECT, related_name="+")
    proposal = models.ForeignKey(Proposal, models.PROTECT, related_name="+", db_index=False)
    at = models.DateTimeField(auto_now_add=True)
    # A third person sided with what was done.
    withdrawn_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.item_id} {self.proposal_id}"
