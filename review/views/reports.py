from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from review.access import closed_to_auditors, requires
from review.reports.csv_file import csv_response
from review.reports.page import ReportPage
from review.reports.pages import KINDS


@require_safe
@requires("reports.view")
def start(request: HttpRequest) -> HttpResponse:
    return redirect("report", "overview")


@require_safe
@requires("reports.view")
@closed_to_auditors
def report(request: HttpRequest, name: str) -> HttpResponseBase:
    """A page, or one of its tables as a file."""
    if name not in KINDS:
        raise Http404
    page = ReportPage(request, name)
    if request.GET.get("format") == "csv":
        return _as_file(page)
    return render(request, f"review/reports/{name}.html", page.facts)


def _as_file(page: ReportPage) -> HttpResponseBase:
    table = page.report.table(page.request.GET.get("table", ""))
    if table is None:
        raise Http404
    return csv_response(table, *page.file_of(table))
