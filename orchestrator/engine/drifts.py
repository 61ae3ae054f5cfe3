"""Drift: whether the proposals of one track record still are what they were.

Found, it is written down, and from then on nothing counts that came before: calibrators and certified
thresholds are stale, people decide, and what they say makes the next ones.
"""

import math
from datetime import datetime, timedelta

from django.conf import settings

from orchestrator import calibration_queries
from orchestrator.core.statistics import drift
from orchestrator.core.statistics.drift import DriftWatch
from orchestrator.core.statistics.intervals import SHARES_FROM
from orchestrator.engine import calibrators
from orchestrator.models import AuditEntry, Calibrator, Drift, TrackedLabel, TrackRecord


def watch_errors(record: TrackRecord, now: datetime) -> None:
    """Each label that came in after the calibrator was fitted is seen once, in the order of the numbers.

    The stored state is nothing but what the labels made of it: where it is gone, or another calibrator
    is asked, it is built from them again.
    """
    calibrator = record.calibrator or calibrators.newest_of(record)
    if calibrator is None or calibration_queries.drift_since(record, calibrator.fitted_at):
        return
    if record.watched_by != calibrator or not record.watch:
        record.watched_by, record.watched_up_to = calibrator, calibrator.up_to
        record.watch = DriftWatch().to_json()
    watch = DriftWatch.from_json(record.watch)
    for label in _unseen(record):
        record.watched_up_to = label.number
        if (expected := _expected_error(calibrator, label)) is not None:
            watch = watch.after(wrong=label.right is False, expected_error=expected)
        if watch.has_drifted():
            # What is in the queue of labels now came in before it was found, and counts no more.
            _found(
                record,
                Drift(
                    record=record,
                    kind=Drift.Kind.ERRORS,
                    sentence=f"{watch}",
                    detail=watch.to_json(),
                    counts_since=now,
                ),
            )
            record.watch = {}
            return
    record.watch = watch.to_json()


def _unseen(record: TrackRecord) -> list[TrackedLabel]:
    rows = TrackedLabel.objects.filter(
        record=record, number__gt=record.watched_up_to, chance__isnull=False, right__isnull=False
    )
    return list(rows.order_by("number"))


def _expected_error(calibrator: Calibrator, label: TrackedLabel) -> float | None:
    """What the calibrator says is wrong at that score, and a margin for what it does not know itself."""
    right = calibrator.steps.apply(label.score)
    return None if right is None else 1 - right + 1 / math.sqrt(calibrator.labels)


def compare_scores(record: TrackRecord, now: datetime) -> None:
    """Those of the last days with all before; once in that time, as chance moves a few of them too."""
    span = timedelta(days=settings.DRIFT_DAYS)
    if record.compared_at is not None and record.compared_at > now - span:
        return
    begin = now - timedelta(days=settings.CALIBRATION_WINDOW_DAYS)
    since = max(begin, record.counts_since or begin)
    if since >= now - span:
        return
    before = calibration_queries.score_counts(record.scope, since, now - span)
    after = calibration_queries.score_counts(record.scope, now - span, now)
    found = drift.compare_scores(before, after)
    if min(found.before, found.after) < SHARES_FROM:
        return
    record.compared_at = now
    record.compared = {
        "before": found.before,
        "after": found.after,
        "moved": found.moved,
        "chance": found.chance,
    }
    if found.has_drifted:
        _found(
            record,
            Drift(
                record=record,
                kind=Drift.Kind.SCORES,
                sentence=f"{found}",
                detail=record.compared,
                counts_since=now - span,
            ),
        )


def _found(record: TrackRecord, made: Drift) -> None:
    made.save()
    record.drifted_at, record.drifted_because = made.found_at, made.sentence
    record.counts_since = max(made.counts_since, record.counts_since or made.counts_since)
    AuditEntry.objects.create(
        verb="drift.found",
        object_id=record.pk,
        detail={"kind": made.kind, "sentence": made.sentence},
    )
