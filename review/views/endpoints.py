"""Endpoints: where agents send what they are handed, below the settings."""

from http import HTTPStatus

from django.conf import settings
from django.contrib import messages
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from orchestrator import agent_queries
from orchestrator.actions import changes, endpoints
from orchestrator.core.errors import CountersignError
from orchestrator.models import Endpoint
from review.access import actor_of, requires
from review.agent_forms import EndpointForm, NewEndpointForm, initial_of_endpoint
from review.forms import show_error
from review.version_way import ASKED, ASKED_ALONE


@require_safe
@requires("agents.edit")
def endpoint_list(request: HttpRequest) -> HttpResponse:
    found = agent_queries.endpoints(at_most=settings.ENDPOINTS_MAX)
    return render(request, "settings/endpoints.html", {"endpoints": found})


@sensitive_post_parameters("api_key")
@require_http_methods(["GET", "HEAD", "POST"])
@requires("agents.edit")
def new_endpoint(request: HttpRequest) -> HttpResponse:
    form = NewEndpointForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            endpoints.make(actor_of(request), form.cleaned_data["slug"], form.where, form.terms)
        except CountersignError as error:
            show_error(form, error)
        else:
            return redirect("endpoints")
    return _page(request, form, None)


@sensitive_post_parameters("api_key")
@require_http_methods(["GET", "HEAD", "POST"])
@requires("agents.edit")
def endpoint(request: HttpRequest, slug: str) -> HttpResponse:
    found = _endpoint_or_404(slug)
    sent = request.POST if request.method == "POST" else None
    form = EndpointForm(sent, initial=initial_of_endpoint(found))
    if form.is_valid():
        try:
            return _change(request, slug, form)
        except CountersignError as error:
            show_error(form, error)
    return _page(request, form, found)


@require_POST
@requires("agents.edit")
def retire_endpoint(request: HttpRequest, slug: str) -> HttpResponse:
    endpoints.retire(actor_of(request), _endpoint_or_404(slug).slug)
    messages.success(request, "Nothing is sent there any more.")
    return redirect("endpoints")


def _change(request: HttpRequest, slug: str, form: EndpointForm) -> HttpResponse:
    actor, given = actor_of(request), form.cleaned_data
    saved = endpoints.change(actor, slug, form.where, form.terms, base=given["base"])
    if saved.needs_agreement:
        changes.propose_move(actor, slug, form.where, given["note"])
        messages.success(request, ASKED if settings.RULES_FOUR_EYES else ASKED_ALONE)
    else:
        messages.success(request, "Saved.")
    return redirect("endpoint", slug)


def _page(request: HttpRequest, form: Form, found: Endpoint | None) -> HttpResponse:
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    pending = agent_queries.waiting_change(f"endpoint/{found.slug}") if found else None
    facts = {"form": form, "endpoint": found, "pending": pending}
    return render(request, "settings/endpoint.html", facts, status=status)


def _endpoint_or_404(slug: str) -> Endpoint:
    found = agent_queries.endpoint(slug)
    if found is None:
        raise Http404
    return found
