"""Review items: what people decide. One decision wins; the others are told who won."""

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from orchestrator.actions import effects
from orchestrator.actions.actor import Actor, audit, require
from orchestrator.core import events as ev
from orchestrator.core.codec import digest
from orchestrator.core.errors import (
    AlreadyDecided,
    BadInput,
    ItemChanged,
    KeyReused,
    NotAllowed,
    NotFound,
)
from orchestrator.engine.advance import Step, advance
from orchestrator.models import Decision, Effect, ReviewItem

NOTE_LENGTH_MAX = 5_000
KEY_LENGTH_MAX = 255


@transaction.atomic
def decide(
    actor: Actor,
    item_id: str,
    *,
    verdict: str,
    version: int,
    idempotency_key: str,
    reason: str = "",
    note: str = "",
) -> Decision:
    """Approve or reject, bound to the digest of the stored payload.

    1. Lock the item: from here on there is one decider.
    2. The same key again is the same click again, and gets the same answer.
    3. Refuse who may not, what is closed, and what changed since it was read.
    4. Record the decision; when it settles the matter, close the item and move the run.
    """
    require(actor, "queue.decide", "decide review items")
    if actor.user is None:
        raise NotAllowed(actor.name, "decide review items", "Only a person can.")
    _check_input(verdict, reason, note, idempotency_key)
    item = _lock(item_id)
    repeated = Decision.objects.filter(reviewer=actor.user, idempotency_key=idempotency_key).first()
    if repeated is not None:
        return _same(repeated, item, verdict)
    _check_open(item, version)
    _check_person(actor, item)
    decision = Decision.objects.create(
        item=item,
        reviewer=actor.user,
        verdict=verdict,
        reason=reason,
        note=note,
        payload_digest=digest(item.proposal.payload),
        item_version=version,
        idempotency_key=idempotency_key,
    )
    _settle(item, decision)
    audit(
        actor,
        f"review_item.{_PAST[verdict]}",
        item.proposal_id,
        item=item.pk,
        decision=decision.pk,
        reason=reason,
        note=note,
    )
    return decision


_PAST: dict[str, str] = {"approve": "approved", "reject": "rejected"}


def _check_input(verdict: str, reason: str, note: str, key: str) -> None:
    if verdict not in Decision.Verdict.values:
        raise BadInput("verdict", f"choose among {', '.join(Decision.Verdict.values)}.")
    if verdict == Decision.Verdict.REJECT and reason not in Decision.Reason.values:
        raise BadInput("reason", "say why it is rejected: choose one of the reasons.")
    if reason == Decision.Reason.OTHER and not note.strip():
        raise BadInput("note", "the reason is “other”: say which, in a few words.")
    if len(note) > NOTE_LENGTH_MAX:
        raise BadInput("note", f"it has {len(note):,} characters, at most {NOTE_LENGTH_MAX:,}.")
    if "\x00" in note:
        raise BadInput("note", "it holds the character NUL, which cannot be stored.")
    if not 0 < len(key) <= KEY_LENGTH_MAX:
        raise BadInput("idempotency_key", f"give one of 1 to {KEY_LENGTH_MAX} characters.")


def _lock(item_id: str) -> ReviewItem:
    item = (
        ReviewItem.objects.select_for_update(of=("self",))
        .select_related("proposal__token")
        .filter(pk=item_id)
        .first()
    )
    if item is None:
        raise NotFound("review item", item_id)
    return item


def _same(repeated: Decision, item: ReviewItem, verdict: str) -> Decision:
    if (repeated.item_id, repeated.verdict) != (item.pk, verdict):
        raise KeyReused(repeated.idempotency_key)
    return repeated


def _check_open(item: ReviewItem, version: int) -> None:
    if not item.is_waiting:
        raise _already_decided(item)
    if ReviewItem.objects.filter(pk=item.pk, due_at__lte=Now()).exists():
        # The sweeper has not come by yet, but the deadline was the deadline.
        raise AlreadyDecided("The deadline", "expired", item.due_at.isoformat(timespec="seconds"))
    if item.version != version:
        raise ItemChanged(seen=version, current=item.version)


def _already_decided(item: ReviewItem) -> AlreadyDecided:
    last = item.decisions.select_related("reviewer").order_by("-pk").first()
    at = item.closed_at.isoformat(timespec="seconds") if item.closed_at else ""
    if last is None or item.status == ReviewItem.Status.EXPIRED:
        return AlreadyDecided("The deadline", "expired", at)
    return AlreadyDecided(last.reviewer.get_username(), _PAST[last.verdict], at)


def _check_person(actor: Actor, item: ReviewItem) -> None:
    token = item.proposal.token
    if token is not None and token.owner == actor.user:
        raise NotAllowed(
            actor.name, "decide this", "It was proposed with their own token; somebody else must."
        )
    if item.decisions.filter(reviewer=actor.user).exists():
        raise NotAllowed(actor.name, "approve twice", "It needs another person's approval as well.")


def _settle(item: ReviewItem, decision: Decision) -> None:
    approved = decision.verdict == Decision.Verdict.APPROVE
    given = item.decisions.filter(verdict=Decision.Verdict.APPROVE).count()
    ReviewItem.objects.filter(pk=item.pk).update(version=F("version") + 1)
    if approved and given < item.approvals_needed:
        _move(item, _approval_given(item, decision))
        return
    ReviewItem.objects.filter(pk=item.pk).update(
        status=ReviewItem.Status.DECIDED,
        closed_because=_PAST[decision.verdict],
        closed_at=Now(),
    )
    _move(item, _approved(item, decision) if approved else _rejected(item, decision))


def _move(item: ReviewItem, event: ev.Event) -> None:
    advance([Step(item.proposal.run_id, event)])


def _approval_given(item: ReviewItem, decision: Decision) -> ev.Event:
    return ev.ApprovalGiven(
        proposal=item.proposal_id,
        item=item.pk,
        decision=decision.pk,
        by=decision.reviewer.get_username(),
        digest=decision.payload_digest,
    )


def _approved(item: ReviewItem, decision: Decision) -> ev.Event:
    effect: Effect = effects.release(
        item.proposal, effect=effects.new_effect_id(), decision=decision
    )
    return ev.ProposalApproved(
        proposal=item.proposal_id,
        item=item.pk,
        decision=decision.pk,
        by=decision.reviewer.get_username(),
        digest=decision.payload_digest,
        effect=effect.pk,
    )


def _rejected(item: ReviewItem, decision: Decision) -> ev.Event:
    return ev.ProposalRejected(
        proposal=item.proposal_id,
        item=item.pk,
        decision=decision.pk,
        by=decision.reviewer.get_username(),
        reason=decision.reason,
    )
