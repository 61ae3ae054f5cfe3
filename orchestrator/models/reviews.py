from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.utils import timezone

from orchestrator.models.ids import IdField
from orchestrator.models.journal import Command
from orchestrator.models.proposals import Proposal
from orchestrator.models.runs import Run
from orchestrator.models.teams import Team

# When three quarters of the time for an item are gone. In UTC, because no index takes an expression
# whose value depends on who looks.
LATE_SHARE = 0.75
LATE_AT = models.ExpressionWrapper(
    models.Func(models.Value("UTC"), models.F("created_at"), function="timezone")
    + models.ExpressionWrapper(
        (models.F("due_at") - models.F("created_at")) * models.Value(LATE_SHARE),
        models.DurationField(),
    ),
    models.DateTimeField(),
)


class ReviewItemQuerySet(models.QuerySet["ReviewItem"]):
    def waiting(self) -> "ReviewItemQuerySet":
        return self.filter(status=ReviewItem.Status.WAITING)

    def openly(self) -> "ReviewItemQuerySet":
        """What people decide seeing everything; what is judged blind is nobody's else to see."""
        return self.exclude(kind__in=ReviewItem.BLIND)

    def in_queue(self) -> "ReviewItemQuerySet":
        """Waiting where people look for work; blind audits are handed out one by one elsewhere."""
        return self.waiting().openly()


