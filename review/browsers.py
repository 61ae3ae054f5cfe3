"""Which browser it is: where it comes from, and whether somebody has signed in with it before."""

import ipaddress
import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse

from orchestrator.actions.sign_in import Browser

SALT = "countersign.browser"
KEPT_S = 180 * 24 * 3600
# A browser that more people share than this forgets who came first.
PEOPLE_MAX = 10
# Whoever has one IPv6 address has as many as they like, up to the network that they were given.
NETWORK_V6 = 64


def browser_of(request: HttpRequest) -> Browser:
    known = _read(request)
    return Browser(address_of(request), known.get("name", ""), frozenset(known.get("people", ())))


def remember(request: HttpRequest, response: HttpResponseBase, user: User) -> None:
    """From now on this browser has its own budget of guesses at this account."""
    known = _read(request)
    people = [*(pk for pk in known.get("people", ()) if pk != user.pk), user.pk]
    value = {"name": known.get("name") or secrets.token_hex(16), "people": people[-PEOPLE_MAX:]}
    response.set_cookie(
        settings.BROWSER_COOKIE_NAME,
        signing.dumps(value, salt=SALT),
        max_age=KEPT_S,
        path=reverse("login"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def address_of(request: HttpRequest) -> str:
    """What guesses are counted by. Behind a trusted proxy it is what that proxy added, and added last."""
    address = request.META.get("REMOTE_ADDR", "")
    if settings.WEB_PROXY_TRUSTED:
        address = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or address
    return _network(address)


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, NETWORK_V6), strict=False))


def _read(request: HttpRequest) -> dict[str, Any]:
    """Nothing for a cookie that we did not write, or wrote too long ago."""
    try:
        found = signing.loads(
            request.COOKIES.get(settings.BROWSER_COOKIE_NAME, ""), salt=SALT, max_age=KEPT_S
        )
    except signing.BadSignature:
        return {}
    return found if isinstance(found, dict) else {}
