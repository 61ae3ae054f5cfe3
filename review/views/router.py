"""How good the choices of a router are, and people's word on one of them."""

from http import HTTPStatus

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from orchestrator import queries
from orchestrator.actions import route_corrections
from orchestrator.core.errors import CountersignError
from review import run_reads
from review.access import actor_of, closed_to_auditors, requires
from review.reports.csv_file import csv_response
from review.router_forms import CorrectionForm
from review.router_page import RouterPage
from review.run_page import run_page


@require_safe
@requires("runs.view")
@closed_to_auditors
def choices(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The page, or one of its tables as a file."""
    version = queries.workflow_version(slug)
    if version is None:
        raise Http404
    page = RouterPage(request, version, timezone.now())
    if request.GET.get("format") != "csv":
        return render(request, "review/router.html", page.facts)
    table = page.table(request.GET.get("table", ""))
    if table is None:
        raise Http404
    return csv_response(table, page.about, f"routing-{slug}-{table.name}")


@require_POST
@requires("routes.correct")
def correct(request: HttpRequest, pk: str) -> HttpResponse:
    form = CorrectionForm(request.POST)
    form.is_valid()
    said = form.cleaned_data
    try:
        route_corrections.correct(
            actor_of(request),
            pk,
            worker=said.get("worker", ""),
            note=said.get("note", ""),
        )
    except CountersignError as error:
        facts = run_page(request, run_reads.run_case(pk, request.user))
        facts |= {"route_error": error, "route_sent": form.data}
        return render(request, "review/run.html", facts, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    messages.success(request, "Noted. The run goes on as it is; the router is judged by it.")
    return redirect("run", pk)
