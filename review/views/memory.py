"""Shared memory: what agents remember, what followed from it, and revoking what is poisoned."""

from http import HTTPStatus

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from orchestrator import memory_queries
from orchestrator.actions import memory as actions
from orchestrator.core.errors import CountersignError
from orchestrator.models import Observation
from review.access import actor_of, closed_to_auditors, requires
from review.memory_forms import RevokeForm, SeenForm
from review.memory_page import list_page, observation_page
from review.statuses import status_of


@require_safe
@requires("memory.view")
def memory(request: HttpRequest) -> HttpResponse:
    return render(request, "review/memory.html", list_page(request))


@require_safe
@requires("memory.view")
def observation(request: HttpRequest, pk: str) -> HttpResponse:
    return _show(request, _find(pk), RevokeForm())


@require_POST
@requires("memory.revoke")
@closed_to_auditors
def revoke(request: HttpRequest, pk: str) -> HttpResponse:
    """Told first; done when it still is what was told."""
    found, form = _find(pk), RevokeForm(request.POST)
    if not form.is_valid():
        return _show(request, found, form)
    actor, is_meant = actor_of(request), request.POST.get("step") == "do"
    try:
        wanted = actions.revoke(actor, pk, **form.cleaned_data, dry_run=True)
        if not is_meant or len(wanted.observations) != _seen(request):
            return _show(request, found, form, wanted=wanted, is_other=is_meant)
        done = actions.revoke(actor, pk, **form.cleaned_data)
    except CountersignError as error:
        return _show(request, found, form, error=error)
    count = len(done.observations)
    what = "One observation is" if count == 1 else f"{count:,} observations are"
    messages.success(request, f"{what} handed to nobody any more.")
    return redirect("observation", pk)


def _seen(request: HttpRequest) -> int | None:
    form = SeenForm(request.POST)
    return form.cleaned_data["seen"] if form.is_valid() else None


def _show(
    request: HttpRequest,
    found: Observation,
    form: RevokeForm,
    *,
    wanted: actions.Revoked | None = None,
    is_other: bool = False,
    error: CountersignError | None = None,
) -> HttpResponse:
    facts = observation_page(request, found)
    facts |= {"form": form, "wanted": wanted, "is_other": is_other, "error": error}
    status = status_of(error) if error else HTTPStatus.OK
    if error is None and form.errors:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
    return render(request, "review/observation.html", facts, status=status)


def _find(pk: str) -> Observation:
    found = memory_queries.observation(pk)
    if found is None:
        raise Http404
    return found
