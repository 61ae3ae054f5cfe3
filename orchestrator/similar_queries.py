"""What people decided about items like one: the same action and the same rules first, then alike texts.

Looked for among the newest decided items of the action, so that the cost does not grow with their number.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.contrib.postgres.search import TrigramSimilarity
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Left

from orchestrator.core.statistics.intervals import Rate
from orchestrator.models import Decision, Proposal, Reason, ReviewItem

SHOWN_MAX = 8
# Of a payload so much is compared; what is longer is rarely told apart by its end.
COMPARED_LENGTH = 400
# A text that is less alike than this is another matter.
ALIKE_FROM = 0.3
APPROVED, REJECTED = "approved", "rejected"

type Items = QuerySet[ReviewItem]
# The id of the item, that of its proposal, and why it closed.
type Row = tuple[str, str | None, str]


@dataclass(frozen=True, slots=True)
class Alike:
    """One decided item: how alike its text is, between 0 and 1, and what was said last."""

    decision: Decision
    proposal: Proposal
    alike: float
    has_same_rules: bool


@dataclass(frozen=True, slots=True)
class Similar:
    """The rates count everything that was looked at, not only what is shown."""

    shown: Sequence[Alike]
    same_rules: Rate
    same_action: Rate
    looked_at: int


def similar_to(item: ReviewItem, proposal: Proposal) -> Similar:
    decided = ReviewItem.objects.filter(
        status=ReviewItem.Status.DECIDED, action=item.action
    ).exclude(proposal=proposal)
    near = _newest(decided.filter(fired=item.fired))
    shown = _most_alike(near, proposal, SHOWN_MAX, has_same_rules=True)
    far = _others(decided, near) if len(shown) < SHOWN_MAX else []
    if far:
        others = _most_alike(far, proposal, SHOWN_MAX - len(shown), has_same_rules=False)
        shown += [one for one in others if one.alike >= ALIKE_FROM]
    return Similar(shown, _approved(near), _approved(near + far), settings.SIMILAR_LOOKED_AT)


def _others(decided: Items, near: Sequence[Row]) -> list[Row]:
    """Of the same action, where too few failed by the same rules."""
    known = {pk for pk, _, _ in near}
    return [row for row in _newest(decided) if row[0] not in known]


def _newest(items: Items) -> list[Row]:
    found = items.filter(closed_because__in=(APPROVED, REJECTED)).order_by("-closed_at")
    rows = found.values_list("pk", "proposal", "closed_because")
    return list(rows[: settings.SIMILAR_LOOKED_AT])


def _approved(rows: Sequence[Row]) -> Rate:
    return Rate(sum(because == APPROVED for _, _, because in rows), len(rows))


def _most_alike(
    rows: Sequence[Row],
    proposal: Proposal,
    at_most: int,
    *,
    has_same_rules: bool,
) -> list[Alike]:
    item_of = {about: pk for pk, about, _ in rows}
    start = proposal.payload[:COMPARED_LENGTH]
    likeness = TrigramSimilarity(Left("payload", COMPARED_LENGTH), start)
    found = Proposal.objects.filter(pk__in=item_of).annotate(alike=likeness)
    found = found.select_related("contract_version").defer("evidence", "rationale")
    ordered = list(found.order_by("-alike", "-pk")[:at_most])
    said = _last_said([item_of[one.pk] for one in ordered])
    return [
        Alike(said[item_of[one.pk]], one, one.alike, has_same_rules)  # type: ignore[attr-defined]
        for one in ordered
        if item_of[one.pk] in said
    ]


def _last_said(items: Sequence[str]) -> dict[str, Decision]:
    label = Reason.objects.filter(pk=OuterRef("reason")).values("label")
    decisions = Decision.objects.filter(item__in=items, undone_at=None).select_related("reviewer")
    found = decisions.annotate(reason_label=Subquery(label)).order_by("pk")
    return {decision.item_id: decision for decision in found}
