"""The part of the queue that a reader works through, which stays in the address of every item of it."""

from urllib.parse import parse_qs, urlencode, urlsplit

from django.http import HttpRequest

PLACE = "queue"
LENGTH_MAX = 2_000


def queue_of(request: HttpRequest) -> str:
    """As the page's own address says it, also when a form or a fragment asks."""
    if request.method in {"GET", "HEAD"} and "HX-Request" not in request.headers:
        return request.GET.get(PLACE, "")[:LENGTH_MAX]
    address = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    try:
        found = parse_qs(urlsplit(address).query).get(PLACE, [""])
    except ValueError:
        return ""
    return found[0][:LENGTH_MAX]


def back_to(url: str, request: HttpRequest) -> str:
    """The address with the same part of the queue in it."""
    queue = queue_of(request)
    return f"{url}?{urlencode({PLACE: queue})}" if queue else url
