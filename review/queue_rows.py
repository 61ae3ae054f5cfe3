"""One row of the queue: an item, and in a few words what is happening to it."""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from orchestrator.models import Decision, ReviewItem

PAST = {
    "approve": "approved",
    "reject": "rejected",
    "happened": "settled",
    "not_happened": "settled",
    "retry": "run again",
    "give_up": "given up",
    "edit": "edited",
    "respond": "sent back",
}


@dataclass(frozen=True, slots=True)
class Row:
    item: ReviewItem
    # Approvals so far, where it takes more than one; by whom is not said before the reader decided.
    given: int
    # What is happening to it, in our words and a person's name.
    state: str
    # Nothing the reader could decide just now.
    is_grey: bool
    is_over: bool

    @property
    def facts(self) -> tuple[object, ...]:
        """Whatever else changes a row changes its item's version."""
        return (self.item.pk, self.item.version, self.item.priority, self.given, self.state)


def row_of(item: ReviewItem, reader: Any) -> Row:
    """`item.said` are its decisions that stand, oldest first."""
    said: list[Decision] = item.said  # type: ignore[attr-defined]
    given = sum(decision.verdict == Decision.Verdict.APPROVE for decision in said)
    has_spoken = any(decision.reviewer_id == reader.pk for decision in said)
    state = _state_of(item, said, reader, has_spoken)
    is_held_by_other = item.is_held and item.holder_id != reader.pk
    return Row(
        item=item,
        given=given,
        state=state,
        is_grey=not item.is_waiting or item.is_asleep or is_held_by_other or has_spoken,
        is_over=not item.is_waiting,
    )


def _state_of(item: ReviewItem, said: list[Decision], reader: Any, has_spoken: bool) -> str:
    if not item.is_waiting:
        return _end_of(item, said, reader)
    if item.is_held:
        return f"held by {_name_of(item.holder, reader)}"
    if item.is_asleep and item.snoozed_until is not None:
        until = timezone.localtime(item.snoozed_until)
        return f"asleep until {until:%-d %b, %H:%M}"
    return "waits for another person" if has_spoken else ""


def _end_of(item: ReviewItem, said: list[Decision], reader: Any) -> str:
    if item.status != ReviewItem.Status.DECIDED or not said:
        return item.closed_because or item.status
    last = said[-1]
    return f"{PAST[last.verdict]} by {_name_of(last.reviewer, reader)}"


def _name_of(person: Any, reader: Any) -> str:
    if person is None:
        return "somebody"
    return "you" if person.pk == reader.pk else str(person.get_username())
