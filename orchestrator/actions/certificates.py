"""Decision certificates: what an approval rests on, in bytes that anybody can check again.

Made in the transaction that releases the effect, after its event: the certificate names the event's
hash, and with it everything that the log says before.
"""

from orchestrator.core.codec import Json, canonical, digest
from orchestrator.models import (
    Certificate,
    Decision,
    Disposition,
    Effect,
    Event,
    PolicyCheck,
    Proposal,
    ReviewItem,
)

FORMAT = 1


def issue(item: ReviewItem, decision: Decision) -> Certificate:
    """For the decision that released the effect of its proposal."""
    proposal = Proposal.objects.select_related("contract_version__contract").get(
        pk=item.proposal_id
    )
    text = canonical(_facts(proposal, item, decision))
    return Certificate.objects.create(decision=decision, text=text, digest=digest(text))


def _facts(proposal: Proposal, item: ReviewItem, decision: Decision) -> dict[str, Json]:
    contract = proposal.contract_version
    disposition = Disposition.objects.filter(proposal=proposal).order_by("-pk").first()
    effect = Effect.objects.get(proposal=proposal)
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
        "approvals": _approvals(item),
        "effect": effect.pk,
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


def _approvals(item: ReviewItem) -> list[Json]:
    approved = Decision.objects.filter(item=item, verdict="approve", undone_at=None)
    return [
        {"by": one.reviewer.get_username(), "decision": one.pk, "at": one.created_at.isoformat()}
        for one in approved.select_related("reviewer").order_by("pk")
    ]


def _event(proposal: Proposal, decision: Decision) -> dict[str, Json]:
    """The one that says so in the log, which is the newest of its run."""
    event = Event.objects.filter(run=proposal.run_id, kind="proposal_approved").latest("seq")
    return {"run": proposal.run_id, "seq": event.seq, "hash": event.hash}
