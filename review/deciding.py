"""What a page needs on which somebody may decide, whatever the item is about."""

import secrets
from typing import Any, NamedTuple

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from orchestrator import queue_queries, team_queries
from orchestrator.actions import confirmations, reviews, revisions
from orchestrator.actions.actor import capabilities_of
from orchestrator.actions.claims import may_take_back
from orchestrator.models import Decision, Reason, ReviewItem
from review import queue_reads, reads
from review.access import actor_of, may, person_of
from review.came_from import queue_of
from review.desk_routes import urls_at
from review.once import once
from review.snoozing import choices
from review.target_state import NOTHING, Shown
from review.undoing import undo_of


class Question(NamedTuple):
    """What is asked where a fact is wanted rather than a judgement, and the answers there are."""

    asked: str
    answers: tuple[tuple[str, str], ...]


QUESTIONS = {
    ReviewItem.Kind.UNKNOWN_EFFECT: Question(
        "Look there and say",
        (
            (Decision.Verdict.HAPPENED, "It happened"),
            (Decision.Verdict.NOT_HAPPENED, "It did not happen, do not run it"),
            (Decision.Verdict.RETRY, "It did not happen, run it again"),
        ),
    ),
    ReviewItem.Kind.FAILED_COMPENSATION: Question(
        "What becomes of it?",
        (
            (Decision.Verdict.RETRY, "Try to undo it again"),
            (Decision.Verdict.HAPPENED, "It is undone, by hand"),
            (Decision.Verdict.GIVE_UP, "It stands, leave it"),
        ),
    ),
    ReviewItem.Kind.STUCK_COMMAND: Question(
        "What should become of it?",
        ((Decision.Verdict.RETRY, "Try again"), (Decision.Verdict.GIVE_UP, "Give up")),
    ),
}
# What nobody's answer means. What became of an effect or of stuck work, silence cannot say.
SILENCE = {
    ReviewItem.Kind.GUARDRAIL_FAILURE: "then it expires and nothing runs",
    ReviewItem.Kind.ESCALATION: "then it expires and nothing runs",
    ReviewItem.Kind.APPROVAL: "then it is a no",
    ReviewItem.Kind.RULE_CHANGE: "then all stays as it is",
}
# Why the reader gets no buttons, by the words of queue_queries.why_not.
REFUSALS = {
    "role": "You may look. Deciding needs the role reviewer or admin.",
    "admin": "You may look. Changes of Countersign are decided by an admin.",
    "decided": "You have decided; another person must as well.",
    "own": "This came from you or your own token, so somebody else must decide.",
    "editor": "You edited it and its risk is high, so somebody else must approve it.",
}
OWN_CHANGE = "You asked for it or wrote it, so another admin must agree. You can take it back."


def decision_facts(
    request: HttpRequest, case: reads.Decidable, *, page: tuple[str, str], target: Shown = NOTHING
) -> dict[str, Any]:
    """`page` is the name and the id of the address that is decided at."""
    name, pk = page
    item = case.item
    may_see_queue = may(request.user, "queue.view")
    person = person_of(request)
    reason = "closed" if item is None or not item.is_waiting else _why_not(request, item)
    hold = hold_of(request, item) if item is not None and item.is_waiting else ""
    facts: dict[str, Any] = {
        "case": case,
        "item": item,
        "page_url": reverse(name, args=[pk]),
        "to": urls_at(name, pk),
        "queue": queue_of(request),
        "may_see_runs": may(request.user, "runs.view"),
        "waiting": once(queue_reads.side_list, person) if may_see_queue else [],
        "has_next": once(queue_reads.has_other, item) if may_see_queue else False,
        "refusal": reason,
        "why_not": _sentence(reason, item) if item else "",
        "hold": hold,
        "held_text": f"Held by {item.holder}" if item is not None and hold == "other" else "",
        "claim_minutes": settings.CLAIM_MINUTES,
        "comment_length_max": settings.COMMENT_LENGTH_MAX,
        "undo": undo_of(request, item.pk if item else None, case.decisions),
        "target": target,
    }
    if item is not None:
        facts |= _asked(item) | _around(request, item)
        facts["approvals_text"] = f"{case.approvals} of {item.approvals_needed} approvals"
    if item is not None and hold == "mine":
        facts |= _forms(request, item, target)
    return facts


def hold_of(request: HttpRequest, item: ReviewItem) -> str:
    """By whom it is held: "mine", "other", or nobody."""
    if not item.is_held:
        return ""
    return "mine" if item.holder_id == request.user.pk else "other"


def _asked(item: ReviewItem) -> dict[str, Any]:
    kind = ReviewItem.Kind(item.kind)
    question = QUESTIONS.get(kind)
    return {
        "decide_form": "review/answer.html" if question else "review/judge.html",
        "asked": question.asked if question else "",
        "answers": question.answers if question else (),
        "silence": SILENCE.get(kind, ""),
    }


def _around(request: HttpRequest, item: ReviewItem) -> dict[str, Any]:
    """What can be done without holding it."""
    may_assign = item.is_waiting and may(request.user, "queue.assign")
    return {
        "teams": team_queries.able_teams() if may_assign else [],
        "may_assign": may_assign,
    }


def _forms(request: HttpRequest, item: ReviewItem, target: Shown) -> dict[str, Any]:
    """Only for whoever holds it: everything that a decision has to carry."""
    return {
        "seen": confirmations.seen(actor_of(request), item, target=target.digest),
        "verbs": verbs_of(item),
        "may_take_back": may_take_back(item, "own"),
        "reasons": Reason.objects.offered(),
        "snoozes": choices(item, timezone.now()),
        "new_key": secrets.token_urlsafe(18),
    }


def verbs_of(item: ReviewItem) -> frozenset[str]:
    """What its kind asks for and its action lets people do."""
    allowed = {"reject", *item.allows} if item.allows else {"approve", "respond", "reject"}
    verbs = allowed & set(reviews.VERDICTS.get(item.kind, ()))
    if item.kind in revisions.EDITED_KINDS and "edit" in item.allows:
        verbs.add("edit")
    if item.escalated_at is None or (item.team and item.team.escalates_to_id):
        verbs.add("escalate")
    return frozenset(verbs)


def _why_not(request: HttpRequest, item: ReviewItem) -> str:
    person = person_of(request)
    return queue_queries.why_not(item, person, capabilities_of(person))


def _sentence(reason: str, item: ReviewItem) -> str:
    if reason == "team":
        return f"You may look. {queue_queries.team_sentence(item)}"
    if reason == "own" and item.kind == ReviewItem.Kind.RULE_CHANGE:
        return OWN_CHANGE
    return REFUSALS.get(reason, "")
