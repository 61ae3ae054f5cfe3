"""Review items: what people decide. One decision wins; the others are told who won.

What may be decided depends on what is asked: whether a proposal or a run may go on (approve, reject),
what became of an effect (happened, not_happened, retry), whether a command that no worker survived is
tried again (retry, give_up).
"""

from collections.abc import Callable
from datetime import timedelta
from typing import cast

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from orchestrator import queue_queries
from orchestrator.actions import (
    certificates,
    claims,
    confirmations,
    effects,
    refusals,
    rounds,
    targets,
)
from orchestrator.actions.actor import Actor, audit, capabilities_of, require
from orchestrator.actions.confirmations import Seen
from orchestrator.core import definitions
from orchestrator.core import events as ev
from orchestrator.core.commands import CancelRun
from orchestrator.core.definitions import DIRECT
from orchestrator.core.errors import (
    AlreadyDecided,
    BadInput,
    HoldLost,
    IllegalTransition,
    ItemChanged,
    KeyReused,
    NotFound,
    TargetChanged,
    TooLateToUndo,
)
from orchestrator.core.patterns.leaving import is_waited_for
from orchestrator.core.state import ENDED
from orchestrator.engine import audits, notices, quarantine
from orchestrator.engine.advance import Step, advance, complete
from orchestrator.engine.claim import Claimed
from orchestrator.engine.opening import open_item
from orchestrator.engine.plans import definition_of, plan_of
from orchestrator.engine.project import GAVE_UP
from orchestrator.failpoints import failpoint
from orchestrator.models import (
    Batch,
    Command,
    Decision,
    PolicyCheck,
    Proposal,
    Reason,
    ReviewItem,
    Run,
)
from orchestrator.models.ids import new_id

# What an item copies from, when it opens.
OF_RUN = ("workflow_version__workflow", "token__owner", "started_by")
OF_PROPOSAL = ("contract_version", "token__owner", *(f"run__{name}" for name in OF_RUN))
NOTE_LENGTH_MAX = 5_000
KEY_LENGTH_MAX = 255
HANDLED_MS_MAX = 2_147_483_647
# What was blocked is let through by nobody alone.
REOPENED_NEEDS = 2


def decide(
    actor: Actor,
    item_id: str,
    *,
    verdict: str,
    seen: Seen,
    idempotency_key: str,
    reason: str = "",
    note: str = "",
    batch: Batch | None = None,
) -> Decision:
    """Decide, bound to the digest of exactly what was asked and shown.

    1. The same key again is the same click again, and gets the same answer.
    2. Look at the target once more, outside of any transaction; what changed since is looked at again.
    3. Lock the run and the item: from here on there is one decider.
    4. Refuse who may not, what is closed, what changed since it was read, and who does not hold it.
    5. Record the decision; when it settles the matter, close the item and move the run.
    """
    require(actor, "queue.decide", "decide review items")
    _check_input(verdict, reason, note, idempotency_key)
    if verdict == Decision.Verdict.APPROVE:
        try:
            targets.check_unchanged(item_id, seen.target)
        except TargetChanged:
            # By this very click, when it is a repeated one.
            repeated = repeated_of(actor, item_id, verdict, idempotency_key)
            if repeated is None:
                raise
            return repeated
    with transaction.atomic():
        item = lock(item_id)
        _check_verdict(item, verdict, note)
        repeated = repeated_of(actor, item_id, verdict, idempotency_key)
        if repeated is not None:
            return repeated
        check_open(actor, item, seen)
        check_person(actor, item, verdict)
        _check_wanted(item, verdict)
        decision = record(
            actor, item, verdict, seen, idempotency_key, reason=reason, note=note, batch=batch
        )
        if _settle(item, decision):
            # One approval of two is nobody's business yet: the second person decides without knowing it.
            notices.decided(item, decision)
            audits.draw_second(item, decision)
        failpoint("decided-in-transaction")
    return decision


def record(
    actor: Actor,
    item: ReviewItem,
    verdict: str,
    seen: Seen,
    idempotency_key: str,
    *,
    reason: str = "",
    note: str = "",
    batch: Batch | None = None,
) -> Decision:
    """The decision as a row and in the audit log. What follows from it is the caller's to do."""
    undo_s = _undo_s(item, verdict)
    decision = Decision.objects.create(
        item=item,
        reviewer=cast(User, actor.user),
        verdict=verdict,
        reason=reason,
        note=note,
        payload_digest=confirmations.digest_of(item),
        target_digest=seen.target,
        item_version=seen.version,
        idempotency_key=idempotency_key,
        batch=batch,
        handled_ms=None if batch else handled_ms(item),
        undo_until=timezone.now() + timedelta(seconds=undo_s) if undo_s else None,
    )
    audit(
        actor,
        f"review_item.{refusals.PAST[verdict]}",
        item.proposal_id or item.run_id,
        item=item.pk,
        decision=decision.pk,
        reason=reason,
        note=note,
    )
    return decision


