"""Reads that span models, for pages and API alike."""

from dataclasses import dataclass

from orchestrator.models import (
    Disposition,
    Effect,
    Evaluation,
    PolicyCheck,
    Proposal,
    ReviewItem,
)

HUMAN_STATUSES = frozenset({Proposal.Status.IN_REVIEW, Proposal.Status.UNKNOWN})


@dataclass(frozen=True, slots=True)
class ProposalReport:
    """One proposal with everything that was made of it, in six queries however much that is."""

    proposal: Proposal
    checks: list[PolicyCheck]
    disposition: Disposition | None
    evaluations: list[Evaluation]
    item: ReviewItem | None
    effect: Effect | None

    @property
    def requires_human(self) -> bool:
        return self.proposal.status in HUMAN_STATUSES


def report_of(proposal: Proposal) -> ProposalReport:
    """The newest disposition, with the checks and scores of the same snapshot."""
    disposition = (
        Disposition.objects.filter(proposal=proposal)
        .select_related("policy")
        .order_by("-pk")
        .first()
    )
    snapshot = disposition.snapshot_id if disposition else None
    checks = PolicyCheck.objects.filter(snapshot=snapshot).select_related("rule_version__rule")
    return ProposalReport(
        proposal=proposal,
        checks=list(checks.order_by("pk")),
        disposition=disposition,
        evaluations=list(Evaluation.objects.filter(snapshot=snapshot).order_by("pk")),
        item=ReviewItem.objects.filter(proposal=proposal).order_by("-pk").first(),
        effect=Effect.objects.filter(proposal=proposal).first(),
    )
