"""Counters of the reports, by UTC day. `engine/rollups.py` recounts a day whenever something in it changed.

A proposal belongs to the day on which it came, which its key tells; what people did belongs to the day
on which they did it. Nothing else is known here that could not be counted again.
"""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from orchestrator.models.proposals import Proposal
from orchestrator.models.rules import RuleVersion


def _amount() -> "models.DecimalField[int, int]":
    """A sum in minor units of the segment's currency: larger than any one whole number may be."""
    return models.DecimalField(max_digits=38, decimal_places=0, default=0)


# Of what was disposed of before chances were stored, and therefore a sample of its own.
UNKNOWN_CHANCE = -1


class ChangedDay(models.Model):
    """A mark that something in a day changed. Triggers make it in the transaction of the change.

    So it appears together with what it tells of, and nothing is missed however late that commits.
    """

    id = models.BigAutoField(primary_key=True)
    day = models.DateField()
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.day} since {self.at}"


class Segment(models.Model):
    """What proposals are told apart by in reports. Of work that is about no proposal, most is empty.

    One without a workflow is everything together, in its currency: most people want to see that, and a
    report that narrows nothing reads a few lines of it.
    """

    id = models.AutoField(primary_key=True)
    workflow = models.CharField(max_length=100)
    agent = models.CharField(max_length=100)
    agent_version = models.CharField(max_length=100)
    model = models.CharField(max_length=200)
    action = models.CharField(max_length=100)
    tier = models.CharField(max_length=10)
    # ISO 4217, where the contract of the action names an amount.
    currency = models.CharField(max_length=3)
    # When the first of it was proposed; null of what never proposed.
    first_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "agent",
                    "agent_version",
                    "action",
                    "workflow",
                    "model",
                    "tier",
                    "currency",
                ],
                name="segment_unique",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent} {self.agent_version} {self.action} {self.currency}"


class ProposalDay(models.Model):
    """What became of the proposals of a day, as it is known now."""

    pk = models.CompositePrimaryKey("segment", "day", "disposition", "status", "edited", "chance")
    day = models.DateField()
    segment = models.ForeignKey(Segment, models.PROTECT, db_index=False)
    disposition = models.CharField(max_length=20)
    status = models.CharField(max_length=20)
    # A person wrote it.
    edited = models.BooleanField()
    # With which it could be drawn for an audit; 0 where it could not.
    chance = models.FloatField()
    proposals = models.PositiveIntegerField()
    amount = _amount()

    class Meta:
        # engine.rollups: the lines of a day.
        indexes = [models.Index(fields=["day"], name="proposal_day_day")]

    def __str__(self) -> str:
        return f"{self.day} {self.segment_id} {self.disposition} {self.status}"


class RuleDay(models.Model):
    """What versions of rules did not let pass of the proposals of a day, and what people said of it."""

    pk = models.CompositePrimaryKey(
        "segment",
        "day",
        "rule_version",
        "enforced",
        "result",
        "disposition",
        "status",
        "edited",
        "said",
    )
    day = models.DateField()
    segment = models.ForeignKey(Segment, models.PROTECT, db_index=False)
    rule_version = models.ForeignKey(RuleVersion, models.PROTECT, db_index=False)
    enforced = models.BooleanField()
    result = models.CharField(max_length=10)
    disposition = models.CharField(max_length=20)
    status = models.CharField(max_length=20)
    edited = models.BooleanField()
    # The last verdict in the queue; empty where nobody has decided.
    said = models.CharField(max_length=20)
    proposals = models.PositiveIntegerField()
    amount = _amount()
    # In the queue, about these proposals.
    decisions = models.PositiveIntegerField()
    measured = models.PositiveIntegerField()
    handled_ms = models.BigIntegerField()

    class Meta:
        # engine.rollups: the lines of a day.
        indexes = [models.Index(fields=["day"], name="rule_day_day")]

    def __str__(self) -> str:
        return f"{self.day} {self.rule_version_id} {self.result}"


class ScoreDay(models.Model):
    """How the scores of the proposals of a day lie, in hundredths, and what people found."""

    pk = models.CompositePrimaryKey("segment", "day", "disposition", "bin")
    day = models.DateField()
    segment = models.ForeignKey(Segment, models.PROTECT, db_index=False)
    disposition = models.CharField(max_length=20)
    # 7 holds scores over 0.07 up to and with 0.08; 0 holds 0, too; -1 is no score from 0 to 1.
    bin = models.SmallIntegerField()
    proposals = models.PositiveIntegerField()
    right = models.PositiveIntegerField()
    wrong = models.PositiveIntegerField()

    class Meta:
        # engine.rollups: the lines of a day.
        indexes = [models.Index(fields=["day"], name="score_day_day")]

    def __str__(self) -> str:
        return f"{self.day} {self.segment_id} {self.bin}"


