"""What a run's page shows of its trace to one reader."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.http import Http404, HttpRequest
from django.urls import reverse

from orchestrator import audit_queries, trace_queries
from orchestrator.core.trace_figures import agent_name, by_agent, by_stage, total
from orchestrator.core.traces import CALLS, HOLDING, WAITING, Span, Trace
from orchestrator.trace_queries import Beginning, RunTrace
from review.presentation.times import took
from review.presentation.trace_layout import Gap, Row, axis_of, rows_of
from review.run_reads import RunCase

OPENED_MAX = 20
TICK_S = 3
KINDS = {
    "run": ("Run", "activity"),
    "work": ("Stage", "layers"),
    "agent": ("Agent", "bot"),
    "model": ("Model", "zap"),
    "tool": ("Tool", "wrench"),
    "message": ("Message", "send"),
    "guardrail": ("Guardrails", "shield-check"),
    "validation": ("Validator", "flask-conical"),
    "effect": ("Effect", "play"),
    "human": ("Person", "user"),
    "wait": ("Wait", "hourglass"),
}
STATUSES = {
    "running": "at work",
    "done": "done",
    "failed": "failed",
    "skipped": "left out",
    "held": "held",
    "lost": "outcome unknown",
    "stopped": "stopped",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A row with the words beside it."""

    row: Row
    label: str
    title: str
    lasted: str
    status: str
    is_origin: bool
    url: str
    toggle: str = ""

    @property
    def span(self) -> Span:
        return self.row.span

    @property
    def look(self) -> tuple[str, str]:
        return KINDS.get(self.span.kind, KINDS["work"])

    @property
    def is_call(self) -> bool:
        return _is_call(self.span)

    @property
    def tells_cost(self) -> bool:
        return _tells_cost(self.span)

    @property
    def indent(self) -> int:
        return min(self.row.depth, 6)


@dataclass(frozen=True, slots=True)
class Started:
    """The sentence at the top: where a failure began."""

    span: Span
    run: str
    is_elsewhere: bool
    title: str
    code: str
    reason: str
    # Where the run gave up, when that is somewhere else.
    gave_up: str


@dataclass(frozen=True, slots=True)
class Cut:
    """`short` stands in the picture where there is room, `text` says all of it."""

    gap: Gap
    short: str
    text: str


def trace_facts(request: HttpRequest, case: RunCase) -> dict[str, Any]:
    """For the partials `trace*.html`."""
    found = trace_queries.trace_of(case.run)
    opened = tuple(request.GET.getlist("open")[:OPENED_MAX])
    whole = _with_children(request, found, opened)
    undecided = _undecided(request, case, whole.spans)
    # What runs inside used is in their own spans; the spans within those would count it twice.
    own = Trace(trace_queries.veiled(found.trace.spans, undecided))
    trace = Trace(trace_queries.veiled(whole.spans, undecided))
    beginning = _beginning(request, found)
    axis = axis_of(trace.spans, found.now_ms)
    rows = rows_of(trace, axis, found.now_ms, opened)
    return {
        "trace": {
            "lines": [_line(request, case, found, row, beginning) for row in rows],
            "cuts": [_cut(gap) for gap in axis.gaps],
            "started": _started(case, beginning),
            "as_table": request.GET.get("view") == "table",
            "active": took(axis.active_ms / 1000),
            "count": len(trace.spans),
            "is_cut": found.is_cut,
            "kinds": _kinds(rows),
            "stages": by_stage(own, found.now_ms),
            "agents": by_agent(own, found.now_ms),
            "total": total("All", own.spans, found.now_ms),
            "here": request.GET.get("span", ""),
        }
    }


def _cut(gap: Gap) -> Cut:
    lasted = took(gap.lasted_ms / 1000)
    return Cut(gap, lasted, f"{lasted} for {gap.awaited}" if gap.awaited else lasted)


def tick_of(now: datetime, is_moving: bool) -> int:
    """Bars of what is at work grow, so that what they show changes by itself now and then."""
    return int(now.timestamp()) // TICK_S if is_moving else 0


def span_facts(request: HttpRequest, case: RunCase, key: str) -> dict[str, Any]:
    """One span, opened. Of a run within, its own trace is read."""
    run, _, inner = key.rpartition("/")
    found, shut = trace_queries.trace_of(case.run), audit_queries.veiled_runs(request.user)
    if run and run not in shut:
        child = trace_queries.child_of(case.run.pk, run)
        found = trace_queries.trace_of(child) if child else found
    span = found.trace.find(inner)
    if span is None or (run and found.run.pk != run):
        raise Http404
    undecided = audit_queries.undecided([found.run.pk], request.user)
    (shown,) = trace_queries.veiled([span], undecided)
    return {
        "run": case.run,
        "span": shown,
        "span_title": _title(shown),
        "span_key": key,
        "kind": KINDS.get(span.kind, KINDS["work"]),
        "status": _state(shown),
        "began": _moment(span.began_ms),
        "ended": _moment(span.ended_ms),
        "lasted": took(span.took_ms(found.now_ms) / 1000),
        "is_call": _is_call(span),
        "tells_cost": _tells_cost(span),
        "agent_facts": [
            (name, said) for name, said in span.agent.items() if name not in {"kind", "name"}
        ],
        "texts": trace_queries.texts_of(found, span, shut=shut, undecided=undecided),
        "about_url": _url(span.about),
    }


