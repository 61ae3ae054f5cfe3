"""What the pages about audits read. Nothing here changes anything.

Only whoever judged an item blindly is told what others made of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.shortcuts import get_object_or_404
from django.utils import timezone

from orchestrator import audit_queries, queue_queries
from orchestrator.actions.actor import capabilities_of
from orchestrator.core import typeid
from orchestrator.core.statistics.assurance import Assurance
from orchestrator.models import Decision, GoldItem, Proposal, ReviewItem
from orchestrator.queries import ProposalReport, report_of
from review.item_reads import with_reasons

FIGURES_OVER = timedelta(days=30)
DISPUTES_SHOWN_MAX = 50
RELATED = ("proposal__contract_version", "about", "holder")


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many blind items of a class wait, and for whom. Counts stop above QUEUE_COUNT_MAX."""

    all: int
    # Free, and this reader could judge them with fresh eyes.
    for_reader: int
    # Handed to this reader and not judged yet: one of this class, or of another.
    is_begun: bool
    is_busy: bool
    held: int
    # When the first hold of somebody else runs out.
    back_at: datetime | None


def waiting(reader: User, kinds: Sequence[str]) -> Waiting:
    items = ReviewItem.objects.waiting().filter(queue_queries.AWAKE, kind__in=kinds)
    held = items.exclude(holder=reader.pk).filter(lease_until__gt=Now())
    begun = audit_queries.held_by(reader)
    return Waiting(
        all=_capped(items),
        for_reader=_capped(_for(reader, kinds)),
        is_begun=begun is not None and audit_queries.is_among(begun, kinds),
        is_busy=begun is not None and not audit_queries.is_among(begun, kinds),
        held=_capped(held),
        back_at=held.order_by("lease_until").values_list("lease_until", flat=True).first(),
    )


def _for(reader: User, kinds: Sequence[str]) -> QuerySet[ReviewItem]:
    capabilities = capabilities_of(reader)
    if "audits.decide" not in capabilities:
        return ReviewItem.objects.none()
    ready = queue_queries.AWAKE & queue_queries.FREE
    return audit_queries.auditable_by(reader, capabilities, kinds).filter(ready)


def _capped(items: QuerySet[Any]) -> int:
    return items.order_by()[: settings.QUEUE_COUNT_MAX + 1].count()


def waiting_count() -> int:
    """For the navigation: of every class, whoever may judge them.

    Without gold items: a count that grows when somebody is handed one would tell what it is.
    """
    kinds = [*audit_queries.HANDED_OUT, *audit_queries.DISPUTES]
    return _capped(ReviewItem.objects.waiting().filter(queue_queries.AWAKE, kind__in=kinds))


def judged_today(reader: User) -> int:
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    # Keys are in the order of time, so that those of today are the end of an index.
    since = typeid.make("dec", at_ms=int(midnight.timestamp() * 1_000), entropy=0)
    own = Decision.objects.filter(pk__gte=since, reviewer=reader)
    return _capped(own.filter(item__kind__in=ReviewItem.BLIND))


def disputes() -> list[ReviewItem]:
    """Most urgent first, with nothing said of who said what."""
    items = ReviewItem.objects.waiting().filter(kind__in=audit_queries.DISPUTES)
    ordered = items.select_related(*RELATED).order_by("due_at", "pk")
    return list(ordered[:DISPUTES_SHOWN_MAX])


@dataclass(frozen=True, slots=True)
class Figures:
    """What chance drew of late, over all strata, and what follows for everything that ran by itself."""

    assurance: Assurance
    audited: int
    overturned: int
    disputed: int
    expired: int


def figures() -> Figures:
    """Whole days, as reports count them. Whoever looks every day looks again, so the bound is for that."""
    since = (timezone.now() - FIGURES_OVER).astimezone(UTC)
    midnight = since.replace(hour=0, minute=0, second=0, microsecond=0)
    strata = audit_queries.strata(midnight, apart=False)
    return Figures(
        assurance=audit_queries.assurance_of(strata, watched=True).all,
        audited=sum(one.audited for one in strata),
        overturned=sum(one.overturned for one in strata),
        disputed=sum(one.disputed for one in strata),
        expired=sum(one.expired + one.unsettled for one in strata),
    )


# One item ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Audit:
    """One blind item as one reader may see it."""

    item: ReviewItem
    proposal: Proposal
    # The reader's own verdict; without it nothing else is told.
    own: Decision | None
    is_held_by_reader: bool

    @property
    def is_dispute(self) -> bool:
        return self.item.kind in audit_queries.DISPUTES


def audit(pk: str, reader: User) -> Audit:
    items = ReviewItem.objects.filter(kind__in=ReviewItem.BLIND).select_related(*RELATED)
    item = get_object_or_404(items, pk=pk)
    proposal = item.proposal
    if proposal is None:
        raise TypeError(f"the audit {item.pk} is about no proposal")
    own = Decision.objects.filter(item=item, reviewer=reader).select_related("reviewer").first()
    return Audit(item, proposal, own, item.is_waiting and item.holder_id == reader.pk)


@dataclass(frozen=True, slots=True)
class Reveal:
    """What was hidden from whoever judged: what was done, by whom, and what other auditors say."""

    report: ProposalReport
    decisions: Sequence[Decision]
    was_let_run: bool
    closed_because: str
    verdicts: Sequence[Decision]
    is_dispute_open: bool
    # Of a gold item: the answer that people had settled on, and why.
    gold: GoldItem | None


def reveal(audit: Audit) -> Reveal:
    """Of a dispute both sides; of an audit what a third person made of it, once somebody did."""
    first = (audit.item.about if audit.is_dispute else None) or audit.item
    disputes = ReviewItem.objects.filter(about=first, kind__in=audit_queries.DISPUTES)
    dispute = disputes.order_by("-pk").first()
    items = [item for item in (first, dispute) if item is not None]
    return Reveal(
        report=report_of(audit.proposal),
        decisions=list(_open_decisions(audit.proposal)),
        was_let_run=audit_queries.was_let_run(audit.proposal),
        closed_because=audit.item.closed_because,
        verdicts=_verdicts_on(items),
        is_dispute_open=dispute is not None and dispute.is_waiting,
        gold=GoldItem.objects.filter(looks__item=audit.item).first(),
    )


def _open_decisions(proposal: Proposal) -> QuerySet[Decision]:
    decisions = Decision.objects.filter(item__proposal=proposal, undone_at=None)
    return with_reasons(decisions.exclude(item__kind__in=ReviewItem.BLIND))


def _verdicts_on(items: Sequence[ReviewItem]) -> list[Decision]:
    """In the order in which they were said."""
    return list(with_reasons(Decision.objects.filter(item__in=items)))


# What must not be found elsewhere meanwhile -----------------------------------------------------


def hidden_from(reader: Any) -> frozenset[str]:
    """Proposals and runs that lists leave out, because this reader judges something of them blindly."""
    return audit_queries.veiled_proposals(reader) | audit_queries.veiled_runs(reader)
