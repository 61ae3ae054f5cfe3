"""What the page about the choices of a router shows: how many, how good, by what, and the choices themselves."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest

from orchestrator import queries, router_queries
from orchestrator.core import route_report
from orchestrator.core.route_report import Line
from orchestrator.core.statistics.confidence_drop import ConfidenceDrop
from orchestrator.models import RouteDecision, WorkflowVersion
from orchestrator.router_queries import RouteFilter
from review.audit_reads import hidden_from
from review.paging import newest_first
from review.presentation.charts.stacks import Part, StackChart, stack_chart
from review.presentation.routes import BECAUSE, BY, VERDICTS
from review.reads import id_or_nothing
from review.reports import periods, table
from review.reports.periods import Period
from review.reports.table import Cell, Table
from review.router_forms import DecisionFilter

VERSIONS_MAX = 50
PARTS = (
    Part("automatic", "By a rule"),
    Part("people", "By the model"),
    Part("open", "By the fallback"),
)


class RouterPage:
    """One reading of the page; the tables are also files."""

    def __init__(self, request: HttpRequest, version: WorkflowVersion, now: datetime) -> None:
        self.request, self.version, self.now = request, version, now
        versions = queries.workflow_versions(version.workflow.slug, at_most=VERSIONS_MAX)
        definition = queries.content_of(version)
        self.form = DecisionFilter(
            request.GET,
            versions=[one.number for one in versions],
            workers=sorted(definition.get("workers", {})),
        )
        self.chosen = self.form.chosen
        self.period = periods.period_of(self.chosen["period"], now.date())
        self.wanted = _wanted(version.workflow_id, self.chosen, self.period)
        self.counted = router_queries.counted(self.wanted)

    @property
    def facts(self) -> dict[str, Any]:
        whole = route_report.whole(self.counted)
        drop = router_queries.confidence(self.version.workflow_id, self.now)
        return {
            "section": "workflows",
            "version": self.version,
            "form": self.form,
            "is_filtered": set(self.chosen) != {"period"} or "period" in self.request.GET,
            "period": self.period,
            "whole": whole,
            "is_cut": self._was_cut(),
            "counted_max": settings.ROUTE_DECISIONS_COUNTED_MAX,
            "lines": self.table("lines"),
            "confusion": self.table("confusion"),
            "shares": self.table("shares"),
            "chart": self._chart(),
            "drop": drop,
            "told_drop": told_drop(drop),
            **self._decisions(),
        }

    def table(self, name: str) -> Table | None:
        made = {
            "lines": self._lines,
            "confusion": self._confusion,
            "shares": self._shares,
            "decisions": self._list,
        }
        return made[name]() if name in made else None

    @property
    def about(self) -> list[tuple[str, object]]:
        """The first lines of a file."""
        return [
            ("workflow", self.version.workflow.slug),
            ("first day", self.period.first),
            ("last day", self.period.last),
            *((name, value) for name, value in self.chosen.items() if name != "period"),
        ]

    def _was_cut(self) -> bool:
        """Of the whole period, whatever is filtered; asked again only where a filter hides it."""
        most = settings.ROUTE_DECISIONS_COUNTED_MAX
        if not self.wanted.narrows:
            return sum(one.n for one in self.counted) >= most
        whole = _wanted(self.version.workflow_id, {}, self.period)
        return sum(one.n for one in router_queries.counted(whole)) >= most

    def _decisions(self) -> dict[str, Any]:
        window = {
            name: id_or_nothing(self.request.GET.get(name, "")) for name in ("before", "after")
        }
        runs = router_queries.decision_ids(self.wanted, **window, at_most=settings.PAGE_SIZE + 1)
        rows = newest_first(self._rows(runs), **window)
        return {"rows": rows, "decisions": [(one, *told(one)) for one in rows.rows]}

    def _rows(self, runs: Sequence[str]) -> QuerySet[RouteDecision]:
        return router_queries.decisions(runs, hidden=hidden_from(self.request.user))

    # Tables -----------------------------------------------------------------------------------

    def _lines(self) -> Table:
        columns = (
            table.text_column("Decided by", "by", "because"),
            table.number_column("Decisions", "decided"),
            table.number_column("Corrected by people", "corrected"),
            table.number_column("Wrong in all", "wrong"),
            table.rate_column("Right, of those known", "right"),
        )
        lines = route_report.lines(self.counted)
        total = self._line(route_report.whole(self.counted)) if len(lines) > 1 else ()
        rows = [self._line(line) for line in lines]
        return Table("lines", "How good the choices were", columns, rows, total)

    def _line(self, line: Line) -> tuple[Cell, ...]:
        label = told_by(line.by, line.because) if line.by else "All"
        narrowed = {"by": line.by} if line.by else {}
        return (
            Cell(label, (line.by, line.because), is_said=line.by == "rule"),
            table.count(line.decided, self._url(**narrowed)),
            table.count(line.corrected),
            table.count(line.wrong, self._url(**narrowed, verdict=route_report.WRONG)),
            table.rate(line.accuracy, self._url(**narrowed, verdict=route_report.RIGHT)),
        )

    def _confusion(self) -> Table:
        columns = (
            table.text_column("Went to", "chosen"),
            table.text_column("Should have gone to", "should_be"),
            table.number_column("Times", "n"),
        )
        rows = [
            (
                table.said(one.chosen),
                table.said(one.should_be, sub="as it did" if one.should_be == one.chosen else ""),
                table.count(one.n, self._url(worker=one.chosen)),
            )
            for one in route_report.confusions(self.counted)
        ]
        return Table("confusion", "What people said", columns, rows)

    def _shares(self) -> Table:
        columns = (
            table.text_column("From", "first_day"),
            *(table.number_column(part.label, name) for part, name in zip(PARTS, BY, strict=True)),
        )
        rows = [
            (table.plain(f"{one.first:%-d %b}", raw=(one.first,)), *map(table.count, numbers))
            for one, numbers in self._over_time()
        ]
        return Table("shares", "By what was decided, over time", columns, rows)

    def _list(self) -> Table:
        names = ("run", "decided_at", "worker", "by", "because", "confidence", "verdict")
        runs = router_queries.decision_ids(
            self.wanted, at_most=settings.ROUTE_DECISIONS_COUNTED_MAX
        )
        rows = [
            tuple(Cell(raw=(value,)) for value in _record(one))
            for one in self._rows(runs).order_by("-pk")
        ]
        columns = tuple(table.text_column(name, name) for name in names)
        return Table("decisions", "Decisions", columns, rows)

    def _chart(self) -> StackChart:
        columns = [(f"{one.first:%-d %b}", numbers) for one, numbers in self._over_time()]
        return stack_chart("Decisions by what decided", PARTS, columns)

    def _over_time(self) -> Sequence[tuple[route_report.Shares, tuple[int, int, int]]]:
        found = route_report.shares(self.counted, first=self.period.first, last=self.period.last)
        return [(one, (one.rule, one.model, one.fallback)) for one in found]

    def _url(self, **narrowed: str) -> str:
        return "?" + urlencode(self.chosen | narrowed) + "#decisions"


def told(one: RouteDecision) -> tuple[str, Any]:
    """By what it was decided in words, and how the verdict looks."""
    return told_by(one.by, one.rule or one.cause), VERDICTS[_verdict(one)]


def told_by(by: str, because: str) -> str:
    return BECAUSE.get(because, because) if because else BY[by]


def told_drop(drop: ConfidenceDrop) -> str:
    """In points of a hundred, with the interval."""
    low, high = drop.bounds
    return f"{-high * 100:.0f} to {-low * 100:.0f} points"


def _wanted(workflow: int, chosen: Mapping[str, str], period: Period) -> RouteFilter:
    return RouteFilter(
        workflow=workflow,
        first=period.first,
        last=period.last,
        version=int(chosen.get("version", 0)) or None,
        by=chosen.get("by", ""),
        worker=chosen.get("worker", ""),
        verdict=chosen.get("verdict", ""),
    )


def _record(one: RouteDecision) -> tuple[object, ...]:
    because = one.rule or one.cause
    return one.pk, one.decided_at, one.worker, one.by, because, one.confidence, _verdict(one)


def _verdict(one: RouteDecision) -> str:
    return route_report.verdict(
        one.worker,
        outcome=one.outcome,
        failed=bool(one.failed),
        refused=one.is_refused,
        should_be=one.should_be,
    )
