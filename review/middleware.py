"""The reader's time zone, for the times that pages show, and signs of life of who is signed in."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from typing import cast
from urllib.parse import unquote
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.contrib.sessions import middleware as sessions
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from orchestrator.actions.sign_in import note_activity
from orchestrator.browser_sessions import BEGUN_AT, SessionStore

UTC = ZoneInfo("UTC")
COOKIE = "tz"
# Writing each sign of life down would make every page a write.
SEEN_EVERY = timedelta(minutes=1)


class ReaderTimeZoneMiddleware:
    """Uses the zone that the browser told us in a cookie; without one, times are in UTC and say so."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with timezone.override(zone_of(request)):
            return self.get_response(request)


@cache
def known_zones() -> frozenset[str]:
    """Listing them reads a folder tree, which takes longer than a whole page."""
    return frozenset(available_timezones())


def zone_of(request: HttpRequest) -> ZoneInfo:
    # Compared with the known names first: ZoneInfo would look for any other text as a file.
    name = unquote(request.COOKIES.get(COOKIE, ""))
    return ZoneInfo(name) if name in known_zones() else UTC


class SessionMiddleware(sessions.SessionMiddleware):
    """Django's, which also takes a cookie back that opens nothing any more. That cookie may be older than
    the browser's: a page that asked for news while another tab was given a new one would end both.
    """

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response = super().process_response(request, response)
        given = response.cookies.get(settings.SESSION_COOKIE_NAME)
        if given is not None and not given.value and not request.session.modified:
            del response.cookies[settings.SESSION_COOKIE_NAME]
        return response


class ActivityMiddleware:
    """Keeps the session of somebody who does something. A page that asks for news by itself does not."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if is_seen_anew(request):
            last = request.session[BEGUN_AT] + settings.SESSION_COOKIE_AGE
            note_activity(str(request.session.session_key), datetime.fromtimestamp(last, UTC))
        return response


def is_seen_anew(request: HttpRequest) -> bool:
    session = cast(SessionStore, request.session)
    # One that was changed is stored as a whole in a moment, with a new end.
    if not session.accessed or session.modified or session.is_empty():
        return False
    seen_at = session.seen_at
    asks_for_news = "HX-PTag" in request.headers
    return seen_at is not None and not asks_for_news and timezone.now() - seen_at > SEEN_EVERY
