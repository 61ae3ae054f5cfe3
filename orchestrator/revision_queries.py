"""What an agent is asked to change, and why: for the API's answer and for an agent of a run alike."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from orchestrator.core.codec import Json
from orchestrator.models import Decision, Disposition, Evaluation, PolicyCheck, Proposal, ReviewItem

PERSON, RULE, VALIDATOR, BAND = "person", "rule", "validator", "band"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """`code` says who objects; where that is one of several, the field of that name says which."""

    code: str
    text: str
    rule: str = ""
    validator: str = ""
    band: str = ""

    def to_json(self) -> dict[str, Json]:
        named: dict[str, Json] = {
            name: value for name in (RULE, VALIDATOR, BAND) if (value := getattr(self, name))
        }
        return {"code": self.code, **named, "text": self.text}


@dataclass(frozen=True, slots=True)
class Request:
    reasons: tuple[Reason, ...]
    # A person's words; empty when the score sent it back.
    asked: str
    # Which proposal of its line it is, and how often another one may stand in its place.
    round: int
    rounds_left: int
    due_at: datetime | None


def request_of(proposal: Proposal) -> Request:
    """Of one that was sent back, by a person or by its score."""
    asked = words_for(proposal)
    return Request(
        tuple(_reasons(proposal, asked)),
        asked,
        proposal.revision,
        max(0, settings.REVISIONS_MAX + 1 - proposal.revision),
        proposal.due_at,
    )


def words_for(proposal: Proposal) -> str:
    """What a person asked its agent to change."""
    asked = Decision.objects.filter(item__proposal=proposal, verdict="respond", undone_at=None)
    return str(asked.order_by("-pk").values_list("note", flat=True).first() or "")


def was_sent_back(proposal: Proposal) -> bool:
    """By a person, and not by its score."""
    return ReviewItem.objects.filter(proposal=proposal, closed_because="sent back").exists()


def earlier_than(proposal: Proposal) -> list[Proposal]:
    """Those in whose place it stands, the first of them first. Rounds are few."""
    found: list[Proposal] = []
    while (before := proposal.revises) is not None:
        found.append(before)
        proposal = before
    return found[::-1]


def _reasons(proposal: Proposal, asked: str) -> Iterator[Reason]:
    """People first, then what the machines hold against it."""
    if asked:
        yield Reason(code=PERSON, text=asked)
    made = Disposition.objects.filter(proposal=proposal).select_related("policy").order_by("-pk")
    disposition = made.first()
    if disposition is None:
        return
    yield from _rules(disposition)
    yield from _validators(disposition)
    if disposition.verdict in {"revise", "escalate"}:
        text = "; ".join(disposition.reasons)
        yield Reason(code=BAND, band=disposition.band, text=text)


def _rules(disposition: Disposition) -> Iterator[Reason]:
    checks = PolicyCheck.objects.filter(snapshot=disposition.snapshot_id, enforced=True)
    failed = checks.exclude(result=PolicyCheck.Result.PASS).order_by("pk")
    for slug, text in failed.values_list("rule_version__rule__slug", "reason"):
        yield Reason(code=RULE, rule=slug, text=text)


def _validators(disposition: Disposition) -> Iterator[Reason]:
    """Those that would not accept it by themselves. Their words are an agent's, and only ever shown."""
    said = Evaluation.objects.filter(
        snapshot=disposition.snapshot_id, evaluator=Evaluation.Evaluator.VALIDATOR
    )
    for one in said.order_by("pk"):
        raw: Any = one.raw or {}
        is_content = one.score is not None and disposition.policy.bands.of(one.score) == "accept"
        if is_content and raw.get("verdict") == "pass":
            continue
        for text in raw.get("reasons") or [_without_reason(one)]:
            yield Reason(code=VALIDATOR, validator=one.name, text=text)


def _without_reason(one: Evaluation) -> str:
    return "it gave no answer that counts" if one.score is None else f"its score is {one.score:g}"
