"""Why an item is not to be had: who was faster, and what they did."""

from orchestrator.core.errors import AlreadyDecided, Conflict, HeldByOther
from orchestrator.engine.project import GAVE_UP
from orchestrator.models import ReviewItem

# What each verdict made of an item, as lists and sentences say it.
PAST: dict[str, str] = {
    "approve": "approved",
    "reject": "rejected",
    "happened": "settled as happened",
    "not_happened": "settled as not happened",
    "retry": "sent to run again",
    "give_up": "given up",
    "edit": "edited",
    "respond": "sent back",
}


def refusal_of(item: ReviewItem) -> Conflict:
    """For whoever reached for an item that is closed or in other hands."""
    return held(item) if item.is_waiting else closed(item)


def closed(item: ReviewItem) -> AlreadyDecided:
    decided = item.decisions.filter(undone_at=None).select_related("reviewer")
    last = decided.order_by("-pk").first()
    at = item.closed_at.isoformat(timespec="seconds") if item.closed_at else ""
    if item.status == ReviewItem.Status.WITHDRAWN:
        what = "past it" if item.closed_because == GAVE_UP else "over"
        return AlreadyDecided("The run", f"{what} ({item.closed_because})", at)
    if last is None or item.status == ReviewItem.Status.EXPIRED:
        return AlreadyDecided("The deadline", "expired", at)
    return AlreadyDecided(last.reviewer.get_username(), PAST[last.verdict], at)


def held(item: ReviewItem) -> HeldByOther:
    holder = item.holder.get_username() if item.holder else "Somebody"
    until = item.lease_until.isoformat(timespec="seconds") if item.lease_until else ""
    return HeldByOther(holder, until)
