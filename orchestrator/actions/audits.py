"""Audits: people judge what was drawn without seeing what others made of it. It runs and stops nothing.

The verdict is kept as a decision and as a score of the proposal. Whoever would have done something else
than what was done opens a dispute, which a third person settles just as blindly.
"""

from collections.abc import Collection
from typing import cast

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from orchestrator import audit_queries
from orchestrator.actions import claims, confirmations, gold, reviews, stand_downs
from orchestrator.actions.actor import Actor, audit, capabilities_of, require
from orchestrator.actions.confirmations import Seen
from orchestrator.core.errors import AlreadyDecided, BadInput, NotAllowed, NotFound
from orchestrator.core.policy import auditing
from orchestrator.engine.audits import open_dispute
from orchestrator.models import Decision, Evaluation, Proposal, ReviewItem, Team

APPROVE, REJECT = Decision.Verdict.APPROVE, Decision.Verdict.REJECT


def take_next(
    actor: Actor, *, kinds: Collection[str] = audit_queries.HANDED_OUT
) -> ReviewItem | None:
    """One blind item at a time: the one this person still holds, else the next that they may judge.

    Now and then one that was settled before goes first, and looks like the one in whose place it comes.
    """
    person = _auditor(actor)
    held = audit_queries.held_by(person)
    if held is not None and _is_free_for(actor, held):
        # The hold is begun anew even if it ran out, for nobody else has taken the item.
        return claims.keep(actor, held.pk, held.lease)
    among = _for(actor, kinds)
    known = None if set(kinds) <= set(audit_queries.DISPUTES) else gold.hand_out(actor, among)
    return known or claims.take_next(actor, among=among)


def put_back(actor: Actor, item_id: str, lease: str) -> None:
    """Let go of it for good: who knows the case, or has looked, is not handed it again."""
    person = _auditor(actor)
    held = ReviewItem.objects.waiting().filter(pk=item_id, holder=person, kind__in=ReviewItem.BLIND)
    with transaction.atomic():
        if held.exists():
            audit(actor, audit_queries.PUT_BACK, item_id)
            claims.release(actor, item_id, lease)
            gold.close_put_back(item_id)


@transaction.atomic
def judge(
    actor: Actor,
    item_id: str,
    *,
    verdict: str,
    seen: Seen,
    idempotency_key: str,
    reason: str = "",
    note: str = "",
) -> Decision:
    """Say blindly whether it should run.

    1. Lock the team, then the item. The same key again is the same click again, and gets the same answer.
    2. Refuse what is over, what is not held, and who is not a fresh pair of eyes.
    3. Keep the verdict as a decision and as a score; compare it with what was done, or with the auditor's.
    4. Close the item; where an auditor disagrees with what was done, ask a third person.
    """
    person = _auditor(actor)
    _check_input(verdict, reason, note, idempotency_key)
    _lock_team(item_id)
    item = reviews.lock(item_id)
    if item.kind not in ReviewItem.BLIND:
        raise BadInput("item", "it is no audit; decide it where it waits.")
    repeated = reviews.repeated_of(actor, item_id, verdict, idempotency_key)
    if repeated is not None:
        return repeated
    _check_open(actor, item, seen)
    decision = Decision.objects.create(
        item=item,
        reviewer=person,
        verdict=verdict,
        reason=reason if verdict == REJECT else "",
        note=note,
        payload_digest=confirmations.digest_of(item),
        item_version=seen.version,
        handled_ms=reviews.handled_ms(item),
        idempotency_key=idempotency_key,
    )
    if item.kind != ReviewItem.Kind.GOLD:
        # What somebody says of what is settled says something about them, and nothing about it.
        _score(item, decision)
    reviews.close(item, _outcome(item, decision))
    # Neither the verdict nor the proposal: the log is open to people who may have to settle a dispute.
    audit(actor, "audit.judged", item.pk, decision=decision.pk)
    return decision


