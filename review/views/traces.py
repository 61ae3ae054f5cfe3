from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from review import run_reads
from review.access import requires
from review.htmx import is_partial
from review.presentation.chips import RUNS
from review.trace_page import span_facts, trace_facts


@require_safe
@requires("runs.view")
def trace(request: HttpRequest, pk: str) -> HttpResponse:
    """A run's trace by itself, with one of its spans opened: where links lead without JavaScript."""
    case = run_reads.run_case(pk, request.user)
    facts = {"section": "runs", "run": case.run, "case": case, "look": RUNS[case.run.status]}
    facts |= trace_facts(request, case)
    if is_partial(request):
        return render(request, "review/trace.html", facts)
    if key := request.GET.get("span", ""):
        facts |= span_facts(request, case, key)
    return render(request, "review/trace_page.html", facts)


@require_safe
@requires("runs.view")
def span(request: HttpRequest, pk: str) -> HttpResponse:
    """One span: what it was handed, what it said, what it cost."""
    case = run_reads.run_case(pk, request.user)
    facts = span_facts(request, case, request.GET.get("key", ""))
    return render(request, "review/trace_detail.html", facts)
