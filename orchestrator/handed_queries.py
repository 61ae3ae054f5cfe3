"""What agents and validators are handed that the log only names, for whoever asks them and for their traces.

A proposal that was sent back, what became of each ask, and what validators see of a proposal.
"""

from collections.abc import Collection, Mapping
from typing import Any

from orchestrator import revision_queries
from orchestrator.core.codec import Json, read
from orchestrator.models import Decision, Proposal, Snapshot

# Of its snapshot: what is suggested, and what it is said to rest on.
TO_VALIDATORS = ("proposal", "context")

# How an event that settles an ask is told to whoever asked.
STATUS = {
    "work_asked": "refused",
    "ask_refused": "refused",
    "effect_succeeded": "done",
    "effect_failed": "failed",
    "proposal_rejected": "rejected",
    "proposal_expired": "expired",
    "proposal_withdrawn": "withdrawn",
    "revision_requested": "sent_back",
}
AFTER_DISPOSITION = {"block": "blocked", "revise": "sent_back"}
AFTER_SETTLING = {"happened": "done", "not_happened": "failed"}


def sent_back(pk: str) -> Json:
    """What was proposed, and why it was sent back: by its score, or by a person in words."""
    found = Proposal.objects.get(pk=pk)
    request = revision_queries.request_of(found)
    handed: dict[str, Json] = {
        "proposal": read(found.payload),
        "reasons": [reason.to_json() for reason in request.reasons],
        "round": request.round,
    }
    return handed | ({"asked": request.asked} if request.asked else {})


def shown_to_validators(proposals: Collection[str]) -> dict[str, dict[str, Json]]:
    """By proposal: what was masked when it came, and no more than that."""
    rows = Snapshot.objects.filter(proposal__in=proposals).order_by("proposal", "pk")
    texts = dict(rows.distinct("proposal").values_list("proposal", "inputs"))
    found: dict[str, Any] = {proposal: read(text) for proposal, text in texts.items()}
    return {
        proposal: {name: seen[name] for name in TO_VALIDATORS} for proposal, seen in found.items()
    }


def answer(ask: Mapping[str, Json], kind: str, facts: Mapping[str, Any]) -> dict[str, Json]:
    told: dict[str, Json] = {
        "key": ask["key"],
        "tool": ask["tool"],
        "status": _status(kind, facts),
    }
    if kind == "work_asked":
        return told | {"error": ask.get("error")}
    if "proposal" in facts:
        told["proposal"] = facts["proposal"]
    more = {name: facts[name] for name in ("receipt", "error", "reason") if facts.get(name)}
    return told | more | _words(kind, facts)


def _status(kind: str, facts: Mapping[str, Any]) -> str:
    if kind == "proposal_disposed":
        return AFTER_DISPOSITION[facts["disposition"]]
    if kind == "effect_settled":
        return AFTER_SETTLING[facts["verdict"]]
    return STATUS[kind]


def _words(kind: str, facts: Mapping[str, Any]) -> dict[str, Json]:
    """What people and rules had to say about it, and what was done where somebody edited it."""
    if kind == "proposal_rejected":
        decision = Decision.objects.filter(pk=facts["decision"]).first()
        return {"note": decision.note} if decision and decision.note else {}
    if kind not in {"proposal_disposed", "revision_requested", "effect_succeeded"}:
        return {}
    proposal = Proposal.objects.get(pk=facts["proposal"])
    if kind == "effect_succeeded":
        return {"edited": True, "args": proposal.args} if proposal.edited_by_id else {}
    request = revision_queries.request_of(proposal)
    reasons: list[Json] = [reason.to_json() for reason in request.reasons]
    return {"reasons": reasons} | ({"asked": request.asked} if request.asked else {})
