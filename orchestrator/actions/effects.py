"""Effects are released here and nowhere else: by an accepting disposition or by a decision."""

from django.conf import settings

from orchestrator.core.policy.changes import is_change
from orchestrator.models import Decision, Disposition, Effect, Proposal
from orchestrator.models.ids import new_id

# See actions/changes.py, which needs this module and so cannot be asked.
CHANGES = "countersign"


def release(
    proposal: Proposal,
    *,
    effect: str,
    disposition: Disposition | None = None,
    decision: Decision | None = None,
) -> Effect:
    """The permission, bound to the digest of what was looked at. The worker runs it after the commit."""
    return Effect.objects.create(
        pk=effect,
        proposal=proposal,
        payload_digest=decision.payload_digest if decision else proposal.digest,
        disposition=disposition,
        decision=decision,
        executor=CHANGES if is_change(proposal.action) else settings.EXECUTOR_DEFAULT,
        idempotency_key=effect,
    )


def new_effect_id() -> str:
    return new_id("eff")
