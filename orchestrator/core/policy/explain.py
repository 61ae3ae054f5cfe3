"""Why a condition gave what it gave: each of its parts with its value, outermost first.

Every part is evaluated by itself, by the engine that judged the whole, over the same inputs. Shown
are the parts that depend on the inputs; a path such as `proposal.args.amount` is one part. Of a loop
the elements are shown that made it what it is, a few of them, with the parts of its body.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from orchestrator.core.codec import Json
from orchestrator.core.policy.effort import EFFORT_MAX, Known, estimate, hand_over, known
from orchestrator.core.policy.expressions import Node, evaluable
from orchestrator.core.policy.paths import path_of

EXPLAIN_NODES_MAX = 60
EXPRESSION_SHOWN_MAX = 200
VALUE_SHOWN_MAX = 300
ITEMS_SHOWN_MAX = 5
LEVELS_SHOWN_MAX = 3
ELEMENTS_SHOWN_MAX = 3
# To find those elements, others are tried: so many, and of those so much work.
ELEMENTS_TRIED_MAX = 1_000
TRYING_EFFORT_MAX = EFFORT_MAX // 20

_LOGIC = {"_&&_", "_||_"}
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

type Row = dict[str, Json]
type Bound = Mapping[str, Any]
type _Element = tuple[int, Any, _Scope]


@dataclass(frozen=True, slots=True)
class Failed:
    """What a part gave instead of a value."""

    reason: str


# Evaluates one part over what was activated; gives a plain value, or Failed.
type Program = Callable[[Any], Any]
type Compile = Callable[[bytes], Program]
# Hands the inputs to the engine, with the elements of the loops that are gone through.
type Activate = Callable[[Bound], Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A part worth showing, ready to be evaluated."""

    node: Node
    text: str
    program: Program
    parts: tuple["Part", ...]
    # Of a loop: which macro, over what, with which name for the element.
    macro: str = ""
    over: "Part | None" = None
    variable: str = ""


def prepare(node: Node, source: str, compiled: Compile) -> Part:
    """Once for each condition; what comes after is evaluation."""
    return _Preparer(source, compiled).part(node)


def explain(part: Part, inputs: Bound, activate: Activate) -> list[Row]:
    """The parts in the order they are written, each with `expr`, `depth`, and `value` or `error`."""
    listing = _Listing(inputs, activate)
    listing.add(part, 0, _Scope({}, activate({})))
    return listing.rows


@dataclass(frozen=True, slots=True)
class _Preparer:
    source: str
    compiled: Compile

    def part(self, node: Node) -> Part:
        program = self.compiled(evaluable(node))
        text = _shortened(
            " ".join(self.source[node.start : node.end].split()), EXPRESSION_SHOWN_MAX
        )
        if node.kind != "loop":
            return Part(node, text, program, tuple(map(self.part, _shown_below(node))))
        over, *bodies = node.children
        shown = tuple(self.part(body) for body in bodies)
        return Part(node, text, program, shown, node.name, self.part(over), node.variable)


def _shown_below(node: Node) -> Iterator[Node]:
    """The next parts that depend on anything; `a && b && c` has three, however they are grouped."""
    if node.kind == "has" or path_of(node, {}):
        return
    for child in node.children:
        if node.name in _LOGIC and child.name == node.name and child.kind == "call":
            yield from _shown_below(child)
        elif any(inner.kind == "name" for inner in child.walk()):
            yield child


@dataclass(frozen=True, slots=True)
class _Scope:
    """The elements that loops are at, by name, and the engine's own form of all that can be read."""

    bound: Bound
    activation: Any


