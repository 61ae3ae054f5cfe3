"""`Idempotency-Key`: a retry after a lost answer gets the same answer, and nothing happens twice."""

from collections.abc import Callable

from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse

from orchestrator.api.auth import token_of
from orchestrator.core.codec import digest
from orchestrator.core.errors import BadInput, KeyInFlight, KeyReused
from orchestrator.failpoints import failpoint
from orchestrator.models import IdempotencyRecord

KEY_LENGTH_MAX = 255


def once(request: HttpRequest, answer: Callable[[], HttpResponse]) -> HttpResponse:
    """Answer, and remember the answer under the request's key in the same transaction.

    Refusals are not remembered: they changed nothing, so asking again is harmless.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return answer()
    if not 0 < len(key) <= KEY_LENGTH_MAX or not key.isprintable():
        raise BadInput("Idempotency-Key", f"send 1 to {KEY_LENGTH_MAX} printable characters.")
    token = token_of(request)
    request_hash = digest(f"{request.method} {request.path}\n{request.body.hex()}")
    with transaction.atomic():
        _lock(token.pk, key)
        known = IdempotencyRecord.objects.filter(token=token, key=key).first()
        if known is not None:
            return _repeat(known, request_hash)
        response = answer()
        if response.status_code < 400:
            IdempotencyRecord.objects.create(
                token=token,
                key=key,
                request_hash=request_hash,
                status=response.status_code,
                location=response.headers.get("Location", ""),
                body=response.content.decode(),
            )
    failpoint("web-committed-not-answered")
    return response


def _lock(token: int, key: str) -> None:
    """One answer at a time for a key; the second asker is told at once rather than made to wait."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", [token, key])
        (free,) = cursor.fetchone()
    if not free:
        raise KeyInFlight(key)


def _repeat(known: IdempotencyRecord, request_hash: str) -> HttpResponse:
    if known.request_hash != request_hash:
        raise KeyReused(known.key)
    response = HttpResponse(known.body, status=known.status, content_type="application/json")
    response["Idempotency-Replayed"] = "true"
    if known.location:
        response["Location"] = known.location
    return response
