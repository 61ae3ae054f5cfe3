"""What the review screen shows of one proposal to one reader."""

from typing import Any

from django.http import HttpRequest

from orchestrator import audit_queries, revision_queries, similar_queries
from orchestrator.actions import rollbacks, targets
from orchestrator.contract_queries import review_of
from orchestrator.core.definitions import DIRECT
from orchestrator.models import Proposal, ReviewItem
from review import gold_reads, item_reads, reads
from review.access import may
from review.agent_change import AgentChange, agent_change_of
from review.deciding import decision_facts
from review.htmx import tag_of
from review.once import once
from review.policy_change import PolicyChange, policy_change_of
from review.presentation.arguments import arguments
from review.presentation.changed import Changes, changes_of
from review.presentation.chips import STATUSES
from review.presentation.happenings import Line, told
from review.presentation.scores import Score, Validated, is_validated, score_of, validated_of
from review.rule_change import RuleChange, rule_change_of
from review.talk import talk
from review.target_state import NOTHING, shown

RAN = frozenset(
    {Proposal.Status.EXECUTED, Proposal.Status.ROLLING_BACK, Proposal.Status.ROLLED_BACK}
)
POLL_MOVING_S = 0.25
POLL_WAITING_S = 10
POLL_EVALUATING_S = 1
POLL_UNDOABLE_S = 1


def case_page(request: HttpRequest, case: reads.Case) -> dict[str, Any]:
    proposal, is_open = case.proposal, case.is_open_to(request.user)
    target = shown(targets.look(proposal)) if case.is_waiting else NOTHING
    facts = decision_facts(request, case, page=("proposal", proposal.pk), target=target)
    is_undoable = facts["undo"] is not None and facts["undo"].is_here
    return (
        facts
        | revision_facts(proposal)
        | {"talk": once(talk, "proposal", proposal.pk)}
        | {
            "section": "queue" if case.is_waiting else "proposals",
            "proposal": proposal,
            "change": once(change_of, proposal),
            "payload_title": payload_title(case),
            "why_title": "Why it is here" if is_judged(case) else "What the policy said",
            "look": STATUSES[proposal.status],
            "tag": tag_of(case.facts, is_undoable),
            "poll_s": _poll_s(case, is_undoable),
            "is_live": facts["undo"] is not None or not STATUSES[proposal.status].is_final,
            "context": once(arguments, proposal.context, proposal.tainted),
            "shows_verdicts": is_open,
            "is_unknown": is_unknown(case),
            "may_reopen": once(may_reopen, request, proposal),
            "may_roll_back": once(may_roll_back, request, case),
            "gold": once(gold, request, case),
            "is_overruled": once(is_overruled, case),
            "shows_outcome": not case.is_waiting or is_unknown(case),
            "scores": once(scores, case) if is_open else [],
            "validated": once(validated, case),
            "similar": once(similar, request, case),
            "certificate": once(item_reads.certificate_of, case.decisions),
            "history": once(history, case, is_open),
            "audit": once(reads.audit_entries, case)
            if is_open and may(request.user, "audit.view")
            else [],
        }
    )


def change_of(proposal: Proposal) -> RuleChange | PolicyChange | AgentChange | None:
    """What a change of Countersign itself would change."""
    return rule_change_of(proposal) or policy_change_of(proposal) or agent_change_of(proposal)


def _poll_s(case: reads.Case, is_undoable: bool) -> float:
    """Nothing moves while it can be taken back; a second after that it may."""
    if is_undoable:
        return POLL_UNDOABLE_S
    if case.proposal.status == Proposal.Status.EVALUATING:
        return POLL_EVALUATING_S
    return POLL_MOVING_S if case.is_moving else POLL_WAITING_S


def history(case: reads.Case, is_open: bool) -> list[Line]:
    return told(reads.happenings(case), hide_people=not is_open)


