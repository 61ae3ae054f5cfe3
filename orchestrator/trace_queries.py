"""Reads of traces: the spans of a run, what one of its calls was handed and said, where a failure began."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.db import connection

from orchestrator import handed_queries, queries
from orchestrator.contract_queries import masked_by
from orchestrator.core import events as ev
from orchestrator.core import tasks
from orchestrator.core.codec import Json, canonical, read
from orchestrator.core.plan import Plan, read_plan
from orchestrator.core.policy.masking import mask_text, secrets_of
from orchestrator.core.secret_shapes import hide_secrets
from orchestrator.core.state import RunState
from orchestrator.core.trace_figures import Origin, find_origin
from orchestrator.core.traces import RUN, Inside, Line, Out, Span, Trace, read_trace
from orchestrator.models import CallPiece, Command, Event, Observation, Proposal, Run

LATER = "shown after you decide"
# Of runs inside of runs so many are looked into for the beginning of a failure.
ORIGIN_DEPTH_MAX = 10
# Longer events are read without what they carry, which takes the database longer than sending them.
WHOLE_BYTES_MAX = 2_000
COMMANDS = ("run_agent", "validate")
# Proposals of one run whose contracts say what has to be masked.
PROPOSALS_MAX = 200

_EVENTS = """
    SELECT seq, kind, extract(epoch FROM at) * 1000, key,
           CASE WHEN length(payload) <= %(whole)s THEN payload
                ELSE (payload::jsonb - %(carried)s::text[])::text END
      FROM orchestrator_event WHERE run_id = %(run)s ORDER BY seq LIMIT %(most)s
"""
CARRIED = ["output", "intent", "data", "receipt", "rules"]


@dataclass(frozen=True, slots=True)
class RunTrace:
    """A run with its spans; `is_cut` where it has more events than are read."""

    run: Run
    state: RunState
    plan: Plan
    trace: Trace
    now_ms: int
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a failure began: in this run, or in one that it started."""

    run: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Text:
    """What was handed over or said, as far as it is kept; and what is missing, in words."""

    title: str
    text: str
    note: str = ""


def trace_of(run: Run) -> RunTrace:
    """Of a run read with its workflow version. In four queries, however long it is."""
    state = run.canonical_state
    definition = queries.content_of(run.workflow_version)
    plan = read_plan(definition)
    lines = _lines(run.pk)
    trace = read_trace(
        plan,
        state,
        lines,
        name=state.workflow or str(run.workflow_version),
        ended_ms=_ms(run.ended_at) if run.ended_at else None,
        pieces=_pieces(run.pk),
        out=() if run.ended_at else _out(run.pk),
    )
    return RunTrace(run, state, plan, trace, _now_ms(), is_cut=len(lines) < run.seq)


def beginning_of(found: RunTrace, *, depth: int = ORIGIN_DEPTH_MAX) -> Beginning | None:
    """Down through the runs that it started, as far as failures go."""
    last: Beginning | None = None
    for _ in range(depth):
        blamed = str((found.state.error or {}).get("who", ""))
        origin = find_origin(found.plan, found.trace, blamed)
        if origin is None:
            break
        child = origin.began.about if origin.began.kind == "run" else ""
        below = _run(child) if child else None
        last = Beginning(found.run.pk, origin)
        if below is None or below.status != Run.Status.FAILED:
            break
        found = trace_of(below)
    return last


def child_of(parent: str, pk: str) -> Run | None:
    found = _run(pk)
    return found if found and found.parent_id == parent else None


def with_children(found: RunTrace, wanted: Sequence[str]) -> Trace:
    """With the spans of these runs, which it started, in the places where they belong."""
    spans = list(found.trace.spans)
    for key in wanted:
        place = next(
            (n for n, one in enumerate(spans) if one.about == key and one.kind == "run"), None
        )
        child = child_of(found.run.pk, key)
        if place is None or child is None:
            continue
        spans[place + 1 : place + 1] = _grafted(trace_of(child).trace, spans[place].id, key)
    return Trace(tuple(spans))


def _grafted(trace: Trace, parent: str, run: str) -> Iterator[Span]:
    for span in trace.spans:
        if span.id != RUN:
            above = parent if span.parent == RUN else f"{run}/{span.parent}"
            yield replace(span, id=f"{run}/{span.id}", parent=above)


# What a call was handed, and what it said ---------------------------------------------------------


def texts_of(
    found: RunTrace, span: Span, *, shut: Collection[str] = (), undecided: Collection[str] = ()
) -> list[Text]:
    """The context of one span, masked. Read when somebody opens it, and not before.

    Nothing that runs in `shut` remembered is shown, and nothing at all of a run in which the reader has
    yet to judge something: it could tell how sure an agent was.
    """
    texts = list(_texts(found, span, shut))
    if undecided:
        return [Text(text.title, LATER) for text in texts]
    hide = _hider(found.run.pk)
    return [replace(text, text=hide(text.text)) for text in texts]


