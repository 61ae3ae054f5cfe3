"""What a page needs on which somebody may decide, whatever the item is about."""

import secrets
from typing import Any, NamedTuple

from django.http import HttpRequest
from django.urls import reverse

from orchestrator.models import ApiToken, Decision, ReviewItem, Run
from review import reads
from review.access import may


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
    ReviewItem.Kind.RULE_CHANGE: "then the rule stays as it is",
}


def decision_facts(
    request: HttpRequest, case: reads.Decidable, *, page: tuple[str, str], is_own: bool
) -> dict[str, Any]:
    """`page` is the name and the id of the address that is decided at."""
    name, pk = page
    item = case.item
    kind = ReviewItem.Kind(item.kind) if item else ReviewItem.Kind.GUARDRAIL_FAILURE
    question = QUESTIONS.get(kind)
    waiting = reads.side_list() if may(request.user, "queue.view") else []
    return {
        "case": case,
        "item": item,
        "page_url": reverse(name, args=[pk]),
        "decide_url": reverse("decide" if name == "proposal" else "decide_item", args=[pk]),
        "decide_form": "review/answer.html" if question else "review/judge.html",
        "asked": question.asked if question else "",
        "answers": question.answers if question else (),
        "silence": SILENCE.get(kind, ""),
        "may_see_runs": may(request.user, "runs.view"),
        "waiting": waiting,
        "next": next((other for other in waiting if item is None or other.pk != item.pk), None),
        "refusal": refusal(request, case, is_own=is_own),
        "reasons": Decision.Reason.choices,
        "new_key": secrets.token_urlsafe(18),
    }


def is_own_wish(reader: Any, run: Run, token: ApiToken | None) -> bool:
    """Nobody countersigns what they, or their own token, asked for."""
    return reader.pk in {run.started_by_id, token.owner_id if token else None}


def refusal(request: HttpRequest, case: reads.Decidable, *, is_own: bool) -> str:
    """Why the reader gets no buttons; empty when they do."""
    if not case.is_waiting:
        return "closed"
    if not may(request.user, "queue.decide"):
        return "role"
    is_change = case.item is not None and case.item.kind == ReviewItem.Kind.RULE_CHANGE
    if is_change and not may(request.user, "rules.edit"):
        return "admin"
    if case.decided_by(request.user):
        return "decided"
    return "own" if is_own else ""
