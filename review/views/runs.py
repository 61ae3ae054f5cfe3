from http import HTTPStatus

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from orchestrator.actions import runs as actions
from orchestrator.core.errors import BadInput, CountersignError, IllegalTransition
from orchestrator.queries import RunFilter
from review import run_reads
from review.access import actor_of, person_of, requires
from review.audit_reads import hidden_from
from review.forms import CancelForm, RunListFilter
from review.htmx import aim, is_partial, is_unchanged, not_modified, with_tag
from review.run_page import event_page, run_page

CANCELLED = "Cancelled. What is at work may still answer; it changes nothing."


@require_safe
@requires("runs.view")
def runs(request: HttpRequest) -> HttpResponse:
    form = RunListFilter(request.GET, workflows=run_reads.workflow_slugs())
    chosen = form.cleaned_data if form.is_valid() else {}
    is_mine = bool(chosen.get("mine"))
    wanted = RunFilter(
        status=chosen.get("status", ""),
        workflow=chosen.get("workflow", ""),
        started_by=person_of(request).pk if is_mine else None,
    )
    hidden = hidden_from(request.user)
    window = {name: request.GET.get(name, "") for name in ("before", "after")}
    page = run_reads.runs_page(wanted, **window, hidden=hidden)
    facts = {
        "form": form,
        "rows": page,
        "is_mine": is_mine,
        "is_filtered": any(chosen.values()),
        "is_short": bool(hidden),
    }
    return render(request, "review/runs.html", facts)


@require_safe
@requires("runs.view")
def run(request: HttpRequest, pk: str) -> HttpResponse:
    case = run_reads.run_case(pk, request.user)
    return render(request, "review/run.html", run_page(request, case))


@require_safe
@requires("runs.view")
def news(request: HttpRequest, pk: str) -> HttpResponse:
    """The parts of the run's page that keep asking what has happened since."""
    facts = run_page(request, run_reads.run_case(pk, request.user))
    if is_unchanged(request, facts["tag"]):
        return not_modified(facts["tag"])
    return with_tag(render(request, "review/run.html#news", facts), facts["tag"])


@require_safe
@requires("runs.view")
def event(request: HttpRequest, pk: str, seq: int) -> HttpResponse:
    """One event, whole, however long it is."""
    case = run_reads.run_case(pk, request.user)
    return render(request, "review/event.html", event_page(case, run_reads.event(pk, seq)))


@require_POST
@requires("runs.cancel")
def cancel(request: HttpRequest, pk: str) -> HttpResponse:
    form = CancelForm(request.POST)
    try:
        if not form.is_valid():
            raise BadInput("reason", str(form.errors["reason"][0]))
        actions.cancel(actor_of(request), pk, reason=form.cleaned_data["reason"])
    except CountersignError as error:
        return _refuse(request, pk, form, error)
    if not is_partial(request):
        messages.success(request, CANCELLED)
        return redirect("run", pk)
    facts = run_page(request, run_reads.run_case(pk, request.user)) | {"announce": CANCELLED}
    return render(request, "review/run.html#run", facts)


def _refuse(
    request: HttpRequest, pk: str, form: CancelForm, error: CountersignError
) -> HttpResponse:
    facts = run_page(request, run_reads.run_case(pk, request.user))
    facts |= {"error": error, "sent": form.data}
    status = (
        HTTPStatus.CONFLICT
        if isinstance(error, IllegalTransition)
        else HTTPStatus.UNPROCESSABLE_ENTITY
    )
    template = "review/run.html#actions" if is_partial(request) else "review/run.html"
    return aim(render(request, template, facts, status=status), "#run-actions", "outerHTML")