def veiled(spans: Sequence[Span], undecided: Collection[str]) -> tuple[Span, ...]:
    """What a validator made of a proposal is said when the reader has judged it."""
    return tuple(_veiled(span) if span.about in undecided else span for span in spans)


def _veiled(span: Span) -> Span:
    if span.kind != "validation" or span.ended_ms is None:
        return span
    return replace(span, status="done", error={}, notes=())


def _texts(found: RunTrace, span: Span, shut: Collection[str]) -> Iterator[Text]:
    if span.piece:
        piece = CallPiece.objects.filter(pk=span.piece, run=found.run).first()
        if piece is not None:
            yield from _filled(
                Text("What it was handed", piece.given), Text("What it said", piece.said)
            )
    elif span.kind == "agent":
        yield from _handed(found, span, shut)
        yield from _said(found, span)
    elif span.kind == "validation":
        yield from _shown_to_validator(span)
        yield from _judged(found, span)


def _filled(*texts: Text) -> Iterator[Text]:
    return (text for text in texts if text.text)


def _handed(found: RunTrace, span: Span, shut: Collection[str]) -> Iterator[Text]:
    """As its command names it, by places in the log, which has the bytes."""
    command = Command.objects.filter(pk=span.command, run=found.run).first()
    told = _told(command) if command else {}
    if not told:
        return
    task = _task(found, told)
    yield _shown("The intent", task.intent)
    if task.item is not None:
        yield _shown("The item", task.item)
    for name, value in task.inputs.items():
        yield _shown(f"Input {name}", value)
    yield from _recalled(found.run, span.seq, shut)
    if told.get("asked"):
        yield from _turn_before(found.run, told)


def _task(found: RunTrace, told: Mapping[str, Any]) -> tasks.Task:
    numbers: list[Json] = [*set(tasks.events_of(told))]
    values = dict(zip(numbers, queries.said(found.run, numbers), strict=True))
    definition = queries.content_of(found.run.workflow_version)
    return tasks.read_task(found.plan, definition, told, values.get, handed_queries.sent_back)


def _recalled(run: Run, seq: int, shut: Collection[str]) -> Iterator[Text]:
    """Of shared memory, once the call is over: until then nobody has written down what it was handed."""
    pks = [pk for pk, _ in _facts(run, [seq]).get(seq, ("", {}))[1].get("recalled", ())]
    if not pks:
        return
    rows = Observation.objects.exclude(run__in=shut).in_bulk(pks)
    seen = [rows[pk] for pk in pks if pk in rows]
    memory: dict[str, Json] = {
        "space": seen[0].space if seen else None,
        "observations": list(map(_observed, seen)),
    }
    text = _shown("Input memory", memory)
    missing = len(pks) - len(seen)
    yield replace(text, note=f"{missing} of {len(pks)} cannot be shown") if missing else text


def _observed(row: Observation) -> dict[str, Json]:
    """As agents are handed it."""
    return {
        "id": row.pk,
        "key": row.key,
        "value": read(row.value),
        "tags": list(row.tags),
        "by": row.agent,
        "tainted": row.tainted,
    }


def _turn_before(run: Run, told: Mapping[str, Any]) -> Iterator[Text]:
    asked, answered = told["asked"], told["answers"]
    events = _facts(run, [asked, *answered])
    said = events[asked][1]
    if said.get("memory") is not None:
        yield _shown("What it had kept", said["memory"])
    answers: list[Json] = [
        handed_queries.answer(ask, *events[seq])
        for ask, seq in zip(said["asks"], answered, strict=True)
    ]
    yield _shown("What became of what it asked for", answers)


def _said(found: RunTrace, span: Span) -> Iterator[Text]:
    if span.status == "done":
        kind, facts = _facts(found.run, [span.seq])[span.seq]
        if kind == ev.WorkAsked.kind:
            yield _shown("What it asked for", facts["asks"])
        else:
            yield _shown("What it said", queries.said(found.run, [span.seq])[0])
    kind = CallPiece.Kind.REFUSED
    for piece in CallPiece.objects.filter(run=found.run, seq=span.seq, kind=kind):
        yield Text("What it said, and was not taken", piece.said, ", ".join(piece.notes))


def _shown_to_validator(span: Span) -> Iterator[Text]:
    seen = handed_queries.shown_to_validators({span.about}).get(span.about)
    if seen is not None:
        yield _shown("What it was handed", seen)


