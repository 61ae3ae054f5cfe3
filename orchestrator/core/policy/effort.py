"""How much work a condition can become over certain inputs, before any of it is done.

The engine counts rounds of loops and nothing else: no time, no memory. Filtering a list copies it
once for each element, so 5,000 of them take 400 MB; a pattern is compiled anew in each round; texts
that are added up can double with every step. So the work is estimated from the tree of the condition
and the sizes of what it reads, in nanoseconds of one core, and rather too high than too low.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from orchestrator.core.policy.expressions import Node

EFFORT_MAX = 200_000_000
# The engine's own limit, over all loops of one evaluation together.
ROUNDS_MAX = 9_999
INPUT_BYTES_MAX = 1 << 25

_STEP = 300
_ROUND = 1_500
_COPY = 20
_HANDED_OVER = 8
_NUMBER_BYTES = 40
# For each byte of what a function looks at.
_PER_BYTE = {
    **dict.fromkeys(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"), 5),
    **dict.fromkeys(("contains", "startsWith", "endsWith"), 4),
    **dict.fromkeys(("int", "uint", "double", "string", "bytes", "timestamp", "duration"), 10),
    "_+_": 2,
    "size": 1,
    "@in": 3,
    "matches": 25,
}
_COMPARISONS = {"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"}
_GROWING = {"_+_", "_?_:_", "_[_]", "string", "bytes", "dyn", "list", "map", "message"}
_PATTERN_STEP = 300
_PATTERN_MAX = 40_000_000
_REPEATS = re.compile(r"\{(\d*)(?:,(\d*))?\}")


class Extent(Protocol):
    """How large a value can be, and the values inside it."""

    @property
    def bytes(self) -> int: ...
    @property
    def count(self) -> int: ...
    def field(self, name: object) -> "Extent": ...
    def item(self) -> "Extent": ...


@dataclass(frozen=True, slots=True)
class Bound:
    """Of a value that is not known: no larger than this, nor is anything in it."""

    bytes: int
    count: int

    def field(self, name: object) -> Extent:
        return self

    def item(self) -> Extent:
        return self


class Known:
    """Of a value that is one of these; in a loop they are all its elements."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = values

    @cached_property
    def bytes(self) -> int:
        return max((_bytes_of(value) for value in self.values), default=0)

    @cached_property
    def count(self) -> int:
        return max((len(v) for v in self.values if isinstance(v, list | Mapping)), default=0)

    def field(self, name: object) -> Extent:
        return Known([value[name] for value in self.values if _has(value, name)])

    def item(self) -> Extent:
        """An element of a list, a key of an object."""
        return Known([inner for v in self.values if isinstance(v, list | Mapping) for inner in v])


@dataclass(frozen=True, slots=True)
class _Made:
    """Of a list that is made in the condition: its elements are no larger than `of`."""

    bytes: int
    count: int
    of: Extent

    def field(self, name: object) -> Extent:
        return self.of

    def item(self) -> Extent:
        return self.of


def known(inputs: Mapping[str, Any]) -> dict[str, Extent]:
    return {name: Known([value]) for name, value in inputs.items()}


def estimate(tree: Node, inputs: Mapping[str, Extent]) -> int:
    """Of evaluating a condition once."""
    return _Estimate(inputs).of(tree)


def hand_over(inputs: Mapping[str, Extent]) -> int:
    """Of handing inputs to the engine, which copies what is read."""
    return _ROUND + _HANDED_OVER * sum(extent.bytes for extent in inputs.values())


