"""Revoking: a poisoned observation is handed to nobody any more, nor, where asked for, what followed from it.

Nothing is deleted. Who had read it is listed (`memory_queries.aftermath`), so that people can roll back
what was done because of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from orchestrator import memory_queries
from orchestrator.actions.actor import Actor, audit, audit_many, require
from orchestrator.core.errors import BadInput, NotFound, ObservationRevoked
from orchestrator.memory_queries import Aftermath
from orchestrator.models import Observation

REASON_LENGTH_MAX = 5_000
# What is revoked beside it: nothing, what calls wrote that had read it, or all that their runs wrote since.
ALSO = ("nothing", "sure", "all")


@dataclass(frozen=True, slots=True)
class Revoked:
    """What was revoked, or would be; the observation itself comes first, unless it was before."""

    observations: Sequence[str]
    aftermath: Aftermath
    is_dry_run: bool


def revoke(
    actor: Actor, pk: str, *, reason: str, also: str = "nothing", dry_run: bool = False
) -> Revoked:
    """With `dry_run` only told."""
    require(actor, "memory.revoke", "revoke what agents remember")
    why = _read_reason(reason)
    if also not in ALSO:
        raise BadInput("also", f"choose among {', '.join(ALSO)}.")
    if dry_run:
        found = memory_queries.observation(pk)
        if found is None:
            raise NotFound("observation", pk[:60])
        aftermath = memory_queries.aftermath(found)
        return _told(found, _standing(aftermath, also), aftermath, is_dry_run=True)
    with transaction.atomic():
        return _revoke(actor, pk, why, also)


def _read_reason(reason: str) -> str:
    if not 0 < len(reason.strip()) <= REASON_LENGTH_MAX or "\x00" in reason:
        raise BadInput("reason", f"say why, in 1 to {REASON_LENGTH_MAX:,} characters.")
    return reason.strip()


def _revoke(actor: Actor, pk: str, why: str, also: str) -> Revoked:
    found = _lock([pk]).first()
    if found is None:
        raise NotFound("observation", pk[:60])
    is_known = found.revoked_at is not None
    if not is_known:
        _write(actor, [pk], why)
        audit(actor, "memory.revoked", pk, reason=why, also=also, run=found.run_id)
    aftermath, others = _revoke_others(actor, found, why, also)
    return _told(found, others, aftermath, is_dry_run=False)


def _told(
    root: Observation, others: Sequence[str], aftermath: Aftermath, *, is_dry_run: bool
) -> Revoked:
    """`root` as it was before. Nothing to revoke is no success: somebody else was faster."""
    ids = [*([root.pk] if root.revoked_at is None else []), *others]
    if not ids:
        raise _refuse(root)
    return Revoked(ids, aftermath, is_dry_run)


def _refuse(found: Observation) -> ObservationRevoked:
    by = found.revoked_by.get_username() if found.revoked_by else "Countersign"
    at = found.revoked_at.isoformat(timespec="seconds") if found.revoked_at else ""
    return ObservationRevoked(by, at)


def _revoke_others(
    actor: Actor, root: Observation, why: str, also: str
) -> tuple[Aftermath, list[str]]:
    """Until nothing is left: a call that had read one of them may be storing its answer just now.

    It holds what it had read until it has, so what it wrote is seen by whoever waited for that.
    """
    others: list[str] = []
    while True:
        aftermath = memory_queries.aftermath(root)
        standing = _standing(aftermath, also)
        if not standing:
            return aftermath, others
        if aftermath.is_cut:
            raise BadInput(
                "also",
                f"more than {settings.MEMORY_DERIVED_MAX:,} followed from it "
                "(MEMORY_DERIVED_MAX). Nothing was revoked; raise the setting, or revoke it alone.",
            )
        because = f"it followed from {root.pk}: {why}"[:REASON_LENGTH_MAX]
        _write(actor, standing, because)
        audit_many(
            actor, "memory.revoked", {pk: {"reason": because, "after": root.pk} for pk in standing}
        )
        others += standing


def _standing(aftermath: Aftermath, also: str) -> list[str]:
    """What there is to revoke besides."""
    if also == "nothing":
        return []
    found = aftermath.observations(sure=also == "sure")
    return [one.pk for one in found if one.revoked_at is None]


def _write(actor: Actor, ids: Sequence[str], why: str) -> None:
    rows = _lock(ids).filter(revoked_at=None)
    Observation.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).update(
        revoked_at=Now(), revoked_by=actor.user, revoked_why=why
    )


def _lock(ids: Sequence[str]) -> QuerySet[Observation]:
    """In the order of their ids, as whoever stores an answer does."""
    rows = Observation.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("revoked_by").filter(pk__in=ids).order_by("pk")
