"""Events from outside, in CloudEvents 1.0 envelopes: one, or a batch."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Router

from orchestrator.actions.actor import Actor
from orchestrator.actions.events import Received, receive
from orchestrator.api.auth import Bearer, actor_of
from orchestrator.api.idempotency import once
from orchestrator.api.routing_schemas import RefusedOut, TakenBatchOut, TakenOut
from orchestrator.api.schemas import ProblemOut
from orchestrator.core.cloud_events import ENVELOPE, Envelope, read_envelope
from orchestrator.core.codec import Json, JsonLimits, safe_json
from orchestrator.core.errors import BadInput, NotCloudEvent, QueueFull

ONE = frozenset({"application/cloudevents+json", "application/json"})
BATCH = "application/cloudevents-batch+json"
BATCH_MAX = 100

router = Router(tags=["events"])
_EXAMPLE: dict[str, Json] = {
    "specversion": "1.0",
    "id": "case-881",
    "source": "/shops/lisbon",
    "type": "order.damaged",
    "time": "2026-11-21T09:30:00Z",
    "data": {"order": "A-20931", "complaint": "The frame arrived damaged."},
}
_BODY = {
    "required": True,
    "content": {
        "application/cloudevents+json": {"schema": ENVELOPE | {"examples": [_EXAMPLE]}},
        BATCH: {"schema": {"type": "array", "maxItems": BATCH_MAX, "items": {"type": "object"}}},
    },
}


@router.post(
    "/events",
    auth=Bearer("events"),
    response={
        202: TakenOut | TakenBatchOut,
        200: TakenOut,
        frozenset({400, 401, 403, 409, 413, 415, 422, 429}): ProblemOut,
    },
    openapi_extra={"requestBody": _BODY},
    summary="Send an event to the router",
)
def send(request: HttpRequest) -> HttpResponse:
    """202 with the run it started, or with the reason why it is a dead letter now.

    200 when it came before. The pair of source and id says which event it is, so that sending
    one again is safe without `Idempotency-Key`.
    """
    actor = actor_of(request)
    if request.content_type == BATCH:
        return once(request, lambda: _answer_batch(actor, _read(request)))
    if request.content_type not in ONE:
        raise NotCloudEvent(request.content_type or "")
    return once(request, lambda: _answer(actor, read_envelope(_read(request))))


def _read(request: HttpRequest) -> Json:
    limits = JsonLimits(settings.JSON_BYTES_MAX, settings.JSON_DEPTH_MAX, settings.JSON_NODES_MAX)
    return safe_json(request.body, limits)


def _answer(actor: Actor, envelope: Envelope) -> HttpResponse:
    received = receive(actor, envelope)
    return _json(_render(received), status=202 if received.is_new else 200)


def _answer_batch(actor: Actor, raw: Json) -> HttpResponse:
    """Each event by itself. In the order of what they are locked by, so that no two batches wait
    for each other; answered in the order sent."""
    if not isinstance(raw, list) or not 0 < len(raw) <= BATCH_MAX:
        raise BadInput("event", f"a batch is a list of 1 to {BATCH_MAX} CloudEvents.")
    answers: dict[int, TakenOut | RefusedOut] = {}
    envelopes: dict[int, Envelope] = {}
    for place, one in enumerate(raw):
        try:
            envelopes[place] = read_envelope(one)
        except BadInput as error:
            answers[place] = RefusedOut(refused=str(error))
    for place in sorted(envelopes, key=lambda place: _identity(envelopes[place])):
        try:
            answers[place] = _render(receive(actor, envelopes[place]))
        except QueueFull as error:
            answers[place] = RefusedOut(refused=str(error))
    return _json(TakenBatchOut(events=[answers[place] for place in range(len(raw))]), status=202)


def _identity(envelope: Envelope) -> tuple[str, str]:
    return envelope.source, envelope.id


def _render(received: Received) -> TakenOut:
    """As it was answered the first time, whatever people have made of a dead letter since."""
    event = received.event
    run = event.run
    return TakenOut(
        id=event.pk,
        status="routed" if run else "dead",
        reason=event.reason,
        detail=event.detail,
        route=event.route,
        routes=event.routes.number if event.routes else None,
        workflow=run.workflow_version.workflow.slug if run else None,
        run=run.pk if run else None,
        contract_version=event.contract_version.number if event.contract_version else None,
        duplicate=not received.is_new,
        differs=received.differs,
    )


def _json(answer: TakenOut | TakenBatchOut, *, status: int) -> HttpResponse:
    return HttpResponse(answer.model_dump_json(), status=status, content_type="application/json")
