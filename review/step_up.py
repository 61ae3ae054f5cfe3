"""Before what matters most: was it shown lately that the person at the keyboard is still the one?

if not step_up.is_fresh(request):
    return step_up.ask(request, back)
"""

import time
from http import HTTPStatus
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from orchestrator.browser_sessions import BEGUN_AT
from review.htmx import is_partial, send_to_notice

PROVED_AT = "proved_at"
MINUTE_S = 60


def is_fresh(request: HttpRequest) -> bool:
    """Signed in, or proved again, within STEP_UP_MINUTES."""
    if not settings.STEP_UP_MINUTES:
        return True
    proved_at = request.session.get(PROVED_AT, request.session.get(BEGUN_AT, 0.0))
    return bool(time.time() - proved_at < settings.STEP_UP_MINUTES * MINUTE_S)


def ask(request: HttpRequest, back: str) -> HttpResponse:
    """The page that asks, which then leads to `back`. A fragment keeps its page, and what is typed in it."""
    page = f"{reverse('prove')}?{urlencode({'next': back})}"
    if not is_partial(request):
        return redirect(page)
    facts = {"url": page, "minutes": settings.STEP_UP_MINUTES}
    notice = render(request, "account/prove.html#notice", facts, status=HTTPStatus.FORBIDDEN)
    return send_to_notice(notice)


def note_proof(request: HttpRequest) -> None:
    """A new session id as well: an old cookie must not gain what was just proved."""
    request.session[PROVED_AT] = time.time()
    request.session.cycle_key()


def safe_next(request: HttpRequest, otherwise: str) -> str:
    """Where somebody wants to go on, when that is a page of ours."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    hosts, secure = {request.get_host()}, request.is_secure()
    return wanted if url_has_allowed_host_and_scheme(wanted, hosts, secure) else otherwise
