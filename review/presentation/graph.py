"""A workflow as a drawing: boxes by kind, ways between them, and the words on both.

Only places and words are worked out here; `templates/review/workflow_graph.html` draws them and the
style sheet colours them. What a thing is shows by its shape and its icon, never by colour alone.
"""

import itertools
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import ceil
from typing import Any, NamedTuple

from orchestrator.core.codec import read
from review.presentation.definitions import about, exits_of, kind_of, ordered_states
from review.presentation.layers import Box, Layout, Link, Point, Route, arrange

# Beyond this a drawing says less than the table below it.
BOXES_MAX = 60
LINKS_MAX = 150
MARGIN = 14.0
START_ROOM = 34.0
LOOP = 20.0
NAME_PX = 7.3
SMALL_PX = 6.1
EVENT_PX = 6.7
LINE = 17.0
NAME_ROOM, SMALL_ROOM, LABEL_ROOM = 165.0, 165.0, 180.0


class Kind(NamedTuple):
    """How one kind of box looks, and what it is called."""

    shape: str
    icon: str
    word: str


KINDS = {
    "agent": Kind("box", "bot", "agent"),
    "approval": Kind("hexagon", "user", "approval"),
    "signal": Kind("flag", "inbox", "signal"),
    "workflow": Kind("frame", "workflow", "workflow"),
    "collect": Kind("frame", "hourglass", "collects"),
    "publish": Kind("flag", "bell", "publishes"),
    "subscribe": Kind("flag", "inbox", "listens"),
    "rules": Kind("open", "route", "chooses"),
    "memory": Kind("frame", "rows-3", "memory"),
    "state": Kind("open", "hourglass", "waits"),
    "completed": Kind("pill", "circle-check", "ends"),
    "failed": Kind("pill", "circle-x", "ends"),
}


class Text(NamedTuple):
    x: float
    y: float
    words: str
    look: str


class Path(NamedTuple):
    d: str
    look: str


class Icon(NamedTuple):
    x: float
    y: float
    name: str
    look: str


@dataclass(slots=True)
class Drawing:
    """What to draw, the first below the last."""

    width: int
    height: int
    lines: list[Path] = field(default_factory=list)
    shapes: list[Path] = field(default_factory=list)
    icons: list[Icon] = field(default_factory=list)
    places: dict[str, Point] = field(default_factory=dict)

    @property
    def leads_back(self) -> bool:
        return any(line.look == "way back" for line in self.lines)

    @property
    def hands_on(self) -> bool:
        return any(line.look == "way handed" for line in self.lines)

    texts: list[Text] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Node:
    key: str
    kind: str
    about: str
    # A line at the foot of the box: what happens to its output, or how often it is called.
    foot: str = ""
    foot_icon: str = ""
    is_optional: bool = False
    is_many: bool = False
    needs_many: bool = False

    @property
    def height(self) -> float:
        return 78.0 if self.foot else 54.0

    @property
    def width(self) -> float:
        words = (
            _width(_cut(self.key, NAME_PX, NAME_ROOM), NAME_PX),
            _width(_cut(self.about, SMALL_PX, SMALL_ROOM), SMALL_PX),
            _width(self.foot, SMALL_PX) - (0 if self.kind == "agent" else 12),
        )
        return max(118.0, *words) + 62


class Label(NamedTuple):
    """Why a way is taken: what happened, and the condition in CEL that must hold."""

    event: str
    guard: str = ""
    icon: str = ""

    @property
    def lines(self) -> list[Text]:
        found = [Text(0, 0, _cut(self.event, EVENT_PX, LABEL_ROOM), self.look)]
        if self.guard:
            found.append(Text(0, 0, _cut(self.guard, EVENT_PX, LABEL_ROOM), "guard"))
        return found

    @property
    def look(self) -> str:
        return {"done": "event", "failed": "event failed"}.get(self.event, "event from-outside")


class Handing(NamedTuple):
    """An output that skips stages on its way to the one that needs it."""

    source: str
    target: str


