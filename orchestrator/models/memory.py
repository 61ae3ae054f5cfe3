"""Shared memory: what agents told each other through it, and who was handed what."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Now

from orchestrator.core.codec import Json, read
from orchestrator.models.ids import IdField
from orchestrator.models.runs import Run


class ObservationQuerySet(models.QuerySet["Observation"]):
    def live(self) -> "ObservationQuerySet":
        return self.filter(revoked_at=None, expires_at__gt=Now())


class Observation(models.Model):
    """One value that an agent's answer brought into a memory. It never changes; it expires, or is revoked.

    Of several with one key the newest live one counts that carries all tags of the others: whoever may
    not write a tag can hide nothing that carries it.
    """

    class Status(models.TextChoices):
        LIVE = "live", "Live"
        EXPIRED = "expired", "Expired"
        REVOKED = "revoked", "Revoked"

    id = IdField("obs")
    # The name of a shared memory, or the run at the top of the family whose own memory it is.
    space = models.CharField(max_length=60, db_collation="C")
    key = models.CharField(max_length=200)
    # Canonical JSON; `digest` is over these bytes.
    value = models.TextField()
    digest = models.CharField(max_length=71)
    tags = ArrayField(models.CharField(max_length=60))
    # Both by the database's clock.
    at = models.DateTimeField()
    expires_at = models.DateTimeField()
    # Where it came from: the event of this run that carries it, and whose answer that was.
    run = models.ForeignKey(Run, models.PROTECT, related_name="observations", db_index=False)
    seq = models.PositiveIntegerField()
    work = models.CharField(max_length=60)
    index = models.PositiveIntegerField(default=0)
    attempt = models.PositiveIntegerField(default=1)
    agent = models.CharField(max_length=100, default="", blank=True)
    agent_version = models.CharField(max_length=100, default="", blank=True)
    # Whoever wrote it had read what came from outside: results of tools, or what was tainted itself.
    tainted = models.BooleanField(default=False)
    # The classes of data of whoever wrote it; without any nobody said, and everybody may be handed it.
    classes = ArrayField(models.CharField(max_length=40), default=list, db_default=[])
    revoked_at = models.DateTimeField(null=True)
    # Nobody, where it was written by a call that had read what was revoked meanwhile.
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", db_index=False
    )
    revoked_why = models.TextField(default="", blank=True)

    objects = ObservationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="observation_has_tags", condition=models.Q(tags__len__gte=1)
            ),
            models.CheckConstraint(
                name="observation_lives", condition=models.Q(expires_at__gt=models.F("at"))
            ),
            models.CheckConstraint(
                name="observation_revoked_with_reason",
                condition=models.Q(revoked_at__isnull=True) | ~models.Q(revoked_why=""),
            ),
        ]
        indexes = [
            # engine.observations: what lives, however much has expired and is kept as evidence.
            models.Index(
                fields=["space", "expires_at"],
                name="observation_of_space",
                condition=models.Q(revoked_at__isnull=True),
            ),
            # engine.observations: whether something newer takes its place.
            models.Index(
                fields=["space", "key", "-at", "-id"],
                name="observation_by_key",
                condition=models.Q(revoked_at__isnull=True),
            ),
            # The page of a run, what followed from a read, and how much a run has written.
            models.Index(fields=["run", "seq"], name="observation_by_run"),
            # Pages: by key and by tag.
            models.Index(fields=["key", "-id"], name="observation_key"),
            models.Index(fields=["space", "-id"], name="observation_space"),
            GinIndex(fields=["tags"], name="observation_tags"),
            # engine.observations: what is to be forgotten.
            models.Index(
                fields=["expires_at"],
                name="observation_expires",
                condition=models.Q(revoked_at__isnull=True),
            ),
            models.Index(
                fields=["-id"],
                name="observation_revoked",
                condition=models.Q(revoked_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key} in {self.space}"

    @property
    def parsed(self) -> Json:
        return read(self.value)


class ObservationRead(models.Model):
    """One call was handed one observation. The event of its answer names both, with the digest."""

    id = models.BigAutoField(primary_key=True)
    observation = models.ForeignKey(
        Observation, models.PROTECT, related_name="reads", db_index=False
    )
    run = models.ForeignKey(Run, models.PROTECT, related_name="observation_reads", db_index=False)
    seq = models.PositiveIntegerField()
    work = models.CharField(max_length=60)
    index = models.PositiveIntegerField(default=0)
    attempt = models.PositiveIntegerField(default=1)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            # Also found by: who read this observation.
            models.UniqueConstraint(
                fields=["observation", "run", "seq"], name="observation_read_once"
            ),
        ]
        indexes = [models.Index(fields=["run", "seq"], name="observation_read_by_run")]

    def __str__(self) -> str:
        return f"{self.run_id} #{self.seq} read {self.observation_id}"
