"""What the page of gold items reads. Nothing here changes anything."""

from collections.abc import Collection
from dataclasses import dataclass

from orchestrator import audit_queries, gold_queries
from orchestrator.audit_queries import Truth
from orchestrator.gold_queries import Tried
from orchestrator.models import GoldItem, Proposal, ReviewItem
from review.paging import Page, newest_first
from review.reads import number_or_none

_RELATED = ("proposal__contract_version", "added_by", "retired_by")


@dataclass(frozen=True, slots=True)
class Row:
    gold: GoldItem
    tried: Tried
    # People have settled otherwise since, so nobody is tried on it.
    is_contradicted: bool


def gold_page(*, hidden: Collection[str], before: str = "", after: str = "") -> Page[Row]:
    """Newest first, what was taken back among the others."""
    golds = GoldItem.objects.select_related(*_RELATED)
    if hidden:
        golds = golds.exclude(proposal__in=hidden)
    page = newest_first(golds, before=number_or_none(before), after=number_or_none(after))
    tried = gold_queries.tried(page.rows)
    truths = audit_queries.truths_of([one.proposal_id for one in page.rows])
    rows = [
        Row(one, tried.get(one.pk, Tried()), _is_contradicted(one, truths.get(one.proposal_id)))
        for one in page.rows
    ]
    return Page(rows, page.older, page.newer)


def _is_contradicted(gold: GoldItem, truth: Truth | None) -> bool:
    return truth is None or truth.should_run != gold.should_run


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a proposal is a gold item, or could become one, for the page of the proposal."""

    gold: GoldItem | None
    truth: Truth | None


def standing(proposal: Proposal) -> Standing | None:
    """None of what people still judge."""
    if ReviewItem.objects.waiting().filter(proposal=proposal).exists():
        return None
    gold = gold_queries.in_use().filter(proposal=proposal).first()
    truth = None if gold else audit_queries.truth_of(proposal)
    return Standing(gold, truth) if gold or truth else None
