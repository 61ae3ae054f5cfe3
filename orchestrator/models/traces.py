from django.db import models

from orchestrator.models.runs import Run


class CallPiece(models.Model):
    """A timed piece of work inside an agent's call, and the little else of a run that its log lacks.

    Written with the event that ended the call, and forgotten after a while: nothing rests on it.
    """

    class Kind(models.TextChoices):
        MODEL = "model"
        TOOL = "tool"
        # What an agent answered that was not taken, so that no event has it.
        REFUSED = "refused"

    id = models.BigAutoField(primary_key=True)
    # Found through the index below; one of its own would be a second.
    run = models.ForeignKey(Run, models.PROTECT, related_name="pieces", db_index=False)
    seq = models.PositiveIntegerField(help_text="the event that ended the call")
    kind = models.CharField(max_length=20)
    name = models.CharField(max_length=200)
    began_ms = models.PositiveIntegerField(help_text="after the call began")
    took_ms = models.PositiveIntegerField()
    tokens_in = models.PositiveBigIntegerField(default=0)
    tokens_out = models.PositiveBigIntegerField(default=0)
    # NULL: nobody knows what it cost.
    money_micros = models.PositiveBigIntegerField(null=True)
    error = models.CharField(max_length=500, default="")
    notes = models.JSONField(default=list)
    # What it was handed and what it said: bounded, without what looks like a secret, and long enough
    # for PostgreSQL to keep it apart from the row. Lists leave both out.
    given = models.TextField(default="")
    said = models.TextField(default="")
    # What an agent behind a tool did comes after that tool, one deeper.
    depth = models.PositiveIntegerField(db_default=0)
    at = models.DateTimeField(help_text="of the event")

    class Meta:
        indexes = [
            # trace_queries: the pieces of a run, in the order of its calls.
            models.Index(fields=["run", "seq", "id"], name="call_piece_by_run"),
            # engine.sweep: what is old enough to be forgotten; the exporter: what is new.
            models.Index(fields=["at"], name="call_piece_at"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} #{self.seq} {self.kind} {self.name}"


class TelemetryMark(models.Model):
    """Up to where a collector was told of runs that ended: one row, held by whoever is sending."""

    id = models.PositiveSmallIntegerField(primary_key=True)
    ended_at = models.DateTimeField()
    run = models.CharField(max_length=40, default="", blank=True)
    lease_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"up to {self.ended_at}"
