"""Standing down: after an auditor has overturned an automatic accept, people decide about all that is like it.

At once, and not only when a third person has settled the dispute: until then nobody knows who is right,
and what runs meanwhile cannot be taken back. If the third person sides with what was done, the cause
falls away, and with the last cause the stand-down. Otherwise it stands until a person allows
automatic accepting again. That somebody rolled an effect back opens none: their reason is in words,
and what was right may be rolled back too.
"""

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from orchestrator.actions import accepting
from orchestrator.actions.actor import Actor, audit, require
from orchestrator.core.errors import BadInput, NotAllowed, NotFound, StandDownGrew, StandDownLifted
from orchestrator.core.policy import auditing
from orchestrator.core.policy.terms import Scope
from orchestrator.engine import notices
from orchestrator.engine.labels import record_for
from orchestrator.models import (
    AuditEntry,
    Disposition,
    Proposal,
    ReviewItem,
    StandDown,
    StandDownCause,
    TrackRecord,
)

REASON_LENGTH_MAX = 5_000
SETTLED = "a third person sided with what was done"


def overturned(item: ReviewItem, proposal: Proposal) -> StandDown | None:
    """An auditor would not have done what was done: to be called in the transaction that says so."""
    was_accepted = proposal.disposition == Disposition.Verdict.ACCEPT
    if not settings.STAND_DOWN or not was_accepted or item.kind != ReviewItem.Kind.AUDIT:
        return None
    accepting.lock_alone(proposal)
    record = record_for(Scope(proposal.agent, proposal.agent_version, proposal.action))
    found, is_new = StandDown.objects.get_or_create(record=record, lifted_at=None)
    StandDownCause.objects.create(stand_down=found, item=item, proposal=proposal)
    if is_new:
        # Neither the proposal nor the verdict: whoever reads it may have to settle the dispute.
        AuditEntry.objects.create(
            verb="stand_down.opened", object_id=record.pk, detail={"stand_down": found.pk}
        )
        notices.stood_down(found)
    return found


def settled(about: ReviewItem, outcome: str) -> None:
    """A third person has spoken about an audit that overturned something."""
    cause = StandDownCause.objects.filter(item=about, withdrawn_at=None).first()
    if cause is None or outcome != auditing.FOR_THE_FIRST:
        return
    accepting.lock_alone(cause.proposal)
    StandDownCause.objects.filter(pk=cause.pk).update(withdrawn_at=Now())
    stand_down = StandDown.objects.select_related("record").get(pk=cause.stand_down_id)
    left = stand_down.causes.filter(withdrawn_at=None).exists()
    if stand_down.lifted_at is None and not left:
        _lift(Actor(None), stand_down, SETTLED)


@transaction.atomic
def lift(
    actor: Actor, stand_down_id: str, *, reason: str, overturned: int | None = None
) -> TrackRecord:
    """Allow automatic accepting again. The next proposal is judged by policy and certificate alone.

    `overturned` is how many accepts were, by the page that the person had before them.
    """
    require(actor, "stand_downs.lift", "allow automatic accepting again")
    if actor.user is None or actor.token is not None:
        raise NotAllowed(
            actor.name, "allow automatic accepting", "Only a person can, in a browser."
        )
    if not 0 < len(reason.strip()) <= REASON_LENGTH_MAX or "\x00" in reason:
        raise BadInput("reason", f"say why, in 1 to {REASON_LENGTH_MAX:,} characters.")
    _lock_alone(stand_down_id)
    rows = StandDown.objects.select_for_update(of=("self",), no_key=True)
    found = rows.select_related("record", "lifted_by").filter(pk=stand_down_id).first()
    if found is None:
        raise NotFound("stand-down", stand_down_id)
    if found.lifted_at is not None:
        by = found.lifted_by.get_username() if found.lifted_by else "A third person"
        raise StandDownLifted(by, found.lifted_at.isoformat(timespec="seconds"))
    count = found.causes.count()
    if overturned is not None and overturned < count:
        raise StandDownGrew(seen=overturned, count=count)
    _lift(actor, found, reason.strip())
    return found.record


def _lock_alone(stand_down_id: str) -> None:
    """What an auditor is overturning this very moment is waited for, and then counted."""
    causes = StandDownCause.objects.filter(stand_down=stand_down_id).select_related("proposal")
    if first := causes.order_by("pk").first():
        accepting.lock_alone(first.proposal)


def _lift(actor: Actor, found: StandDown, reason: str) -> None:
    StandDown.objects.filter(pk=found.pk).update(
        lifted_at=Now(), lifted_by=actor.user, lifted_because=reason
    )
    audit(actor, "stand_down.lifted", found.record_id, stand_down=found.pk, reason=reason)