def _is_call(span: Span) -> bool:
    return span.kind in CALLS or span.kind in {"model", "tool"}


def _tells_cost(span: Span) -> bool:
    return (_is_call(span) or span.is_run_inside) and span.tells_cost


def _with_children(request: HttpRequest, found: RunTrace, opened: Sequence[str]) -> Trace:
    shut = audit_queries.veiled_runs(request.user)
    return trace_queries.with_children(found, [key for key in opened if key not in shut])


def _undecided(request: HttpRequest, case: RunCase, spans: Sequence[Span]) -> frozenset[str]:
    """Of this run, and of those within whose spans are shown."""
    inside = {span.id.rpartition("/")[0] for span in spans} - {""}
    return audit_queries.undecided({case.run.pk, *inside}, request.user)


def _beginning(request: HttpRequest, found: RunTrace) -> Beginning | None:
    beginning = trace_queries.beginning_of(found)
    if beginning and beginning.run in audit_queries.veiled_runs(request.user):
        return trace_queries.beginning_of(found, depth=1)
    return beginning


def _started(case: RunCase, beginning: Beginning | None) -> Started | None:
    if beginning is None:
        return None
    span, gave_up = beginning.origin.began, beginning.origin.gave_up
    error = span.error
    return Started(
        span=span,
        run=beginning.run,
        is_elsewhere=beginning.run != case.run.pk,
        title=_where(span),
        code=str(error.get("code", "")),
        reason=str(error.get("reason", "")),
        gave_up="" if gave_up.id == span.id or beginning.run != case.run.pk else _where(gave_up),
    )


def _where(span: Span) -> str:
    """`stage book, attempt 2: agent book-agent v3`"""
    parts = [f"stage {span.work}"] if span.work else []
    if span.attempt:
        parts.append(f"attempt {span.attempt}")
    if span.kind == "agent" and span.index:
        parts.append(f"part {span.index + 1}")
    place = ", ".join(parts)
    what = "" if span.kind == "work" else f"{KINDS[span.kind][0].lower()} {agent_name(span)}"
    return ": ".join(filter(None, (place, what))) or span.name


def _line(
    request: HttpRequest, case: RunCase, found: RunTrace, row: Row, beginning: Beginning | None
) -> Line:
    span = row.span
    began_here = beginning is not None and beginning.run in (case.run.pk, span.id.partition("/")[0])
    origin = beginning.origin.began.id if beginning and began_here else ""
    if beginning and beginning.run != case.run.pk:
        origin = f"{beginning.run}/{origin}" if origin else ""
    return Line(
        row=row,
        label=_title(span),
        title=KINDS.get(span.kind, KINDS["work"])[0],
        lasted=took(span.took_ms(found.now_ms) / 1000),
        status=_state(span),
        is_origin=bool(origin) and span.id == origin,
        url=_url(span.about),
        toggle=_toggle(request, row),
    )


def _state(span: Span) -> str:
    if span.status == "running" and span.kind in WAITING:
        return "waits"
    # What holds others may itself only wait for one of them.
    if span.status == "running" and span.kind in HOLDING:
        return "open"
    return STATUSES.get(span.status, span.status)


def _title(span: Span) -> str:
    if span.kind in CALLS:
        again = f", attempt {span.attempt}" if span.attempt > 1 else ""
        part = f" [{span.index + 1}]" if span.index else ""
        return f"{agent_name(span)}{part}{again}"
    return span.name


def _toggle(request: HttpRequest, row: Row) -> str:
    """The address of the same page with this row opened or closed."""
    key = row.span.about if row.span.kind == "run" and row.span.about else row.span.id
    opened = request.GET.getlist("open")[:OPENED_MAX]
    is_run_inside = bool(row.span.kind == "run" and row.span.about and "/" not in row.span.id)
    if not (row.hidden or row.is_open or is_run_inside):
        return ""
    query = request.GET.copy()
    changed = [one for one in opened if one != key] if key in opened else [*opened, key]
    query.setlist("open", changed)
    return f"?{query.urlencode()}"


def _url(about: str) -> str:
    names = {"prp": "proposal", "rev": "item", "run": "run"}
    name = names.get(about.partition("_")[0])
    return reverse(name, args=[about]) if name else ""


def _kinds(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """For the legend: those that are drawn, in the order of the table above."""
    drawn = {row.span.kind for row in rows}
    return [(kind, KINDS[kind][0]) for kind in KINDS if kind in drawn]


def _moment(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC)