class ReviewItem(models.Model):
    """Something a person must look at. It closes once, by one decision or by its deadline."""

    class Kind(models.TextChoices):
        GUARDRAIL_FAILURE = "guardrail_failure", "Guardrail failure"
        ESCALATION = "escalation", "Escalation"
        APPROVAL = "approval", "Approval"
        UNKNOWN_EFFECT = "unknown_effect", "Outcome unknown"
        STUCK_COMMAND = "stuck_command", "Stuck work"
        # Of a rule or of a policy: the stored word is from when only rules were changed like this.
        RULE_CHANGE = "rule_change", "Change of Countersign"
        FAILED_COMPENSATION = "failed_compensation", "Rollback failed"
        AUDIT = "audit", "Sampled audit"
        BLIND_LABEL = "blind_label", "Blind label"
        ADJUDICATION = "adjudication", "Adjudication"
        SECOND_REVIEW = "second_review", "Second review"
        GOLD = "gold", "Gold item"

    # Of these kinds, silence until the deadline is a no that the sweeper says.
    EXPIRING = (Kind.GUARDRAIL_FAILURE, Kind.ESCALATION, Kind.RULE_CHANGE)
    # What is decided about these runs nothing; who decides does not see what others made of it.
    BLIND = (Kind.AUDIT, Kind.BLIND_LABEL, Kind.ADJUDICATION, Kind.SECOND_REVIEW, Kind.GOLD)

    class WakesOn(models.TextChoices):
        """What ends a snooze before its time."""

        TIME = "", "Only the time"
        COMMENT = "comment", "A comment"
        RUN = "run", "News of the run"

    class Status(models.TextChoices):
        WAITING = "waiting"
        DECIDED = "decided"
        EXPIRED = "expired"
        # The run ended while it was waiting, so there is nothing left to decide.
        WITHDRAWN = "withdrawn"

    id = IdField("rev")
    run = models.ForeignKey(Run, models.PROTECT, related_name="review_items")
    # What it is about: a proposal, a command that no worker survives, or a question the run asks.
    proposal = models.ForeignKey(Proposal, models.PROTECT, null=True, related_name="review_items")
    command = models.ForeignKey(Command, models.PROTECT, null=True, related_name="review_items")
    work = models.CharField(max_length=100, default="", blank=True)
    question = models.TextField(default="", blank=True)
    kind = models.CharField(max_length=30, choices=Kind)
    status = models.CharField(max_length=20, choices=Status, default=Status.WAITING)
    # Why it opened and why it closed are two questions, and stay two fields.
    opened_because = models.JSONField(default=list)
    closed_because = models.CharField(max_length=60, default="")
    # Every decision names the version it looked at; a change in between refuses it.
    version = models.PositiveIntegerField(default=1)
    priority = models.SmallIntegerField(default=0)
    # What the score is made of, for the reader: [[points, why], ...].
    priority_because = models.JSONField(default=list)
    approvals_needed = models.PositiveSmallIntegerField(default=1)
    # Copied from the proposal, so that lists filter and search without reading proposals.
    action = models.CharField(max_length=100, default="", blank=True)
    agent = models.CharField(max_length=100, default="", blank=True)
    target = models.CharField(max_length=500, default="", blank=True)
    tier = models.CharField(max_length=10, default="normal")
    # The rules that did not let it pass, sorted: what is alike has failed alike.
    fired = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    # What its action lets people do with it, and for how long an approval can be taken back.
    allows = ArrayField(models.CharField(max_length=20), default=list, blank=True)
    undo_s = models.PositiveSmallIntegerField(default=0)
    # Whoever asked for it does not decide it.
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="asked_items"
    )
    # Who may decide; nobody named means whoever may decide at all.
    team = models.ForeignKey(Team, models.PROTECT, null=True, related_name="items")
    # What a second person judges blind as well; or the item with a verdict in dispute, for a third.
    about = models.ForeignKey("self", models.PROTECT, null=True, related_name="disputes")
    # With which chance it was drawn, where chance opened it.
    chance = models.FloatField(null=True)
    escalated_at = models.DateTimeField(null=True)
    # A hold: the lease names it, and every decision shows it. It ends by the database's clock.
    holder = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="held_items"
    )
    lease = models.CharField(max_length=40, default="", blank=True)
    lease_until = models.DateTimeField(null=True)
    # When this hold began: from here on somebody works on it.
    held_since = models.DateTimeField(null=True)
    # Out of the queue until then, or until something happens; the deadline goes on.
    snoozed_until = models.DateTimeField(null=True)
    snoozed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="snoozed_items"
    )
    wakes_on = models.CharField(max_length=10, choices=WakesOn, default="", blank=True)
    snoozed_at_seq = models.PositiveIntegerField(default=0)
    # What nobody decided by then is a no. What became of an effect no silence can settle: such items stay.
    due_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True)

    objects = ReviewItemQuerySet.as_manager()

    class Meta:
        constraints = [
            # A gold item is one person's own, and several may have the same before them.
            models.UniqueConstraint(
                fields=["proposal", "kind"],
                condition=models.Q(status="waiting") & ~models.Q(kind="gold"),
                name="review_item_one_open_per_kind",
            ),
            models.UniqueConstraint(
                fields=["command"],
                condition=models.Q(status="waiting"),
                name="review_item_one_open_per_command",
            ),
            models.CheckConstraint(
                name="review_item_is_about_something",
                condition=models.Q(
                    kind__in=[
                        "guardrail_failure",
                        "escalation",
                        "unknown_effect",
                        "rule_change",
                        "failed_compensation",
                        "audit",
                        "blind_label",
                        "adjudication",
                        "second_review",
                        "gold",
                    ],
                    proposal__isnull=False,
                )
                | models.Q(kind="stuck_command", command__isnull=False)
                | (models.Q(kind="approval") & ~models.Q(work="")),
            ),
            models.CheckConstraint(
                name="review_item_closed_has_time",
                condition=models.Q(status="waiting") | models.Q(closed_at__isnull=False),
            ),
        ]
        indexes = [
            # The queue page: most urgent first, paged by key.
            models.Index(
                fields=["-priority", "due_at", "id"],
                name="review_item_queue",
                condition=models.Q(status="waiting"),
            ),
            # engine.sweep: deadlines that passed.
            models.Index(
                fields=["due_at"],
                name="review_item_due",
                condition=models.Q(status="waiting"),
            ),
            # The top bar: how many were decided today.
            models.Index(fields=["closed_at"], name="review_item_closed"),
            # The queue of a team.
            models.Index(
                fields=["team", "-priority", "due_at", "id"],
                name="review_item_team_queue",
                condition=models.Q(status="waiting"),
            ),
            # Filters of the queue, and what is alike in it.
            models.Index(
                fields=["kind", "-priority", "due_at", "id"],
                name="review_item_kind_queue",
                condition=models.Q(status="waiting"),
            ),
            models.Index(
                fields=["action", "-priority", "due_at", "id"],
                name="review_item_action_queue",
                condition=models.Q(status="waiting"),
            ),
            # What one person holds.
            models.Index(
                fields=["holder", "lease_until"],
                name="review_item_held",
                condition=models.Q(status="waiting", holder__isnull=False),
            ),
            # engine.sweep: what sleeps until something happens.
            models.Index(
                fields=["snoozed_until"],
                name="review_item_snoozed",
                condition=models.Q(status="waiting", snoozed_until__isnull=False),
            ),
            # Views of the queue that few items fit: without these they would be looked for among all.
            models.Index(LATE_AT, name="review_item_late", condition=models.Q(status="waiting")),
            models.Index(
                fields=["-priority", "due_at", "id"],
                name="review_item_escalated",
                condition=models.Q(status="waiting", escalated_at__isnull=False),
            ),
            models.Index(
                fields=["-priority", "due_at", "id"],
                name="review_item_half_decided",
                condition=models.Q(status="waiting", approvals_needed__gt=1, version__gt=1),
            ),
            # The top bar: since when the oldest waits.
            models.Index(
                fields=["created_at"],
                name="review_item_oldest",
                condition=models.Q(status="waiting"),
            ),
            # Similar decided items: the same action and the same rules first.
            models.Index(
                fields=["action", "fired", "-closed_at"],
                name="review_item_alike",
                condition=models.Q(status="decided"),
            ),
            models.Index(
                fields=["action", "-closed_at"],
                name="review_item_same_action",
                condition=models.Q(status="decided"),
            ),
            # audit_queries: what chance drew of late.
            models.Index(
                fields=["created_at"],
                name="review_item_sampled",
                condition=models.Q(kind__in=["audit", "blind_label"]),
            ),
            # agreement_queries: what two people judged.
            models.Index(
                fields=["closed_at"],
                name="review_item_judged_twice",
                condition=models.Q(kind__in=["second_review", "blind_label"], status="decided"),
            ),
            # The search field of the queue.
            GinIndex(
                OpClass(models.F("target"), name="gin_trgm_ops"),
                OpClass(models.F("agent"), name="gin_trgm_ops"),
                OpClass(models.F("action"), name="gin_trgm_ops"),
                name="review_item_search",
                condition=models.Q(status="waiting"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.kind} ({self.status})"

    @property
    def is_waiting(self) -> bool:
        return self.status == self.Status.WAITING

    @property
    def is_overdue(self) -> bool:
        return self.is_waiting and self.due_at <= timezone.now()

    @property
    def is_held(self) -> bool:
        return self.lease_until is not None and self.lease_until > timezone.now()

    @property
    def is_asleep(self) -> bool:
        return self.snoozed_until is not None and self.snoozed_until > timezone.now()
