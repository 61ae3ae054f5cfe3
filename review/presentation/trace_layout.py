"""Where the spans of a trace lie on a page: an axis of active time, and one row for each span.

While nobody is at work, a person thinking for hours would make every call invisible. So what is longer
than a few seconds and only waits is cut out of the axis, and a labelled gap stands in its place.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from orchestrator.core.traces import ACTIVE, RUN, Span, Trace

GAP_MS = 5_000
# Of the axis: what one gap takes, and all of them together.
GAP_SHARE = 0.08
GAPS_SHARE = 0.4
# Hundredths of the axis that a few letters need.
WIDE_ROOM = 7.0
NARROW_ROOM = 14.0
# More rows than this are shown by their parents, and opened when asked for.
ROWS_MAX = 200
# So much is drawn of what took no time at all.
WIDTH_MIN = 0.4


@dataclass(frozen=True, slots=True)
class Gap:
    """A time that was cut out: when, and the hundredths of the axis that stand for it."""

    from_ms: int
    to_ms: int
    x: float
    width: float
    # Who or what was waited for, in words.
    awaited: str = ""

    @property
    def lasted_ms(self) -> int:
        return self.to_ms - self.from_ms

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def room(self) -> str:
        """Where how long it lasted can stand within: on a page that is wide, on a narrow one, too, or nowhere."""
        return "narrow" if self.width >= NARROW_ROOM else "wide" if self.width >= WIDE_ROOM else ""


@dataclass(frozen=True, slots=True)
class Axis:
    """From time to hundredths of the width; later is never further left."""

    times: tuple[int, ...]
    places: tuple[float, ...]
    gaps: tuple[Gap, ...]
    active_ms: int

    def at(self, time_ms: int) -> float:
        if time_ms <= self.times[0]:
            return self.places[0]
        if time_ms >= self.times[-1]:
            return self.places[-1]
        n = bisect_right(self.times, time_ms)
        before, after = self.times[n - 1], self.times[n]
        part = (time_ms - before) / (after - before)
        return self.places[n - 1] + part * (self.places[n] - self.places[n - 1])


def axis_of(spans: Iterable[Span], now_ms: int) -> Axis:
    known = list(spans)
    began = min((span.began_ms for span in known), default=now_ms)
    ended = max((_end(span, now_ms) for span in known), default=now_ms)
    busy = [(s.began_ms, _end(s, now_ms)) for s in known if s.kind in ACTIVE]
    axis = cut_axis(busy, began, ended)
    waits = [(_awaited(s), s.began_ms, _end(s, now_ms)) for s in known if _awaited(s)]
    return replace(axis, gaps=tuple(replace(gap, awaited=_during(gap, waits)) for gap in axis.gaps))


def _awaited(span: Span) -> str:
    kind = "run" if span.is_run_inside else "person" if span.kind == "human" else span.awaits
    return f"a {kind}" if kind else ""


def _during(gap: Gap, waits: Iterable[tuple[str, int, int]]) -> str:
    """All that were waited for through most of it; the pause before another attempt is nobody's."""
    found = [
        awaited
        for awaited, began, ended in waits
        if 2 * (min(ended, gap.to_ms) - max(began, gap.from_ms)) > gap.lasted_ms
    ]
    return " and ".join(dict.fromkeys(found))


def cut_axis(busy: Iterable[tuple[int, int]], began_ms: int, ended_ms: int) -> Axis:
    """The whole time from end to end, but for long stretches in which nothing was busy."""
    ended_ms = max(began_ms, ended_ms)
    idle = [(a, b) for a, b in _between(_merged(busy, began_ms, ended_ms)) if b - a > GAP_MS]
    cut_ms = sum(b - a for a, b in idle)
    active_ms = ended_ms - began_ms - cut_ms
    share = min(GAP_SHARE, GAPS_SHARE / len(idle)) if idle else 0.0
    if not active_ms and idle:
        share = 1 / len(idle)
    for_active = 100 * (1 - share * len(idle))
    times, places, gaps = [began_ms], [0.0], []
    for a, b in idle:
        x = places[-1] + _part(a - times[-1], active_ms) * for_active
        gaps.append(Gap(a, b, x, 100 * share))
        times += [a, b]
        places += [x, x + 100 * share]
    times.append(ended_ms)
    places.append(100.0)
    return _axis(times, places, gaps, active_ms)


