"""What a page about one blind item shows: before the verdict the matter alone, after it everything."""

import secrets
from typing import Any

from django.http import HttpRequest

from orchestrator.actions import confirmations
from orchestrator.core.policy import auditing
from orchestrator.models import Reason
from review import audit_reads
from review.access import actor_of
from review.audit_reads import Audit, Reveal
from review.presentation.arguments import arguments

# How it came out, for whoever judged it. Of a dispute that is open nobody knows yet.
OUTCOMES = {
    auditing.CONFIRMED: ("ok", "circle-check", "You agree with what was done."),
    auditing.OVERTURNED: ("warn", "users", "You disagree with what was done."),
    auditing.FOR_THE_FIRST: ("ok", "circle-check", "You side with what was done."),
    auditing.FOR_THE_AUDITOR: ("warn", "users", "You side with the auditor: it was wrong."),
    auditing.LABELLED: ("ok", "circle-check", "Nobody has said yes or no to this one but you."),
    auditing.AS_KNOWN: ("ok", "circle-check", "You agree with the known answer."),
    auditing.NOT_AS_KNOWN: ("warn", "circle-alert", "You disagree with the known answer."),
}
# Who settled a gold item: see audit_queries.SOURCES.
SETTLED_BY = {
    "adjudication": "a third person",
    "audit": "an auditor",
    "second review": "two people",
    "review": "whoever decided it",
}
NEWS = {
    auditing.CONFIRMED: "Recorded. You agree with what was done.",
    auditing.OVERTURNED: "Recorded. You disagree with what was done; a third person is asked.",
    auditing.FOR_THE_FIRST: "Recorded. You side with what was done.",
    auditing.FOR_THE_AUDITOR: "Recorded. You side with the auditor.",
    auditing.LABELLED: "Recorded. Nobody has said yes or no to this one but you.",
    auditing.AS_KNOWN: "Recorded. You agree with the known answer.",
    auditing.NOT_AS_KNOWN: "Recorded. You disagree with the known answer.",
}


def audit_page(request: HttpRequest, audit: Audit) -> dict[str, Any]:
    facts = {
        "section": "audits",
        "audit": audit,
        "item": audit.item,
        "proposal": audit.proposal,
        "payload_title": "What would run",
        "context": arguments(audit.proposal.context, audit.proposal.tainted),
    }
    if audit.own is not None:
        return facts | _revealed(audit_reads.reveal(audit))
    return facts | (_judging(request, audit) if audit.is_held_by_reader else {})


def _judging(request: HttpRequest, audit: Audit) -> dict[str, Any]:
    actor = actor_of(request)
    return {
        "seen": confirmations.seen(actor, audit.item),
        "reasons": list(Reason.objects.offered().values_list("code", "label")),
        "new_key": secrets.token_urlsafe(18),
    }


def _revealed(reveal: Reveal) -> dict[str, Any]:
    tone, icon, sentence = OUTCOMES[reveal.closed_because]
    return {
        "reveal": reveal,
        "tone": tone,
        "outcome_icon": icon,
        "outcome": sentence,
        "settled_by": SETTLED_BY[reveal.gold.said_by] if reveal.gold else "",
    }
