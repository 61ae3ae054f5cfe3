"""Dead letters: sent again, as they came or corrected, or discarded. Only by people, and written down."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from orchestrator.actions import events
from orchestrator.actions.actor import Actor, audit, require
from orchestrator.core import typeid
from orchestrator.core.cloud_events import Envelope, read_envelope
from orchestrator.core.codec import Json, read
from orchestrator.core.errors import BadInput, IllegalTransition, NotFound
from orchestrator.core.policy.masking import MASKED, restored, still_masked
from orchestrator.models import InboundEvent
from orchestrator.routing_queries import masked_in, shown_envelope

Status = InboundEvent.Status
NOTE_LENGTH_MAX = 1_000
# Of one type and reason, sent again at once.
REDRIVEN_AT_ONCE_MAX = 500
COUNTED_MAX = 10_000


def redrive(actor: Actor, event_id: str, *, corrected: Json = None, note: str = "") -> InboundEvent:
    """A new attempt takes its place, and may be a dead letter again. `corrected` is a whole envelope."""
    require(actor, "routing.edit", "send dead letters again")
    _check_note(note)
    with transaction.atomic():
        letter = _lock(event_id, "sending it again")
        envelope = _envelope(letter, corrected)
        attempt = events.take_in(actor, envelope, replaces=letter)
        _end(actor, letter, Status.REDRIVEN)
        detail: dict[str, Json] = {
            "attempt": attempt.pk,
            "status": attempt.status,
            "reason": attempt.reason,
            "run": attempt.run_id,
            "corrected": envelope.text != letter.envelope,
            "note": note.strip(),
        }
        audit(actor, "event.redriven", letter.pk, **detail)
    return attempt


def discard(actor: Actor, event_id: str, *, note: str) -> None:
    """Kept and listed, and never handed on."""
    require(actor, "routing.edit", "discard dead letters")
    _check_note(note)
    if not note.strip():
        raise BadInput("note", "say why it is not needed.")
    with transaction.atomic():
        letter = _lock(event_id, "discarding it")
        _end(actor, letter, Status.DISCARDED)
        audit(actor, "event.discarded", letter.pk, note=note.strip())


def amended(letter: InboundEvent, attributes: dict[str, Any], data: tuple[Json, ...]) -> Json:
    """The envelope with some of its attributes replaced, and with other data if there are any."""
    found = read(letter.envelope)
    whole = {**(found if isinstance(found, dict) else {}), **attributes}
    return whole | {"data": data[0]} if data else whole


@dataclass(frozen=True, slots=True)
class Bulk:
    """What sending many again came to. `matching` stops counting at COUNTED_MAX."""

    matching: int
    routed: int = 0
    dead: int = 0
    # Too much is waiting; the rest stays as it is.
    stopped: bool = False


def count(type_: str, reason: str) -> Bulk:
    return Bulk(_letters(type_, reason)[:COUNTED_MAX].count())


def redrive_all(
    actor: Actor, *, type_: str, reason: str, at_most: int = REDRIVEN_AT_ONCE_MAX, note: str = ""
) -> Bulk:
    """The oldest first, each in a transaction of its own, so that one holds up no other."""
    require(actor, "routing.edit", "send dead letters again")
    if not 0 < at_most <= REDRIVEN_AT_ONCE_MAX:
        raise BadInput("at_most", f"choose from 1 to {REDRIVEN_AT_ONCE_MAX}.")
    matching = count(type_, reason).matching
    routed = dead = 0
    for pk in list(_letters(type_, reason).order_by("pk").values_list("pk", flat=True)[:at_most]):
        try:
            attempt = redrive(actor, pk, note=note)
        except IllegalTransition:
            # Somebody else has just seen to it.
            continue
        routed += attempt.status == Status.ROUTED
        dead += attempt.status == Status.DEAD
        if attempt.reason == InboundEvent.Reason.OVER_CAP:
            return Bulk(matching, routed, dead, stopped=True)
    return Bulk(matching, routed, dead)


def _letters(type_: str, reason: str) -> QuerySet[InboundEvent]:
    if reason not in InboundEvent.Reason.values:
        raise BadInput("reason", f"choose among {', '.join(InboundEvent.Reason.values)}.")
    if not type_ or "\x00" in type_:
        raise BadInput("type", "name one type of event.")
    return InboundEvent.objects.filter(status=Status.DEAD, type=type_, reason=reason)


def _lock(event_id: str, what: str) -> InboundEvent:
    """Of two who send it again, the second waits and then finds it gone."""
    rows = InboundEvent.objects.select_for_update(of=("self",)).filter(pk=event_id)
    letter = rows.first() if typeid.is_id(event_id, "evt") else None
    if letter is None:
        raise NotFound("event", event_id[:60])
    if letter.status != Status.DEAD:
        raise IllegalTransition(f"the event {letter.pk}", letter.status, what)
    return letter


def _envelope(letter: InboundEvent, corrected: Json) -> Envelope:
    """Its id and source stay: they say which delivery this is."""
    stored = read(letter.envelope)
    envelope = read_envelope(stored if corrected is None else _unmasked(letter, corrected, stored))
    for name, was in (("id", letter.source_id), ("source", letter.source)):
        if getattr(envelope, name) != was:
            raise BadInput(name, f"it says which delivery this is, so it stays {was!r}.")
    return envelope


def _unmasked(letter: InboundEvent, corrected: Json, stored: Json) -> Json:
    """Whoever corrected it was not shown everything, and leaves that as it is."""
    found = restored(corrected, shown_envelope(letter), stored)
    if masked_in(letter) and still_masked(found, stored):
        raise BadInput(
            "envelope",
            f"it says “{MASKED}” where that hides nothing any more; write what belongs there.",
        )
    return found


def _end(actor: Actor, letter: InboundEvent, status: str) -> None:
    InboundEvent.objects.filter(pk=letter.pk).update(status=status, handled_by=actor.user)


def _check_note(note: str) -> None:
    if len(note) > NOTE_LENGTH_MAX or "\x00" in note:
        raise BadInput("note", f"at most {NOTE_LENGTH_MAX:,} characters are taken.")
