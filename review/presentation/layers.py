"""A drawing of boxes and links from top to bottom: rows by distance, few crossings, short ways.

Between two rows of boxes lies a row of labels, so that no label stands on another one. A link that
leads back up is laid like one that leads down and only drawn the other way round.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

SWEEPS = 24
ROW_GAP = 14.0
# A link that goes far to the side needs height to do so gently.
ROW_GAP_MAX = 44.0
SIDE_GAP = 22.0
THREAD = 6.0
# Links through many rows are kept straight, before those between two boxes.
STRAIGHT = 20.0


class Box(NamedTuple):
    key: str
    width: float
    height: float
    # Room kept free on the right, for links from the box to itself.
    aside: float = 0.0


class Link(NamedTuple):
    source: str
    target: str
    # Of the label.
    width: float
    height: float


class Point(NamedTuple):
    x: float
    y: float


class Route(NamedTuple):
    """From the upper box to the lower one; `stops` are passed straight downwards."""

    points: tuple[Point, ...]
    label: Point
    leads_up: bool


@dataclass(frozen=True, slots=True)
class Layout:
    width: float
    height: float
    # The middle of each box's upper side.
    boxes: dict[str, Point]
    # In the order of the links.
    routes: list[Route]


@dataclass(slots=True, eq=False)
class _Stop:
    """A box, a label, or the place where a long link passes a row."""

    row: int
    left: float
    right: float
    height: float = 0.0
    x: float = 0.0
    above: list["_Stop"] = field(default_factory=list)
    below: list["_Stop"] = field(default_factory=list)
    is_thread: bool = True
    order: float = 0.0


def arrange(boxes: Sequence[Box], links: Sequence[Link], first: str) -> Layout:
    """`first` is where everything begins. No link may lead from a box to itself."""
    upward = _upward(boxes, links, first)
    rows = _rows(boxes, links, upward)
    stops = {box.key: _stop_of(box, rows[box.key]) for box in boxes}
    chains = [_chain(stops, rows, link, leads_up=at in upward) for at, link in enumerate(links)]
    table = _table([*stops.values(), *(stop for chain in chains for stop in chain[1:-1])])
    _put_in_order(table)
    _put_in_place(table)
    tops, heights = _heights(table)
    _shift_into_view(table)
    return Layout(
        width=max(stop.x + stop.right for row in table for stop in row),
        height=tops[-1] + heights[-1],
        boxes={key: Point(stop.x, tops[stop.row]) for key, stop in stops.items()},
        routes=[
            _route(chain, chains, tops, heights, leads_up=at in upward)
            for at, chain in enumerate(chains)
        ],
    )


def _upward(boxes: Sequence[Box], links: Sequence[Link], first: str) -> set[int]:
    """The links that close a circle, found by following every way from the first box."""
    out: dict[str, list[int]] = {box.key: [] for box in boxes}
    for at, link in enumerate(links):
        out[link.source].append(at)
    upward: set[int] = set()
    seen, open_ = set(), set()
    for start in (first, *out):
        if start in seen:
            continue
        seen.add(start)
        open_.add(start)
        trail = [(start, iter(out[start]))]
        while trail:
            here, ways = trail[-1]
            for at in ways:
                target = links[at].target
                if target in open_:
                    upward.add(at)
                elif target not in seen:
                    seen.add(target)
                    open_.add(target)
                    trail.append((target, iter(out[target])))
                    break
            else:
                open_.discard(here)
                trail.pop()
    return upward


def _rows(boxes: Sequence[Box], links: Sequence[Link], upward: set[int]) -> dict[str, int]:
    """Every box below all that lead to it; only even rows, the odd ones are for labels."""
    before: dict[str, set[str]] = {box.key: set() for box in boxes}
    for at, link in enumerate(links):
        upper, lower = (link.target, link.source) if at in upward else (link.source, link.target)
        before[lower].add(upper)
    rows: dict[str, int] = {}
    while len(rows) < len(boxes):
        ready = [key for key, upper in before.items() if key not in rows and upper <= rows.keys()]
        rows |= {key: max((rows[one] + 2 for one in before[key]), default=0) for key in ready}
    return rows


def _stop_of(box: Box, row: int) -> _Stop:
    half = box.width / 2
    return _Stop(row, half, half + box.aside, box.height, is_thread=False)


def _chain(
    stops: Mapping[str, _Stop], rows: Mapping[str, int], link: Link, *, leads_up: bool
) -> list[_Stop]:
    """What a link passes on its way down; its label stands next to where it comes from."""
    ends = (link.target, link.source) if leads_up else (link.source, link.target)
    upper, lower = (rows[key] for key in ends)
    labelled = lower - 1 if leads_up else upper + 1
    passed = [_Stop(row, THREAD, THREAD) for row in range(upper + 1, lower)]
    label = passed[labelled - upper - 1]
    label.left = label.right = max(link.width / 2, THREAD)
    label.height = link.height
    chain = [stops[ends[0]], *passed, stops[ends[1]]]
    for one, next_ in pairwise(chain):
        one.below.append(next_)
        next_.above.append(one)
    return chain


def _table(stops: Iterable[_Stop]) -> list[list[_Stop]]:
    found = list(stops)
    table: list[list[_Stop]] = [[] for _ in range(max(stop.row for stop in found) + 1)]
    for stop in found:
        table[stop.row].append(stop)
    return table


# Which one stands beside which ----------------------------------------------------------------


def _put_in_order(table: list[list[_Stop]]) -> None:
    """Each stop in the middle of those it is linked to, row by row, down and up; the best is kept."""
    _number(table)
    best, kept = _crossings(table), [list(row) for row in table]
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        for row in table[1:] if downwards else table[-2::-1]:
            for stop in row:
                near = stop.above if downwards else stop.below
                if near:
                    stop.order = sum(one.order for one in near) / len(near)
            row.sort(key=lambda stop: stop.order)
            _number([row])
        found = _crossings(table)
        if found < best:
            best, kept = found, [list(row) for row in table]
    table[:] = kept
    _number(table)


def _number(rows: Iterable[list[_Stop]]) -> None:
    for row in rows:
        for place, stop in enumerate(row):
            stop.order = (place + 0.5) / len(row)


def _crossings(table: list[list[_Stop]]) -> int:
    count = 0
    for row in table:
        seen: list[float] = []
        for stop in row:
            ends = [below.order for below in stop.below]
            count += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return count


# How far to the side --------------------------------------------------------------------------


def _put_in_place(table: list[list[_Stop]]) -> None:
    for row in table:
        _settle(row, [(0.0, 1.0)] * len(row))
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        for row in table if downwards else table[::-1]:
            last = sweep >= SWEEPS - 2
            wishes = [_wish(stop, both=last, downwards=downwards) for stop in row]
            _settle(row, wishes)


def _wish(stop: _Stop, *, both: bool, downwards: bool) -> tuple[float, float]:
    """Where it would like to stand, and how much."""
    near = [*stop.above, *stop.below] if both else stop.above if downwards else stop.below
    if not near:
        return stop.x, 0.1
    weights = [STRAIGHT if stop.is_thread and one.is_thread else 1.0 for one in near]
    middle = sum(one.x * weight for one, weight in zip(near, weights, strict=True)) / sum(weights)
    return middle, sum(weights)


def _settle(row: Sequence[_Stop], wishes: Sequence[tuple[float, float]]) -> None:
    """As near as possible to the wishes, in order and without touching: isotonic regression."""
    offsets, offset = [0.0], 0.0
    for one, next_ in pairwise(row):
        gap = SIDE_GAP if not (one.is_thread and next_.is_thread) else SIDE_GAP / 2
        offset += one.right + gap + next_.left
        offsets.append(offset)
    blocks: list[tuple[float, float, int]] = []
    for (wish, weight), offset in zip(wishes, offsets, strict=False):
        mean, total, count = wish - offset, weight, 1
        while blocks and blocks[-1][0] > mean:
            other, heavier, more = blocks.pop()
            mean = (mean * total + other * heavier) / (total + heavier)
            total, count = total + heavier, count + more
        blocks.append((mean, total, count))
    places = [mean for mean, _, count in blocks for _ in range(count)]
    for stop, place, offset in zip(row, places, offsets, strict=False):
        stop.x = place + offset


# How far down ---------------------------------------------------------------------------------


def _heights(table: list[list[_Stop]]) -> tuple[list[float], list[float]]:
    """Of each row its top and its height."""
    tops, heights, y = [], [], 0.0
    for row in table:
        height = max((stop.height for stop in row), default=0.0)
        tops.append(y)
        heights.append(height)
        aside = max((abs(stop.x - one.x) for stop in row for one in stop.below), default=0.0)
        y += height + min(ROW_GAP_MAX, ROW_GAP + aside / 12)
    return tops, heights


def _shift_into_view(table: list[list[_Stop]]) -> None:
    leftmost = min(stop.x - stop.left for row in table for stop in row)
    for row in table:
        for stop in row:
            stop.x -= leftmost


def _route(
    chain: Sequence[_Stop],
    chains: Sequence[Sequence[_Stop]],
    tops: Sequence[float],
    heights: Sequence[float],
    *,
    leads_up: bool,
) -> Route:
    upper, *passed, lower = chain
    label = passed[-1 if leads_up else 0]
    middle = tops[label.row] + heights[label.row] / 2
    leaving = sorted((one for one in chains if one[0] is upper), key=lambda one: one[1].x)
    arriving = sorted((one for one in chains if one[-1] is lower), key=lambda one: one[-2].x)
    points = [Point(_port(upper, chain, leaving), tops[upper.row] + upper.height)]
    for stop in passed:
        if stop is label:
            points.append(Point(stop.x, middle))
        elif stop.row % 2 == 0:
            points.append(Point(stop.x, tops[stop.row]))
            points.append(Point(stop.x, tops[stop.row] + heights[stop.row]))
    points.append(Point(_port(lower, chain, arriving), tops[lower.row]))
    return Route(tuple(points), Point(label.x, middle), leads_up)


def _port(box: _Stop, chain: Sequence[_Stop], beside: Sequence[Sequence[_Stop]]) -> float:
    """Links meet a box side by side, in the order in which they arrive."""
    at = next(place for place, one in enumerate(beside) if one is chain)
    room = max(box.left * 2 - 48, 0)
    step = min(26.0, room / max(len(beside) - 1, 1))
    return box.x + (at - (len(beside) - 1) / 2) * step
