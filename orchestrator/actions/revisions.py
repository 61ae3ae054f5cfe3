"""Revisions: another proposal in the place of one, written by a person or by its agent.

What was proposed never changes, so that an approval always means the bytes that were read. A revision
is checked like any proposal, and every approval of what it replaces is void.
"""

from typing import cast

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from orchestrator import queue_queries, revision_queries
from orchestrator.actions import claims, proposals, reviews, rounds, speaking
from orchestrator.actions.actor import Actor, audit, capabilities_of, require
from orchestrator.actions.confirmations import Seen
from orchestrator.actions.judgements import Replaced
from orchestrator.actions.proposals import Suggestion
from orchestrator.actions.refusals import PAST
from orchestrator.core.codec import Json, canonical
from orchestrator.core.errors import BadInput, NotFound, NotWaitingForRevision
from orchestrator.models import ApiToken, Decision, Proposal, ReviewItem, Run

EDITED_KINDS = (ReviewItem.Kind.GUARDRAIL_FAILURE, ReviewItem.Kind.ESCALATION)


def edit(
    actor: Actor,
    item_id: str,
    *,
    args: dict[str, Json],
    seen: Seen,
    idempotency_key: str,
    reason: str,
    note: str = "",
) -> Proposal:
    """Change the arguments. Nothing runs by it: the editor then has the revision in front of them.

    1. Check that the editor holds the item, and that the action lets people edit.
    2. Record the edit as their decision, which closes the item.
    3. Put the revision in its place: contract, rules and masks as for any proposal.
    4. Its item opens, held by the editor. What a rule blocks as edited is refused, and nothing is kept.
    """
    require(actor, "queue.decide", "edit what is proposed")
    reviews.check_reason(reason, note)
    reviews.check_text(note)
    with transaction.atomic():
        item = reviews.lock(item_id)
        repeated = reviews.repeated_of(actor, item.pk, Decision.Verdict.EDIT, idempotency_key)
        if repeated is not None:
            return Proposal.objects.get(revises=item.proposal_id)
        before = _check_editable(item, args)
        reviews.check_open(actor, item, seen)
        reviews.check_person(actor, item, Decision.Verdict.EDIT)
        verdict = Decision.Verdict.EDIT
        reviews.record(actor, item, verdict, seen, idempotency_key, reason=reason, note=note)
        reviews.close(item, PAST[verdict])
        editor = cast(User, actor.user)
        after = Replaced(before, by=actor.name, editor=editor, item=item.pk)
        revision = proposals.replace(actor, _edited(before, args), after)
        _hand_to(actor, revision)
    return revision


def revise(actor: Actor, proposal_id: str, suggestion: Suggestion) -> Proposal:
    """An outside agent's answer to what was sent back to it."""
    with transaction.atomic():
        before = _lock_asked(actor, proposal_id)
        if suggestion.action != before.action:
            raise BadInput("action", f"a revision stays with the action {before.action}.")
        speaking.check(actor, suggestion.agent, suggestion.agent_version)
        people = revision_queries.was_sent_back(before)
        after = Replaced(before, by=before.agent, asked_by_people=people)
        revision = proposals.replace(actor, suggestion, after)
        audit(actor, "proposal.revised", before.pk, revision=revision.pk)
    return revision


def _check_editable(item: ReviewItem, args: dict[str, Json]) -> Proposal:
    if item.kind not in EDITED_KINDS or item.proposal is None or "edit" not in item.allows:
        raise BadInput("args", "what this item asks cannot be edited; approve or reject it.")
    if canonical(args) == canonical(item.proposal.args):
        raise BadInput("args", "nothing was changed; approve it as it is, or change something.")
    _check_rounds(item.proposal)
    return item.proposal


def _hand_to(actor: Actor, revision: Proposal) -> None:
    """Whoever edited it has it in front of them, unless others alone may sign it."""
    item = ReviewItem.objects.openly().select_related("proposal", "team").get(proposal=revision)
    person = cast(User, actor.user)
    if not queue_queries.why_not(item, person, capabilities_of(person)):
        claims.take(actor, item.pk)


def _check_rounds(before: Proposal) -> None:
    if rounds.left(before) <= 0:
        raise BadInput(
            "proposal", f"it was revised {settings.REVISIONS_MAX} times; decide about it as it is."
        )


def _edited(before: Proposal, args: dict[str, Json]) -> Suggestion:
    """The same suggestion with other arguments: the evidence and the score are still the agent's."""
    return Suggestion(
        agent=before.agent,
        action=before.action,
        target=before.target,
        args=args,
        workflow=before.run.workflow_version.workflow.slug,
        agent_version=before.agent_version,
        model=before.model,
        external_id=before.external_id,
        confidence=before.confidence,
        rationale=before.rationale,
        context=before.context,
        tainted=before.tainted,
        trace=before.trace,
    )


def _lock_asked(actor: Actor, proposal_id: str) -> Proposal:
    """Whoever proposed it may answer; for anybody else it does not exist."""
    token = cast(ApiToken, actor.token)
    owned = Proposal.objects.filter(pk=proposal_id, token=token)
    if not Run.objects.select_for_update(of=("self",)).filter(pk__in=owned.values("run")):
        raise NotFound("proposal", proposal_id)
    before = owned.select_related(*reviews.OF_PROPOSAL).get()
    if before.status != Proposal.Status.REVISION_REQUESTED:
        raise NotWaitingForRevision(proposal_id, before.status)
    _check_rounds(before)
    return before
