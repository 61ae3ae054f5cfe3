"""What the review screen shows of one proposal to one reader."""

import secrets
from typing import Any

from django.http import HttpRequest

from orchestrator.models import Decision, Evaluation, Proposal
from review import reads
from review.access import may
from review.htmx import tag_of
from review.presentation.arguments import arguments, is_tainted
from review.presentation.chips import STATUSES
from review.presentation.happenings import told

POLL_MOVING_S = 0.25
POLL_WAITING_S = 10


def case_page(request: HttpRequest, case: reads.Case) -> dict[str, Any]:
    proposal, is_open = case.proposal, case.is_open_to(request.user)
    waiting = reads.side_list() if may(request.user, "queue.view") else []
    return {
        "case": case,
        "section": "queue" if case.is_waiting else "proposals",
        "proposal": proposal,
        "item": case.item,
        "payload_title": payload_title(case),
        "why_title": "Why it is here" if case.item else "What the policy said",
        "look": STATUSES[proposal.status],
        "tag": tag_of(case.facts),
        "poll_s": POLL_MOVING_S if case.is_moving else POLL_WAITING_S,
        "arguments": arguments(proposal.args, proposal.tainted),
        "target_is_tainted": is_tainted("/target", proposal.tainted),
        "context": arguments(proposal.context, proposal.tainted),
        "shows_verdicts": is_open,
        "scores": scores(case) if is_open else [],
        "history": told(reads.happenings(case), hide_people=not is_open),
        "audit": reads.audit_entries(case) if is_open and may(request.user, "audit.view") else [],
        "waiting": waiting,
        "next": next((item for item in waiting if item.proposal_id != proposal.pk), None),
        "refusal": refusal(request, case),
        "reasons": Decision.Reason.choices,
        "new_key": secrets.token_urlsafe(18),
    }


def payload_title(case: reads.Case) -> str:
    """In the tense that fits."""
    if case.proposal.status == Proposal.Status.EXECUTED:
        return "What ran"
    if case.proposal.status == Proposal.Status.REVISION_REQUESTED:
        return "What was proposed"
    return "What would have run" if STATUSES[case.proposal.status].is_final else "What will run"


def scores(case: reads.Case) -> list[tuple[str, Evaluation]]:
    return [(evaluation.get_evaluator_display(), evaluation) for evaluation in case.evaluations]


def refusal(request: HttpRequest, case: reads.Case) -> str:
    """Why the reader gets no buttons; empty when they do."""
    token = case.proposal.token
    if not case.is_waiting:
        return "closed"
    if not may(request.user, "queue.decide"):
        return "role"
    if case.decided_by(request.user):
        return "decided"
    if token is not None and token.owner_id == request.user.pk:
        return "own"
    return ""
