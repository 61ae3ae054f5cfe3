"""Reasons that people give when they reject, edit or hand on. Retired, never deleted."""

from collections.abc import Sequence
from typing import Literal

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils.text import slugify

from orchestrator.actions.actor import Actor, audit, require
from orchestrator.core.codec import Json
from orchestrator.core.errors import BadInput, NotFound, StillNeeded
from orchestrator.models import Reason

LABEL_LENGTH_MAX = 80
CODE_LENGTH_MAX = 40
# Their order is all of theirs, and there is no row that all changes could lock.
_LOCK = 0x726561736F6E73

type Direction = Literal["up", "down"]


@transaction.atomic
def add(actor: Actor, label: str, *, needs_note: bool = False) -> Reason:
    """At the end. Its code is made from the label once, and stays."""
    _begin(actor)
    label = _checked_label(label)
    offered = _offered_with_room()
    reason = Reason.objects.create(
        code=_new_code(label), label=label, needs_note=needs_note, position=_last(offered) + 1
    )
    audit(actor, "reason.added", _object(reason), label=label, needs_note=needs_note)
    return reason


@transaction.atomic
def change(actor: Actor, code: str, *, label: str, needs_note: bool) -> Reason:
    """Decisions made with it show the new label too: it is the same reason in other words."""
    _begin(actor)
    reason = _reason(code)
    label = _checked_label(label, but=reason)
    before: dict[str, Json] = {"label": reason.label, "needs_note": reason.needs_note}
    after: dict[str, Json] = {"label": label, "needs_note": needs_note}
    if before != after:
        reason.label, reason.needs_note = label, needs_note
        reason.save(update_fields=["label", "needs_note"])
        audit(actor, "reason.changed", _object(reason), before=before, after=after)
    return reason


@transaction.atomic
def move(actor: Actor, code: str, direction: Direction) -> None:
    """One place; the first cannot go up and the last cannot go down, which is no mistake."""
    _begin(actor)
    offered = list(Reason.objects.offered())
    place = next((n for n, one in enumerate(offered) if one.code == code), None)
    if place is None:
        raise NotFound("reason in use", code)
    other = place + (-1 if direction == "up" else 1)
    if 0 <= other < len(offered):
        offered[place], offered[other] = offered[other], offered[place]
        _number(offered)
        audit(actor, "reason.moved", f"reason/{code}", place=other + 1)


@transaction.atomic
def retire(actor: Actor, code: str) -> Reason:
    """It is offered no more; decisions that name it keep it."""
    _begin(actor)
    reason = _reason(code)
    if reason.retired_at is not None:
        return reason
    if Reason.objects.offered().count() == 1:
        advice = "Add another one first."
        raise StillNeeded(f"The reason {reason.label}", "it is the last one there is", advice)
    reason.retired_at = Now()
    reason.save(update_fields=["retired_at"])
    audit(actor, "reason.retired", _object(reason))
    return reason


@transaction.atomic
def bring_back(actor: Actor, code: str) -> Reason:
    """At the end of what is offered."""
    _begin(actor)
    reason = _reason(code)
    if reason.retired_at is None:
        return reason
    reason.position = _last(_offered_with_room()) + 1
    reason.label = _checked_label(reason.label, but=reason)
    reason.retired_at = None
    reason.save(update_fields=["retired_at", "position"])
    audit(actor, "reason.brought_back", _object(reason))
    return reason


def _begin(actor: Actor) -> None:
    """Nobody in particular is whoever may run commands on this machine."""
    if actor.user is not None or actor.token is not None:
        require(actor, "reasons.edit", "change reasons")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _reason(code: str) -> Reason:
    reason = Reason.objects.filter(code=code).first()
    if reason is None:
        raise NotFound("reason", code)
    return reason


def _offered_with_room() -> list[Reason]:
    offered = list(Reason.objects.offered())
    if len(offered) >= settings.REASONS_MAX:
        most = f"{settings.REASONS_MAX:,} reasons are offered already"
        raise BadInput("label", f"{most}, and more would not be read. Retire one first.")
    return offered


def _checked_label(label: str, but: Reason | None = None) -> str:
    label = " ".join(label.replace("\x00", "").split())
    if not label:
        raise BadInput("label", "a reason needs one.")
    if len(label) > LABEL_LENGTH_MAX:
        raise BadInput("label", f"at most {LABEL_LENGTH_MAX} characters are taken.")
    if any(one != but for one in Reason.objects.offered().filter(label__iexact=label)):
        raise BadInput("label", "another reason is called that. Choose other words.")
    return label


def _new_code(label: str) -> str:
    code = slugify(label).replace("-", "_")[:CODE_LENGTH_MAX].strip("_")
    code = code or f"reason_{Reason.objects.count() + 1}"
    known = Reason.objects.filter(code=code).first()
    if known is None:
        return code
    if known.retired_at is None:
        raise BadInput("label", f"its code would be {code}, which is that of “{known.label}”.")
    raise BadInput("label", f"“{known.label}” was retired. Bring it back instead.")


def _number(offered: Sequence[Reason]) -> None:
    for place, reason in enumerate(offered, start=1):
        reason.position = place
    Reason.objects.bulk_update(offered, ["position"])


def _last(offered: Sequence[Reason]) -> int:
    return max((one.position for one in offered), default=0)


def _object(reason: Reason) -> str:
    return f"reason/{reason.code}"
