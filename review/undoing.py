"""The last decision of a reader, for as long as it can be taken back: on whatever page they are by then.

The browser remembers which one in a cookie that ends with the time to undo it, so that a page that is
loaded again still offers it, without a script and without a search through all decisions.
"""

from typing import NamedTuple

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from orchestrator.core.typeid import PATTERN
from orchestrator.models import Decision
from review import item_reads

COOKIE = "undo"


class Undo(NamedTuple):
    decision: Decision
    # Whether it was about what this page shows.
    is_here: bool


def remember[Response: HttpResponse](response: Response, decision: Decision) -> Response:
    if decision.undo_until is not None:
        left = (decision.undo_until - timezone.now()).total_seconds()
        response.set_cookie(
            COOKIE,
            decision.pk,
            max_age=max(1, round(left)),
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    return response


def forget[Response: HttpResponse](response: Response) -> Response:
    response.delete_cookie(COOKIE)
    return response


def undo_of(request: HttpRequest, item: str | None) -> Undo | None:
    """Nothing once its time has passed: then nothing pretends that it could be taken back."""
    pk = request.COOKIES.get(COOKIE, "")
    found = item_reads.undoable(pk, request.user) if PATTERN.fullmatch(pk) else None
    return Undo(found, found.item_id == item) if found else None
