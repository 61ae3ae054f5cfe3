from django.db import models


class Checkpoint(models.Model):
    """A signed statement about a range of events. Append-only; the other columns repeat the line.

    Only `engine.checkpoint` writes here. Every sweeper also keeps the lines outside the database,
    because whoever owns the database can remove rows from it.
    """

    number = models.PositiveBigIntegerField(primary_key=True)
    at = models.DateTimeField()
    up_to_event = models.BigIntegerField()
    events = models.PositiveIntegerField()
    root = models.CharField(max_length=64)
    previous = models.CharField(max_length=64, help_text="hash of the line before")
    line = models.TextField(help_text="the text that is signed")
    signature = models.CharField(max_length=128)

    def __str__(self) -> str:
        return f"checkpoint {self.number}, up to event {self.up_to_event}"
