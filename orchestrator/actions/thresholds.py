"""The versioned bands that turn a score into accept, revise or escalate."""

from django.conf import settings

from orchestrator.models import EvaluationPolicy


def policy_in_force() -> EvaluationPolicy:
    """The newest version; an instance that has none yet gets version 1 from the settings."""
    newest = EvaluationPolicy.objects.order_by("-number").first()
    if newest is not None:
        return newest
    first, _ = EvaluationPolicy.objects.get_or_create(
        number=1,
        defaults={
            "accept_above": settings.ACCEPT_ABOVE,
            "escalate_at_or_below": settings.ESCALATE_AT_OR_BELOW,
            "note": "from the settings ACCEPT_ABOVE and ESCALATE_AT_OR_BELOW",
        },
    )
    return first
