from django.conf import settings
from django.db import models


class Workflow(models.Model):
    """A named way of working."""

    slug = models.SlugField(max_length=100, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.slug


class WorkflowVersion(models.Model):
    """An immutable definition of a workflow: its pattern and what the pattern needs."""

    workflow = models.ForeignKey(Workflow, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    definition = models.TextField()
    content_hash = models.CharField(max_length=71)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workflow", "number"], name="workflow_version_number_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workflow.slug} v{self.number}"