class Way(NamedTuple):
    source: str
    target: str
    labels: tuple[Label, ...] = ()

    @property
    def height(self) -> float:
        return sum(len(label.lines) for label in self.labels) * LINE + (6 if self.labels else 0)

    @property
    def width(self) -> float:
        widths = [
            _width(line.words, EVENT_PX) + (18 if label.icon and not at else 0)
            for label in self.labels
            for at, line in enumerate(label.lines)
        ]
        return max(widths, default=0.0) + (14 if widths else 0)


@lru_cache(maxsize=100)
def draw(definition: str) -> Drawing | None:
    """The same for ever, as versions are; None for what is too large to be drawn."""
    found: Any = read(definition)
    is_pipeline = found["pattern"] == "pipeline"
    nodes, ways = _READERS[found["pattern"]](found)
    if len(nodes) > BOXES_MAX or len(ways) > LINKS_MAX:
        return None
    drawing = _draw(nodes, ways, nodes[0].key)
    if is_pipeline:
        _draw_handings(drawing, nodes, _handings(found))
    return drawing


# From a definition to boxes and ways ----------------------------------------------------------


def _pipeline(definition: Mapping[str, Any]) -> tuple[list[Node], list[Way]]:
    nodes = [_node(stage["name"], stage) for stage in definition["stages"]]
    keys = [node.key for node in nodes]
    ways = [Way(one, next_) for one, next_ in itertools.pairwise(keys)]
    return nodes, ways


def _handings(definition: Mapping[str, Any]) -> list[Handing]:
    names = [stage["name"] for stage in definition["stages"]]
    return [
        Handing(need, stage["name"])
        for at, stage in enumerate(definition["stages"])
        for need in stage["needs"]
        if need != names[at - 1]
    ]


def _machine(definition: Mapping[str, Any]) -> tuple[list[Node], list[Way]]:
    states = ordered_states(definition)
    nodes = [
        _node(name, state["run"])
        if "run" in state
        else Node(name, state.get("end", "state"), _still(state))
        for name, state in states
    ]
    found: dict[tuple[str, str], list[Label]] = {}
    for name, state in states:
        for one in exits_of(state):
            icon = "inbox" if one.is_signal else "clock" if one.event[:6] == "after " else ""
            label = Label(one.event, one.guard, icon)
            found.setdefault((name, one.target), []).append(label)
    return nodes, [Way(*ends, tuple(labels)) for ends, labels in found.items()]


# No worker can have a name with a blank in it.
RULES = "the rules"


def _router(definition: Mapping[str, Any]) -> tuple[list[Node], list[Way]]:
    """From the rules to the workers, and past the model to those that no rule leads to."""
    workers, fallback, model = (
        definition["workers"],
        definition["fallback"],
        definition.get("model"),
    )
    found: dict[tuple[str, str], list[Label]] = {}
    for rule in definition["rules"]:
        chain = [RULES, *rule["to"]]
        found.setdefault((RULES, chain[1]), []).append(Label(rule["name"], rule.get("if", "")))
        for pair in itertools.pairwise(chain[1:]):
            found.setdefault(pair, [])
    rest = "route" if model else fallback
    found.setdefault((RULES, rest), []).append(Label("no rule fits"))
    nodes = [Node(RULES, "rules", "whose condition holds first")]
    if model:
        nodes.append(_node("route", model))
        for name in workers:
            labels = found.setdefault(("route", name), [])
            labels += [Label("not sure")] if name == fallback else []
    nodes += [_node(name, worker) for name, worker in workers.items()]
    return nodes, [Way(*ends, tuple(labels)) for ends, labels in found.items()]


def _supervisor(definition: Mapping[str, Any]) -> tuple[list[Node], list[Way]]:
    """Out to the workers and back again, until it is done."""
    boss = _node("supervisor", definition["supervisor"])
    rounds = f"at most {definition['rounds']} rounds"
    workers = [
        replace(_node(name, worker), is_many="agent" in worker)
        for name, worker in definition["workers"].items()
    ]
    end = Node("result", "completed", "with its gaps and notes")
    ways = [
        way for worker in workers for way in (Way(boss.key, worker.key), Way(worker.key, boss.key))
    ]
    nodes = [replace(boss, foot=rounds, foot_icon="layers"), *workers, end]
    return nodes, [*ways, Way(boss.key, end.key, (Label("done"),))]


