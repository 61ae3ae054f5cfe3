"""Effects are released here and nowhere else: by an accepting disposition or by a decision."""

from django.conf import settings
from django.db.models.functions import Now

from orchestrator import tool_queries
from orchestrator.core.commands import RunEffect
from orchestrator.core.errors import TooLateToUndo
from orchestrator.core.policy.changes import is_change
from orchestrator.models import Command, Decision, Disposition, Effect, Proposal
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
        executor=executor_of(proposal.action),
        tool_version=tool_queries.version_for(proposal.action),
        idempotency_key=effect,
    )


def release_again(proposal: Proposal, decision: Decision) -> Effect:
    """By a decision. An effect that was taken back before it ran keeps its id and its key."""
    withdrawn = Effect.objects.filter(proposal=proposal, status=Effect.Status.WITHDRAWN).first()
    if withdrawn is None:
        return release(proposal, effect=new_effect_id(), decision=decision)
    withdrawn.decision, withdrawn.status = decision, Effect.Status.PENDING
    withdrawn.payload_digest = decision.payload_digest
    # Whoever allows it anew allows what stands behind its action now.
    withdrawn.executor = executor_of(proposal.action)
    withdrawn.tool_version = tool_queries.version_for(proposal.action)
    withdrawn.save(
        update_fields=["decision", "status", "payload_digest", "executor", "tool_version"]
    )
    return withdrawn


def withdraw(proposal: Proposal, decision: Decision) -> None:
    """Before it ran: its command is not claimed yet, and nobody claims it any more. The caller holds the run."""
    released = Effect.objects.select_for_update(of=("self",)).filter(proposal=proposal)
    effect = released.filter(decision=decision).first()
    if effect is None:
        raise TooLateToUndo("somebody has decided since.")
    waiting = Command.objects.filter(
        run=proposal.run_id,
        kind=RunEffect.kind,
        key__startswith=f"{RunEffect.kind}:{effect.pk}",
        status=Command.Status.PENDING,
        tries=0,
    )
    if not waiting.update(status=Command.Status.CANCELLED, finished_at=Now()):
        raise TooLateToUndo("it is running, or has run.")
    Effect.objects.filter(pk=effect.pk).update(status=Effect.Status.WITHDRAWN)


def executor_of(action: str) -> str:
    """Countersign itself, the tool whose action it is, or what stands for everything else."""
    if is_change(action):
        return CHANGES
    return tool_queries.executor_of(action) or str(settings.EXECUTOR_DEFAULT)


def new_effect_id() -> str:
    return new_id("eff")