class Label(models.Model):
    """What people say of a proposal: the strongest verdict that is not in dispute."""

    proposal = models.OneToOneField(
        Proposal, models.PROTECT, primary_key=True, related_name="label"
    )
    day = models.DateField()
    segment = models.ForeignKey(Segment, models.PROTECT, db_index=False)
    disposition = models.CharField(max_length=20)
    # As its agent said it, which is what is calibrated; `ScoreDay` has what the bands made of it.
    confidence = models.FloatField(null=True)
    should_run = models.BooleanField()
    # With which it came before people; 0 where somebody picked it.
    chance = models.FloatField()
    # review, audit or adjudication.
    said_by = models.CharField(max_length=20)

    class Meta:
        indexes = [
            # engine.rollups: the labels of a day; report_queries.agents: those of one agent version.
            models.Index(fields=["day", "segment"], name="label_by_day"),
            models.Index(fields=["segment", "-proposal"], name="label_by_segment"),
        ]

    def __str__(self) -> str:
        return f"{self.proposal_id} {self.should_run}"


class AuditDay(models.Model):
    """What chance drew of the proposals of a day, and what came of it."""

    pk = models.CompositePrimaryKey("segment", "day", "disposition", "chance", "outcome")
    day = models.DateField()
    segment = models.ForeignKey(Segment, models.PROTECT, db_index=False)
    disposition = models.CharField(max_length=20)
    chance = models.FloatField()
    # right, wrong, disputed, unsettled, open, expired.
    outcome = models.CharField(max_length=20)
    items = models.PositiveIntegerField()

    class Meta:
        # engine.rollups: the lines of a day.
        indexes = [models.Index(fields=["day"], name="audit_day_day")]

    def __str__(self) -> str:
        return f"{self.day} {self.segment_id} {self.outcome}"


class ItemDay(models.Model):
    """What was put before people on a day, and what left them on that day."""

    pk = models.CompositePrimaryKey("segment", "day", "kind", "happened", "bucket")
    day = models.DateField()
    segment = models.ForeignKey(Segment, models.PROTECT, db_index=False)
    kind = models.CharField(max_length=30)
    # opened, decided, late (decided after its deadline), expired, withdrawn.
    happened = models.CharField(max_length=20)
    # How long it had waited, see `core/statistics/buckets.py`; -1 of what opened.
    bucket = models.SmallIntegerField()
    items = models.PositiveIntegerField()

    class Meta:
        # engine.rollups: the lines of a day.
        indexes = [models.Index(fields=["day"], name="item_day_day")]

    def __str__(self) -> str:
        return f"{self.day} {self.kind} {self.happened}"


class ReviewerDay(models.Model):
    """What one person decided on a day, and did not take back."""

    pk = models.CompositePrimaryKey("segment", "day", "reviewer", "kind", "verdict", "bucket")
    day = models.DateField()
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False
    )
    segment = models.ForeignKey(Segment, models.PROTECT, db_index=False)
    kind = models.CharField(max_length=30)
    verdict = models.CharField(max_length=20)
    # From taking it to deciding; -1 where that was not measured.
    bucket = models.SmallIntegerField()
    decisions = models.PositiveIntegerField()
    handled_ms = models.BigIntegerField()

    class Meta:
        # engine.rollups: the lines of a day.
        indexes = [models.Index(fields=["day"], name="reviewer_day_day")]

    def __str__(self) -> str:
        return f"{self.day} {self.reviewer_id} {self.verdict}"


class CallDay(models.Model):
    """What agents were called for inside runs that began on a day and have ended."""

    pk = models.CompositePrimaryKey("segment", "day")
    day = models.DateField()
    segment = models.ForeignKey(Segment, models.PROTECT, db_index=False)
    calls = models.PositiveIntegerField()
    failed = models.PositiveIntegerField()
    # About which neither tokens nor money were reported.
    unknown = models.PositiveIntegerField()
    tokens_in = models.BigIntegerField()
    tokens_out = models.BigIntegerField()
    money_micros = models.BigIntegerField()
    # What they cost nobody knows: these, and whatever was told without a price.
    unpriced = models.PositiveIntegerField(db_default=0)
    # How long they took together, and how many were over within 1, 5, 15 and 60 seconds.
    took_ms = models.BigIntegerField(db_default=0)
    within_1s = models.PositiveIntegerField(db_default=0)
    within_5s = models.PositiveIntegerField(db_default=0)
    within_15s = models.PositiveIntegerField(db_default=0)
    within_60s = models.PositiveIntegerField(db_default=0)

    class Meta:
        # engine.rollups: the lines of a day.
        indexes = [models.Index(fields=["day"], name="call_day_day")]

    def __str__(self) -> str:
        return f"{self.day} {self.segment_id}"