def _judged(found: RunTrace, span: Span) -> Iterator[Text]:
    if span.status == "done":
        _, facts = _facts(found.run, [span.seq])[span.seq]
        told: Json = {
            name: facts[name] for name in ("score", "verdict", "reasons") if name in facts
        }
        yield _shown("What it said", told)


def _facts(run: Run, numbers: Sequence[int]) -> dict[int, tuple[str, dict[str, Any]]]:
    """Of each of these events its kind, and what it says."""
    rows = Event.objects.filter(run=run, seq__in=numbers)
    told = ((row.seq, row.kind, read(row.payload)) for row in rows)
    return {seq: (kind, facts if isinstance(facts, dict) else {}) for seq, kind, facts in told}


def _shown(title: str, value: Json) -> Text:
    text = canonical(value)
    most = settings.TRACE_TEXT_MAX
    note = f"shown are {most:,} of {len(text):,} characters" if len(text) > most else ""
    # A little more, so that no secret is cut in half before it is hidden.
    return Text(title, text[: most + 1_000], note)


def _hider(run: str) -> Any:
    """Hides what looks like a secret, and what the contracts of this run's proposals mask, wherever it turns up."""
    known = list(_masked_values(run))
    most = settings.TRACE_TEXT_MAX

    def hide(text: str) -> str:
        for secrets in known:
            text = mask_text(text, secrets)
        return hide_secrets(text)[:most]

    return hide


def _masked_values(run: str) -> Iterator[Any]:
    rows = Proposal.objects.filter(run=run, contract_version__isnull=False)
    found = list(rows.select_related("contract_version").order_by("-pk")[:PROPOSALS_MAX])
    pointers = masked_by(
        {row.contract_version.contract_id for row in found if row.contract_version}
    )
    for row in found:
        named = pointers.get(row.contract_version.contract_id, []) if row.contract_version else []
        if named:
            yield secrets_of(row.args, named)


# Reading -----------------------------------------------------------------------------------------


def _run(pk: str) -> Run | None:
    return Run.objects.select_related("workflow_version__workflow").filter(pk=pk).first()


def _lines(run: str) -> list[Line]:
    values: dict[str, Any] = {
        "run": run,
        "whole": WHOLE_BYTES_MAX,
        "carried": CARRIED,
        "most": settings.TRACE_EVENTS_MAX,
    }
    with connection.cursor() as cursor:
        cursor.execute(_EVENTS, values)
        return [line for row in cursor.fetchall() if (line := _line(*row)) is not None]


def _line(seq: int, kind: str, at_ms: Any, key: str | None, text: str) -> Line | None:
    """Nothing for what somebody wrote over, or a newer version wrote: the events below show it as it is."""
    data = read(text)
    facts: dict[str, Any] = data if isinstance(data, dict) else {}
    # A field that was left out for its length, and has no default.
    facts = {"rules": (), "receipt": {}} | facts if kind in _CARRYING else facts
    command = int(key[4:]) if key and key.startswith("cmd:") and key[4:].isdigit() else 0
    try:
        return Line(seq, int(at_ms), ev.from_json(kind, facts), command)
    except (KeyError, TypeError):
        return None


_CARRYING = frozenset({ev.ProposalDisposed.kind, ev.EffectSucceeded.kind, ev.RollbackDone.kind})


def _pieces(run: str) -> list[Inside]:
    rows = CallPiece.objects.filter(run=run).exclude(kind=CallPiece.Kind.REFUSED)
    known = rows.defer("given", "said").order_by("seq", "pk")[: settings.TRACE_EVENTS_MAX]
    return [
        Inside(
            id=row.pk,
            seq=row.seq,
            kind=row.kind if row.kind in CallPiece.Kind.values else CallPiece.Kind.TOOL,
            name=row.name,
            began_ms=row.began_ms,
            took_ms=row.took_ms,
            tokens_in=row.tokens_in,
            tokens_out=row.tokens_out,
            money_micros=row.money_micros,
            error=row.error,
            notes=tuple(row.notes),
            depth=row.depth,
        )
        for row in known
    ]


def _out(run: str) -> list[Out]:
    status = Command.Status
    rows = Command.objects.filter(
        run=run, kind__in=COMMANDS, status__in=[status.PENDING, status.RUNNING]
    )
    return [
        Out(row.pk, row.kind, _told(row), _ms(row.created_at), row.status == status.RUNNING)
        for row in rows.order_by("pk")[: settings.TRACE_EVENTS_MAX]
    ]


def _told(command: Command) -> Mapping[str, Any]:
    data = read(command.payload)
    return data if isinstance(data, dict) else {}


def _now_ms() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp()) * 1000")
        return int(cursor.fetchone()[0])


def _ms(moment: Any) -> int:
    return int(moment.timestamp() * 1000)
