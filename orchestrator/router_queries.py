"""What pages read of routers: what was decided in a period, and what became of it.

Counted are the newest DECISIONS_COUNTED_MAX decisions of a period, from an index alone, so that an
answer costs the same however many there are.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet

from orchestrator.core.route_report import Counted
from orchestrator.core.statistics.confidence_drop import ConfidenceDrop, Sample
from orchestrator.models import Proposal, RouteCorrection, RouteDecision, Workflow

RECENT = timedelta(days=7)
BEFORE = timedelta(days=28)
BINS = 20
CORRECTIONS_SHOWN_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteFilter:
    """Which decisions; what is empty does not filter. Both days are part of the period, in UTC."""

    workflow: int
    first: date
    last: date
    version: int | None = None
    by: str = ""
    worker: str = ""
    verdict: str = ""

    @property
    def narrows(self) -> bool:
        return bool(self.version or self.by or self.worker or self.verdict)

    @property
    def window(self) -> dict[str, Any]:
        return {
            "workflow": self.workflow,
            "since": datetime.combine(self.first, time.min, UTC),
            "until": datetime.combine(self.last + timedelta(days=1), time.min, UTC),
            "at_most": settings.ROUTE_DECISIONS_COUNTED_MAX,
        }


def workflow(slug: str) -> Workflow | None:
    return Workflow.objects.filter(slug=slug).first()


def counted(wanted: RouteFilter) -> list[Counted]:
    """Alike decisions together."""
    named = {"version": wanted.version, "by": wanted.by, "worker": wanted.worker}
    rows = [Counted(**dict(zip(_NAMES, row, strict=True))) for row in _ask(_COUNTED, wanted.window)]
    kept = [
        row
        for row in rows
        if all(getattr(row, name) == value for name, value in named.items() if value)
    ]
    return [row for row in kept if not wanted.verdict or row.verdict == wanted.verdict]


def decision_ids(
    wanted: RouteFilter, *, before: str = "", after: str = "", at_most: int
) -> list[str]:
    """The runs next to a place in the list, newest first, of those that are counted."""
    facts = wanted.window | {
        "version": wanted.version,
        "by": wanted.by,
        "worker": wanted.worker,
        "verdict": wanted.verdict,
        "before": before,
        "after": after,
        "rows": at_most,
    }
    rows = _ask(_IDS_AFTER if after else _IDS, facts)
    return sorted((run for (run,) in rows), reverse=True)


def decisions(runs: Iterable[str], *, hidden: Collection[str] = ()) -> QuerySet[RouteDecision]:
    """Without those about `hidden` proposals."""
    rows = RouteDecision.objects.filter(pk__in=list(runs)).select_related("version")
    if hidden:
        rows = rows.exclude(pk__in=Proposal.objects.filter(pk__in=hidden).values("run"))
    return rows.defer("version__definition")


def corrections(run: str) -> list[RouteCorrection]:
    """Newest first; the first one counts."""
    found = RouteCorrection.objects.filter(decision=run).select_related("by")
    return list(found.order_by("-pk")[:CORRECTIONS_SHOWN_MAX])


def confidence(workflow: int, now: datetime) -> ConfidenceDrop:
    """Of whatever the model said, whether it was followed or not: the last days against those before."""
    facts = {
        "workflow": workflow,
        "recent": now - RECENT,
        "since": now - RECENT - BEFORE,
        "until": now,
        "at_most": settings.ROUTE_DECISIONS_COUNTED_MAX,
        "bins": BINS,
    }
    found: dict[bool, list[tuple[int, int, float, float]]] = {True: [], False: []}
    for is_recent, place, n, total, squares in _ask(_CONFIDENCE, facts):
        found[is_recent].append((place, n, total, squares))
    return ConfidenceDrop(_sample(found[False]), _sample(found[True]))


def _sample(rows: list[tuple[int, int, float, float]]) -> Sample:
    bins = [0] * BINS
    for place, n, _, _ in rows:
        # A confidence of 1 belongs to the last bin.
        bins[min(place, BINS) - 1] += n
    return Sample(sum(bins), sum(row[2] for row in rows), sum(row[3] for row in rows), tuple(bins))


_NAMES = (
    "day",
    "version",
    "by",
    "because",
    "worker",
    "outcome",
    "failed",
    "refused",
    "should_be",
    "n",
)
_RECENT = """
    SELECT run_id, decided_at, version_id, by, rule, cause, worker, outcome, failed, is_refused, should_be, confidence
      FROM orchestrator_routedecision
     WHERE workflow_id = %(workflow)s AND decided_at >= %(since)s AND decided_at < %(until)s
     ORDER BY decided_at DESC LIMIT %(at_most)s
"""
_COUNTED = (
    "WITH recent AS ("  # noqa: S608  (both halves are our own)
    + _RECENT
    + """)
    SELECT (r.decided_at AT TIME ZONE 'UTC')::date, v.number, r.by, r.rule || r.cause, r.worker,
           r.outcome, r.failed <> '', r.is_refused, r.should_be, count(*)
      FROM recent r JOIN orchestrator_workflowversion v ON v.id = r.version_id
     GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
"""
)
_CONFIDENCE = (
    "WITH recent AS ("  # noqa: S608  (likewise)
    + _RECENT
    + """)
    SELECT decided_at >= %(recent)s, width_bucket(confidence, 0, 1, %(bins)s), count(*),
           sum(confidence), sum(confidence * confidence)
      FROM recent WHERE confidence IS NOT NULL GROUP BY 1, 2
"""
)


# As `core.route_report.verdict` says.
_VERDICT = """
    CASE WHEN r.should_be <> '' THEN CASE WHEN r.should_be = r.worker THEN 'right' ELSE 'wrong' END
         WHEN r.failed <> '' OR r.is_refused OR r.outcome = 'failed' THEN 'wrong'
         WHEN r.outcome = 'completed' THEN 'right' ELSE 'unknown' END
"""
_FITTING = (
    "WITH recent AS ("  # noqa: S608  (likewise)
    + _RECENT
    + """)
    SELECT r.run_id FROM recent r JOIN orchestrator_workflowversion v ON v.id = r.version_id
     WHERE (%(version)s::integer IS NULL OR v.number = %(version)s::integer)
       AND %(by)s IN ('', r.by) AND %(worker)s IN ('', r.worker) AND %(verdict)s IN ('', """
    + _VERDICT
    + ")"
)
_IDS = (
    _FITTING
    + " AND (%(before)s = '' OR r.run_id < %(before)s) ORDER BY r.run_id DESC LIMIT %(rows)s"
)
_IDS_AFTER = _FITTING + " AND r.run_id > %(after)s ORDER BY r.run_id LIMIT %(rows)s"


def _ask(sql: str, facts: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, facts)
        return list(cursor.fetchall())
