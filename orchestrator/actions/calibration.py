"""Calibrators: fitted when an admin wants it, pinned, or turned off."""

from django.db import transaction
from django.utils import timezone

from orchestrator import calibration_queries
from orchestrator.actions.actor import Actor, audit, require
from orchestrator.core.errors import BadInput, NotFound
from orchestrator.core.statistics.intervals import SHARES_FROM
from orchestrator.engine import calibrators, track_records
from orchestrator.models import Calibrator, TrackRecord

Use = TrackRecord.Use


@transaction.atomic
def fit(actor: Actor, record_id: str) -> Calibrator:
    """Fit one on all labels that there are, without waiting until they are twice as many."""
    require(actor, "calibration.edit", "fit calibrators")
    record = _lock(record_id)
    since = track_records.counted_since(record, timezone.now())
    made = calibrators.fit(record, calibration_queries.judged(record, since), by=actor.user)
    if made is None:
        raise BadInput("record", f"a calibrator needs at least {SHARES_FROM} labels with a score.")
    record.is_due = True
    record.save(update_fields=["calibrator", "is_due"])
    return made


@transaction.atomic
def choose(actor: Actor, record_id: str, *, use: str, number: int | None = None) -> TrackRecord:
    """Which calibrator decides: the newest, one that stays, or none."""
    require(actor, "calibration.edit", "choose calibrators")
    if use not in Use.values:
        raise BadInput("use", f"choose among {', '.join(Use.values)}.")
    record = _lock(record_id)
    record.calibrator = _chosen(record, use, number)
    record.use, record.is_due = use, True
    record.save(update_fields=["calibrator", "use", "is_due"])
    audit(
        actor,
        "calibrator.chosen",
        record.pk,
        use=use,
        number=record.calibrator.number if record.calibrator else None,
    )
    return record


def _chosen(record: TrackRecord, use: str, number: int | None) -> Calibrator | None:
    if use == Use.OFF:
        return None
    if use == Use.NEWEST:
        return calibrators.newest_of(record)
    found = Calibrator.objects.filter(record=record, number=number or 0).first()
    if found is None:
        raise NotFound("calibrator", f"{number}")
    return found


def _lock(record_id: str) -> TrackRecord:
    rows = TrackRecord.objects.select_for_update(of=("self",), no_key=True)
    found = rows.select_related("calibrator").filter(pk=record_id).first()
    if found is None:
        raise NotFound("track record", record_id)
    return found