def _axis(times: list[int], places: list[float], gaps: list[Gap], active_ms: int) -> Axis:
    """Without knots at the same time, which would be a division by nothing."""
    kept = [(times[0], places[0])]
    for time_ms, place in zip(times[1:], places[1:], strict=True):
        if time_ms > kept[-1][0]:
            kept.append((time_ms, min(100.0, max(place, kept[-1][1]))))
    if len(kept) == 1:
        kept.append((times[0] + 1, 100.0))
    return Axis(tuple(t for t, _ in kept), tuple(p for _, p in kept), tuple(gaps), active_ms)


def _part(length_ms: int, whole_ms: int) -> float:
    return length_ms / whole_ms if whole_ms else 0.0


def _merged(busy: Iterable[tuple[int, int]], began_ms: int, ended_ms: int) -> list[tuple[int, int]]:
    """Without overlaps, within both ends, which count as busy moments themselves."""
    inside = [
        (min(max(a, began_ms), ended_ms), min(max(a, b, began_ms), ended_ms)) for a, b in busy
    ]
    merged: list[tuple[int, int]] = []
    for a, b in sorted([(began_ms, began_ms), *inside, (ended_ms, ended_ms)]):
        if merged and a <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
        else:
            merged.append((a, b))
    return merged


def _between(merged: Sequence[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    return [(end, start) for (_, end), (start, _) in pairwise(merged)]


def _end(span: Span, now_ms: int) -> int:
    return max(span.began_ms, now_ms if span.ended_ms is None else span.ended_ms)


# Rows --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One span as it is drawn; `hidden` is how many spans within it are not shown."""

    span: Span
    depth: int
    x: float
    width: float
    hidden: int = 0
    is_open: bool = False
    # Where within it a guardrail held something or something failed, as hundredths.
    marks: tuple[tuple[str, float], ...] = ()


def rows_of(trace: Trace, axis: Axis, now_ms: int, opened: Collection[str] = ()) -> list[Row]:
    """All of them, or, of a long trace, the run's own with what was opened."""
    depths = _depths(trace)
    is_short = len(trace.spans) <= ROWS_MAX
    shown = [
        span for span in trace.spans if is_short or depths[span.id] <= 1 or span.parent in opened
    ]
    ids = {span.id for span in shown}
    within = _within(trace, ids)
    return [
        Row(
            span,
            depths[span.id],
            *_drawn(axis, span, now_ms),
            hidden=len(within[span.id]),
            is_open=not is_short and span.id in opened,
            marks=_marks(axis, within[span.id]) if within[span.id] else (),
        )
        for span in shown
    ]


def _drawn(axis: Axis, span: Span, now_ms: int) -> tuple[float, float]:
    x = axis.at(span.began_ms)
    width = max(axis.at(_end(span, now_ms)) - x, WIDTH_MIN)
    return round(min(x, 100 - WIDTH_MIN), 3), round(min(width, 100 - min(x, 100 - WIDTH_MIN)), 3)


def _marks(axis: Axis, hidden: Iterable[Span]) -> tuple[tuple[str, float], ...]:
    """Of what is not shown itself."""
    held = [
        ("held" if span.kind == "guardrail" else "failed", round(axis.at(span.began_ms), 2))
        for span in hidden
        if span.status == "failed" or (span.kind == "guardrail" and span.status == "held")
    ]
    return tuple(dict.fromkeys(held))[:50]


def _depths(trace: Trace) -> dict[str, int]:
    """Spans stand after their parents."""
    depths: dict[str, int] = {}
    for span in trace.spans:
        depths[span.id] = 0 if span.id == RUN else depths.get(span.parent, 0) + 1
    return depths


def _within(trace: Trace, shown: Collection[str]) -> dict[str, list[Span]]:
    """Of each span that is shown, those below it that are not."""
    parents = {span.id: span.parent for span in trace.spans}
    within: dict[str, list[Span]] = {key: [] for key in shown}
    for span in trace.spans:
        above = span.parent
        while span.id not in shown and above and above not in shown:
            above = parents.get(above, "")
        if span.id not in shown and above:
            within[above].append(span)
    return within
