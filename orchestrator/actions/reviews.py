"""Review items: what people decide. One decision wins; the others are told who won.

What may be decided depends on what is asked: whether a proposal or a run may go on (approve, reject),
what became of an effect (happened, not_happened, retry), whether a command that no worker survived is
tried again (retry, give_up).
"""

from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from orchestrator.actions import changes, effects
from orchestrator.actions.actor import Actor, audit, require
from orchestrator.core import definitions
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
from orchestrator.core.policy.changes import is_change
from orchestrator.engine import quarantine
from orchestrator.engine.advance import Step, advance, complete
from orchestrator.engine.claim import Claimed
from orchestrator.engine.plans import definition_of, plan_of
from orchestrator.failpoints import failpoint
from orchestrator.models import Decision, Effect, Proposal, ReviewItem, Run
from orchestrator.models.ids import new_id

NOTE_LENGTH_MAX = 5_000
KEY_LENGTH_MAX = 255
# What was blocked is let through by nobody alone.
REOPENED_NEEDS = 2


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
    """Decide, bound to the digest of exactly what was asked.

    1. Lock the run and the item: from here on there is one decider.
    2. The same key again is the same click again, and gets the same answer.
    3. Refuse who may not, what is closed, and what changed since it was read.
    4. Record the decision; when it settles the matter, close the item and move the run.
    """
    require(actor, "queue.decide", "decide review items")
    if actor.user is None:
        raise NotAllowed(actor.name, "decide review items", "Only a person can.")
    _check_input(verdict, reason, note, idempotency_key)
    item = _lock(item_id)
    if _is_about_change(item):
        require(actor, "rules.edit", "decide about changes of rules")
    _check_verdict(item, verdict, note)
    repeated = Decision.objects.filter(reviewer=actor.user, idempotency_key=idempotency_key).first()
    if repeated is not None:
        return _same(repeated, item, verdict)
    _check_open(item, version)
    _check_wanted(item, verdict)
    _check_person(actor, item, verdict)
    decision = Decision.objects.create(
        item=item,
        reviewer=actor.user,
        verdict=verdict,
        reason=reason,
        note=note,
        payload_digest=_digest_of(item),
        item_version=version,
        idempotency_key=idempotency_key,
    )
    _settle(item, decision)
    audit(
        actor,
        f"review_item.{_PAST[verdict]}",
        item.proposal_id or item.run_id,
        item=item.pk,
        decision=decision.pk,
        reason=reason,
        note=note,
    )
    failpoint("decided-in-transaction")
    return decision


_PAST: dict[str, str] = {
    "approve": "approved",
    "reject": "rejected",
    "happened": "settled as happened",
    "not_happened": "settled as not happened",
    "retry": "sent to run again",
    "give_up": "given up",
}
_GO_ON = (Decision.Verdict.APPROVE, Decision.Verdict.REJECT)
VERDICTS: dict[str, tuple[str, ...]] = {
    ReviewItem.Kind.GUARDRAIL_FAILURE: _GO_ON,
    ReviewItem.Kind.ESCALATION: _GO_ON,
    ReviewItem.Kind.APPROVAL: _GO_ON,
    ReviewItem.Kind.RULE_CHANGE: _GO_ON,
    ReviewItem.Kind.UNKNOWN_EFFECT: (
        Decision.Verdict.HAPPENED,
        Decision.Verdict.NOT_HAPPENED,
        Decision.Verdict.RETRY,
    ),
    ReviewItem.Kind.STUCK_COMMAND: (Decision.Verdict.RETRY, Decision.Verdict.GIVE_UP),
}


@transaction.atomic
def reopen(actor: Actor, proposal_id: str, *, note: str) -> ReviewItem:
    """Put what a rule blocked before people after all. It takes two of them; one can still say no."""
    require(actor, "queue.decide", "reopen what a rule blocked")
    if not 0 < len(note.strip()) <= NOTE_LENGTH_MAX or "\x00" in note:
        raise BadInput("note", f"say why, in 1 to {NOTE_LENGTH_MAX:,} characters.")
    runs = Proposal.objects.filter(pk=proposal_id).values("run")
    if Run.objects.select_for_update(of=("self",)).filter(pk__in=runs).first() is None:
        raise NotFound("proposal", proposal_id)
    proposal = Proposal.objects.get(pk=proposal_id)
    disposition = proposal.dispositions.order_by("-pk").first()
    item = new_id("rev")
    reopened = ev.ProposalReopened(
        proposal=proposal.pk,
        item=item,
        by=actor.name,
        note=note.strip(),
        approvals_needed=REOPENED_NEEDS,
    )
    advance([Step(proposal.run_id, reopened)])
    audit(actor, "proposal.reopened", proposal.pk, item=item, note=note.strip())
    return ReviewItem.objects.create(
        pk=item,
        run_id=proposal.run_id,
        proposal=proposal,
        kind=ReviewItem.Kind.GUARDRAIL_FAILURE,
        opened_because=[
            f"{actor.name} asks for another look: {note.strip()}",
            *(disposition.reasons if disposition else []),
        ],
        approvals_needed=REOPENED_NEEDS,
        due_at=timezone.now() + timedelta(hours=settings.REVIEW_DUE_HOURS),
    )


