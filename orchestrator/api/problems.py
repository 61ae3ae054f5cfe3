"""Refusals as RFC 9457 problem documents: a stable type, a status, a sentence that says what to do."""

import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from ninja.errors import AuthenticationError, HttpError, ValidationError

from orchestrator.core import errors

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"

STATUS: dict[type[errors.CountersignError], int] = {
    errors.BadJson: 400,
    errors.BadInput: 422,
    errors.NotJson: 415,
    errors.RuleInvalid: 422,
    errors.DefinitionInvalid: 422,
    errors.ContractIncompatible: 409,
    errors.NotAllowed: 403,
    errors.NotFound: 404,
    errors.QueueFull: 429,
    errors.IllegalTransition: 409,
    errors.StageWrong: 409,
    errors.KeyReused: 422,
    errors.Conflict: 409,
}


def body(code: str, status: int, title: str, **more: Any) -> dict[str, Any]:
    return {"type": f"urn:countersign:problem:{code}", "title": title, "status": status, **more}


def problem(code: str, status: int, title: str, **more: Any) -> HttpResponse:
    return JsonResponse(body(code, status, title, **more), status=status, content_type=CONTENT_TYPE)


def of_refusal(request: HttpRequest, error: errors.CountersignError) -> HttpResponse:
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    if isinstance(error, errors.BadJson) and error.too_large:
        status = 413
    response = problem(error.code, status, str(error), **_details(error))
    if isinstance(error, errors.QueueFull):
        response["Retry-After"] = str(error.retry_after_s)
    return response


def _details(error: errors.CountersignError) -> dict[str, Any]:
    """Every mistake of a document with its place, for those who have to find it."""
    if isinstance(error, errors.HistoryInvalid):
        return {
            "errors": [
                {**one._asdict(), "pointer": f"/history{one.pointer}"} for one in error.problems
            ]
        }
    if isinstance(error, errors.RuleInvalid):
        return {"line": error.line, "column": error.column}
    if isinstance(error, errors.DefinitionInvalid):
        return {"errors": [problem._asdict() for problem in error.problems]}
    if isinstance(error, errors.ContractIncompatible) and error.problems:
        found = [problem._asdict() for problem in error.problems]
        return {"counterexample": error.counterexample, "errors": found}
    return {}


def of_validation(request: HttpRequest, error: ValidationError) -> HttpResponse:
    found = [{"field": _field(one["loc"]), "reason": one["msg"]} for one in error.errors]
    title = "; ".join(f"{one['field']}: {one['reason']}" for one in found)
    if request.method not in {"GET", "HEAD"}:
        title = f"Nothing was stored: {title}"
    return problem("bad-input", 422, title, errors=found)


def _field(place: Sequence[str | int]) -> str:
    """The path inside the body, or the name of the query parameter."""
    inner = place[2:] if place[0] == "body" else place[-1:]
    return ".".join(str(part) for part in inner) or "body"


def of_bug(request: HttpRequest, error: Exception) -> HttpResponse:
    """Ours, or the database is away. The id leads from the answer to the log."""
    error_id = secrets.token_hex(4)
    logger.error("error %s at %s", error_id, request.path[:200], exc_info=error)
    title = (
        f"The server failed (error {error_id}) and stored nothing. Send it again with the same "
        "Idempotency-Key; if it fails again, tell whoever runs this instance."
    )
    return problem("server-error", 500, title)


def of_authentication(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    title = (
        "Send a valid token: “Authorization: Bearer cs_…”. It may be mistyped, expired or revoked."
    )
    response = problem("no-valid-token", 401, title)
    response["WWW-Authenticate"] = 'Bearer realm="countersign"'
    return response


def of_http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    """What the body parser raised arrives as the cause of the framework's own error."""
    if isinstance(error.__cause__, errors.CountersignError):
        return of_refusal(request, error.__cause__)
    return problem("refused", error.status_code, str(error))


def of_size(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
    return problem("too-large", 413, too_large())


def too_large() -> str:
    return f"The body is too large and was not stored; at most {settings.JSON_BYTES_MAX:,} bytes are taken."


@csrf_exempt
def not_found(request: HttpRequest, path: str = "") -> HttpResponse:
    """Below /api/ even a mistyped address is answered in JSON."""
    title = f"There is nothing at {request.path}. The operations are listed at /api/v1/docs."
    return problem("not-found", 404, title)


HANDLERS: dict[type[Exception], Callable[[HttpRequest, Any], HttpResponse]] = {
    errors.CountersignError: of_refusal,
    ValidationError: of_validation,
    AuthenticationError: of_authentication,
    HttpError: of_http_error,
    RequestDataTooBig: of_size,
    Exception: of_bug,
}
