"""The versioned terms that turn a score into accept, revise or escalate."""

from django.conf import settings
from django.db.models.functions import Now

from orchestrator.core.policy.evaluation import Bands
from orchestrator.core.policy.terms import Scope, Terms, content_hash
from orchestrator.models import EvaluationPolicy

FIRST = 1


def policy_for(proposal: Scope) -> EvaluationPolicy:
    """The most specific one in force."""
    return EvaluationPolicy.objects.deciding(proposal) or first_policy()


def first_policy() -> EvaluationPolicy:
    """What is in force for everything until somebody decides otherwise: version 1, from the settings."""
    bands = Bands(settings.ACCEPT_ABOVE, settings.ESCALATE_AT_OR_BELOW)
    first, _ = EvaluationPolicy.objects.get_or_create(
        number=FIRST,
        defaults={
            "stage": EvaluationPolicy.Stage.ACTIVE,
            "accept_above": bands.accept_above,
            "escalate_at_or_below": bands.escalate_at_or_below,
            "content_hash": content_hash(Scope(), Terms(bands=bands)),
            "note": "from the settings ACCEPT_ABOVE and ESCALATE_AT_OR_BELOW",
            "activated_at": Now(),
        },
    )
    return first