def _consensus(definition: Mapping[str, Any]) -> tuple[list[Node], list[Way]]:
    """All members at once, and then the judge."""
    members = [_node(name, member) for name, member in definition["members"].items()]
    intent = Node("intent", "state", "the same for every member")
    quorum = f"needs {definition['quorum']} of {len(members)} answers"
    judge = replace(_node("judge", definition["judge"]), foot=quorum, foot_icon="gauge")
    end = Node("verdict", "completed", "with its confidence")
    ways = [Way(intent.key, member.key) for member in members]
    ways += [Way(member.key, judge.key) for member in members]
    return [intent, *members, judge, end], [*ways, Way(judge.key, end.key)]


def _mesh(definition: Mapping[str, Any]) -> tuple[list[Node], list[Way]]:
    """Peers around the memory: what each reads leads to it, what it writes leads back."""
    memory = Node(MEMORY, "memory", definition.get("space", "the run's own"))
    peers = definition["peers"].items()
    ways = [Way(MEMORY, name, (Label(", ".join(peer["reads"])),)) for name, peer in peers]
    back = [Way(name, MEMORY, (Label(", ".join(peer["writes"])),)) for name, peer in peers]
    return [memory, *(_node(name, peer) for name, peer in peers)], [*ways, *back]


# No peer can be called this: names have no spaces.
MEMORY = "shared memory"

_READERS: dict[str, Callable[[Mapping[str, Any]], tuple[list[Node], list[Way]]]] = {
    "pipeline": _pipeline,
    "machine": _machine,
    "router": _router,
    "supervisor": _supervisor,
    "consensus": _consensus,
    "mesh": _mesh,
}


def _still(state: Mapping[str, Any]) -> str:
    if "end" in state:
        return f"the run {'is completed' if state['end'] == 'completed' else 'has failed'}"
    return "waits for a signal" if state.get("on") else "waits for the clock"


def _node(name: str, work: Mapping[str, Any]) -> Node:
    optional = bool(work.get("optional"))
    kind = kind_of(work)
    said = _BEFORE.get(kind, "") + about(work)
    many = kind == "approval" and work["approval"]["approvals"] > 1
    foot, icon = "", ""
    if many:
        foot = f"{work['approval']['approvals']} people must agree"
    elif work.get("proposes"):
        foot, icon = "proposes an action", "shield-check"
    elif "for_each" in work:
        foot, icon = f"for each, at most {work['at_most']}", "layers"
    elif optional:
        foot, icon = "optional", "circle-dashed"
    return Node(name, kind, said, foot, icon, optional, "for_each" in work, many)


_BEFORE = {
    "signal": "waits for ",
    "workflow": "a run of ",
    "collect": "the run of ",
    "publish": "to ",
    "subscribe": "waits for ",
}


# From boxes and ways to a drawing -------------------------------------------------------------


def _draw(nodes: Sequence[Node], ways: Sequence[Way], first: str) -> Drawing:
    loops = {way.source: way for way in ways if way.source == way.target}
    between = [way for way in ways if way.source != way.target]
    boxes = [
        Box(
            node.key,
            node.width,
            node.height,
            loops[node.key].width + LOOP if node.key in loops else 0,
        )
        for node in nodes
    ]
    links = [Link(way.source, way.target, way.width, way.height) for way in between]
    layout = arrange(boxes, links, first)
    size = _moved(Point(layout.width + MARGIN, layout.height + MARGIN))
    drawing = Drawing(ceil(size.x), ceil(size.y))
    _draw_start(drawing, _place(layout, first))
    for way, route in zip(between, layout.routes, strict=True):
        _draw_way(drawing, way, route)
    for node in nodes:
        drawing.places[node.key] = _place(layout, node.key)
        _draw_node(drawing, node, _place(layout, node.key))
        if node.key in loops:
            _draw_loop(drawing, loops[node.key], node, _place(layout, node.key))
    return drawing


def _place(layout: Layout, key: str) -> Point:
    return _moved(layout.boxes[key])


def _moved(point: Point) -> Point:
    return Point(round(point.x + MARGIN, 1), round(point.y + MARGIN + START_ROOM, 1))