def _auditor(actor: Actor) -> User:
    require(actor, "audits.decide", "judge audits")
    if actor.token is not None:
        raise NotAllowed(actor.name, "judge audits", "Only a person can, in a browser.")
    return cast(User, actor.user)


def _lock_team(item_id: str) -> None:
    """Before the item, as whoever retires a team does; a dispute will name the team."""
    teams = Team.objects.select_for_update(of=("self",), no_key=True)
    teams.filter(items=item_id).first()


def _for(actor: Actor, kinds: Collection[str] = ReviewItem.BLIND) -> QuerySet[ReviewItem]:
    person = cast(User, actor.user)
    return audit_queries.auditable_by(person, capabilities_of(person), kinds)


def _is_free_for(actor: Actor, item: ReviewItem) -> bool:
    """A hold that ran out is still theirs while nobody else took it, unless its time has come meanwhile."""
    return _for(actor).filter(pk=item.pk, due_at__gt=Now()).exists()


def _check_input(verdict: str, reason: str, note: str, key: str) -> None:
    if verdict not in {APPROVE, REJECT}:
        raise BadInput("verdict", f"choose among {APPROVE}, {REJECT}.")
    if verdict == REJECT:
        reviews.check_reason(reason, note)
    reviews.check_text(note)
    if not 0 < len(key) <= reviews.KEY_LENGTH_MAX:
        raise BadInput("idempotency_key", f"give one of 1 to {reviews.KEY_LENGTH_MAX} characters.")


def _check_open(actor: Actor, item: ReviewItem, seen: Seen) -> None:
    """Who was faster is told without a name and without a verdict: they may be asked to settle it yet."""
    if not item.is_waiting:
        at = item.closed_at.isoformat(timespec="seconds") if item.closed_at else ""
        raise AlreadyDecided("Another auditor", "judged", at)
    if ReviewItem.objects.filter(pk=item.pk, due_at__lte=Now()).exists():
        raise AlreadyDecided("The deadline", "expired", item.due_at.isoformat(timespec="seconds"))
    reviews.check_open(actor, item, seen)
    if not _for(actor).filter(pk=item.pk).exists():
        raise NotAllowed(
            actor.name,
            "judge this audit",
            "They asked for it, wrote it or have decided about it before; somebody else must.",
        )


def _score(item: ReviewItem, decision: Decision) -> None:
    proposal = _proposal(item)
    newest = proposal.snapshots.order_by("-pk").first()
    if newest is None:
        raise NotFound("snapshot of proposal", proposal.pk)
    Evaluation.objects.create(
        proposal=proposal,
        snapshot=newest,
        evaluator=Evaluation.Evaluator.PERSON,
        version=item.kind,
        score=1.0 if decision.verdict == APPROVE else 0.0,
        raw={"item": item.pk, "decision": decision.pk},
    )


def _outcome(item: ReviewItem, decision: Decision) -> str:
    would_let_run = decision.verdict == APPROVE
    if item.kind == ReviewItem.Kind.GOLD:
        known = item.gold_look.gold
        return auditing.compare_with_known(should_run=known.should_run, would_let_run=would_let_run)
    if item.kind == ReviewItem.Kind.ADJUDICATION and item.about is not None:
        auditor = item.about.decisions.latest("pk")
        settled = auditing.settle(
            auditor_would=auditor.verdict == APPROVE, third_would=would_let_run
        )
        stand_downs.settled(item.about, settled)
        return settled
    proposal = _proposal(item)
    was_let_run = audit_queries.was_done(item, proposal)
    outcome = auditing.compare(was_let_run=was_let_run, would_let_run=would_let_run)
    if outcome == auditing.OVERTURNED:
        open_dispute(item, proposal)
        if was_let_run:
            stand_downs.overturned(item, proposal)
    return outcome


def _proposal(item: ReviewItem) -> Proposal:
    if item.proposal is None:
        raise NotFound("proposal of review item", item.pk)
    return item.proposal
