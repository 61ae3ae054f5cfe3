"""Tells a collector of runs that have ended, from what is stored: long after the commit, and in nobody's way.

The database is the queue, and one row says up to where it was told. So a collector that is away costs
nothing but a try now and then, and hears of everything when it is back. Without an endpoint nothing of
this runs, and what sends it is not even imported.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from importlib import import_module
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from orchestrator import trace_queries
from orchestrator.core.codec import read
from orchestrator.models import Event, Run, TelemetryMark
from orchestrator.telemetry.spans import Above, Told, above, told

logger = logging.getLogger(__name__)

# `ended_at` is read before the commit: whoever was slow to commit is still found, since no transaction is
# let live for as long as this.
SETTLED_AFTER_S = 90
# While one process sends, and after a try that failed, nobody else tries.
LEASE_S = 60
LINEAGE_MAX = 20


def work_one(is_stopping: Callable[[], bool]) -> bool:
    """One batch. Says whether there may be more at once."""
    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        return False
    mark = _claim()
    if mark is None:
        return False
    runs = _next(mark)
    if not runs:
        _release(mark)
        return False
    if not _send(runs):
        logger.warning("the collector did not take %d runs; tried again later", len(runs))
        return False
    _move(mark, runs[-1])
    return len(runs) == settings.OTEL_RUNS_MAX and not is_stopping()


def _claim() -> TelemetryMark | None:
    """The first one begins with what ends from now on."""
    TelemetryMark.objects.get_or_create(pk=1, defaults={"ended_at": timezone.now(), "run": ""})
    free = TelemetryMark.objects.filter(Q(lease_until=None) | Q(lease_until__lt=Now()), pk=1)
    if not free.update(lease_until=Now() + timedelta(seconds=LEASE_S)):
        return None
    return TelemetryMark.objects.get(pk=1)


def _next(mark: TelemetryMark) -> list[Run]:
    settled = Run.objects.filter(ended_at__lt=Now() - timedelta(seconds=SETTLED_AFTER_S))
    later = Q(ended_at__gt=mark.ended_at)
    if mark.run:
        later |= Q(ended_at=mark.ended_at, pk__gt=mark.run)
    rows = settled.filter(later, ended_at__gte=mark.ended_at).order_by("ended_at", "pk")
    return list(rows.select_related("workflow_version__workflow")[: settings.OTEL_RUNS_MAX])


def _release(mark: TelemetryMark) -> None:
    _ours(mark).update(lease_until=None)


def _move(mark: TelemetryMark, last: Run) -> None:
    _ours(mark).update(ended_at=last.ended_at, run=last.pk, lease_until=None)


def _ours(mark: TelemetryMark) -> Any:
    """Whoever was so slow that somebody else has taken over changes nothing."""
    return TelemetryMark.objects.filter(pk=mark.pk, lease_until=mark.lease_until)


def _send(runs: Sequence[Run]) -> bool:
    otlp = import_module("orchestrator.telemetry.otlp")
    return bool(otlp.send(_told(runs)))


def _told(runs: Sequence[Run]) -> Iterator[Told]:
    for run in runs:
        found = trace_queries.trace_of(run)
        yield from told(found, _above(run))


def _above(run: Run) -> Above:
    """The trace of the run at the top, which may be its caller's."""
    root = run
    for _ in range(LINEAGE_MAX):
        if root.parent is None:
            break
        root = root.parent
    first = Event.objects.filter(run=root, seq=1).values_list("payload", flat=True).first()
    facts: Any = read(first) if first else {}
    return above(root.pk, str(facts.get("traceparent", "")), run.parent_id or "", run.pk)
