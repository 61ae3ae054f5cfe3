"""A compiled condition as a tree of its parts, each with the place where it is written.

The engine hands out what it compiled only as bytes: `Any(CheckedExpr)` of the protocol buffers that
the CEL specification publishes (cel/expr/checked.proto, cel/expr/syntax.proto). Reading them takes
`_fields` below and no package. Macros arrive unfolded; a loop is folded back here to what was
written: a range, and bodies that are evaluated for each element.
"""

import re
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

type Kind = Literal["constant", "name", "field", "has", "call", "list", "map", "message", "loop"]
type Constant = bool | int | float | str | bytes | None

_TOKENS = re.compile(
    r"""
    (?:\s|//[^\n]*)+
    | (?P<token>
        [bB]?[rR][bB]?(?:\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3}|"[^"\n]*"|'[^'\n]*')
      | [bB]?(?:\"{3}(?:\\[\s\S]|[^\\])*?\"{3}|'{3}(?:\\[\s\S]|[^\\])*?'{3})
      | [bB]?(?:"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
      | `[^`\n]*`
      | [A-Za-z_][A-Za-z_0-9]*
      | 0[xX][0-9a-fA-F]+[uU]?
      | (?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[uU]?
      | <= | >= | == | != | && | \|\|
      | .
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_NULL, _BOOL, _INT, _UINT, _DOUBLE, _STRING, _BYTES = range(1, 8)
# How protocol buffers say what follows: a number, 8 bytes, 4 bytes; else as many as it says.
_IS_VARINT = 0
_FIXED = {1: 8, 5: 4}
_CLOSES = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True, slots=True)
class Token:
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Node:
    """One part of a condition."""

    kind: Kind
    # What is called, selected, referred to or looped with.
    name: str
    children: tuple["Node", ...]
    start: int
    end: int
    # What the engine needs to evaluate this part by itself.
    encoded: bytes
    value: Constant = None
    # Of a loop: the name of its element.
    variable: str = ""

    def walk(self) -> Iterator["Node"]:
        yield self
        for child in self.children:
            yield from child.walk()


def tokens_of(source: str) -> list[Token]:
    """The words of a condition, even of one that does not compile."""
    return [
        Token(match.start(), match.end(), match["token"])
        for match in _TOKENS.finditer(source)
        if match["token"]
    ]


def read_expression(serialized: bytes, source: str) -> Node:
    """The tree of what the engine compiled from this source."""
    checked = _only(serialized, 2)
    info = _only(checked, 5)
    places = {_number(entry, 1): _number(entry, 2) for entry in _all(info, 4)}
    return _Reader(tokens_of(source), places).read(_only(checked, 4))


def evaluable(node: Node) -> bytes:
    """One part as the engine reads it back: without types, it finds out by itself what to call."""
    url = b"type.googleapis.com/cel.expr.CheckedExpr"
    return _block(1, url) + _block(2, _block(4, node.encoded))


class _Reader:
    """Reads messages of cel.expr.Expr; the numbers of their fields are those of syntax.proto."""

    def __init__(self, tokens: Sequence[Token], places: Mapping[int, int]) -> None:
        self.tokens = tokens
        self.starts = [token.start for token in tokens]
        self.partners = _partners(tokens)
        self.places = places

    def read(self, encoded: bytes) -> Node:
        anchor = self._token_at(self.places.get(_number(encoded, 2), 0))
        for number, read in self._kinds().items():
            for body in _all(encoded, number):
                return read(encoded, body, anchor)
        return self._node("constant", "", (), encoded, (anchor, anchor))

    def _kinds(self) -> dict[int, Callable[[bytes, bytes, int], Node]]:
        return {
            3: self._constant,
            4: self._name,
            5: self._select,
            6: self._call,
            7: self._list,
            8: self._struct,
            9: self._loop,
        }

    def _constant(self, encoded: bytes, body: bytes, anchor: int) -> Node:
        last = anchor + 1 if self._text(anchor) == "-" else anchor
        return self._node("constant", "", (), encoded, (anchor, last), value=_literal(body))

    def _name(self, encoded: bytes, body: bytes, anchor: int) -> Node:
        name = _text(body, 1)
        dots = name.count(".")
        # Of `google.protobuf.Timestamp` the last dot is pointed at, of `.proposal` the first one.
        before = 0 if name.startswith(".") else max(2 * dots - 1, 0)
        behind = 1 if dots else 0
        return self._node("name", name.lstrip("."), (), encoded, (anchor - before, anchor + behind))

    def _select(self, encoded: bytes, body: bytes, anchor: int) -> Node:
        operand, field = self.read(_only(body, 1)), _text(body, 2)
        if _number(body, 3):
            span = (anchor - 1, self.partners.get(anchor, anchor))
            return self._node("has", field, (operand,), encoded, span)
        first, _ = self._wrapped(operand, anchor)
        return self._node("field", field, (operand,), encoded, (first, anchor + 1))

    def _call(self, encoded: bytes, body: bytes, anchor: int) -> Node:
        children = tuple(map(self.read, [*_all(body, 1), *_all(body, 3)]))
        return self._node("call", _text(body, 2), children, encoded, self._span(children, anchor))

    def _list(self, encoded: bytes, body: bytes, anchor: int) -> Node:
        children = tuple(map(self.read, _all(body, 1)))
        return self._node("list", "", children, encoded, self._span(children, anchor))

    def _struct(self, encoded: bytes, body: bytes, anchor: int) -> Node:
        parts = [
            part for entry in _all(body, 2) for number in (3, 4) for part in _all(entry, number)
        ]
        children, name = tuple(map(self.read, parts)), _text(body, 1)
        span = self._span(children, anchor)
        return self._node("message" if name else "map", name, children, encoded, span)

    def _loop(self, encoded: bytes, body: bytes, anchor: int) -> Node:
        variable, over = _text(body, 1), self.read(_only(body, 2))
        bodies = map(self.read, _bodies(_only(body, 6), variable))
        span, macro = self._span((over,), anchor), self._text(anchor - 1)
        return self._node("loop", macro, (over, *bodies), encoded, span, variable=variable)

    def _node(
        self,
        kind: Kind,
        name: str,
        children: tuple[Node, ...],
        encoded: bytes,
        span: tuple[int, int],
        *,
        value: Constant = None,
        variable: str = "",
    ) -> Node:
        start, end = self._token(span[0]).start, self._token(span[1]).end
        return Node(kind, name, children, start, end, encoded, value, variable)

    def _span(self, children: Sequence[Node], anchor: int) -> tuple[int, int]:
        """From the first to the last token: the engine only says where the operator stands."""
        first, last = anchor, self.partners.get(anchor, anchor)
        if self._text(anchor) == "(" and self._text(anchor - 1)[:1].isidentifier():
            first = anchor - 1
        for child in children:
            begins, ends = self._wrapped(child, anchor)
            first, last = min(first, begins), max(last, ends)
        return first, last

    def _wrapped(self, child: Node, anchor: int) -> tuple[int, int]:
        """Together with the parentheses around it, which are no part of the tree."""
        first, last = self._token_at(child.start), self._token_at(child.end - 1)
        while (
            first - 1 != anchor
            and self._text(first - 1) == "("
            and self.partners.get(first - 1) == last + 1
        ):
            first, last = first - 1, last + 1
        return first, last

    def _token_at(self, place: int) -> int:
        return max(bisect_right(self.starts, place) - 1, 0)

    def _token(self, index: int) -> Token:
        return self.tokens[min(max(index, 0), len(self.tokens) - 1)]

    def _text(self, index: int) -> str:
        return self.tokens[index].text if 0 <= index < len(self.tokens) else ""


def _partners(tokens: Sequence[Token]) -> dict[int, int]:
    """Of each opening bracket, where it is closed."""
    partners: dict[int, int] = {}
    opened: list[int] = []
    for index, token in enumerate(tokens):
        if token.text in _CLOSES.values():
            opened.append(index)
        elif opened and _CLOSES.get(token.text) == tokens[opened[-1]].text:
            partners[opened.pop()] = index
    return partners


def _bodies(step: bytes, variable: str) -> list[bytes]:
    """What a macro does with each element, without the bookkeeping that it is unfolded into."""
    function, arguments = _called(step)
    if function == "_?_:_":
        return [arguments[0], *_added(arguments[1], variable)]
    if function == "_+_":
        return _added(step, variable)
    return arguments[1:]


def _added(step: bytes, variable: str) -> list[bytes]:
    """`accumulator + [body]` of map; filter adds the element itself, and exists_one counts."""
    _, arguments = _called(step)
    elements = [element for made in _all(arguments[-1], 7) for element in _all(made, 1)]
    return [element for element in elements if _referred(element) != variable]


def _called(encoded: bytes) -> tuple[str, list[bytes]]:
    call = _only(encoded, 6)
    return _text(call, 2), _all(call, 3)


def _referred(encoded: bytes) -> str:
    return _text(_only(encoded, 4), 1)


def _literal(body: bytes) -> Constant:
    for number, value in _fields(body):
        if number == _BOOL:
            return bool(value)
        if number in {_INT, _UINT} and isinstance(value, int):
            return value - (1 << 64) if number == _INT and value >> 63 else value
        if isinstance(value, bytes):
            return _literal_from(number, value)
    return None


def _literal_from(number: int, value: bytes) -> Constant:
    if number == _DOUBLE:
        (double,) = struct.unpack("<d", value)
        return float(double)
    return value.decode() if number == _STRING else value


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of one message of protocol buffers: numbers, or bytes."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == _IS_VARINT:
            number, place = _varint(message, place)
            yield key >> 3, number
            continue
        size = _FIXED.get(kind)
        if size is None:
            size, place = _varint(message, place)
        yield key >> 3, message[place : place + size]
        place += size


def _varint(message: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, place
        shift += 7


def _all(message: bytes, number: int) -> list[bytes]:
    return [value for key, value in _fields(message) if key == number and isinstance(value, bytes)]


def _only(message: bytes, number: int) -> bytes:
    return next(iter(_all(message, number)), b"")


def _text(message: bytes, number: int) -> str:
    return _only(message, number).decode()


def _number(message: bytes, number: int) -> int:
    return next((v for k, v in _fields(message) if k == number and isinstance(v, int)), 0)


def _block(number: int, body: bytes) -> bytes:
    """One field that holds bytes, as protocol buffers write it."""
    return _written(number << 3 | 2) + _written(len(body)) + body


def _written(number: int) -> bytes:
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + _written(rest) if rest else bytes([low])