def _draw_start(drawing: Drawing, place: Point) -> None:
    x, y = place
    drawing.lines.append(Path(f"M{x} {y - START_ROOM + 6}V{y - 6}", "way"))
    drawing.shapes.append(Path(_circle(x, y - START_ROOM + 6, 5), "start"))
    drawing.shapes.append(Path(_arrow(x, y, down=True), "arrow"))


def _draw_way(drawing: Drawing, way: Way, route: Route) -> None:
    points = [_moved(point) for point in route.points]
    begin, end = points[0], points[-1]
    # The line stops where its arrow begins, or it would show beside the tip.
    drawn = [Point(begin.x, begin.y + 6 * route.leads_up), *points[1:-1]]
    drawn.append(Point(end.x, end.y - 6 * (not route.leads_up)))
    look = "way back" if route.leads_up else "way"
    drawing.lines.append(Path(_curve(drawn), look))
    tip = begin if route.leads_up else end
    drawing.shapes.append(Path(_arrow(tip.x, tip.y, down=not route.leads_up), f"arrow {look}"))
    _draw_labels(drawing, way, _moved(route.label))


def _draw_handings(drawing: Drawing, nodes: Sequence[Node], handings: Sequence[Handing]) -> None:
    """Beside the boxes, the longer the further out."""
    of = {node.key: node for node in nodes}
    order = [node.key for node in nodes]
    widest = max(drawing.places[node.key].x + node.width / 2 for node in nodes)
    for source, target in handings:
        far = widest + 14 + 14 * min(order.index(target) - order.index(source), 8)
        begin, end = (
            Point(drawing.places[key].x + of[key].width / 2, drawing.places[key].y + aside)
            for key, aside in (
                (source, of[source].height * 0.65),
                (target, of[target].height * 0.3),
            )
        )
        d = f"M{begin.x} {begin.y}C{far} {begin.y} {far} {end.y} {end.x + 6} {end.y}"
        drawing.lines.append(Path(d, "way handed"))
        drawing.shapes.append(Path(f"M{end.x} {end.y}l8 -4.5v9z", "arrow"))
        drawing.width = max(drawing.width, ceil(far + MARGIN))


def _draw_loop(drawing: Drawing, way: Way, node: Node, place: Point) -> None:
    """Out of the right side and in again below."""
    side, y = place.x + node.width / 2, place.y + node.height / 2
    far = side + LOOP
    d = f"M{side} {y - 12}C{far} {y - 18} {far} {y + 18} {side + 6} {y + 12}"
    drawing.lines.append(Path(d, "way back"))
    tip = f"M{side} {y + 12}l8 -4.5l1 8z"
    drawing.shapes.append(Path(tip, "arrow way back"))
    _draw_labels(drawing, way, Point(side + LOOP * 0.8 + way.width / 2, y))


def _draw_labels(drawing: Drawing, way: Way, middle: Point) -> None:
    """On a patch of background, so that the way seems to pass behind the words."""
    if not way.labels:
        return
    top, left = middle.y - way.height / 2, middle.x - way.width / 2
    drawing.shapes.append(Path(_rounded(left, top, way.width, way.height, 5), "patch"))
    y = top + 3
    for label in way.labels:
        for at, line in enumerate(label.lines):
            y += LINE
            room = 9 if label.icon and not at else 0
            drawing.texts.append(
                Text(round(middle.x + room, 1), round(y - 4.5, 1), line.words, line.look)
            )
            if room:
                begin = middle.x + room - _width(line.words, EVENT_PX) / 2 - 17
                drawing.icons.append(
                    Icon(round(begin, 1), round(y - LINE + 2, 1), label.icon, "tiny")
                )


def _draw_node(drawing: Drawing, node: Node, place: Point) -> None:
    kind, width, height = KINDS[node.kind], node.width, node.height
    left, top = place.x - width / 2, place.y
    look = " ".join(filter(None, ("shape", node.kind, "optional" if node.is_optional else "")))
    if node.is_many:
        for aside in (8, 4):
            drawing.shapes.append(Path(_rounded(left + aside, top + aside, width, height, 8), look))
    drawing.shapes.append(Path(_SHAPES[kind.shape](left, top, width, height), look))
    if kind.shape == "frame":
        drawing.shapes.append(
            Path(f"M{left + 7} {top}v{height}M{left + width - 7} {top}v{height}", "seam")
        )
    if node.foot:
        _draw_foot(drawing, node, left, top)
    icon = "users" if node.needs_many else kind.icon
    drawing.icons.append(Icon(round(left + 17, 1), round(top + 18, 1), icon, node.kind))
    words = round(left + 44, 1)
    drawing.texts.append(Text(words, top + 23, _cut(node.key, NAME_PX, NAME_ROOM), "name"))
    about = _cut(node.about, SMALL_PX, SMALL_ROOM)
    drawing.texts.append(Text(words, top + 41, about, "about"))