def carefree_bytes(tree: Node, names: Sequence[str]) -> int:
    """Inputs of up to this size cannot make too much work, whatever they are."""

    def effort(exponent: int) -> int:
        size = 1 << exponent
        return _Estimate(dict.fromkeys(names, Bound(size, size // 3))).of(tree)

    exponents = range(INPUT_BYTES_MAX.bit_length())
    if effort(exponents[-1]) <= EFFORT_MAX:
        return INPUT_BYTES_MAX
    too_large = bisect_right(exponents, EFFORT_MAX, key=effort)
    return 1 << too_large - 1 if too_large else 0


class _Estimate:
    def __init__(self, inputs: Mapping[str, Extent]) -> None:
        self.inputs = inputs
        self.total = 0

    def of(self, tree: Node) -> int:
        self._extent(tree, {}, 1)
        return self.total

    def _extent(self, node: Node, loops: Mapping[str, Extent], times: int) -> Extent:
        """The size of a part that is evaluated so many times, after adding up its work."""
        if node.kind == "loop":
            return self._loop(node, loops, times)
        if node.kind == "name":
            return loops.get(node.name) or self.inputs.get(node.name) or Bound(_NUMBER_BYTES, 0)
        if node.kind == "constant":
            return Bound(_bytes_of(node.value), 0)
        below = [self._extent(child, loops, times) for child in node.children]
        if node.kind == "field":
            return below[0].field(node.name)
        if node.name == "_[_]":
            return _element(node.children[1], below[0])
        self.total += times * (_STEP + _work(node, below))
        return _made(node, below)

    def _loop(self, node: Node, loops: Mapping[str, Extent], times: int) -> Extent:
        over = self._extent(node.children[0], loops, times)
        rounds = min(times * over.count, ROUNDS_MAX)
        inside = {**loops, node.variable: over.item()}
        bodies = [self._extent(body, inside, rounds) for body in node.children[1:]]
        self.total += rounds * _ROUND
        if node.name not in {"filter", "map"}:
            return Bound(_NUMBER_BYTES, 0)
        # What was found is copied whenever something is added to it.
        self.total += rounds * min(over.count, ROUNDS_MAX) * _COPY
        if node.name == "filter":
            return over
        element = bodies[-1] if bodies else over.item()
        return _Made(over.count * element.bytes, over.count, element)


def _work(node: Node, below: Sequence[Extent]) -> int:
    """Of one call, without that of its arguments."""
    sizes = [extent.bytes for extent in below]
    if not sizes or node.kind != "call":
        return sum(sizes)
    if node.name == "matches":
        return sizes[0] * _PER_BYTE["matches"] + _pattern_work(node.children[-1])
    seen = min(sizes) if node.name in _COMPARISONS else sum(sizes)
    return seen * _PER_BYTE.get(node.name, 0)


def _pattern_work(pattern: Node) -> int:
    """A pattern is compiled whenever it is used; repetitions are written out, and classes are large."""
    if not isinstance(pattern.value, str):
        return _PATTERN_MAX
    steps = max(len(pattern.value), 1) * _PATTERN_STEP
    for low, high in _REPEATS.findall(pattern.value):
        steps *= max(int(low or 1), int(high or 1), 1)
    if "\\p" in pattern.value or "\\P" in pattern.value:
        steps *= 40
    return min(steps, _PATTERN_MAX)


def _made(node: Node, below: Sequence[Extent]) -> Extent:
    kind = node.name if node.kind == "call" else node.kind
    if kind not in _GROWING:
        return Bound(_NUMBER_BYTES, 0)
    size = sum(extent.bytes for extent in below) + _NUMBER_BYTES
    if kind in {"list", "map"}:
        return _Made(size, len(below), Bound(size, max((e.count for e in below), default=0)))
    return _Made(size, sum(e.count for e in below), _largest(below))


def _largest(extents: Sequence[Extent]) -> Extent:
    """Of values that may all have been put together."""
    items = [extent.item() for extent in extents]
    return Bound(max(i.bytes for i in items), max(i.count for i in items))


def _element(key: Node, of: Extent) -> Extent:
    if isinstance(key.value, str):
        return of.field(key.value)
    if isinstance(of, Known):
        return Known([x for v in of.values for x in _values(v)])
    return of.item()


def _values(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()


def _has(value: Any, name: object) -> bool:
    return isinstance(value, Mapping) and name in value


def _bytes_of(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    return len(repr(value)) if isinstance(value, list | Mapping) else _NUMBER_BYTES