def similar(request: HttpRequest, case: reads.Case) -> similar_queries.Similar | None:
    """Hidden where somebody has spoken and the reader must not know what."""
    is_second = case.approvals > 0 and not case.is_open_to(request.user)
    if case.item is None or not is_judged(case) or not case.is_waiting or is_second:
        return None
    return similar_queries.similar_to(case.item, case.proposal)


def revision_facts(proposal: Proposal) -> dict[str, Any]:
    """What stands in whose place, and what was changed on the way."""
    before, text = proposal.revises, f"Revision {proposal.revision}"
    is_replaced = proposal.status == Proposal.Status.SUPERSEDED
    after = Proposal.objects.filter(revises=proposal).first() if is_replaced else None
    is_sent_back = proposal.status == Proposal.Status.REVISION_REQUESTED
    facts = {
        "before": before,
        "after": after,
        "revision_text": text,
        "wanted": once(revision_queries.request_of, proposal) if is_sent_back else None,
        "wanted_text": f"round {proposal.revision}",
    }
    if before is None:
        return facts
    return facts | {
        "before_reasons": once(reasons_for, before),
        "asked_by_people": once(revision_queries.was_sent_back, before),
        "earlier": once(revision_queries.earlier_than, before),
        "changes": once(_changes, before, proposal),
        "changed_title": "What was changed",
        "revision_text": f"{text} replaces {before.revision}",
    }


def reasons_for(before: Proposal) -> tuple[revision_queries.Reason, ...]:
    """Nothing was sent back where a person edited it."""
    request = revision_queries.request_of(before)
    is_asked = request.asked or before.disposition == "revise"
    return request.reasons if is_asked else ()


def _changes(before: Proposal, proposal: Proposal) -> Changes:
    review = review_of(proposal.contract_version_id)
    return changes_of(before.args, proposal.args, review=review, tainted=proposal.tainted)


def may_roll_back(request: HttpRequest, case: reads.Case) -> bool:
    """Offered where it was done and its target declares how to undo it; not while that is being asked."""
    effect = case.effect
    if effect is None or case.is_waiting or not may(request.user, "effects.undo"):
        return False
    return rollbacks.can_be_undone(effect)


def gold(request: HttpRequest, case: reads.Case) -> gold_reads.Standing | None:
    """For whoever keeps gold items alone: who sees which they are is tried on none."""
    if case.is_waiting or not may(request.user, "gold.edit"):
        return None
    return gold_reads.standing(case.proposal)


def is_overruled(case: reads.Case) -> bool:
    """Said once two more people agree: until then a verdict in dispute is nobody's to see."""
    return bool(case.decisions) and audit_queries.is_overruled(case.proposal.pk)


def may_reopen(request: HttpRequest, proposal: Proposal) -> bool:
    """A run that is more than its proposals has long gone another way."""
    blocked = proposal.status == Proposal.Status.BLOCKED
    return (
        blocked
        and proposal.run.workflow_version.definition == DIRECT
        and may(request.user, "queue.decide")
    )


def is_unknown(case: reads.Case) -> bool:
    """Everything was decided and called; what is asked is whether it happened."""
    return case.item is not None and case.item.kind == ReviewItem.Kind.UNKNOWN_EFFECT


def is_judged(case: reads.Case) -> bool:
    """Guardrails or the score put it before a person."""
    return case.item is not None and not is_unknown(case)


def payload_title(case: reads.Case) -> str:
    """In the tense that fits."""
    if case.proposal.status in RAN:
        return "What ran"
    if case.proposal.status == Proposal.Status.UNKNOWN:
        return "What may have run"
    if case.proposal.status == Proposal.Status.REVISION_REQUESTED:
        return "What was proposed"
    if case.proposal.status == Proposal.Status.EVALUATING:
        return "What would run"
    return "What would have run" if STATUSES[case.proposal.status].is_final else "What will run"


def scores(case: reads.Case) -> list[Score]:
    return [score_of(one) for one in case.evaluations if not is_validated(one)]


def validated(case: reads.Case) -> list[Validated]:
    """Shown only to who may see verdicts; that there are any is told to everybody."""
    return [validated_of(one) for one in case.evaluations if is_validated(one)]
