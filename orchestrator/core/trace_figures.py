"""What a trace adds up to, and where its failure began."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.core.plan import Plan
from orchestrator.core.traces import CALLS, RUN, Span, Trace

RUNS_INSIDE = "runs inside"


@dataclass(frozen=True, slots=True)
class Total:
    """Of calls and of runs inside, with all that is in those. Time is that of calls.

    Money is what is known; `unpriced` says of how many of both that is not all.
    """

    name: str
    calls: int = 0
    runs: int = 0
    failed: int = 0
    took_ms: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    # A run inside tells them only together.
    tokens_inside: int = 0
    money_micros: int = 0
    unpriced: int = 0
    # Of so many calls neither tokens nor money were reported.
    silent: int = 0

    @property
    def is_unpriced(self) -> bool:
        return not self.money_micros and 0 < self.unpriced == self.calls + self.runs

    @property
    def is_silent(self) -> bool:
        return 0 < self.silent == self.calls + self.runs


def total(name: str, spans: Iterable[Span], now_ms: int) -> Total:
    counted = [span for span in spans if _counts(span)]
    calls = [span for span in counted if span.kind in CALLS]
    return Total(
        name=name,
        calls=len(calls),
        runs=len(counted) - len(calls),
        failed=sum(span.status == "failed" for span in counted),
        took_ms=sum(span.took_ms(now_ms) for span in calls),
        tokens_in=sum(span.tokens_in for span in calls),
        tokens_out=sum(span.tokens_out for span in calls),
        tokens_inside=sum(span.tokens_inside for span in counted),
        money_micros=sum(span.money_micros or 0 for span in counted),
        unpriced=sum(span.money_micros is None or span.is_partly_unpriced for span in counted),
        silent=sum(not span.tells_cost for span in calls),
    )


def _counts(span: Span) -> bool:
    return span.kind in CALLS or span.is_run_inside


def by_stage(trace: Trace, now_ms: int) -> list[Total]:
    return _grouped(trace, now_ms, {span.id: span.work for span in trace.spans})


def by_agent(trace: Trace, now_ms: int) -> list[Total]:
    """Which agents were asked in the runs inside, those runs say themselves."""
    names = {
        span.id: RUNS_INSIDE if span.is_run_inside else agent_name(span) for span in trace.spans
    }
    return _grouped(trace, now_ms, names)


def _grouped(trace: Trace, now_ms: int, names: Mapping[str, str]) -> list[Total]:
    groups: dict[str, list[Span]] = {}
    for span in trace.spans:
        if _counts(span):
            groups.setdefault(names[span.id] or "validation", []).append(span)
    return [total(name, spans, now_ms) for name, spans in groups.items()]


def agent_name(span: Span) -> str:
    """With the version, where it has one."""
    name = span.agent.get("name") or span.name
    version = span.agent.get("version", "")
    return f"{name} v{version}" if version else name


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a failure began, and where the run gave up, which may be later."""

    began: Span
    gave_up: Span


def find_origin(plan: Plan, trace: Trace, blamed: str) -> Origin | None:
    """The first failure in causal order: of what the failed work rests on, and what happened within that.

    `blamed` is the work that the run's error names. A failed attempt that a later one made good is not a
    cause; a work that was left out is one for whatever was handed its gap.
    """
    run = trace.find(RUN)
    if run is None or run.status != "failed":
        return None
    works = [span for span in trace.spans if span.kind == "work" and span.has_failed]
    named = [span for span in works if span.name == blamed] or works
    if not named:
        return Origin(run, run)
    gave_up = max(named, key=lambda span: (span.ended_ms or 0, span.began_ms))
    upstream = _upstream(plan, gave_up.name) | {gave_up.name}
    first = min(
        (span for span in works if span.name in upstream and span.began_ms <= gave_up.began_ms),
        key=lambda span: (span.began_ms, span.ended_ms or 0),
        default=gave_up,
    )
    return Origin(_within(trace, first), _within(trace, gave_up))


def _upstream(plan: Plan, name: str) -> frozenset[str]:
    """Every work whose output reached this one."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        known = plan.works.get(waiting.pop())
        fresh = set(known.needs) - found if known else set()
        found |= fresh
        waiting += fresh
    return frozenset(found)


def _within(trace: Trace, span: Span) -> Span:
    """Down to the first thing in there that failed and stayed so."""
    failed = [one for one in _unrecovered(trace.children(span.id)) if one.status == "failed"]
    if not failed:
        return span
    if span.kind == "agent":
        # A tool that failed on the way may have been made good; what failed last ended the call.
        last = max(trace.children(span.id), key=lambda one: (one.ended_ms or 0, one.index))
        return last if last.status == "failed" else span
    first = min(failed, key=lambda one: (one.ended_ms or 0, one.index, one.attempt))
    return _within(trace, first)


def _unrecovered(spans: Sequence[Span]) -> list[Span]:
    done = {
        span.index: span.attempt for span in spans if span.kind == "agent" and span.status == "done"
    }
    return [
        span for span in spans if span.kind != "agent" or done.get(span.index, 0) <= span.attempt
    ]
