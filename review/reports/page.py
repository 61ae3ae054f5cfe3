"""What the page of a report shows around its charts: the filter, the stamp, and where else to look."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.utils import timezone

from orchestrator.report_queries.choices import choices
from orchestrator.report_queries.freshness import counted_until
from review import reads
from review.access import may, person_of
from review.presentation.values import reveal_plainly
from review.reports.filter import WORDS, Asked, Choices, ReportFilter, fitting
from review.reports.pages import KINDS, Reading
from review.reports.report import Report
from review.reports.table import Table

SEES_ALL = "reports.reviewers"
# Of the address, what is about one report or one file alone.
OWN = ("format", "table", "currency")


@dataclass(frozen=True, slots=True)
class Tab:
    name: str
    label: str


class ReportPage:
    """One report as one person may see it."""

    def __init__(self, request: HttpRequest, name: str) -> None:
        self.request, self.name, self.kind = request, name, KINDS[name]
        self.now = timezone.now()
        # Asked before what it is about, so that it is never newer.
        self.counted_until = counted_until()
        self.sees_all = may(request.user, SEES_ALL)
        self.form = ReportFilter(
            request.GET.dict(),
            today=self.today,
            choices=fitting(self._choices(), self.kind.known),
            has_value=self.kind.has_value,
            compares=self.kind.compares,
        )
        self.asked: Asked = self._only_own(self.form.asked)

    @property
    def today(self) -> date:
        """Days are those of UTC."""
        return self.now.astimezone(UTC).date()

    @cached_property
    def report(self) -> Report:
        return self.kind.build(Reading(self.asked, self.today, self.sees_all))

    def _choices(self) -> Choices:
        found = choices(self.request.GET.get("agent", "").replace("\x00", ""))
        offered: dict[str, Sequence[tuple[str, str]]] = {
            "agent": _same(found.agents),
            "agent_version": _same(found.agent_versions),
            "model": _same(found.models),
            "action": _same(found.actions),
            "tier": [(tier, f"{tier.capitalize()} risk") for tier in found.tiers],
            "rule": _same(found.rules),
            "workflow": _same(found.workflows),
        }
        if self.sees_all:
            offered["reviewer"] = reads.people()
        return offered

    def _only_own(self, asked: Asked) -> Asked:
        """Of people, whoever may not see all sees themselves, whatever the address says."""
        if self.sees_all or "reviewer" not in self.kind.known or self.name != "reviewers":
            return asked
        return asked.of_reviewer(person_of(self.request).pk)

    @property
    def facts(self) -> dict[str, Any]:
        report, kind = self.report, self.kind
        return dict(report.facts) | {
            "section": "reports",
            "name": self.name,
            "kind": kind,
            "tabs": [Tab(name, one.label) for name, one in KINDS.items()],
            "query": self._query(),
            "form": self.form,
            "problems": [*self.form.problems, *_unheard(report.ignored, self._given)],
            "asked": self.asked,
            "picks": self.picks,
            "report": report,
            "measure": report.measure,
            "counted_until": self.counted_until,
            "is_filtered": self.form.is_narrowed,
        }

    @property
    def _given(self) -> list[str]:
        """Filters that came along from another report, and mean nothing to this one."""
        known = set(self.form.fields)
        names = {"agent", "version", "model", "action", "tier", "rule", "workflow", "reviewer"}
        return sorted(name for name in names - known if self.request.GET.get(name))

    @property
    def picks(self) -> list[tuple[str, str]]:
        """What it is narrowed by, in words."""
        return [
            (str(field.label), self.form.words_of(field))
            for field in self.form.dimensions
            if field.value() and not field.errors
        ]

    def _query(self) -> str:
        """The same days and filters, for another report."""
        given = self.request.GET.dict()
        return urlencode({name: text for name, text in given.items() if text and name not in OWN})

    @property
    def _counted_until(self) -> object:
        moment = self.counted_until
        return moment.astimezone(UTC) if moment else "still being counted"

    # As a file --------------------------------------------------------------------------------

    def file_of(self, table: Table) -> tuple[list[tuple[str, object]], str]:
        """What stands above its columns, and what it is called."""
        period = self.asked.period
        about: list[tuple[str, object]] = [
            ("Report", self.kind.label),
            ("Table", table.caption),
            ("From (UTC)", period.first),
            ("To (UTC)", period.last),
            *((label, value) for label, value in self.picks),
            ("Counted by", f"value in {self.report.measure.currency}, minor units")
            if self.report.measure.in_value
            else ("Counted by", "proposals"),
            ("Time zone", "UTC"),
            ("Data until", self._counted_until),
            ("Generated at", self.now.astimezone(UTC)),
        ]
        return about, f"countersign-{self.name}-{table.name}-{period.first}-{period.last}"


def _same(names: Sequence[str]) -> list[tuple[str, str]]:
    return [(name, reveal_plainly(name)) for name in names]


def _unheard(ignored: Sequence[str], given: Sequence[str]) -> list[str]:
    names = sorted({WORDS.get(name, name) for name in (*ignored, *given)})
    if not names:
        return []
    return [f"This report cannot be narrowed by {' or '.join(names)}; it shows everything instead."]
