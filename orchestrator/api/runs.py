"""Operations on runs."""

import time
from collections.abc import Callable, Collection
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from orchestrator import queries
from orchestrator.actions import runs
from orchestrator.actions.actor import require
from orchestrator.api.auth import Bearer, actor_of, token_of
from orchestrator.api.blind import refuse_blind, shut_runs
from orchestrator.api.idempotency import once
from orchestrator.api.parameters import refuse_unknown
from orchestrator.api.schemas import (
    CancelIn,
    EventOut,
    EventPageOut,
    EventsIn,
    PartOut,
    ProblemOut,
    RoundOut,
    RouteOut,
    RunIn,
    RunLineOut,
    RunOut,
    RunPageOut,
    RunsIn,
    RunWaitIn,
    SignalIn,
    SpentOut,
    WorkOut,
)
from orchestrator.core import typeid
from orchestrator.core.codec import read as read_json
from orchestrator.core.errors import BadInput, NotFound
from orchestrator.core.state import Round, RunState
from orchestrator.models import ApiToken, Event, Run
from orchestrator.telemetry.spans import read_traceparent

WAIT_STEP_S = 0.25
# A page of events ends early rather than hold a hundred outputs of a megabyte.
EVENTS_BYTES_MAX = 1_000_000
# What a run does by itself is over: it has ended, or somebody else has to do something.
AT_REST = frozenset(Run.Status.values) - {Run.Status.NEW, Run.Status.RUNNING}

# Contexts of agents: what came from tools and memory, and what an agent keeps from turn to turn.
OF_CONTEXTS = ("memory", "remembered", "untrusted")

router = Router(tags=["runs"])
_PROBLEMS: dict[Any, Any] = {frozenset({400, 401, 403, 404, 409, 413, 415, 422, 429}): ProblemOut}
_READ_PROBLEMS: dict[Any, Any] = {frozenset({401, 403, 404, 422}): ProblemOut}
_READERS = Bearer("runs", "read")
_WRITERS = Bearer("runs")


@router.post("/runs", auth=_WRITERS, response={201: RunOut, **_PROBLEMS}, summary="Start a run")
def start(request: HttpRequest, wish: RunIn) -> HttpResponse:
    """Of the newest version of the workflow. Send `Idempotency-Key` to retry safely."""

    def begin() -> HttpResponse:
        run = runs.start(
            actor_of(request),
            workflow=wish.workflow,
            intent=wish.intent,
            external_id=wish.external_id,
            traceparent=_traceparent(request),
        )
        location = {"Location": f"{request.path}/{run.pk}"}
        return _answer(find_run(request, run.pk), status=201, headers=location)

    return once(request, begin)


@router.post(
    "/runs/{run_id}/signals",
    auth=_WRITERS,
    response={200: RunOut, **_PROBLEMS},
    summary="Tell a run what it waits for",
)
def signal(request: HttpRequest, run_id: str, told: SignalIn) -> HttpResponse:
    """409 when it waits for something else, or for nothing."""

    def tell(run: Run) -> None:
        runs.signal(
            actor_of(request),
            run.pk,
            name=told.name,
            data=told.data,
            is_untrusted=told.untrusted,
        )

    return once(request, lambda: _change(request, run_id, "signal this run", tell))


@router.post(
    "/runs/{run_id}/cancel",
    auth=_WRITERS,
    response={200: RunOut, **_PROBLEMS},
    summary="Cancel a run",
)
def cancel(request: HttpRequest, run_id: str, wish: CancelIn) -> HttpResponse:
    """Nothing new is begun. What was accepted before still runs. 409 when it has ended already."""

    def stop(run: Run) -> None:
        runs.cancel(actor_of(request), run.pk, reason=wish.reason)

    return once(request, lambda: _change(request, run_id, "cancel this run", stop))


@router.get(
    "/runs/{run_id}",
    auth=_READERS,
    response={200: RunOut, **_READ_PROBLEMS},
    summary="Read one run, or wait for it",
)
def read(request: HttpRequest, run_id: str, query: Query[RunWaitIn]) -> RunOut:
    """With `wait`, answers as soon as the run has ended or waits itself, or when time is up."""
    refuse_unknown(request, RunWaitIn)
    deadline = time.monotonic() + min(query.wait, settings.API_WAIT_MAX_S)
    run = find_run(request, run_id)
    while run.status not in AT_REST and time.monotonic() < deadline:
        # A waiting request must not sit on a database connection that others need.
        connection.close()
        time.sleep(WAIT_STEP_S)
        run = find_run(request, run_id)
    return render(run)


@router.get(
    "/runs",
    auth=_READERS,
    response={200: RunPageOut, **_READ_PROBLEMS},
    summary="List runs, newest first",
)
def browse(request: HttpRequest, query: Query[RunsIn]) -> RunPageOut:
    """Paged by key, so that a page costs the same at any depth. Without those that the owner judges blind."""
    refuse_unknown(request, RunsIn)
    if query.status and query.status not in Run.Status.values:
        raise BadInput("status", f"choose among {', '.join(Run.Status.values)}.")
    if query.before and not typeid.is_id(query.before, "run"):
        raise BadInput("before", "pass the value of `next` as it was given.")
    token = token_of(request)
    wanted = queries.RunFilter(
        status=query.status,
        workflow=query.workflow,
        token=None if token.may("read") else token.pk,
    )
    ids = queries.run_ids(wanted, before=query.before, at_most=query.limit + 1)
    shown = ids[: query.limit]
    rows = Run.objects.select_related("workflow_version__workflow").filter(pk__in=shown)
    seen = rows.exclude(pk__in=shut_runs(request))
    lines = [_line(run) for run in seen.defer("state").order_by("-pk")]
    return RunPageOut(runs=lines, next=shown[-1] if len(ids) > query.limit else None)