def handled_ms(item: ReviewItem) -> int | None:
    """For how long whoever decides has had it; None where nobody noted when they took it."""
    if item.held_since is None:
        return None
    held = timezone.now() - item.held_since
    # The clocks of two hosts may differ, and a hold that is kept alive may last for days.
    return min(max(held // timedelta(milliseconds=1), 0), HANDLED_MS_MAX)


_GO_ON = (Decision.Verdict.APPROVE, Decision.Verdict.REJECT)
_JUDGED = (*_GO_ON, Decision.Verdict.RESPOND)
# These can be taken back for as long as their action says.
UNDOABLE = frozenset({Decision.Verdict.APPROVE, Decision.Verdict.REJECT, Decision.Verdict.RESPOND})
VERDICTS: dict[str, tuple[str, ...]] = {
    ReviewItem.Kind.GUARDRAIL_FAILURE: _JUDGED,
    ReviewItem.Kind.ESCALATION: _JUDGED,
    ReviewItem.Kind.APPROVAL: _GO_ON,
    ReviewItem.Kind.RULE_CHANGE: _GO_ON,
    ReviewItem.Kind.UNKNOWN_EFFECT: (
        Decision.Verdict.HAPPENED,
        Decision.Verdict.NOT_HAPPENED,
        Decision.Verdict.RETRY,
    ),
    ReviewItem.Kind.FAILED_COMPENSATION: (
        Decision.Verdict.RETRY,
        Decision.Verdict.HAPPENED,
        Decision.Verdict.GIVE_UP,
    ),
    ReviewItem.Kind.STUCK_COMMAND: (Decision.Verdict.RETRY, Decision.Verdict.GIVE_UP),
}


@transaction.atomic
def undo(actor: Actor, decision_id: str) -> ReviewItem:
    """Take one's own decision back while nothing came of it yet. Whoever does so holds the item again."""
    found = Decision.objects.filter(pk=decision_id, reviewer=actor.user).first()
    if found is None:
        raise NotFound("decision of yours", decision_id)
    require(actor, "queue.decide", "take decisions back")
    item = lock(found.item_id)
    decision = Decision.objects.select_related("reviewer").get(pk=decision_id)
    _check_undoable(decision)
    if decision.verdict == Decision.Verdict.APPROVE and not item.is_waiting:
        effects.withdraw(_proposal(item), decision)
    Decision.objects.filter(pk=decision.pk).update(undone_at=Now())
    audits.withdraw_second(item)
    _open_again(item, actor)
    undone = ev.DecisionUndone(
        proposal=_proposal(item).pk, item=item.pk, decision=decision.pk, by=actor.name
    )
    try:
        _move(item, undone)
    except IllegalTransition as refusal:
        raise TooLateToUndo(str(refusal)) from refusal
    audit(actor, "review_item.undone", _proposal(item).pk, item=item.pk, decision=decision.pk)
    failpoint("undone-in-transaction")
    return ReviewItem.objects.get(pk=item.pk)


def _undo_s(item: ReviewItem, verdict: str) -> int:
    """A run that is more than its proposals goes on from a no at once, and cannot go back."""
    closes = verdict != Decision.Verdict.APPROVE
    goes_on = item.run.workflow_version.definition != DIRECT
    if verdict not in UNDOABLE or item.proposal is None or (closes and goes_on):
        return 0
    return item.undo_s


def _check_undoable(decision: Decision) -> None:
    if decision.undone_at is not None:
        raise TooLateToUndo("it was taken back already.")
    ended = Decision.objects.filter(pk=decision.pk, undo_until__gt=Now())
    if not ended.exists():
        raise TooLateToUndo("its time has passed.")


def _open_again(item: ReviewItem, actor: Actor) -> None:
    """In the hands of whoever takes it back, unless they may not decide it any more or somebody has it."""
    person = cast(User, actor.user)
    is_taken = item.is_held and item.holder_id != person.pk
    hold = {} if is_taken or _why_not_again(item, person) else claims.hold_of(actor)
    ReviewItem.objects.filter(pk=item.pk).update(
        status=ReviewItem.Status.WAITING,
        closed_because="",
        closed_at=None,
        version=F("version") + 1,
        **hold,
    )


def _why_not_again(item: ReviewItem, person: User) -> str:
    reason = queue_queries.why_not(item, person, capabilities_of(person))
    return "" if claims.may_take_back(item, reason) else reason


@transaction.atomic
def reopen(actor: Actor, proposal_id: str, *, note: str) -> ReviewItem:
    """Put what a rule blocked before people after all. It takes two of them; one can still say no."""
    require(actor, "queue.decide", "reopen what a rule blocked")
    if not 0 < len(note.strip()) <= NOTE_LENGTH_MAX or "\x00" in note:
        raise BadInput("note", f"say why, in 1 to {NOTE_LENGTH_MAX:,} characters.")
    runs = Proposal.objects.filter(pk=proposal_id).values("run")
    if Run.objects.select_for_update(of=("self",)).filter(pk__in=runs).first() is None:
        raise NotFound("proposal", proposal_id)
    proposal = Proposal.objects.select_related(*OF_PROPOSAL).get(pk=proposal_id)
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
    return open_item(
        proposal.run,
        ReviewItem.Kind.GUARDRAIL_FAILURE,
        proposal=proposal,
        because=[
            f"{actor.name} asks for another look: {note.strip()}",
            *(disposition.reasons if disposition else []),
        ],
        fired=fired_of(proposal),
        approvals_needed=REOPENED_NEEDS,
        due_at=timezone.now() + timedelta(hours=settings.REVIEW_DUE_HOURS),
        pk=item,
    )


def ask_person(claimed: Claimed) -> None:
    """A run asks whether it may go on."""
    definition, work = definition_of(claimed.version), claimed.payload["work"]
    planned = plan_of(claimed.version).works[work]
    item = new_id("rev")
    with transaction.atomic():
        complete(claimed, ev.PersonAsked(work=work, item=item, visit=claimed.payload["visit"]))
        open_item(
            Run.objects.select_related(*OF_RUN).get(pk=claimed.run),
            ReviewItem.Kind.APPROVAL,
            because=["the run asks before it goes on"],
            approvals_needed=planned.approvals,
            due_at=timezone.now() + timedelta(seconds=planned.due_s),
            pk=item,
            work=work,
            question=definitions.question(definition, work),
        )
        failpoint("asked-in-transaction")


def _check_input(verdict: str, reason: str, note: str, key: str) -> None:
    if verdict not in Decision.Verdict.values:
        raise BadInput("verdict", f"choose among {', '.join(Decision.Verdict.values)}.")
    if verdict == Decision.Verdict.EDIT:
        raise BadInput("verdict", "an edit says what it changes; send it as an edit.")
    if verdict == Decision.Verdict.REJECT:
        check_reason(reason, note)
    if verdict == Decision.Verdict.RESPOND and not note.strip():
        raise BadInput("note", "say what the agent should change; it is sent these words.")
    check_text(note)
    if not 0 < len(key) <= KEY_LENGTH_MAX:
        raise BadInput("idempotency_key", f"give one of 1 to {KEY_LENGTH_MAX} characters.")


def check_reason(code: str, note: str) -> None:
    """One that is offered now; retired ones only explain what was decided before."""
    code = code.replace("\x00", "")
    reason = Reason.objects.offered().filter(pk=code).first() if code else None
    if reason is None:
        raise BadInput("reason", "say why: choose one of the reasons.")
    if reason.needs_note and not note.strip():
        raise BadInput("note", f"the reason is “{reason.label}”: say which, in a few words.")


def check_text(note: str) -> None:
    if len(note) > NOTE_LENGTH_MAX:
        raise BadInput("note", f"it has {len(note):,} characters, at most {NOTE_LENGTH_MAX:,}.")
    if "\x00" in note:
        raise BadInput("note", "it holds the character NUL, which cannot be stored.")


def _check_verdict(item: ReviewItem, verdict: str, note: str) -> None:
    possible = VERDICTS.get(item.kind, ())
    if verdict not in possible:
        raise BadInput("verdict", f"choose among {', '.join(possible) or 'the audits'}.")
    if possible is not _JUDGED and possible is not _GO_ON and not note.strip():
        raise BadInput("note", "say in a few words how you know.")
    if item.allows and verdict in {"approve", "respond"} and verdict not in item.allows:
        raise BadInput("verdict", f"the action {item.action} does not let people {verdict} it.")
    if verdict == "respond" and item.proposal is not None and rounds.left(item.proposal) <= 0:
        raise BadInput(
            "verdict", f"it was {rounds.used_up(item.proposal)}; decide about it as it is."
        )


def fired_of(proposal: Proposal) -> list[str]:
    """The rules that did not let it pass, when it was looked at last."""
    snapshot = proposal.snapshots.order_by("-pk").values("pk")[:1]
    failed = PolicyCheck.objects.filter(snapshot__in=snapshot, enforced=True).exclude(result="pass")
    return sorted(failed.values_list("rule_version__rule__slug", flat=True))


def lock(item_id: str) -> ReviewItem:
    """The run first, as everybody does who locks both."""
    run = ReviewItem.objects.filter(pk=item_id).values("run")
    locked = Run.objects.select_for_update(of=("self",)).filter(pk__in=run)
    if not locked.values_list("pk", flat=True).first():
        raise NotFound("review item", item_id)
    item = (
        ReviewItem.objects.select_for_update(of=("self",))
        # What only some verdicts need is asked for by them.
        .select_related("proposal", "run")
        .defer("run__state")
        .filter(pk=item_id)
        .first()
    )
    if item is None:
        raise NotFound("review item", item_id)
    return item


def repeated_of(actor: Actor, item_id: str, verdict: str, key: str) -> Decision | None:
    """What the same click said before. One that was taken back since is no answer any more."""
    found = Decision.objects.filter(reviewer=actor.user, idempotency_key=key).first()
    if found is not None and (found.item_id, found.verdict) != (item_id, verdict):
        raise KeyReused(key)
    if found is not None and found.undone_at is not None:
        raise ItemChanged(seen=found.item_version, current=found.item.version)
    return found


def check_open(actor: Actor, item: ReviewItem, seen: Seen) -> None:
    """It waits, it is what was looked at, and whoever decides is who holds it.

    A hold that ran out and that nobody else took is still a hold: nobody else can be at it.
    """
    if not item.is_waiting:
        raise refusals.closed(item)
    expires = item.kind in ReviewItem.EXPIRING or item.kind == ReviewItem.Kind.APPROVAL
    if expires and ReviewItem.objects.filter(pk=item.pk, due_at__lte=Now()).exists():
        # The sweeper has not come by yet, but the deadline was the deadline.
        raise AlreadyDecided("The deadline", "expired", item.due_at.isoformat(timespec="seconds"))
    if item.version != seen.version:
        raise ItemChanged(seen=seen.version, current=item.version)
    confirmations.check(actor, item, seen)
    person = cast(User, actor.user)
    if item.lease != seen.lease or item.holder_id != person.pk:
        if item.holder_id in {None, person.pk}:
            raise HoldLost(item.pk)
        raise refusals.held(item)


def _check_wanted(item: ReviewItem, verdict: str) -> None:
    """A run that is over or past the work that asked has no use for it: nothing of it is begun.

    Runs from before still have such items open; those of today withdraw them.
    """
    run = item.run
    if verdict != Decision.Verdict.APPROVE or plan_of(run.workflow_version_id).pattern == "direct":
        return
    at = run.ended_at.isoformat(timespec="seconds") if run.ended_at else ""
    if run.status in ENDED:
        raise AlreadyDecided("The run", f"over ({run.status}), so nothing of it runs any more", at)
    is_past = item.proposal_id and not is_waited_for(run.canonical_state, item.proposal_id)
    if is_past or _is_given_up_above(run):
        raise AlreadyDecided("The run", f"past it ({GAVE_UP})", at)


def _is_given_up_above(run: Run) -> bool:
    """By the run that waited for it, or by one above that: it is cancelled when a worker comes to it."""
    below, above = run.pk, run.parent_id
    while above:
        asked = Command.objects.filter(run=above, kind=CancelRun.kind, payload__contains=below)
        if asked.exists():
            return True
        below, above = above, Run.objects.values_list("parent", flat=True).get(pk=above)
    return False


def check_person(actor: Actor, item: ReviewItem, verdict: str) -> None:
    """Role, team and origin once more, in the transaction that decides."""
    person = cast(User, actor.user)
    reason = queue_queries.why_not(item, person, capabilities_of(person))
    if reason and not (verdict == Decision.Verdict.REJECT and claims.may_take_back(item, reason)):
        raise claims.not_allowed(actor, item, reason)


def _settle(item: ReviewItem, decision: Decision) -> bool:
    """Whether the matter is closed by it."""
    is_settled = decision.verdict != Decision.Verdict.APPROVE or _is_enough(item)
    if is_settled:
        close(item, refusals.PAST[decision.verdict])
    else:
        let_go(item)
    _SETTLERS[item.kind](item, decision, is_settled)
    return is_settled


def _is_enough(item: ReviewItem) -> bool:
    """Of approvals; that of a moment ago is one of them."""
    if item.approvals_needed == 1:
        return True
    given = item.decisions.filter(verdict=Decision.Verdict.APPROVE, undone_at=None)
    return given.count() >= item.approvals_needed


def close(item: ReviewItem, because: str) -> None:
    """Nobody holds what is closed; who held it is remembered with the decision."""
    ReviewItem.objects.filter(pk=item.pk).update(
        status=ReviewItem.Status.DECIDED,
        closed_because=because,
        closed_at=Now(),
        version=F("version") + 1,
        lease="",
        lease_until=None,
        snoozed_until=None,
    )


def let_go(item: ReviewItem) -> None:
    """Said, and still open: the next person takes it."""
    ReviewItem.objects.filter(pk=item.pk).update(
        version=F("version") + 1, holder=None, lease="", lease_until=None
    )


def _settle_proposal(item: ReviewItem, decision: Decision, is_settled: bool) -> None:
    if decision.verdict == Decision.Verdict.REJECT:
        _move(item, _rejected(item, decision))
    elif decision.verdict == Decision.Verdict.RESPOND:
        _send_back(item, decision)
    elif not is_settled:
        _move(item, _approval_given(item, decision))
    else:
        _move(item, _approved(item, decision))
        certificates.issue(item, decision)


def _send_back(item: ReviewItem, decision: Decision) -> None:
    due_at = timezone.now() + timedelta(hours=settings.REVISION_DUE_HOURS)
    Proposal.objects.filter(pk=item.proposal_id).update(due_at=due_at)
    _move(
        item,
        ev.RevisionRequested(
            proposal=_proposal(item).pk,
            item=item.pk,
            decision=decision.pk,
            by=decision.reviewer.get_username(),
            text=decision.note,
        ),
    )


def _settle_approval(item: ReviewItem, decision: Decision, is_settled: bool) -> None:
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


_SETTLED: dict[str, type[ev.EffectSettled | ev.RollbackSettled]] = {
    ReviewItem.Kind.UNKNOWN_EFFECT: ev.EffectSettled,
    ReviewItem.Kind.FAILED_COMPENSATION: ev.RollbackSettled,
}


def _settle_effect(item: ReviewItem, decision: Decision, is_settled: bool) -> None:
    """What became of it, or of undoing it."""
    proposal = _proposal(item)
    _move(
        item,
        _SETTLED[item.kind](
            proposal=proposal.pk,
            effect=proposal.effect.pk,
            item=item.pk,
            decision=decision.pk,
            by=decision.reviewer.get_username(),
            verdict=decision.verdict,
            note=decision.note,
        ),
    )


def _settle_command(item: ReviewItem, decision: Decision, is_settled: bool) -> None:
    if item.command is not None:
        again, by = decision.verdict == "retry", decision.reviewer.get_username()
        quarantine.release(item.command, again=again, by=by, note=decision.note)


_SETTLERS: dict[str, Callable[[ReviewItem, Decision, bool], None]] = {
    ReviewItem.Kind.GUARDRAIL_FAILURE: _settle_proposal,
    ReviewItem.Kind.ESCALATION: _settle_proposal,
    ReviewItem.Kind.RULE_CHANGE: _settle_proposal,
    ReviewItem.Kind.APPROVAL: _settle_approval,
    ReviewItem.Kind.UNKNOWN_EFFECT: _settle_effect,
    ReviewItem.Kind.FAILED_COMPENSATION: _settle_effect,
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
    effect = effects.release_again(_proposal(item), decision)
    return ev.ProposalApproved(
        proposal=effect.proposal_id,
        item=item.pk,
        decision=decision.pk,
        by=decision.reviewer.get_username(),
        digest=decision.payload_digest,
        effect=effect.pk,
        undo_s=item.undo_s,
    )


def _rejected(item: ReviewItem, decision: Decision) -> ev.Event:
    return ev.ProposalRejected(
        proposal=_proposal(item).pk,
        item=item.pk,
        decision=decision.pk,
        by=decision.reviewer.get_username(),
        reason=decision.reason,
    )
