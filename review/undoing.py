"""The last decision of a reader, for as long as it can be taken back: on whatever page they are by then.

The browser remembers which one in a cookie that ends with the time to undo it, so that a page that is
loaded again still offers it, without a script and without a search through all decisions.
"""

from collections.abc import Sequence
from typing import NamedTuple

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from orchestrator.core.typeid import PATTERN
from orchestrator.models import Decision

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


def undo_of(request: HttpRequest, item: str | None, known: Sequence[Decision] = ()) -> Undo | None:
    """Nothing once its time has passed: then nothing pretends that it could be taken back."""
    pk = request.COOKIES.get(COOKIE, "")
    if not PATTERN.fullmatch(pk):
        return None
    found = next((one for one in known if one.pk == pk), None)
    found = found or Decision.objects.filter(pk=pk).first()
    return Undo(found, found.item_id == item) if found and _is_open(found, request) else None


def _is_open(decision: Decision, request: HttpRequest) -> bool:
    """One's own, while there is time left. Whether it really is in time, the database says when it is asked."""
    is_mine, ends = decision.reviewer_id == request.user.pk, decision.undo_until
    return bool(is_mine and decision.undone_at is None and ends and ends > timezone.now())