@dataclass(slots=True)
class _Listing:
    inputs: Bound
    activate: Activate
    rows: list[Row] = field(default_factory=list)

    def add(self, part: Part, depth: int, scope: _Scope) -> None:
        if not self._put(part.text, depth, part.program(scope.activation)):
            return
        if part.over:
            self._add_loop(part, part.over, depth + 1, scope)
        for inner in () if part.over else part.parts:
            # The element itself was shown just before.
            if inner.text not in scope.bound:
                self.add(inner, depth + 1, scope)

    def _put(self, text: str, depth: int, value: Any) -> bool:
        """Whether there was room for it."""
        room = EXPLAIN_NODES_MAX - len(self.rows)
        if room == 1:
            self.rows.append({"expr": "…", "depth": 0, "error": "the other parts are not shown"})
        if room <= 1:
            return False
        if isinstance(value, Failed):
            self.rows.append({"expr": text, "depth": depth, "error": storable_text(value.reason)})
        else:
            self.rows.append({"expr": text, "depth": depth, "value": shown(value)})
        return True

    def _add_loop(self, loop: Part, over: Part, depth: int, scope: _Scope) -> None:
        self.add(over, depth, scope)
        elements = over.program(scope.activation)
        if not isinstance(elements, list | dict):
            return
        is_list = isinstance(elements, list)
        # The engine goes through the keys of an object in any order.
        ordered = list(elements) if is_list else sorted(elements, key=str)
        for number, element, inside in self._telling(loop, ordered, scope):
            place = f"{over.text}[{number}]" if is_list else f"a key of {over.text}"
            name = _shortened(f"{loop.variable} = {place}", EXPRESSION_SHOWN_MAX)
            self._put(name, depth, element)
            for body in loop.parts:
                self.add(body, depth + 1, inside)

    def _telling(self, loop: Part, elements: Sequence[Any], scope: _Scope) -> list[_Element]:
        """The elements that made a loop what it is: those against `all`, those that anything else found."""
        wanted = loop.macro != "all"
        found: list[_Element] = []
        others: list[_Element] = []
        for number, element in enumerate(elements[: self._tried_max(loop, elements, scope)]):
            inside = self._inside(loop, element, scope)
            value = loop.parts[0].program(inside.activation) if loop.parts else None
            decides = isinstance(value, Failed) or value is wanted
            kept = found if decides else others
            if len(kept) < ELEMENTS_SHOWN_MAX:
                kept.append((number, element, inside))
            if len(found) == ELEMENTS_SHOWN_MAX:
                break
        # Where nothing was found, it is the others that say why.
        return found if found or loop.macro == "all" else others

    def _tried_max(self, loop: Part, elements: Sequence[Any], scope: _Scope) -> int:
        """For each element all that can be read is handed over anew, and a body is evaluated."""
        extents = known({**self.inputs, **scope.bound})
        each = hand_over(extents)
        for body in loop.parts[:1]:
            each += estimate(body.node, {**extents, loop.variable: Known(elements)})
        return min(max(TRYING_EFFORT_MAX // each, ELEMENTS_SHOWN_MAX), ELEMENTS_TRIED_MAX)

    def _inside(self, loop: Part, element: Any, scope: _Scope) -> _Scope:
        bound = {**scope.bound, loop.variable: element}
        return _Scope(bound, self.activate(bound))


def shown(value: Any, levels: int = LEVELS_SHOWN_MAX) -> Json:
    """A value as JSON that fits on a page: what is long is cut, and what JSON lacks becomes text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        # NaN, the infinities, and whole numbers that other readers of JSON would round.
        return value if abs(value) <= 2**63 else str(value)
    if isinstance(value, Mapping):
        return _shown_mapping(value, levels)
    if isinstance(value, list):
        return _shown_list(value, levels)
    return storable_text(_text_of(value), VALUE_SHOWN_MAX)


def storable_text(text: str, most: int = VALUE_SHOWN_MAX) -> str:
    """Without what no database takes: a condition can make such characters even of clean inputs."""
    return _shortened(_UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text[: most + 1]), most)


def _shown_mapping(value: Mapping[Any, Any], levels: int) -> Json:
    if not levels:
        return "{…}" if value else {}
    few = sorted(value.items(), key=lambda pair: str(pair[0]))[:ITEMS_SHOWN_MAX]
    result: dict[str, Json] = {storable_text(str(k)): shown(v, levels - 1) for k, v in few}
    if len(value) > ITEMS_SHOWN_MAX:
        result["…"] = f"and {len(value) - ITEMS_SHOWN_MAX:,} more"
    return result


def _shown_list(value: list[Any], levels: int) -> Json:
    if not levels:
        return "[…]" if value else []
    few = [shown(item, levels - 1) for item in value[:ITEMS_SHOWN_MAX]]
    more = len(value) - ITEMS_SHOWN_MAX
    return [*few, f"… and {more:,} more"] if more > 0 else few


def _text_of(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, bytes | bytearray):
        return bytes(value[:VALUE_SHOWN_MAX]).decode(errors="replace")
    return str(value)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
