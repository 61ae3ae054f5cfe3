"""Calibrators: fitted on labels, stored as they are, and never changed."""

from collections.abc import Sequence

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Max

from orchestrator import calibration_queries
from orchestrator.core.statistics.calibration import fit_isotonic
from orchestrator.core.statistics.judged import Judged
from orchestrator.models import AuditEntry, Calibrator, TrackedLabel, TrackRecord


def fit_if_due(record: TrackRecord, judged: Sequence[Judged]) -> Calibrator | None:
    """The first one when there are enough labels, the next when there are twice as many.

    Each new one makes certificates on its scores begin anew, so there are few of them: with every
    label that comes in an agent that stays as it was would be certified for nothing in the end.
    """
    newest = newest_of(record)
    is_usable = newest is not None and not calibration_queries.drift_since(record, newest.fitted_at)
    known = sum(one.right is not None for one in judged)
    wanted = settings.CALIBRATION_LABELS
    if newest is not None and is_usable:
        wanted = max(2 * newest.labels, newest.labels + wanted)
    return fit(record, judged) if known >= wanted else None


def fit(record: TrackRecord, judged: Sequence[Judged], by: User | None = None) -> Calibrator | None:
    """None of too few labels. The caller holds the record's lock, and saves it."""
    fitted = fit_isotonic(judged)
    if fitted is None:
        return None
    newest = newest_of(record)
    made = Calibrator.objects.create(
        record=record,
        number=newest.number + 1 if newest else 1,
        version=fitted.version,
        fitted=fitted.to_json(),
        labels=fitted.labels,
        up_to=TrackedLabel.objects.filter(record=record).aggregate(Max("number"))["number__max"]
        or 0,
        fitted_by=by,
    )
    if record.use == TrackRecord.Use.NEWEST:
        record.calibrator = made
    AuditEntry.objects.create(
        user=by,
        verb="calibrator.fitted",
        object_id=record.pk,
        detail={"number": made.number, "version": made.version, "labels": made.labels},
    )
    return made


def newest_of(record: TrackRecord) -> Calibrator | None:
    return Calibrator.objects.filter(record=record).order_by("-number").first()