def ask_person(claimed: Claimed) -> None:
    """A run asks whether it may go on."""
    definition, work = definition_of(claimed.version), claimed.payload["work"]
    planned = plan_of(claimed.version).works[work]
    item = new_id("rev")
    with transaction.atomic():
        complete(claimed, ev.PersonAsked(work=work, item=item, visit=claimed.payload["visit"]))
        ReviewItem.objects.create(
            pk=item,
            run_id=claimed.run,
            kind=ReviewItem.Kind.APPROVAL,
            work=work,
            question=definitions.question(definition, work),
            opened_because=["the run asks before it goes on"],
            approvals_needed=planned.approvals,
            due_at=timezone.now() + timedelta(seconds=planned.due_s),
        )
        failpoint("asked-in-transaction")


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


def _check_verdict(item: ReviewItem, verdict: str, note: str) -> None:
    possible = VERDICTS[item.kind]
    if verdict not in possible:
        raise BadInput("verdict", f"choose among {', '.join(possible)}.")
    if possible is not _GO_ON and not note.strip():
        raise BadInput("note", "say in a few words how you know.")


def _digest_of(item: ReviewItem) -> str:
    """Of the bytes that the decision is about."""
    if item.proposal is not None:
        return digest(item.proposal.payload)
    return digest(item.command.payload if item.command else item.question)


