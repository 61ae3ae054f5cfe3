from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from orchestrator.models.contracts import ContractVersion
from orchestrator.models.ids import IdField
from orchestrator.models.runs import Run
from orchestrator.models.tokens import ApiToken


class RouteTable(models.Model):
    """One immutable version of all routes, in order. The newest is in force."""

    number = models.PositiveIntegerField(unique=True)
    # [{"name", "when" (CEL), "workflow"}, ...] in canonical form.
    routes = models.TextField()
    content_hash = models.CharField(max_length=71)
    note = models.TextField(default="", blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"routes v{self.number}"


class InboundEvent(models.Model):
    """An event that was taken in from outside, and where it went: to a run, or to the dead letters."""

    class Status(models.TextChoices):
        ROUTED = "routed"
        DEAD = "dead"
        # A dead letter that was sent again; the attempt that took its place has its own row.
        REDRIVEN = "redriven"
        DISCARDED = "discarded"

    class Reason(models.TextChoices):
        UNKNOWN_TYPE = "unknown_type", "Unknown type"
        UNKNOWN_VERSION = "unknown_version", "Unknown version"
        INVALID = "invalid", "Does not fit its contract"
        LATE = "late", "Came too late"
        OVER_CAP = "over_cap", "Too much is waiting"
        NO_ROUTE = "no_route", "No route wants it"
        ROUTE_ERROR = "route_error", "A route could not be evaluated"
        HANDLER = "handler", "The handler refused it"

    id = IdField("evt")
    source = models.CharField(max_length=300)
    source_id = models.CharField(max_length=200)
    type = models.CharField(max_length=100)
    contract_version = models.ForeignKey(ContractVersion, models.PROTECT, null=True)
    # The envelope as it came, in canonical form; `data` is inside it.
    envelope = models.TextField()
    digest = models.CharField(max_length=71)
    status = models.CharField(max_length=10, choices=Status)
    reason = models.CharField(max_length=20, choices=Reason, default="", blank=True)
    detail = models.TextField(default="", blank=True)
    # What decided: the table, the route in it, and the features that it saw.
    routes = models.ForeignKey(RouteTable, models.PROTECT, null=True)
    route = models.CharField(max_length=100, default="", blank=True)
    run = models.OneToOneField(Run, models.PROTECT, null=True, related_name="event")
    token = models.ForeignKey(ApiToken, models.PROTECT, null=True)
    replaces = models.OneToOneField("self", models.PROTECT, null=True, related_name="replaced_by")
    handled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    occurred_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            # A delivery from outside counts once; a redriven one replaces it.
            models.UniqueConstraint(
                fields=["source", "source_id"],
                condition=models.Q(replaces__isnull=True),
                name="inbound_event_once",
            ),
            models.CheckConstraint(
                name="inbound_event_has_its_end",
                condition=(models.Q(status="routed") & models.Q(run__isnull=False))
                | (~models.Q(status="routed") & ~models.Q(reason="")),
            ),
        ]
        indexes = [
            models.Index(fields=["status", "-id"], name="inbound_event_by_status"),
            models.Index(fields=["type", "-id"], name="inbound_event_by_type"),
            # routing_queries: what happened in a window of time, without a look at the rows.
            models.Index(
                fields=["created_at"],
                include=["type", "source", "status", "run"],
                name="inbound_event_counted",
                condition=models.Q(replaces__isnull=True),
            ),
            # actions.events: how many of one sender's wait.
            models.Index(
                fields=["token"],
                name="dead_letter_by_token",
                condition=models.Q(status="dead"),
            ),
            # routing_queries.letters, for reasons and types that are rare as well.
            models.Index(
                fields=["reason", "-id"],
                name="dead_letter_by_reason",
                condition=models.Q(status="dead"),
            ),
            models.Index(
                fields=["type", "-id"],
                name="dead_letter_by_type",
                condition=models.Q(status="dead"),
            ),
            models.Index(
                fields=["type", "reason", "-id"],
                name="dead_letter_by_both",
                condition=models.Q(status="dead"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.source_id} ({self.status})"