def _draw_foot(drawing: Drawing, node: Node, left: float, top: float) -> None:
    """A compartment of its own, divided off by a line."""
    inset = 12 if node.kind == "approval" else 0
    seam = f"M{left + inset} {top + 54}H{left + node.width - inset}"
    drawing.shapes.append(Path(seam, "seam"))
    if node.foot_icon:
        drawing.icons.append(Icon(round(left + 19, 1), top + 59, node.foot_icon, "small"))
    drawing.texts.append(Text(round(left + 44, 1), top + 70.5, node.foot, "about"))


# Lines ----------------------------------------------------------------------------------------


def _curve(points: Sequence[Point]) -> str:
    """Straight down through every point, and gently aside between them."""
    d = f"M{points[0].x} {points[0].y}"
    for here, there in itertools.pairwise(points):
        if abs(here.x - there.x) < 0.5:
            d += f"V{there.y}"
        else:
            middle = round((here.y + there.y) / 2, 1)
            d += f"C{here.x} {middle} {there.x} {middle} {there.x} {there.y}"
    return d


def _arrow(x: float, y: float, *, down: bool) -> str:
    return f"M{x} {y}l-4.5 {-8 if down else 8}h9z"


def _circle(x: float, y: float, radius: float) -> str:
    return f"M{x - radius} {y}a{radius} {radius} 0 1 0 {2 * radius} 0a{radius} {radius} 0 1 0 {-2 * radius} 0z"


def _rounded(left: float, top: float, width: float, height: float, radius: float) -> str:
    r, across, down = radius, round(width - 2 * radius, 1), round(height - 2 * radius, 1)
    left, top = round(left, 1), round(top, 1)
    return (
        f"M{left + r} {top}h{across}a{r} {r} 0 0 1 {r} {r}v{down}a{r} {r} 0 0 1 {-r} {r}"
        f"h{-across}a{r} {r} 0 0 1 {-r} {-r}v{-down}a{r} {r} 0 0 1 {r} {-r}z"
    )


def _box(left: float, top: float, width: float, height: float) -> str:
    return _rounded(left, top, width, height, 8)


def _pill(left: float, top: float, width: float, height: float) -> str:
    return _rounded(left, top, width, height, height / 2)


def _frame(left: float, top: float, width: float, height: float) -> str:
    return _rounded(left, top, width, height, 2)


def _hexagon(left: float, top: float, width: float, height: float) -> str:
    """Pointed at both sides: here somebody has to say something."""
    tip, half = 13, height / 2
    across = round(width - 2 * tip, 1)
    return f"M{left} {top + half}l{tip} {-half}h{across}l{tip} {half}l{-tip} {half}h{-across}z"


def _flag(left: float, top: float, width: float, height: float) -> str:
    """Notched at the right, as where something comes in from outside."""
    half = height / 2
    return f"M{left} {top}h{width}l-12 {half}l12 {half}h{-width}z"


_SHAPES = {
    "box": _box,
    "open": _box,
    "pill": _pill,
    "frame": _frame,
    "hexagon": _hexagon,
    "flag": _flag,
}


# Words ----------------------------------------------------------------------------------------


def _width(words: str, px: float) -> float:
    """A guess that is rather too wide: nobody can measure text on a server."""
    return sum(px * (1.9 if unicodedata.east_asian_width(one) in "WF" else 1.0) for one in words)


def _cut(words: str, px: float, room: float) -> str:
    shown = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in words)
    if _width(shown, px) <= room:
        return shown
    while shown and _width(shown, px) > room - px:
        shown = shown[:-1]
    return shown.rstrip() + "…"
