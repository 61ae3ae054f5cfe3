"""Workflows. One that an outside agent names is registered when it is first seen."""

from django.conf import settings
from django.core.validators import slug_re
from django.db import transaction

from orchestrator.actions.actor import Actor, audit
from orchestrator.core.codec import canonical, digest
from orchestrator.core.errors import BadInput
from orchestrator.models import Workflow, WorkflowVersion

DIRECT = canonical({"pattern": "direct"})


def version_for(actor: Actor, slug: str) -> WorkflowVersion:
    """The newest version of the workflow, which for a new name carries proposals and nothing else."""
    newest = (
        WorkflowVersion.objects.select_related("workflow")
        .filter(workflow__slug=slug)
        .order_by("-number")
        .first()
    )
    return newest or _register(actor, slug)


@transaction.atomic
def _register(actor: Actor, slug: str) -> WorkflowVersion:
    if not slug_re.fullmatch(slug):
        raise BadInput("workflow", "use letters, digits, hyphens and underscores only.")
    if Workflow.objects.count() >= settings.WORKFLOWS_MAX:
        raise BadInput("workflow", f"{slug} is new, and WORKFLOWS_MAX workflows exist already.")
    workflow, _ = Workflow.objects.get_or_create(slug=slug)
    version, created = WorkflowVersion.objects.get_or_create(
        workflow=workflow,
        number=1,
        defaults={"definition": DIRECT, "content_hash": digest(DIRECT), "created_by": actor.user},
    )
    if created:
        audit(actor, "workflow.registered", f"workflow/{slug}", version=1)
    return version
