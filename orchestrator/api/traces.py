"""A run's trace: the same that its page shows."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from orchestrator import trace_queries
from orchestrator.actions.actor import require
from orchestrator.api.auth import Bearer, actor_of, token_of
from orchestrator.api.blind import shut_runs, undecided_in
from orchestrator.api.parameters import refuse_unknown
from orchestrator.api.runs import find_run, visible_runs
from orchestrator.api.schemas import ProblemOut
from orchestrator.core.errors import BadInput, NotAllowed
from orchestrator.core.trace_figures import Total, by_agent, by_stage, total
from orchestrator.core.traces import Span
from orchestrator.trace_queries import RunTrace

# Each is read by itself, and may be long.
CONTEXTS_MAX = 20

router = Router(tags=["runs"])
_PROBLEMS: dict[Any, Any] = {frozenset({401, 403, 404, 422}): ProblemOut}


class TraceIn(Schema):
    contexts: bool = Field(
        False,
        description=f"with what each span was handed and said, for at most {CONTEXTS_MAX} at once; needs the scope `read`",
    )
    after: str = Field("", max_length=200, description="the `next` of the page before")
    limit: int = Field(200, ge=1, le=500)


class TextOut(Schema):
    title: str
    text: str = Field(description="masked, and cut where it is long")
    note: str = Field(description="what is missing, in words")


class SpanOut(Schema):
    id: str
    parent: str = Field(description="the span it is within; empty for the run itself")
    kind: str = Field(
        description="`run`, `work`, `agent`, `model`, `tool`, `message`, `guardrail`, `validation`, `effect`, `human` or `wait`"
    )
    name: str
    stage: str
    attempt: int
    index: int = Field(description="the part of a fan-out")
    status: str = Field(
        description="`running`, `done`, `failed`, `skipped`, `held`, `lost` or `stopped`"
    )
    began_at: datetime
    ended_at: datetime | None
    took_ms: int
    tokens_in: int
    tokens_out: int
    tokens_inside: int = Field(
        description="of a run inside: what it and all runs below it used, in and out together"
    )
    money_micros: int | None = Field(description="null where nobody knows the price")
    partly_unpriced: bool = Field(
        description="of a run inside: whether `money_micros` is only what is known of it"
    )
    agent: dict[str, str] = Field(description="name, version, model, prompt hash, as far as known")
    error: dict[str, Any] | None
    notes: list[str]
    seq: int = Field(description="the event that ended it; 0 while none did")
    about: str = Field(description="the proposal, review item or run that it is about")
    awaits: str = Field(description="of a wait: `signal`, `message`, `run` or `worker`")
    texts: list[TextOut] | None = Field(None, description="with `contexts`")


class TotalOut(Schema):
    name: str
    calls: int
    runs: int = Field(description="runs inside, which count with all that they used")
    failed: int
    took_ms: int
    tokens_in: int
    tokens_out: int
    tokens_inside: int = Field(description="what runs inside used, in and out together")
    money_micros: int = Field(description="what is known of it")
    unpriced: int = Field(description="calls and runs inside whose price nobody knows")


class FailureOut(Schema):
    """Where the failure of a run began."""

    run: str = Field(description="this run, or one that it started")
    span: str
    stage: str
    kind: str
    attempt: int
    agent: dict[str, str]
    error: dict[str, Any] | None
    gave_up_at: str = Field(description="the span at which the run gave up, of the same run")


class TraceOut(Schema):
    run: str
    status: str
    is_cut: bool = Field(description="the run has more events than are read for a trace")
    failure: FailureOut | None
    total: TotalOut
    stages: list[TotalOut]
    agents: list[TotalOut]
    spans: list[SpanOut] = Field(description="each after its parent")
    next: str | None


@router.get(
    "/runs/{run_id}/trace",
    auth=Bearer("runs", "read"),
    response={200: TraceOut, **_PROBLEMS},
    summary="Read what a run did, as spans",
)
def trace(request: HttpRequest, run_id: str, query: Query[TraceIn]) -> TraceOut:
    """Which agents ran and in what order, what each received, how long it took, what it cost, where it failed."""
    refuse_unknown(request, TraceIn)
    found = trace_queries.trace_of(find_run(request, run_id))
    if query.contexts:
        _require_contexts(request)
    shut, undecided = shut_runs(request), undecided_in(request, found.run.pk)
    spans = trace_queries.veiled(found.trace.spans, undecided)
    first = _place(spans, query.after)
    last = first + (min(query.limit, CONTEXTS_MAX) if query.contexts else query.limit)

    def texts(span: Span) -> list[TextOut] | None:
        return _texts(found, span, shut, undecided) if query.contexts else None

    return TraceOut(
        run=found.run.pk,
        status=found.run.status,
        is_cut=found.is_cut,
        failure=_failure(request, found),
        total=_total(total("total", spans, found.now_ms)),
        stages=[_total(one) for one in by_stage(found.trace, found.now_ms)],
        agents=[_total(one) for one in by_agent(found.trace, found.now_ms)],
        spans=[_span(found, span, texts(span)) for span in spans[first:last]],
        next=spans[last - 1].id if last < len(spans) else None,
    )


def _require_contexts(request: HttpRequest) -> None:
    token = token_of(request)
    if not token.may("read"):
        advice = "It needs the scope read."
        raise NotAllowed(f"The token “{token.name}”", "read what agents were handed", advice)
    require(actor_of(request), "runs.view", "read what agents were handed")


def _place(spans: tuple[Span, ...], after: str) -> int:
    if not after:
        return 0
    place = next((number for number, span in enumerate(spans) if span.id == after), None)
    if place is None:
        raise BadInput("after", "there is no such span; begin without it.")
    return place + 1


def _texts(
    found: RunTrace, span: Span, shut: Collection[str], undecided: Collection[str]
) -> list[TextOut]:
    said = trace_queries.texts_of(found, span, shut=shut, undecided=undecided)
    return [TextOut(title=one.title, text=one.text, note=one.note) for one in said]


def _span(found: RunTrace, span: Span, texts: list[TextOut] | None) -> SpanOut:
    return SpanOut(
        id=span.id,
        parent=span.parent,
        kind=span.kind,
        name=span.name,
        stage=span.work,
        attempt=span.attempt,
        index=span.index,
        status=span.status,
        began_at=_moment(span.began_ms),
        ended_at=None if span.ended_ms is None else _moment(span.ended_ms),
        took_ms=span.took_ms(found.now_ms),
        tokens_in=span.tokens_in,
        tokens_out=span.tokens_out,
        tokens_inside=span.tokens_inside,
        money_micros=span.money_micros,
        partly_unpriced=span.is_partly_unpriced,
        agent=dict(span.agent),
        error=dict(span.error) or None,
        notes=list(span.notes),
        seq=span.seq,
        about=span.about,
        awaits=span.awaits,
        texts=texts,
    )


def _failure(request: HttpRequest, found: RunTrace) -> FailureOut | None:
    """In a run within only for whoever may see that one."""
    beginning = trace_queries.beginning_of(found)
    if beginning is not None and not _may_see(request, found, beginning.run):
        beginning = trace_queries.beginning_of(found, depth=1)
    if beginning is None:
        return None
    began, gave_up = beginning.origin.began, beginning.origin.gave_up
    return FailureOut(
        run=beginning.run,
        span=began.id,
        stage=began.work,
        kind=began.kind,
        attempt=began.attempt,
        agent=dict(began.agent),
        error=dict(began.error) or None,
        gave_up_at=gave_up.id,
    )


def _may_see(request: HttpRequest, found: RunTrace, run: str) -> bool:
    if run == found.run.pk:
        return True
    shut = shut_runs(request)
    return run not in shut and visible_runs(token_of(request)).filter(pk=run).exists()


def _total(found: Total) -> TotalOut:
    return TotalOut(**{name: getattr(found, name) for name in TotalOut.model_fields})


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
