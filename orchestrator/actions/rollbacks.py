"""Rolling back what was done, where its executor declares how."""

from django.db import transaction

from orchestrator.actions.actor import Actor, audit, require
from orchestrator.core import events as ev
from orchestrator.core.errors import BadInput, CountersignError, NotAllowed, NotFound
from orchestrator.effects import registry
from orchestrator.engine.advance import Step, advance
from orchestrator.failpoints import failpoint
from orchestrator.models import Effect, Proposal, ReviewItem, Run

REASON_LENGTH_MAX = 5_000


@transaction.atomic
def request(actor: Actor, proposal_id: str, *, reason: str) -> Proposal:
    """Undo the effect of a proposal. The worker does it; a failure is put before people."""
    require(actor, "effects.undo", "roll back what was done")
    if actor.user is None or actor.token is not None:
        raise NotAllowed(actor.name, "roll back what was done", "Only a person can, in a browser.")
    if not 0 < len(reason.strip()) <= REASON_LENGTH_MAX or "\x00" in reason:
        raise BadInput("reason", f"say why, in 1 to {REASON_LENGTH_MAX:,} characters.")
    runs = Proposal.objects.filter(pk=proposal_id).values("run")
    if Run.objects.select_for_update(of=("self",)).filter(pk__in=runs).first() is None:
        raise NotFound("proposal", proposal_id)
    _check_not_failed(proposal_id)
    effect = Effect.objects.select_related("proposal").filter(proposal=proposal_id).first()
    if effect is None or not can_be_undone(effect):
        raise BadInput("proposal", "nothing was done, or its target declares no way to undo it.")
    wanted = ev.RollbackRequested(
        proposal=proposal_id, effect=effect.pk, by=actor.name, reason=reason.strip()
    )
    advance([Step(effect.proposal.run_id, wanted)])
    audit(actor, "effect.rollback_requested", proposal_id, effect=effect.pk, reason=reason.strip())
    failpoint("rollback-asked-in-transaction")
    effect.proposal.refresh_from_db(fields=["status"])
    return effect.proposal


def _check_not_failed(proposal_id: str) -> None:
    """While people are asked what becomes of a rollback that failed, there is no second one."""
    asked = ReviewItem.objects.waiting().filter(
        proposal=proposal_id, kind=ReviewItem.Kind.FAILED_COMPENSATION
    )
    if (item := asked.first()) is not None:
        raise BadInput(
            "proposal", f"rolling it back failed before; {item.pk} waits for what becomes of that."
        )


def can_be_undone(effect: Effect) -> bool:
    """It was done, and whoever did it declares how to undo it."""
    if effect.status != Effect.Status.DONE:
        return False
    try:
        return registry.undo_of(registry.find(effect.executor)) is not None
    except CountersignError:
        # This process does not know the executor; a worker may, but nothing is offered on a guess.
        return False
