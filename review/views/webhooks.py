"""Webhooks: other systems that are told, set up by admins."""

from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_cache_control
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from orchestrator.actions import notices as actions
from orchestrator.core.errors import BadInput, NotFound
from orchestrator.models import NoticeKind, WebhookEndpoint
from review import notice_reads as reads
from review.access import actor_of, requires
from review.forms import show_error
from review.htmx import is_unchanged, not_modified, tag_of, with_tag
from review.notice_forms import EndpointForm
from review.presentation.notices import look_of, title_of


@require_safe
@requires("webhooks.edit")
def webhooks(request: HttpRequest) -> HttpResponse:
    found = [(one, _titles(one)) for one in reads.endpoints()]
    return render(request, "settings/webhooks.html", {"endpoints": found})


@sensitive_post_parameters("url")
@require_http_methods(["GET", "HEAD", "POST"])
@requires("webhooks.edit")
def new_webhook(request: HttpRequest) -> HttpResponse:
    sent = request.POST if request.method == "POST" else None
    form = EndpointForm(sent, teams=reads.team_choices())
    if form.is_valid():
        try:
            return _show_secret(
                request, actions.add_endpoint(actor_of(request), **form.cleaned_data)
            )
        except BadInput as error:
            show_error(form, error)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, "settings/webhooks_new.html", {"form": form}, status=status)


def _show_secret(request: HttpRequest, added: actions.Added) -> HttpResponse:
    """The answer itself and no page of its own: whoever comes back finds it gone."""
    facts = {"endpoint": added.endpoint, "secret": added.secret}
    response = render(request, "settings/webhooks_secret.html", facts)
    patch_cache_control(response, no_store=True)
    return response


@require_safe
@requires("webhooks.edit")
def webhook(request: HttpRequest, pk: str) -> HttpResponse:
    return render(request, "settings/webhooks_one.html", _facts(_endpoint_or_404(pk)))


@require_safe
@requires("webhooks.edit")
def webhook_news(request: HttpRequest, pk: str) -> HttpResponse:
    """The part of the page that keeps asking what became of its deliveries."""
    facts = _facts(_endpoint_or_404(pk))
    if is_unchanged(request, facts["tag"]):
        return not_modified(facts["tag"])
    return with_tag(render(request, "settings/webhooks_one.html#news", facts), facts["tag"])


@require_POST
@requires("webhooks.edit")
def test_webhook(request: HttpRequest, pk: str) -> HttpResponse:
    try:
        actions.test_endpoint(actor_of(request), _endpoint_or_404(pk).pk)
        messages.success(request, "A test is on its way; below is what becomes of it.")
    except BadInput as error:
        messages.warning(request, f"No test was sent: {error.reason}")
    return redirect("webhook", pk)


@require_POST
@requires("webhooks.edit")
def disable_webhook(request: HttpRequest, pk: str) -> HttpResponse:
    actions.disable_endpoint(actor_of(request), _endpoint_or_404(pk).pk)
    messages.success(request, "It is told nothing any more.")
    return redirect("webhook", pk)


@require_POST
@requires("webhooks.edit")
def retry_delivery(request: HttpRequest, pk: str, delivery: str) -> HttpResponse:
    try:
        actions.retry(actor_of(request), pk, delivery)
        messages.success(request, "It is on its way again.")
    except NotFound as error:
        raise Http404 from error
    except BadInput as error:
        messages.warning(request, f"It was not sent again: {error.reason}")
    return redirect("webhook", pk)


def _facts(endpoint: WebhookEndpoint) -> dict[str, Any]:
    found = reads.deliveries_of(endpoint)
    lines = [(one, title_of(one.kind), look_of(one)) for one in found]
    facts = tuple((one.pk, one.status, one.tries) for one in found)
    return {
        "endpoint": endpoint,
        "kinds": _titles(endpoint),
        "lines": lines,
        "waiting": reads.waiting_deliveries(endpoint),
        "shown": reads.DELIVERIES_SHOWN,
        "tag": tag_of(facts, endpoint.disabled_at, endpoint.rests_until, endpoint.last_error),
    }


def _titles(endpoint: WebhookEndpoint) -> list[str]:
    return [str(label) for kind, label in NoticeKind.choices if kind in endpoint.kinds]


def _endpoint_or_404(pk: str) -> WebhookEndpoint:
    found = reads.endpoint(pk)
    if found is None:
        raise Http404
    return found
