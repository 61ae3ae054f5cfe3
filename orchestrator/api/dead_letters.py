"""Operations on dead letters."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from orchestrator import routing_queries
from orchestrator.actions import dead_letters
from orchestrator.actions.actor import require
from orchestrator.api.auth import Bearer, actor_of
from orchestrator.api.idempotency import once
from orchestrator.api.parameters import refuse_unknown
from orchestrator.api.routing_schemas import (
    BulkIn,
    BulkOut,
    DeadLetterLineOut,
    DeadLetterOut,
    DeadLetterPageOut,
    DeadLettersIn,
    DiscardIn,
    RedriveIn,
)
from orchestrator.api.schemas import ProblemOut
from orchestrator.core import typeid
from orchestrator.core.errors import BadInput, NotFound
from orchestrator.models import InboundEvent

router = Router(tags=["dead letters"])
_READERS = Bearer("read", "admin")
_WRITERS = Bearer("admin")
_READ_PROBLEMS: dict[Any, Any] = {frozenset({401, 403, 404, 422}): ProblemOut}
_PROBLEMS: dict[Any, Any] = {frozenset({400, 401, 403, 404, 409, 413, 415, 422}): ProblemOut}
NOT_ROUTED = ("dead", "redriven", "discarded")


@router.get(
    "/dead-letters",
    auth=_READERS,
    response={200: DeadLetterPageOut, **_READ_PROBLEMS},
    summary="List dead letters, newest first",
)
def browse(request: HttpRequest, query: Query[DeadLettersIn]) -> DeadLetterPageOut:
    refuse_unknown(request, DeadLettersIn)
    _check_one_of("status", query.status, NOT_ROUTED)
    _check_one_of("reason", query.reason, ("", *InboundEvent.Reason.values))
    if query.before and not typeid.is_id(query.before, "evt"):
        raise BadInput("before", "pass on the `next` of the page before.")
    rows = routing_queries.letters(status=query.status, reason=query.reason, type_=query.type)
    rows = rows.filter(pk__lt=query.before) if query.before else rows
    found = list(rows.order_by("-pk")[: query.limit + 1])
    shown = found[: query.limit]
    following = shown[-1].pk if len(found) > query.limit else None
    return DeadLetterPageOut(dead_letters=[_line(one) for one in shown], next=following)


@router.post(
    "/dead-letters/redrive",
    auth=_WRITERS,
    response={200: BulkOut, **_PROBLEMS},
    summary="Send all of one type and reason again",
)
def redrive_all(request: HttpRequest, wish: BulkIn) -> HttpResponse:
    """With `dry_run`, which is what happens unless told otherwise, they are only counted."""

    def answer() -> HttpResponse:
        actor = actor_of(request)
        require(actor, "routing.edit", "send dead letters again")
        if wish.dry_run:
            done = dead_letters.count(wish.type, wish.reason)
        else:
            done = dead_letters.redrive_all(
                actor,
                type_=wish.type,
                reason=wish.reason,
                at_most=wish.at_most,
                note=wish.note,
            )
        out = BulkOut(
            matching=done.matching, routed=done.routed, dead=done.dead, stopped=done.stopped
        )
        return HttpResponse(out.model_dump_json(), content_type="application/json")

    return once(request, answer)


@router.get(
    "/dead-letters/{event_id}",
    auth=_READERS,
    response={200: DeadLetterOut, **_READ_PROBLEMS},
    summary="Read one",
)
def read(request: HttpRequest, event_id: str) -> DeadLetterOut:
    return _render(_find(event_id))


@router.post(
    "/dead-letters/{event_id}/redrive",
    auth=_WRITERS,
    response={200: DeadLetterOut, **_PROBLEMS},
    summary="Send one again",
)
def redrive(request: HttpRequest, event_id: str, wish: RedriveIn) -> HttpResponse:
    """Answers with the new attempt, which may be a dead letter again. 409 when somebody was faster."""

    def answer() -> HttpResponse:
        data = (wish.data,) if "data" in wish.model_fields_set else ()
        corrected = None
        if data or wish.attributes:
            corrected = dead_letters.amended(_find(event_id), wish.attributes, data)
        attempt = dead_letters.redrive(
            actor_of(request), event_id, corrected=corrected, note=wish.note
        )
        return _json(attempt.pk)

    return once(request, answer)


@router.post(
    "/dead-letters/{event_id}/discard",
    auth=_WRITERS,
    response={200: DeadLetterOut, **_PROBLEMS},
    summary="Discard one",
)
def discard(request: HttpRequest, event_id: str, wish: DiscardIn) -> HttpResponse:
    """It is kept and listed, and never handed on."""

    def answer() -> HttpResponse:
        dead_letters.discard(actor_of(request), event_id, note=wish.note)
        return _json(event_id)

    return once(request, answer)


def _check_one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise BadInput(name, f"choose among {', '.join(filter(None, choices))}.")


def _find(event_id: str) -> InboundEvent:
    found = routing_queries.event(event_id) if typeid.is_id(event_id, "evt") else None
    if found is None:
        raise NotFound("event", event_id[:60])
    return found


def _json(event_id: str) -> HttpResponse:
    body = _render(_find(event_id)).model_dump_json()
    return HttpResponse(body, content_type="application/json")


def _line(event: InboundEvent) -> DeadLetterLineOut:
    return DeadLetterLineOut(
        id=event.pk,
        type=event.type,
        source=event.source,
        source_id=event.source_id,
        status=event.status,
        reason=event.reason,
        detail=event.detail,
        occurred_at=event.occurred_at,
        created_at=event.created_at,
    )


def _render(event: InboundEvent) -> DeadLetterOut:
    after = routing_queries.attempt_after(event)
    return DeadLetterOut(
        **_line(event).model_dump(),
        contract_version=event.contract_version.number if event.contract_version else None,
        route=event.route,
        run=event.run_id,
        envelope=routing_queries.shown_envelope(event),
        replaces=event.replaces_id,
        replaced_by=after.pk if after else None,
        handled_by=event.handled_by.get_username() if event.handled_by else None,
    )
