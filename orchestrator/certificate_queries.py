"""Checking a decision certificate against what is stored: each claim by itself, so that a no says which."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator import journal
from orchestrator.core.codec import canonical, digest, read
from orchestrator.models import Certificate, Decision, Effect, Event, Proposal, RuleVersion

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """One claim of a certificate, and whether the database bears it out."""

    ok: bool
    what: str


def find(decision_id: str) -> Certificate | None:
    related = ("decision__reviewer", "decision__item__proposal")
    return Certificate.objects.select_related(*related).filter(pk=decision_id).first()


def check(text: str) -> list[Finding]:
    """Of a certificate from anywhere. It is good when every finding is."""
    said = read(text) if text.lstrip().startswith("{") else None
    if not isinstance(said, dict) or said.get("certificate") != FORMAT:
        return [Finding(False, "this is no certificate that this version can read")]
    stored = find(str(said.get("decision", "")))
    if stored is None:
        return [Finding(False, f"there is no certificate of {str(said.get('decision'))[:60]}")]
    return list(_check(said, stored))


def _check(said: dict[str, Any], stored: Certificate) -> Iterator[Finding]:
    text = canonical(said)
    same = text == stored.text and digest(text) == stored.digest
    yield Finding(same, "it is, byte for byte, the one that was issued")
    decision = stored.decision
    yield Finding(
        _is_by(said, decision), f"{decision.reviewer} approved it, and did not take it back"
    )
    yield Finding(_is_payload(said), "the payload that is stored has the digest that was approved")
    yield Finding(_is_event(said), "the log says so, in the event that it names")
    yield Finding(_is_chained(said), "the chain of the log holds from its start to that event")
    for rule in said.get("rules", []):
        name = f"{rule.get('rule')} v{rule.get('version')}"
        yield Finding(_is_rule(rule), f"the rule {name} says what it said then")
    yield Finding(_is_consumed(said), "it allowed one effect, of exactly this payload")


def _is_by(said: dict[str, Any], decision: Decision) -> bool:
    approvals = [one.get("by") for one in said.get("approvals", [])]
    return (
        decision.verdict == Decision.Verdict.APPROVE
        and decision.undone_at is None
        and decision.payload_digest == said.get("payload_digest")
        and decision.reviewer.get_username() in approvals
    )


def _is_payload(said: dict[str, Any]) -> bool:
    proposal = Proposal.objects.filter(pk=said.get("proposal")).first()
    wanted = said.get("payload_digest")
    return proposal is not None and digest(proposal.payload) == proposal.digest == wanted


def _is_event(said: dict[str, Any]) -> bool:
    place = said.get("event", {})
    event = Event.objects.filter(run=place.get("run"), seq=place.get("seq")).first()
    if event is None or event.hash != place.get("hash") or event.kind != "proposal_approved":
        return False
    facts = read(event.payload)
    wanted = {
        "proposal": said.get("proposal"),
        "decision": said.get("decision"),
        "digest": said.get("payload_digest"),
        "effect": said.get("effect"),
    }
    return isinstance(facts, dict) and all(facts.get(name) == is_ for name, is_ in wanted.items())


def _is_chained(said: dict[str, Any]) -> bool:
    proposal = Proposal.objects.select_related("run").filter(pk=said.get("proposal")).first()
    if proposal is None:
        return False
    broken = journal.first_broken(proposal.run)
    return broken is None or broken > int(said["event"]["seq"])


def _is_rule(rule: dict[str, Any]) -> bool:
    return RuleVersion.objects.filter(
        rule__slug=rule.get("rule"),
        number=int(rule.get("version", 0)),
        content_hash=rule.get("content_hash"),
    ).exists()


def _is_consumed(said: dict[str, Any]) -> bool:
    effects = Effect.objects.filter(decision=said.get("decision"))
    found = list(effects.values_list("pk", "payload_digest"))
    return found == [(said.get("effect"), said.get("payload_digest"))]
