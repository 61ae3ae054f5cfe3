"""Pages that say no: what happened, what was kept, what to do. Fragments get one line, never a page."""

import logging
import secrets
from http import HTTPStatus
from urllib.parse import urlsplit

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.views.decorators.csrf import requires_csrf_token

from orchestrator.core.policy.roles import roles_with
from review.htmx import is_partial, send_to_notice

logger = logging.getLogger(__name__)
BLIND = (
    "You are auditing this without seeing what was done. Its page opens once you have judged it."
)


def ask_to_sign_in(request: HttpRequest) -> HttpResponse:
    if is_partial(request):
        return _refuse(request, "errors/signed_out.html", HTTPStatus.UNAUTHORIZED)
    return redirect_to_login(_page_of(request))


def ask_for_factor(request: HttpRequest) -> HttpResponse:
    """REQUIRE_MFA: a second factor first, everything else after it."""
    if is_partial(request):
        return _refuse(request, "account/must_add_factor.html", HTTPStatus.FORBIDDEN)
    return redirect("factors")


def _page_of(request: HttpRequest) -> str:
    """Where to come back to: a form's own address answers no GET, the page it is on does."""
    if request.method in {"GET", "HEAD"}:
        return request.get_full_path()
    return urlsplit(request.headers.get("Referer", "")).path or "/"


def refuse_role(request: HttpRequest, capability: str) -> HttpResponse:
    return _refuse(request, "403.html", HTTPStatus.FORBIDDEN, roles=roles_with(capability))


def lead_to_audit(request: HttpRequest, audit: str) -> HttpResponse:
    """What somebody judges blindly shows itself to them on the page of the audit alone."""
    if is_partial(request):
        return _refuse(request, "errors/blind.html", HTTPStatus.FORBIDDEN, audit=audit)
    messages.info(request, BLIND)
    return redirect("audit", audit)


@requires_csrf_token
def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _refuse(request, "403.html", HTTPStatus.FORBIDDEN, roles=[])


@requires_csrf_token
def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _refuse(request, "404.html", HTTPStatus.NOT_FOUND)


@requires_csrf_token
def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _refuse(request, "400.html", HTTPStatus.BAD_REQUEST)


@requires_csrf_token
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _refuse(request, "errors/csrf.html", HTTPStatus.FORBIDDEN)


def server_error(request: HttpRequest) -> HttpResponse:
    """Rendered without the request: what broke may be the session or the database itself."""
    error_id = secrets.token_hex(4)
    logger.error("error %s at %s", error_id, request.path[:200], exc_info=True)
    page = render_to_string("500.html", {"error_id": error_id})
    headers = {"X-Error-Id": error_id}
    return HttpResponse(page, status=HTTPStatus.INTERNAL_SERVER_ERROR, headers=headers)


def _refuse(
    request: HttpRequest, template: str, status: HTTPStatus, **facts: object
) -> HttpResponse:
    if is_partial(request):
        return send_to_notice(render(request, f"{template}#notice", facts, status=status))
    return render(request, template, facts, status=status)
