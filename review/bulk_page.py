"""The pages of deciding several items at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, QueryDict
from django.utils import timezone

from orchestrator.actions.bulk import DECIDED, Preview
from orchestrator.models import Batch, Decision, Reason, ReviewItem
from orchestrator.models.ids import new_id
from review import queue_reads
from review.presentation.money import money
from review.queue_page import queue_url

WISHES = {"approve": "Approve", "reject": "Reject"}
DONE = {"approve": "approved", "reject": "rejected"}


def preview_facts(request: HttpRequest, found: Preview) -> dict[str, Any]:
    """What the dry run says, and everything that the click has to send again."""
    query = request.POST.get("queue", "")
    return {
        "found": found,
        "count": len(found.fitting),
        "wish": WISHES.get(found.verdict, ""),
        "done": DONE.get(found.verdict, ""),
        "will": f"Will be {DONE.get(found.verdict, '')}",
        "amounts": _amounts(found.amounts),
        "listed": [f"{item.pk}:{item.version}" for item in found.fitting],
        "key": request.POST.get("key") or new_id("bat"),
        "reasons": list(Reason.objects.offered()) if found.verdict == "reject" else [],
        "sent": request.POST,
        "query": query,
        "list_url": queue_url(query),
    }


def _amounts(sums: Mapping[str, int]) -> str:
    """`€1,234.50 and $20.00`; what is no known currency is left out of the sentence."""
    said = [text for currency, minor in sorted(sums.items()) if (text := money(minor, currency))]
    return " and ".join([", ".join(said[:-1]), said[-1]] if said[1:] else said)


def read_run(sent: QueryDict) -> dict[str, Any]:
    """As `bulk.run` takes it. What cannot be read counts as nothing, which it refuses by itself."""
    listed = (text.partition(":") for text in sent.getlist("listed"))
    return {
        "key": sent.get("key", ""),
        "listed": {pk: _number(version) for pk, _, version in listed},
        "verdict": sent.get("verdict", ""),
        "reason": sent.get("reason", ""),
        "note": sent.get("note", ""),
    }


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item of a batch."""

    item: ReviewItem
    # Why not; empty where it was decided.
    skipped: str
    is_undone: bool = False


def batch_facts(batch: Batch) -> dict[str, Any]:
    outcomes = _outcomes(batch)
    decided = [one for one in outcomes if not one.skipped and not one.is_undone]
    left_s = _undo_left_s(batch)
    return {
        "batch": batch,
        "outcomes": outcomes,
        "decided": len(decided),
        "undone": sum(one.is_undone for one in outcomes),
        "skipped": sum(bool(one.skipped) for one in outcomes),
        "done": DONE.get(batch.verdict, ""),
        "left_s": left_s,
        "facts": [(one.item.pk, one.skipped, one.is_undone) for one in outcomes] + [left_s],
    }


def _outcomes(batch: Batch) -> list[Outcome]:
    decisions = {decision.item_id: decision for decision in batch.decisions.all()}
    items = queue_reads.items_of([pk for pk, _ in batch.outcomes])
    return [
        Outcome(items[pk], _skipped(said, decisions.get(pk)), _is_undone(decisions.get(pk)))
        for pk, said in batch.outcomes
        if pk in items
    ]


def _skipped(said: str, decision: Decision | None) -> str:
    if decision is not None or said == DECIDED:
        return ""
    return said or "not decided: the work was interrupted"


def _is_undone(decision: Decision | None) -> bool:
    return decision is not None and decision.undone_at is not None


def _undo_left_s(batch: Batch) -> int:
    """Until the first of them can no longer be taken back; then some of them run."""
    ends = [one.undo_until for one in batch.decisions.filter(undone_at=None) if one.undo_until]
    return max(0, round((max(ends) - timezone.now()).total_seconds())) if ends else 0


def undone_sentence(outcomes: Mapping[str, str]) -> str:
    kept: Sequence[str] = [why for why in outcomes.values() if why]
    back = len(outcomes) - len(kept)
    if not outcomes:
        return "There was nothing left to take back."
    if not kept:
        return f"{back} taken back. They wait in the queue again, and nothing of them ran."
    if not back:
        return f"None could be taken back. {kept[0]}"
    return f"{back} taken back; {len(kept)} could not be. {kept[0]}"