@router.get(
    "/runs/{run_id}/events",
    auth=_READERS,
    response={200: EventPageOut, **_READ_PROBLEMS},
    summary="Read what happened in a run",
)
def events(request: HttpRequest, run_id: str, query: Query[EventsIn]) -> EventPageOut:
    """In the order it happened. A page of long events ends early; `next` says where to go on."""
    refuse_unknown(request, EventsIn)
    run = find_run(request, run_id)
    hidden = () if token_of(request).may("read") else OF_CONTEXTS
    rows = Event.objects.filter(run=run, seq__gt=query.after).order_by("seq")
    page: list[EventOut] = []
    size = 0
    for event in rows[: query.limit].iterator(chunk_size=10):
        size += len(event.payload)
        if page and size > EVENTS_BYTES_MAX:
            break
        page.append(_event(event, hidden))
    last = page[-1].seq if page else run.seq
    return EventPageOut(events=page, next=last if last < run.seq else None)


def render(run: Run) -> RunOut:
    state = run.canonical_state
    completed = state.status == "completed"
    return RunOut(
        **_line(run).model_dump(),
        position=state.position,
        started_by=run.started_by.get_username() if run.started_by else None,
        wakes_at=run.wakes_at,
        events=run.seq,
        spent=SpentOut.from_orm(state.spent),
        works=_works(state, queries.unpriced_works(run, state)),
        rounds=[_round(known) for known in state.rounds],
        notes=[*state.notes],
        proposals=sorted(state.proposals),
        error=dict(state.error) if state.error else None,
        route=RouteOut.from_orm(state.route) if state.route.by else None,
        output=queries.output_of_run(run, state) if completed else None,
    )


def _traceparent(request: HttpRequest) -> str:
    """The caller's own span, below which the run hangs in their traces; what is no such thing is not kept."""
    said = request.headers.get("traceparent", "")
    return said if read_traceparent(said) else ""


def _line(run: Run) -> RunLineOut:
    return RunLineOut(
        id=run.pk,
        external_id=run.external_id,
        workflow=run.workflow_version.workflow.slug,
        version=run.workflow_version.number,
        status=run.status,
        parent=run.parent_id,
        created_at=run.created_at,
        ended_at=run.ended_at,
    )


def _works(state: RunState, unpriced: Collection[str]) -> list[WorkOut]:
    """In the order in which they began."""
    begun = sorted(state.works.items(), key=lambda item: item[1].visit)
    return [
        WorkOut(
            name=name,
            status=work.status,
            attempt=max((part.attempt for part in work.parts), default=1),
            calls=work.calls,
            tokens=work.tokens,
            money_micros=work.money_micros,
            unpriced=name in unpriced,
            review_item=work.item,
            proposal=work.proposal,
            child=work.child,
        )
        for name, work in begun
    ]


def _round(known: Round) -> RoundOut:
    parts = [
        PartOut(who=part.who, status=part.status, why=part.why, seq=part.seq, child=part.child)
        for part in known.parts
    ]
    return RoundOut(plan=known.plan, parts=parts)


def _event(event: Event, hidden: Collection[str]) -> EventOut:
    found = read_json(event.payload)
    facts = found if isinstance(found, dict) else {}
    return EventOut(
        seq=event.seq,
        kind=event.kind,
        at=event.at,
        key=event.key,
        payload={name: value for name, value in facts.items() if name not in hidden},
        left_out=sorted(facts.keys() & set(hidden)),
        prev_hash=event.prev_hash,
        hash=event.hash,
    )


def _change(
    request: HttpRequest, run_id: str, what: str, change: Callable[[Run], None]
) -> HttpResponse:
    """Of one's own runs; of others' only for who administers them."""
    run = find_run(request, run_id)
    if run.token_id != token_of(request).pk:
        require(actor_of(request), "runs.cancel", what)
    change(run)
    return _answer(find_run(request, run_id))


def _answer(run: Run, *, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(
        render(run).model_dump_json(),
        status=status,
        content_type="application/json",
        headers=headers,
    )


def find_run(request: HttpRequest, run_id: str) -> Run:
    """Somebody else's run and no run at all look the same from outside."""
    visible = visible_runs(token_of(request)).select_related(
        "workflow_version__workflow", "started_by"
    )
    found = visible.filter(pk=run_id).first() if typeid.is_id(run_id, "run") else None
    if found is None:
        raise NotFound("run", run_id[:60])
    refuse_blind(request, found.pk)
    return found


def visible_runs(token: ApiToken) -> QuerySet[Run]:
    return Run.objects.all() if token.may("read") else Run.objects.filter(token=token)
