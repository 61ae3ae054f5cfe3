"""The axis of a trace: what is cut out never changes the order, and everything adds up."""

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.traces import Span, Trace, in_order
from review.presentation.trace_layout import (
    GAP_MS,
    GAPS_SHARE,
    ROWS_MAX,
    axis_of,
    cut_axis,
    rows_of,
)

times = st.integers(0, 10_000_000)
stretches = st.lists(st.tuples(times, st.integers(0, 100_000)), max_size=30).map(
    lambda found: [(a, a + length) for a, length in found]
)


def span(key: str, parent: str, began: int, ended: int | None, kind: str = "agent") -> Span:
    return Span(id=key, parent=parent, kind=kind, name=key, began_ms=began, ended_ms=ended)


@given(stretches, times, times, st.lists(times, min_size=2, max_size=20))
def test_later_is_never_further_left(
    busy: list[tuple[int, int]], one: int, other: int, moments: list[int]
) -> None:
    axis = cut_axis(busy, min(one, other), max(one, other))
    places = [axis.at(moment) for moment in sorted(moments)]
    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)


@given(stretches, times, times)
def test_everything_adds_up(busy: list[tuple[int, int]], one: int, other: int) -> None:
    began, ended = min(one, other), max(one, other)
    axis = cut_axis(busy, began, ended)
    assert axis.active_ms >= 0
    assert axis.active_ms + sum(gap.lasted_ms for gap in axis.gaps) == ended - began
    assert all(gap.lasted_ms > GAP_MS and gap.width > 0 for gap in axis.gaps)
    if axis.active_ms:
        assert sum(gap.width for gap in axis.gaps) <= 100 * GAPS_SHARE + 1e-6


@given(stretches, times, times)
def test_nothing_busy_is_cut_out(busy: list[tuple[int, int]], one: int, other: int) -> None:
    axis = cut_axis(busy, min(one, other), max(one, other))
    for gap in axis.gaps:
        assert all(b <= gap.from_ms or a >= gap.to_ms for a, b in busy)


@given(stretches, times)
def test_rows_stay_on_the_page(busy: list[tuple[int, int]], now: int) -> None:
    known = [span("run", "", 0, None, "run")]
    known += [span(str(n), "run", a, b) for n, (a, b) in enumerate(busy)]
    trace = Trace(tuple(in_order(known)))
    axis = axis_of(trace.spans, now)
    for row in rows_of(trace, axis, now):
        assert row.width > 0
        assert row.x >= 0
        assert row.x + row.width <= 100.01
    shown = [row.span.began_ms for row in rows_of(trace, axis, now)][1:]
    assert shown == sorted(shown)


def test_a_wait_of_hours_is_one_gap() -> None:
    hours = 3 * 3_600_000
    axis = cut_axis([(0, 2_000), (hours, hours + 2_000)], 0, hours + 2_000)
    assert [gap.lasted_ms for gap in axis.gaps] == [hours - 2_000]
    assert axis.active_ms == 4_000
    assert axis.at(2_000) == 46.0


def test_a_long_trace_is_shown_by_its_parents_until_opened() -> None:
    known = [span("run", "", 0, 900, "run"), span("work", "run", 0, 900, "work")]
    known += [span(f"call-{n}", "work", n, n + 1) for n in range(ROWS_MAX)]
    known.append(span("piece", "call-0", 0, 1, "tool"))
    trace = Trace(tuple(in_order(known)))
    axis = axis_of(trace.spans, 900)
    closed = rows_of(trace, axis, 900)
    assert [(row.span.id, row.hidden) for row in closed] == [("run", 0), ("work", ROWS_MAX + 1)]
    opened = rows_of(trace, axis, 900, {"work"})
    assert len(opened) == ROWS_MAX + 2
    assert [row.hidden for row in opened if row.span.id == "call-0"] == [1]


def test_every_span_is_once_in_the_tree_even_without_its_parent() -> None:
    known = [span("run", "", 0, 9, "run"), span("lost", "nobody", 3, 4)]
    assert [one.id for one in in_order(known)] == ["run", "lost"]
