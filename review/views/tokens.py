"""Tokens of programs: made and revoked by admins, below the settings."""

from http import HTTPStatus

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from orchestrator import people_queries as queries
from orchestrator.actions import tokens
from orchestrator.core.errors import CountersignError
from orchestrator.core.policy.roles import SCOPES
from orchestrator.models import ApiToken
from review import step_up
from review.access import actor_of, person_of, requires
from review.forms import show_error
from review.paging import newest_first
from review.presentation.chips import token_look
from review.token_forms import TokenForm


@require_safe
@requires("tokens.issue")
def token_list(request: HttpRequest) -> HttpResponse:
    window = {name: _number(request.GET.get(name, "")) for name in ("before", "after")}
    found = newest_first(queries.tokens(), **window)
    lines = [(one, token_look(one)) for one in found.rows]
    return render(request, "settings/tokens.html", {"rows": found, "lines": lines})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires("tokens.issue")
def new_token(request: HttpRequest) -> HttpResponse:
    if not step_up.is_fresh(request):
        return step_up.ask(request, request.path)
    form = TokenForm(
        request.POST if request.method == "POST" else None,
        myself=person_of(request).get_username(),
        programs=queries.programs(),
    )
    if form.is_valid():
        try:
            return _show_secret(request, tokens.make(actor_of(request), form.wish))
        except CountersignError as error:
            # The account is typed in one field and chosen in another.
            show_error(form, error, owner="program", username="program")
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, "settings/token_new.html", {"form": form}, status=status)


def _show_secret(request: HttpRequest, made: tokens.Made) -> HttpResponse:
    """The answer itself and no page of its own: whoever comes back finds it gone."""
    return render(request, "settings/token_secret.html", {"token": made.token, "secret": made.text})


@require_safe
@requires("tokens.issue")
def token(request: HttpRequest, prefix: str) -> HttpResponse:
    found = _token_or_404(prefix)
    facts = {
        "token": found,
        "look": token_look(found),
        "scopes": [(scope, SCOPES.get(scope, "")) for scope in found.scopes],
    }
    return render(request, "settings/token.html", facts)


@require_POST
@requires("tokens.issue")
def revoke_token(request: HttpRequest, prefix: str) -> HttpResponse:
    page = reverse("token", args=[_token_or_404(prefix).prefix])
    if not step_up.is_fresh(request):
        return step_up.ask(request, page)
    revoked = tokens.revoke(actor_of(request), prefix)
    messages.success(request, f"“{revoked.name}” is revoked. Its next request is refused.")
    return redirect(page)


def _token_or_404(prefix: str) -> ApiToken:
    found = queries.token(prefix)
    if found is None:
        raise Http404
    return found


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 18 else None
