"""Who may decide what: teams of reviewers, and what is theirs."""

from django.conf import settings
from django.db import models


class TeamQuerySet(models.QuerySet["Team"]):
    def in_use(self) -> "TeamQuerySet":
        return self.filter(retired_at=None)


class Team(models.Model):
    """People who decide together. Others may look, and are told who can."""

    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=100)
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="teams", blank=True)
    escalates_to = models.ForeignKey("self", models.PROTECT, null=True, blank=True)
    retired_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TeamQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class Assignment(models.Model):
    """What a team decides about. A rule that held an item goes before its action, that before its workflow."""

    class Kind(models.TextChoices):
        RULE = "rule", "Rule"
        ACTION = "action", "Action"
        WORKFLOW = "workflow", "Workflow"

    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=100)
    team = models.ForeignKey(Team, models.PROTECT, related_name="assignments")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "name"], name="assignment_one_team"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.team}"


class SavedView(models.Model):
    """A filter of the queue under a name of its own."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="saved_views")
    name = models.CharField(max_length=60)
    # The part of the address after the question mark.
    query = models.CharField(max_length=1_000)
    is_shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="saved_view_name_unique"),
        ]

    def __str__(self) -> str:
        return self.name
