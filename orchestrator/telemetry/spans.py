"""A run's spans as a collector is told them: ids that anybody can work out again, and never what was said.

Ids come from the run and the span by hash. So sending a run twice tells the same spans, and the spans of a
run that another one started hang below it, whichever of the two is sent first.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from orchestrator.core.traces import CALLS, RUN, Span
from orchestrator.telemetry import names
from orchestrator.trace_queries import RunTrace

type Attribute = str | int | float | tuple[str, ...]

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Above:
    """What a run hangs below: a trace, and in it a span, or none."""

    trace_id: int
    span_id: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    name: str
    trace_id: int
    span_id: int
    parent_id: int | None
    began_ns: int
    ended_ns: int
    is_client: bool
    has_failed: bool
    error: str = ""
    attributes: dict[str, Attribute] = field(default_factory=dict)


def above(root: str, traceparent: str, parent: str, run: str) -> Above:
    """`root` is the run at the top, whose caller may have named a trace of their own."""
    caller = read_traceparent(traceparent)
    trace_id = caller.trace_id if caller else _number(root, 16)
    if parent:
        return Above(trace_id, _number(f"{parent}/run:{run}", 8))
    return caller or Above(trace_id)


def read_traceparent(text: str) -> Above | None:
    """As W3C Trace Context writes it; anything else names nothing."""
    found = _TRACEPARENT.fullmatch(text)
    if found is None:
        return None
    trace_id, span_id = int(found[1], 16), int(found[2], 16)
    return Above(trace_id, span_id) if trace_id and span_id else None


def traceparent(trace_id: int, span_id: int, *, is_exported: bool) -> str:
    """The other way round. What no collector is told of is no sample."""
    return f"00-{trace_id:032x}-{span_id:016x}-{is_exported:02x}"


def call_number(run: str, command: int) -> int:
    """Of the span of a call, which its agent is told before there is any event of it."""
    return _number(f"{run}/call:{command}", 8)


def told(found: RunTrace, hangs_below: Above) -> Iterator[Told]:
    run = found.run.pk
    numbers = {span.id: _number_of(run, span) for span in found.trace.spans}
    for span in found.trace.spans:
        is_top = span.id == RUN
        parent_id = hangs_below.span_id if is_top else numbers.get(span.parent, numbers[RUN])
        operation = names.OPERATIONS.get(span.kind)
        yield Told(
            name=f"{operation or span.kind} {span.name}",
            trace_id=hangs_below.trace_id,
            span_id=numbers[span.id],
            parent_id=parent_id,
            began_ns=span.began_ms * 1_000_000,
            ended_ns=(span.began_ms + span.took_ms(found.now_ms)) * 1_000_000,
            is_client=span.kind in names.OPERATIONS,
            has_failed=span.status in {"failed", "lost"},
            error=str(span.error.get("code", "")) or ("failed" if span.has_failed else ""),
            attributes=dict(_attributes(found, span)),
        )


def _attributes(found: RunTrace, span: Span) -> Iterator[tuple[str, Attribute]]:
    told: dict[str, Attribute | None] = {
        names.RUN: found.run.pk,
        names.WORKFLOW: found.state.workflow,
        names.KIND: span.kind,
        names.STATUS: span.status,
        names.STAGE: span.work,
        names.ATTEMPT: span.attempt,
        names.PART: span.index if span.kind == "agent" else 0,
        names.ABOUT: span.about,
        names.NOTES: span.notes,
        names.EVENT_SEQ: span.seq,
        names.ERROR_TYPE: str(span.error.get("code", "")),
        names.OPERATION: names.OPERATIONS.get(span.kind, ""),
    }
    yield from ((name, value) for name, value in told.items() if value)
    if span.kind in names.OPERATIONS or span.kind == "validation":
        yield from _gen_ai(span)


def _gen_ai(span: Span) -> Iterator[tuple[str, Attribute]]:
    yield names.INPUT_TOKENS, span.tokens_in
    yield names.OUTPUT_TOKENS, span.tokens_out
    if span.money_micros is not None:
        yield names.COST_MICROS, span.money_micros
    if span.kind == "tool":
        yield names.TOOL_NAME, span.name
    elif span.kind == "agent":
        yield names.AGENT_NAME, span.agent.get("name") or span.name
    known = (
        ("version", names.AGENT_VERSION),
        ("model", names.REQUEST_MODEL),
        ("provider", names.PROVIDER),
        ("prompt_hash", names.PROMPT_HASH),
    )
    yield from ((name, span.agent[key]) for key, name in known if span.agent.get(key))


def _number_of(run: str, span: Span) -> int:
    if span.kind in CALLS and span.command:
        return call_number(run, span.command)
    return _number(f"{run}/{span.id}", 8)


def _number(text: str, size: int) -> int:
    """Never zero, which would be no id."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:size]) or 1
