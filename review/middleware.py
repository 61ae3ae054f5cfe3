"""The reader's time zone, for the times that pages show."""

from collections.abc import Callable
from functools import cache
from urllib.parse import unquote
from zoneinfo import ZoneInfo, available_timezones

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

UTC = ZoneInfo("UTC")
COOKIE = "tz"


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
