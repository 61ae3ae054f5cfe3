"""Audits: what nobody would have looked at, drawn by chance and put before people who see no verdict.

An audit is about no step of a run: it runs nothing, stops nothing, and no event tells of it.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from orchestrator.core.policy import auditing, sampling
from orchestrator.engine.opening import open_item
from orchestrator.models import AuditEntry, Proposal, ReviewItem


class Draw(NamedTuple):
    """What is drawn for, and the name of the setting that says how much."""

    kind: ReviewItem.Kind
    share: str


# By what the policy made of a proposal. What people decide anyway needs no draw.
DRAWS: dict[str, Draw] = {
    "accept": Draw(ReviewItem.Kind.AUDIT, "AUDIT_SHARE"),
    "revise": Draw(ReviewItem.Kind.BLIND_LABEL, "LABEL_SHARE"),
    "block": Draw(ReviewItem.Kind.BLIND_LABEL, "LABEL_SHARE"),
}


def draw(proposal: Proposal, verdict: str) -> ReviewItem | None:
    """Open a blind item if the draw hits. To be called in the transaction that disposes."""
    wanted = DRAWS.get(verdict)
    if wanted is None:
        return None
    key, share = sampling.key_from(settings.SECRET_KEY), getattr(settings, wanted.share)
    if not sampling.drawn(key, proposal.pk, share, wanted.kind.value):
        return None
    return _open(proposal, wanted.kind, auditing.DRAWN)


def open_for(proposals: Iterable[Proposal]) -> list[ReviewItem]:
    """Blind items whatever the draw says, for a closer look. No share counts them, as chance did not pick."""
    found = [(proposal, DRAWS.get(proposal.disposition)) for proposal in proposals]
    return [
        _open(proposal, wanted.kind, auditing.PICKED)
        for proposal, wanted in found
        if wanted and not proposal.review_items.filter(kind=wanted.kind).exists()
    ]


def open_dispute(about: ReviewItem, proposal: Proposal) -> ReviewItem:
    """Put what was done and what the auditor would have done before a third person."""
    return _open(
        proposal, ReviewItem.Kind.ADJUDICATION, auditing.DISPUTED, about=about, team=about.team
    )


def expire() -> int:
    """What nobody judged in time closes, and says nothing: neither proposal nor run hears of it."""
    due = ReviewItem.objects.waiting().filter(kind__in=ReviewItem.BLIND, due_at__lte=Now())
    with transaction.atomic():
        rows = due.select_for_update(of=("self",), skip_locked=True).order_by("due_at")
        closing = list(rows.values_list("pk", flat=True)[: settings.SWEEP_BATCH])
        ReviewItem.objects.filter(pk__in=closing).update(
            status=ReviewItem.Status.EXPIRED,
            closed_because=auditing.DEADLINE,
            closed_at=Now(),
            version=F("version") + 1,
            lease="",
            lease_until=None,
        )
        AuditEntry.objects.bulk_create(
            AuditEntry(verb="audit.expired", object_id=pk) for pk in closing
        )
    return len(closing)


def _open(proposal: Proposal, kind: ReviewItem.Kind, because: str, **more: Any) -> ReviewItem:
    due_at = timezone.now() + timedelta(hours=settings.AUDIT_DUE_HOURS)
    return open_item(
        proposal.run, kind, proposal=proposal, because=[because], due_at=due_at, **more
    )
