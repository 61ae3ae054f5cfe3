"""The versioned terms that turn a score into accept, revise or escalate."""

from django.conf import settings
from django.db.models.functions import Now

from orchestrator.core.policy.terms import Scope
from orchestrator.models import EvaluationPolicy

FIRST = 1


def policy_for(proposal: Scope) -> EvaluationPolicy:
    """The most specific one in force."""
    return EvaluationPolicy.objects.deciding(proposal) or first_policy()


def first_policy() -> EvaluationPolicy:
    """What is in force for everything until somebody decides otherwise: version 1, from the settings."""
    first, _ = EvaluationPolicy.objects.get_or_create(
        number=FIRST,
        defaults={
            "stage": EvaluationPolicy.Stage.ACTIVE,
            "accept_above": settings.ACCEPT_ABOVE,
            "escalate_at_or_below": settings.ESCALATE_AT_OR_BELOW,
            "note": "from the settings ACCEPT_ABOVE and ESCALATE_AT_OR_BELOW",
            "activated_at": Now(),
        },
    )
    return first
