"""Track records: looked at again when verdicts came in, and now and then without any.

One record at a time, under its lock, in one transaction: what a calibrator says, what the watch over
errors makes of each new label, whether scores moved, and from which score on proposals may run by
themselves. Nothing here is asked while a proposal is judged; that reads what was found.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import F, Max, Q
from django.db.models.functions import Now
from django.utils import timezone

from orchestrator import calibration_queries
from orchestrator.core.statistics import calibration
from orchestrator.engine import calibrators, drifts, labels, threshold_certificates
from orchestrator.models import ContractVersion, EvaluationPolicy, TrackRecord

logger = logging.getLogger(__name__)

LOOK_AGAIN_AFTER = timedelta(days=1)

type IsStopping = Callable[[], bool]


def work_one(is_stopping: IsStopping) -> bool:
    """Take in a batch of verdicts, else look at one record. False when nothing waits."""
    return labels.gather() or look_at_one()


def look_at_one() -> bool:
    due = Q(is_due=True) | Q(checked_at__lt=_changed_at())
    rows = TrackRecord.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
    with transaction.atomic():
        waiting = rows.filter(due).order_by(F("checked_at").asc(nulls_first=True), "pk")
        record = waiting.select_related("calibrator", "watched_by").first()
        if record is None:
            return False
        try:
            with transaction.atomic():
                look_at(record)
        except DatabaseError:
            raise
        except Exception:
            # One record that cannot be worked out must not keep the others waiting, nor for ever try.
            logger.exception("the track record %s could not be looked at", record.pk)
            TrackRecord.objects.filter(pk=record.pk).update(is_due=False, checked_at=Now())
    return True


def _changed_at() -> datetime:
    """Since when something else may be wanted of all of them: a policy, a contract, or another day."""
    policy = EvaluationPolicy.objects.active().aggregate(at=Max("activated_at"))["at"]
    contract = ContractVersion.objects.aggregate(at=Max("created_at"))["at"]
    yesterday = timezone.now() - LOOK_AGAIN_AFTER
    return max(at for at in (policy, contract, yesterday) if at is not None)


def look_at(record: TrackRecord) -> None:
    """The caller holds its lock. Drift first: what was found before it counts no more."""
    now = timezone.now()
    drifts.watch_errors(record, now)
    drifts.compare_scores(record, now)
    since = counted_since(record, now)
    judged = calibration_queries.judged(record, since)
    calibrators.fit_if_due(record, judged)
    threshold_certificates.certify_if_due(record, since, now)
    _bound_accepts(record, since)
    record.reliability = calibration.reliability(judged).to_json()
    record.is_due, record.checked_at = False, now
    record.save()


def counted_since(record: TrackRecord, now: datetime) -> datetime:
    """What was proposed before the newest drift is of somebody else; and very old proposals are let go."""
    oldest = now - timedelta(days=settings.CALIBRATION_WINDOW_DAYS)
    return max(oldest, record.counts_since or oldest)


def _bound_accepts(record: TrackRecord, since: datetime) -> None:
    counted = calibration_queries.count(
        record.scope, since, dispositions=[calibration_queries.Verdict.ACCEPT], any_contract=True
    )
    found = calibration_queries.assure(counted)
    record.accepts, record.accepts_examined = found.accepted, found.examined
    record.accepts_wrong, record.accepts_error_at_most = found.wrong, found.at_most
