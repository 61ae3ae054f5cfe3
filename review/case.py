"""What the review screen shows of one proposal to one reader."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from orchestrator.actions import changes
from orchestrator.core.definitions import DIRECT
from orchestrator.core.policy.changes import is_change
from orchestrator.models import Evaluation, Proposal, ReviewItem
from review import reads
from review.access import may
from review.deciding import decision_facts, is_own_wish
from review.htmx import tag_of
from review.presentation.arguments import arguments, is_tainted
from review.presentation.chips import STATUSES
from review.presentation.happenings import told
from review.rule_change import rule_change_of

POLL_MOVING_S = 0.25
POLL_WAITING_S = 10


def case_page(request: HttpRequest, case: reads.Case) -> dict[str, Any]:
    proposal, is_open = case.proposal, case.is_open_to(request.user)
    is_own = is_own_change(request.user, proposal) or (
        not is_change(proposal.action) and is_own_wish(request.user, proposal.run, proposal.token)
    )
    return decision_facts(request, case, page=("proposal", proposal.pk), is_own=is_own) | {
        "section": "queue" if case.is_waiting else "proposals",
        "proposal": proposal,
        "change": rule_change_of(proposal),
        "payload_title": payload_title(case),
        "why_title": "Why it is here" if is_judged(case) else "What the policy said",
        "look": STATUSES[proposal.status],
        "tag": tag_of(case.facts),
        "poll_s": POLL_MOVING_S if case.is_moving else POLL_WAITING_S,
        "arguments": arguments(proposal.args, proposal.tainted),
        "target_is_tainted": is_tainted("/target", proposal.tainted),
        "context": arguments(proposal.context, proposal.tainted),
        "shows_verdicts": is_open,
        "is_unknown": is_unknown(case),
        "may_reopen": may_reopen(request, proposal),
        "shows_outcome": not case.is_waiting or is_unknown(case),
        "scores": scores(case) if is_open else [],
        "history": told(reads.happenings(case), hide_people=not is_open),
        "audit": reads.audit_entries(case) if is_open and may(request.user, "audit.view") else [],
    }


def may_reopen(request: HttpRequest, proposal: Proposal) -> bool:
    """A run that is more than its proposals has long gone another way."""
    blocked = proposal.status == Proposal.Status.BLOCKED
    return (
        blocked
        and proposal.run.workflow_version.definition == DIRECT
        and may(request.user, "queue.decide")
    )


def is_own_change(reader: Any, proposal: Proposal) -> bool:
    """Neither who asked for a change of a rule nor who wrote it agrees to it, where four eyes are wanted."""
    if not is_change(proposal.action) or not settings.RULES_FOUR_EYES:
        return False
    return reader.pk in {proposal.run.started_by_id, changes.version_in(proposal).created_by_id}


def is_unknown(case: reads.Case) -> bool:
    """Everything was decided and called; what is asked is whether it happened."""
    return case.item is not None and case.item.kind == ReviewItem.Kind.UNKNOWN_EFFECT


def is_judged(case: reads.Case) -> bool:
    """Guardrails or the score put it before a person."""
    return case.item is not None and not is_unknown(case)


def payload_title(case: reads.Case) -> str:
    """In the tense that fits."""
    if case.proposal.status == Proposal.Status.EXECUTED:
        return "What ran"
    if case.proposal.status == Proposal.Status.UNKNOWN:
        return "What may have run"
    if case.proposal.status == Proposal.Status.REVISION_REQUESTED:
        return "What was proposed"
    return "What would have run" if STATUSES[case.proposal.status].is_final else "What will run"


def scores(case: reads.Case) -> list[tuple[str, Evaluation]]:
    return [(evaluation.get_evaluator_display(), evaluation) for evaluation in case.evaluations]
