"""Decision certificates: what an approval rests on, in bytes that anybody can check again.

Made in the transaction that releases the effect, after its event: the certificate names the event's
hash, and with it everything that the log says before.
"""

from typing import cast

from orchestrator.core.codec import Json, canonical, digest
from orchestrator.models import (
    Certificate,
    ContractVersion,
    Decision,
    Disposition,
    Event,
    PolicyCheck,
    Proposal,
    ReviewItem,
)

FORMAT = 1


def issue(item: ReviewItem, decision: Decision) -> Certificate:
    """For the decision that released the effect of its proposal."""
    text = canonical(_facts(cast(Proposal, item.proposal), item, decision))
    return Certificate.objects.create(decision=decision, text=text, digest=digest(text))


def _facts(proposal: Proposal, item: ReviewItem, decision: Decision) -> dict[str, Json]:
    contracts = ContractVersion.objects.select_related("contract")
    contract = contracts.filter(proposal=proposal).first()
    dispositions = Disposition.objects.filter(proposal=proposal).select_related("policy")
    disposition = dispositions.order_by("-pk").first()
    return {
        "certificate": FORMAT,
        "decision": decision.pk,
        "item": item.pk,
        "proposal": proposal.pk,
        "action": proposal.action,
        "target": proposal.target,
        "payload_digest": decision.payload_digest,
        "contract": f"{contract.contract.name} v{contract.number}" if contract else None,
        "agent": {
            "name": proposal.agent,
            "version": proposal.agent_version,
            "model": proposal.model,
        },
        "edited_by": proposal.edited_by.get_username() if proposal.edited_by else None,
        "policy": disposition.policy.number if disposition else None,
        "rules": _rules(disposition),
        "approvals": _approvals(item, decision),
        "effect": proposal.effect.pk,
        "at": decision.created_at.isoformat(),
        "event": _event(proposal, decision),
    }


def _rules(disposition: Disposition | None) -> list[Json]:
    """Every version that had a say when it was looked at last."""
    if disposition is None:
        return []
    checks = PolicyCheck.objects.filter(snapshot=disposition.snapshot_id, enforced=True)
    return [
        {
            "rule": check.rule_version.rule.slug,
            "version": check.rule_version.number,
            "content_hash": check.rule_version.content_hash,
            "result": check.result,
        }
        for check in checks.select_related("rule_version__rule").order_by("pk")
    ]


def _approvals(item: ReviewItem, decision: Decision) -> list[Json]:
    given = [decision] if item.approvals_needed == 1 else _approvals_of(item)
    return [
        {"by": one.reviewer.get_username(), "decision": one.pk, "at": one.created_at.isoformat()}
        for one in given
    ]


def _approvals_of(item: ReviewItem) -> list[Decision]:
    approved = Decision.objects.filter(item=item, verdict="approve", undone_at=None)
    return list(approved.select_related("reviewer").order_by("pk"))


def _event(proposal: Proposal, decision: Decision) -> dict[str, Json]:
    """The one that says so in the log, which is the newest of its run."""
    events = Event.objects.filter(run=proposal.run_id, kind="proposal_approved")
    event = events.only("seq", "hash").latest("seq")
    return {"run": proposal.run_id, "seq": event.seq, "hash": event.hash}