def _lock(item_id: str) -> ReviewItem:
    """The run first, as everybody does who locks both."""
    run = ReviewItem.objects.filter(pk=item_id).values("run")
    if Run.objects.select_for_update(of=("self",)).filter(pk__in=run).first() is None:
        raise NotFound("review item", item_id)
    item = (
        ReviewItem.objects.select_for_update(of=("self",))
        .select_related("proposal__token", "command", "run__token")
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
    expires = VERDICTS[item.kind] is _GO_ON
    if expires and ReviewItem.objects.filter(pk=item.pk, due_at__lte=Now()).exists():
        # The sweeper has not come by yet, but the deadline was the deadline.
        raise AlreadyDecided("The deadline", "expired", item.due_at.isoformat(timespec="seconds"))
    if item.version != version:
        raise ItemChanged(seen=version, current=item.version)


def _check_wanted(item: ReviewItem, verdict: str) -> None:
    """A run that failed or was cancelled has no use for it any more: nothing of it is begun."""
    run, approves = item.run, verdict == Decision.Verdict.APPROVE
    if approves and run.status in {Run.Status.FAILED, Run.Status.CANCELLED}:
        at = run.ended_at.isoformat(timespec="seconds") if run.ended_at else ""
        raise AlreadyDecided("The run", f"over ({run.status}), so nothing of it runs any more", at)


def _already_decided(item: ReviewItem) -> AlreadyDecided:
    last = item.decisions.select_related("reviewer").order_by("-pk").first()
    at = item.closed_at.isoformat(timespec="seconds") if item.closed_at else ""
    if item.status == ReviewItem.Status.WITHDRAWN:
        return AlreadyDecided("The run", f"over ({item.closed_because})", at)
    if last is None or item.status == ReviewItem.Status.EXPIRED:
        return AlreadyDecided("The deadline", "expired", at)
    return AlreadyDecided(last.reviewer.get_username(), _PAST[last.verdict], at)


def _is_about_change(item: ReviewItem) -> bool:
    """Whatever is asked about it: also what became of the effect, and of work that stopped."""
    proposal = item.proposal or Proposal.objects.filter(run=item.run_id).first()
    return proposal is not None and is_change(proposal.action)


def _check_person(actor: Actor, item: ReviewItem, verdict: str) -> None:
    if _is_about_change(item):
        takes_back = verdict == Decision.Verdict.REJECT
        if takes_back or not settings.RULES_FOUR_EYES:
            # A no needs no second pair of eyes.
            return
        changes.check_author(actor, _change_of(item))
    token = item.proposal.token if item.proposal else item.run.token
    if token is not None and token.owner == actor.user:
        raise NotAllowed(
            actor.name, "decide this", "It was proposed with their own token; somebody else must."
        )
    if item.run.started_by is not None and item.run.started_by == actor.user:
        raise NotAllowed(actor.name, "decide this", "They started this run; somebody else must.")
    if item.decisions.filter(reviewer=actor.user).exists():
        raise NotAllowed(actor.name, "approve twice", "It needs another person's approval as well.")


def _change_of(item: ReviewItem) -> Proposal:
    return item.proposal or Proposal.objects.get(run=item.run_id)


def _settle(item: ReviewItem, decision: Decision) -> None:
    approved = decision.verdict == Decision.Verdict.APPROVE
    given = item.decisions.filter(verdict=Decision.Verdict.APPROVE).count()
    ReviewItem.objects.filter(pk=item.pk).update(version=F("version") + 1)
    if not approved or given >= item.approvals_needed:
        ReviewItem.objects.filter(pk=item.pk).update(
            status=ReviewItem.Status.DECIDED,
            closed_because=_PAST[decision.verdict],
            closed_at=Now(),
        )
    _SETTLERS[item.kind](item, decision, given)


def _settle_proposal(item: ReviewItem, decision: Decision, given: int) -> None:
    if decision.verdict == Decision.Verdict.REJECT:
        _move(item, _rejected(item, decision))
    elif given < item.approvals_needed:
        _move(item, _approval_given(item, decision))
    else:
        _move(item, _approved(item, decision))


def _settle_approval(item: ReviewItem, decision: Decision, given: int) -> None:
    _move(
        item,
        ev.PersonAnswered(
            work=item.work,
            item=item.pk,
            decision=decision.pk,
            by=decision.reviewer.get_username(),
            verdict=decision.verdict,
            reason=decision.reason,
            note=decision.note,
        ),
    )


def _settle_effect(item: ReviewItem, decision: Decision, given: int) -> None:
    proposal = _proposal(item)
    _move(
        item,
        ev.EffectSettled(
            proposal=proposal.pk,
            effect=proposal.effect.pk,
            item=item.pk,
            decision=decision.pk,
            by=decision.reviewer.get_username(),
            verdict=decision.verdict,
            note=decision.note,
        ),
    )


def _settle_command(item: ReviewItem, decision: Decision, given: int) -> None:
    if item.command is not None:
        again, by = decision.verdict == "retry", decision.reviewer.get_username()
        quarantine.release(item.command, again=again, by=by, note=decision.note)


_SETTLERS: dict[str, Callable[[ReviewItem, Decision, int], None]] = {
    ReviewItem.Kind.GUARDRAIL_FAILURE: _settle_proposal,
    ReviewItem.Kind.ESCALATION: _settle_proposal,
    ReviewItem.Kind.RULE_CHANGE: _settle_proposal,
    ReviewItem.Kind.APPROVAL: _settle_approval,
    ReviewItem.Kind.UNKNOWN_EFFECT: _settle_effect,
    ReviewItem.Kind.STUCK_COMMAND: _settle_command,
}


def _move(item: ReviewItem, event: ev.Event) -> None:
    advance([Step(item.run_id, event)])


def _proposal(item: ReviewItem) -> Proposal:
    if item.proposal is None:
        raise NotFound("proposal of review item", item.pk)
    return item.proposal


def _approval_given(item: ReviewItem, decision: Decision) -> ev.Event:
    return ev.ApprovalGiven(
        proposal=_proposal(item).pk,
        item=item.pk,
        decision=decision.pk,
        by=decision.reviewer.get_username(),
        digest=decision.payload_digest,
    )


def _approved(item: ReviewItem, decision: Decision) -> ev.Event:
    effect: Effect = effects.release(
        _proposal(item), effect=effects.new_effect_id(), decision=decision
    )
    return ev.ProposalApproved(
        proposal=effect.proposal_id,
        item=item.pk,
        decision=decision.pk,
        by=decision.reviewer.get_username(),
        digest=decision.payload_digest,
        effect=effect.pk,
    )


def _rejected(item: ReviewItem, decision: Decision) -> ev.Event:
    return ev.ProposalRejected(
        proposal=_proposal(item).pk,
        item=item.pk,
        decision=decision.pk,
        by=decision.reviewer.get_username(),
        reason=decision.reason,
    )
