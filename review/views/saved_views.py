"""Filters of the queue under names of their own."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from orchestrator.actions import saved_views
from orchestrator.core.errors import CountersignError
from orchestrator.models import SavedView
from review.access import actor_of, requires
from review.forms import SavedViewForm
from review.queue_page import query_of, queue_url


@require_POST
@requires("queue.view")
def save_view(request: HttpRequest) -> HttpResponse:
    form = SavedViewForm(request.POST)
    if not form.is_valid():
        return _refused(request, "Give the view a name of 1 to 60 letters.")
    try:
        view = saved_views.save_view(actor_of(request), **form.cleaned_data)
    except CountersignError as error:
        return _refused(request, str(error))
    return _shown(request, view, "Saved.")


@require_POST
@requires("queue.view")
def change_view(request: HttpRequest, pk: int) -> HttpResponse:
    form = SavedViewForm(request.POST)
    if not form.is_valid():
        return _refused(request, "Give the view a name of 1 to 60 letters.")
    try:
        view = saved_views.change_view(actor_of(request), pk, **form.cleaned_data)
    except CountersignError as error:
        return _refused(request, str(error))
    return _shown(request, view, "Changed.")


@require_POST
@requires("queue.view")
def delete_view(request: HttpRequest, pk: int) -> HttpResponse:
    try:
        saved_views.delete_view(actor_of(request), pk)
    except CountersignError as error:
        return _refused(request, str(error))
    messages.success(request, "Deleted. The items in it are where they were.")
    return redirect("queue")


def _shown(request: HttpRequest, view: SavedView, done: str) -> HttpResponse:
    messages.success(request, f"{done} Everybody finds it." if view.is_shared else done)
    return redirect(queue_url(query_of(view)))


def _refused(request: HttpRequest, why: str) -> HttpResponse:
    """Back to the filter as it was, with nothing lost but the name."""
    messages.warning(request, f"Not saved. {why}")
    return redirect(queue_url(request.POST.get("query", "")))
