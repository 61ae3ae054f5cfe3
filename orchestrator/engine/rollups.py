"""The counters of the reports follow what happens: every day that changed is counted anew, as a whole.

A trigger marks the day in the transaction that changes it (`ChangedDay`). Whoever counts first takes
away the marks it can see, and then counts: what it can see by then is at least what was marked. What
commits later brings its own mark along, however long ago it began, and is counted the next time. So
nothing is missed, without any lock that those who work would wait for.

A day is one transaction. Of any number of sweepers one counts at a time.
"""

import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from orchestrator.engine.rollup_counts import COUNTERS, SHAPES, Counter, gathering, values_of
from orchestrator.failpoints import failpoint
from orchestrator.models import ChangedDay

logger = logging.getLogger(__name__)

# Any number, as long as every sweeper of the same database uses the same.
COUNTING_LOCK = 7_361_004
CHECKS_MAX = 5


@dataclass
class Pace:
    """When this process looks for changed days again, and which of those it found are left."""

    again_at: float = 0.0
    days: list[date] = field(default_factory=list)

    def is_due(self) -> bool:
        return bool(self.days) or time.monotonic() >= self.again_at

    def look(self) -> None:
        self.days = changed_days()
        self.again_at = time.monotonic() + settings.REPORTS_REFRESH_S


_pace = Pace()


def follow() -> int:
    """Called by every sweeper; says how many days it counted. Never busy for long: the rest waits a sweep."""
    if not _pace.is_due():
        return 0
    if not _pace.days:
        _pace.look()
    began, counted = time.monotonic(), 0
    while _pace.days and (time.monotonic() - began) * 1_000 < settings.REPORTS_REFRESH_MS:
        counted += _counted(_pace.days.pop(0))
    return counted


def refresh() -> int:
    """Count every day that has changed until now, however long that takes."""
    return sum(_counted(day) for day in changed_days())


def changed_days() -> list[date]:
    """Newest first: most people look at those."""
    return sorted(ChangedDay.objects.values_list("day", flat=True).distinct(), reverse=True)


def _counted(day: date) -> bool:
    """One that cannot be counted keeps its mark, and no other waits for it."""
    try:
        return count_day(day) is not None
    except Exception:
        logger.exception("%s could not be counted; the reports stay as they were", day)
        return False


def count_day(day: date) -> dict[str, int] | None:
    """Count a day, and say how many lines of each table have changed; None while another process counts."""
    with transaction.atomic(), connection.cursor() as cursor:
        if not _is_alone(cursor):
            return None
        ChangedDay.objects.filter(day=day).delete()
        changed = _write(cursor, day)
        failpoint("day-counted-in-transaction")
    return changed


def check_day(day: date) -> dict[str, int] | None:
    """How many lines of each table are not as a count says; nothing is kept. None if it changes all the time."""
    for _ in range(CHECKS_MAX):
        if ChangedDay.objects.filter(day=day).exists():
            count_day(day)
        with transaction.atomic(), connection.cursor() as cursor:
            wrong = _write(cursor, day)
            # What came while it was counted is no difference.
            has_changed = ChangedDay.objects.filter(day=day).exists()
            transaction.set_rollback(True)
        if not has_changed:
            return wrong
    return None


def all_days() -> list[date]:
    """Every day of the log, oldest first. Nothing is older than the first run."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT day_of(min(id)) FROM orchestrator_run")
        (first,) = cursor.fetchone()
    if first is None:
        return []
    last = datetime.now(UTC).date()
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _write(cursor: CursorWrapper, day: date) -> dict[str, int]:
    values = values_of(day)
    cursor.execute(SHAPES)
    for statement in gathering():
        cursor.execute(statement, values)
    return {counter.table: _store(cursor, counter, values) for counter in COUNTERS}


def _is_alone(cursor: CursorWrapper) -> bool:
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [COUNTING_LOCK])
    (taken,) = cursor.fetchone()
    return bool(taken)


def _store(cursor: CursorWrapper, counter: Counter, values: dict[str, Any]) -> int:
    cursor.execute(_statement(counter), values)
    (changed,) = cursor.fetchone()
    return int(changed)


def _statement(counter: Counter) -> str:
    """Lines that are as they were are left alone: most are, and every day is counted many times."""
    table, keys, values = counter.table, ", ".join(counter.keys), ", ".join(counter.values)
    columns = f"{keys}, {values}"
    key = keys if table == "orchestrator_label" else f"day, {keys}"
    same = " AND ".join(f"counted.{name} = stored.{name}" for name in counter.keys)
    fresh = ", ".join(f"{name} = excluded.{name}" for name in counter.values)
    before = ", ".join(f"stored.{name}" for name in counter.values)
    after = ", ".join(f"excluded.{name}" for name in counter.values)
    return f"""
        WITH counted ({columns}) AS MATERIALIZED ({counter.count}),
        gone AS (
            DELETE FROM {table} stored WHERE stored.day = %(day)s
               AND NOT EXISTS (SELECT 1 FROM counted WHERE {same}) RETURNING 1
        ), changed AS (
            INSERT INTO {table} AS stored (day, {columns})
            SELECT %(day)s, {columns} FROM counted
            ON CONFLICT ({key}) DO UPDATE SET {fresh} WHERE ({before}) IS DISTINCT FROM ({after})
            RETURNING 1
        )
        SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM changed)
    """
