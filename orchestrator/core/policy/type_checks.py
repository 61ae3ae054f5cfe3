"""A condition against what its fields are: unknown names, and comparisons that can never work.

The engine itself compiles a condition without types, since contracts change and a rule is about
several actions at once. So the types are followed here, over the tree of the compiled condition.
Declaring each path to the engine with a type of its own was tried and left: it then refuses
`args["due-date"]`, compares no whole number with one that has decimals, and takes `has()` of no
optional field. An error is only what can never hold or never be evaluated; a warning is what may
not be. Whatever is not known for certain is let pass.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.core.policy.catalogue import ANY, TIME, Field
from orchestrator.core.policy.diagnostics import (
    DIAGNOSTICS_MAX,
    ConditionProblem,
    at,
    did_you_mean,
)
from orchestrator.core.policy.expressions import Constant, Node
from orchestrator.core.policy.paths import ITEM, ONE_STEP, joined, path_of

# What JSON has no word for. A number of JSON may come as a whole one or with decimals; a double has them.
DURATION = "duration"
BYTES = "bytes"
DOUBLE = "double"

type Types = frozenset[str]
type Scope = Mapping[str, str]

_NUMBERS: Types = frozenset({"integer", "number", DOUBLE})
_BOOLEAN: Types = frozenset({"boolean"})
_UNKNOWN: Types = frozenset({ANY})
_WORDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    DOUBLE: "a number with decimals",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
    TIME: "a time",
    DURATION: "a duration",
    BYTES: "bytes",
}
_EQUALITIES = {"_==_", "_!=_"}
_ORDERS = {"_<_", "_<=_", "_>_", "_>=_"}
_ARITHMETIC = {"_+_", "_-_", "_*_", "_/_", "_%_"}
_LOGIC = {"_&&_", "_||_", "!_"}
_ON_TEXTS = {"startsWith", "endsWith", "contains", "matches"}
_OF_TIMES = {
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getMonth",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
}
_GIVES = {
    "size": "integer",
    "int": "integer",
    "uint": "integer",
    "double": DOUBLE,
    "string": "string",
    "bool": "boolean",
    "bytes": BYTES,
    "timestamp": TIME,
    "duration": DURATION,
    **dict.fromkeys(_EQUALITIES | _ORDERS | _LOGIC | _ON_TEXTS | {"@in"}, "boolean"),
    **dict.fromkeys(_OF_TIMES, "integer"),
}
_ORDERED = frozenset({*_NUMBERS, "string", "boolean", TIME, DURATION, BYTES})
_SIZED = frozenset({"string", "array", "object", BYTES})
_JUDGING = {"all", "exists", "exists_one", "filter"}


def check_types(tree: Node, source: str, fields: Iterable[Field]) -> list[ConditionProblem]:
    """Every problem with the fields of a condition, in the order of the text."""
    checker = _Checker(
        source, {known.path: known for known in fields}, frozenset(_guarded(tree, {}))
    )
    found = checker.types(tree, {})
    checker.expect(tree, found, _BOOLEAN, "the condition must be true or false")
    ordered = sorted(dict.fromkeys(checker.problems), key=lambda p: (p.line, p.column))
    return ordered[:DIAGNOSTICS_MAX]


def _guarded(node: Node, scope: Scope) -> Iterator[str]:
    """The paths that the condition asks about before it reads them."""
    if node.kind == "has":
        yield joined(path_of(node.children[0], scope) or "", node.name)
    if node.name == "@in" and isinstance(node.children[0].value, str):
        yield joined(path_of(node.children[1], scope) or "", node.children[0].value)
    if node.name in _EQUALITIES:
        for one, other in (node.children, reversed(node.children)):
            if other.kind == "constant" and other.value is None:
                yield f"{path_of(one, scope)} == null"
    for child, inner in _scoped(node, scope):
        yield from _guarded(child, inner)


def _scoped(node: Node, scope: Scope) -> Iterator[tuple[Node, Scope]]:
    """The children, each with what the names of loops stand for in it."""
    if node.kind != "loop":
        yield from ((child, scope) for child in node.children)
        return
    over, *bodies = node.children
    yield over, scope
    path = _path_of_list(over, scope)
    for body in bodies:
        yield body, {**scope, node.variable: path + ITEM if path else ""}


def _path_of_list(node: Node, scope: Scope) -> str | None:
    """A filtered list has the elements of the one it was made from."""
    if node.kind == "loop" and node.name == "filter":
        return _path_of_list(node.children[0], scope)
    return path_of(node, scope)


@dataclass(slots=True)
class _Checker:
    source: str
    fields: Mapping[str, Field]
    guarded: frozenset[str]
    warned: set[str] = field(default_factory=set)
    problems: list[ConditionProblem] = field(default_factory=list)

    def types(self, node: Node, scope: Scope) -> Types:
        """What a part can be, and a problem for everything in it that cannot work."""
        if node.kind == "constant":
            return frozenset({_type_of(node.value)})
        if path_of(node, scope):
            known = self._read(node, scope)
            return known.types if known else _UNKNOWN
        below = [self.types(child, inner) for child, inner in _scoped(node, scope)]
        if node.kind == "has":
            self._asked(node, scope)
            return _BOOLEAN
        if node.kind == "loop":
            return self._loop(node, below)
        if node.kind == "call":
            return self._call(node, below, scope)
        return {"list": frozenset({"array"}), "map": frozenset({"object"})}.get(node.kind, _UNKNOWN)

    def expect(
        self, node: Node, found: Types, wanted: Types, reason: str, suggestion: str = ""
    ) -> None:
        if ANY not in found and not found & wanted:
            self._say(node, f"{reason}; {self._name(node)} is {_worded(found)}", suggestion)

    # Fields ----------------------------------------------------------------------------------

    def _read(self, node: Node, scope: Scope) -> Field | None:
        """The field that a path leads to, if it is known."""
        path = path_of(node, scope) or ""
        parent = self._read(node.children[0], scope) if node.children else None
        known = self.fields.get(path)
        if known is None:
            self._unknown(node, path, parent)
        elif not (known.required or path in self.guarded or path in self.warned):
            self.warned.add(path)
            self._may_be_missing(node, path)
        return known

    def _asked(self, node: Node, scope: Scope) -> None:
        parent_path = path_of(node.children[0], scope)
        parent = self.fields.get(parent_path or "")
        path = joined(parent_path or "", node.name)
        if parent and path not in self.fields:
            self._unknown(node, path, parent, is_asked=True)

    def _unknown(
        self, node: Node, path: str, parent: Field | None, *, is_asked: bool = False
    ) -> None:
        if parent is None or ANY in parent.types or path.endswith(ITEM):
            return
        if not parent.types & {"object", "array"}:
            self._say(node, f"{parent.path} is {_worded(parent.types)} and has no fields")
            return
        if "object" not in parent.types:
            hint = f"such as {parent.path}.all(item, …) or {parent.path}[0]"
            self._say(node, f"{parent.path} is a list; its fields are those of its items", hint)
            return
        siblings = self._below(parent.path)
        if parent.closed or siblings:
            self._not_named(node, path, parent, siblings, is_asked=is_asked)

    def _not_named(
        self, node: Node, path: str, parent: Field, siblings: Sequence[str], *, is_asked: bool
    ) -> None:
        severity: Literal["error", "warning"] = (
            "error" if parent.closed and not is_asked else "warning"
        )
        verb = "has no" if parent.closed else "promises no"
        name = path.removeprefix(parent.path).removeprefix(".")
        hint = did_you_mean(path, siblings)
        if node.children:
            hint = hint.replace(parent.path, self._text(node.children[0]), 1)
        self._say(node, f"{parent.path} {verb} {name}", hint, severity)

    def _below(self, path: str) -> list[str]:
        """The fields directly in an object."""
        return [
            known
            for known in self.fields
            if known.startswith(path) and ONE_STEP.fullmatch(known, len(path))
        ]

    def _may_be_missing(self, node: Node, path: str) -> None:
        written = self._text(node)
        guard = f"!has({written}) || …" if node.kind == "field" else "write has(…) or in before it"
        reason = f"{path} may be missing; the rule then cannot be evaluated, and holds"
        self._say(node, reason, guard, "warning")

    # Calls -----------------------------------------------------------------------------------

    def _loop(self, node: Node, below: Sequence[Types]) -> Types:
        over, *bodies = node.children
        self.expect(
            over, below[0], frozenset({"array", "object"}), f"{node.name} goes through a list"
        )
        if node.name in _JUDGING and bodies:
            self.expect(bodies[0], below[1], _BOOLEAN, f"{node.name} needs true or false")
        return frozenset({"array"}) if node.name in {"filter", "map"} else _BOOLEAN

    def _call(self, node: Node, below: Sequence[Types], scope: Scope) -> Types:
        if node.name in _EQUALITIES:
            self._equality(node, below, scope)
        elif node.name in _ORDERS:
            self._order(node, below, scope)
        elif node.name == "@in":
            self._membership(node, below, scope)
        elif node.name in _LOGIC:
            for child, types in zip(node.children, below, strict=True):
                self.expect(child, types, _BOOLEAN, "&&, || and ! need true or false")
        elif node.name in _ARITHMETIC:
            return self._arithmetic(node, below)
        elif node.name in _ON_TEXTS:
            for child, types in zip(node.children, below, strict=True):
                self.expect(child, types, frozenset({"string"}), f"{node.name} is about texts")
        elif node.name == "size":
            self.expect(node.children[0], below[0], _SIZED, "size counts what a list or a text has")
        elif node.name in _OF_TIMES and below:
            self._part_of_time(node, below[0])
        elif node.name == "_?_:_":
            self.expect(
                node.children[0], below[0], _BOOLEAN, "what stands before ? is true or false"
            )
            return below[1] | below[2]
        return frozenset({_GIVES.get(node.name, ANY)})

    def _equality(self, node: Node, below: Sequence[Types], scope: Scope) -> None:
        left, right = node.children
        if not _comparable(*below):
            self._say(
                node, f"{self._both(node, below)} are never equal", self._instead(node, below)
            )
        for one, other in ((left, right), (right, left)):
            if other.kind == "constant":
                self._one_of_values(one, other, scope)

    def _one_of_values(self, node: Node, constant: Node, scope: Scope) -> None:
        known = self.fields.get(path_of(node, scope) or "")
        if known is None or not known.types & {_type_of(constant.value)}:
            return
        if known.values and constant.value is not None and constant.value not in known.values:
            names = [value for value in known.values if isinstance(value, str)]
            hint = did_you_mean(str(constant.value), names)
            self._say(constant, f"{known.path} never has this value", hint, "warning")

    def _order(self, node: Node, below: Sequence[Types], scope: Scope) -> None:
        for child, types in zip(node.children, below, strict=True):
            if ANY not in types and not types & _ORDERED:
                self._say(child, f"{self._name(child)} is {_worded(types)} and has no order")
                return
        if not _comparable(*below):
            reason = f"{self._both(node, below)} cannot be compared"
            self._say(node, reason, self._instead(node, below))
        for child, types in zip(node.children, below, strict=True):
            asked = f"{path_of(child, scope)} == null" in self.guarded
            if "null" in types and ANY not in types and child.kind != "constant" and not asked:
                self._say(
                    child,
                    f"{self._name(child)} may be null; the rule then cannot be evaluated, and holds",
                    f"{self._text(child)} != null && …",
                    "warning",
                )

    def _membership(self, node: Node, below: Sequence[Types], scope: Scope) -> None:
        sought, among = node.children
        if among.kind == "list":
            for item in among.children:
                if not _comparable(below[0], self._quiet(item, scope)):
                    reason = f"{self._name(sought)} is {_worded(below[0])} and never equals this"
                    self._say(item, reason)
                elif item.kind == "constant":
                    self._one_of_values(sought, item, scope)
            return
        text = f"{self._text(among)}.contains({self._text(sought)})"
        hint = text if "string" in below[1] else ""
        wanted = frozenset({"array", "object"})
        self.expect(among, below[1], wanted, "in needs a list or an object", hint)
        path = _path_of_list(among, scope)
        items = self.fields.get(f"{path}{ITEM}") if path else None
        if items and not _comparable(below[0], items.types):
            reason = f"{self._text(among)} has {_worded(items.types)} in it, and never {_worded(below[0])}"
            self._say(sought, reason)

    def _arithmetic(self, node: Node, below: Sequence[Types]) -> Types:
        if len(below) == 1 or any(ANY in types for types in below):
            return _UNKNOWN
        left, right = below
        if left & _NUMBERS and right & _NUMBERS:
            return self._numbers(node, left, right)
        if {TIME, DURATION} & (left | right):
            return _UNKNOWN
        same = left & right & ({"string", "array"} if node.name == "_+_" else frozenset())
        if not same:
            sign = node.name.strip("_")
            self._say(node, f"{sign} cannot work with {self._both(node, below)}")
        return same or _UNKNOWN

    def _numbers(self, node: Node, left: Types, right: Types) -> Types:
        """The engine adds and multiplies no whole number with one that has decimals."""
        if left == right and left in ({"integer"}, {DOUBLE}):
            return left
        pairs = zip(node.children, (left, right), strict=True)
        one, other = (self._as_double(child, types) for child, types in pairs)
        self._say(
            node,
            "whole numbers and numbers with decimals do not mix here",
            f"{one} {node.name.strip('_')} {other}",
            "error"
            if {left, right} == {frozenset({"integer"}), frozenset({DOUBLE})}
            else "warning",
        )
        return frozenset({DOUBLE})

    def _as_double(self, node: Node, types: Types) -> str:
        text = self._text(node)
        if types == {DOUBLE}:
            return text
        return f"{text}.0" if node.kind == "constant" else f"double({text})"

    def _part_of_time(self, node: Node, types: Types) -> None:
        if ANY in types or types & {TIME, DURATION}:
            return
        text = self._text(node.children[0])
        hint = f"timestamp({text}).{node.name}()" if "string" in types else ""
        self._say(node, f"{node.name} is about times; {text} is {_worded(types)}", hint)

    # Words -----------------------------------------------------------------------------------

    def _instead(self, node: Node, below: Sequence[Types]) -> str:
        """The literal as the field would have it."""
        for constant, wanted in zip(node.children, reversed(below), strict=True):
            if constant.kind == "constant":
                return _as_wanted(constant.value, self._text(constant), wanted)
        times = [TIME in types for types in below]
        if any(times) and "string" in below[times.index(False)]:
            return f"timestamp({self._text(node.children[times.index(False)])})"
        return ""

    def _both(self, node: Node, below: Sequence[Types]) -> str:
        names = [
            f"{self._name(child)} ({_worded(types)})"
            for child, types in zip(node.children, below, strict=True)
        ]
        return " and ".join(names)

    def _quiet(self, node: Node, scope: Scope) -> Types:
        """The types of a part that was looked at already."""
        said = list(self.problems)
        found = self.types(node, scope)
        self.problems[:] = said
        return found

    def _name(self, node: Node) -> str:
        text = " ".join(self._text(node).split())
        return text if len(text) <= 60 else text[:59] + "…"

    def _text(self, node: Node) -> str:
        return self.source[node.start : node.end]

    def _say(
        self,
        node: Node,
        reason: str,
        suggestion: str = "",
        severity: Literal["error", "warning"] = "error",
    ) -> None:
        self.problems.append(at(node, self.source, reason, suggestion, severity))


def _type_of(value: Constant) -> str:
    if value is None:
        return "null"
    kinds = {bool: "boolean", int: "integer", float: DOUBLE, str: "string", bytes: BYTES}
    return kinds[type(value)]


def _comparable(one: Types, other: Types) -> bool:
    if ANY in one | other or one & other:
        return True
    # Comparing with null is how one asks whether there is a value.
    return bool(one & _NUMBERS and other & _NUMBERS) or {"null"} in (one, other)


def _worded(types: Types) -> str:
    return " or ".join(sorted(_WORDS.get(kind, kind) for kind in types))


def _as_wanted(value: Constant, text: str, wanted: Types) -> str:
    if TIME in wanted and isinstance(value, str):
        return f"timestamp({text})"
    if wanted & _NUMBERS and isinstance(value, str) and _is_number(value):
        return value
    if "boolean" in wanted and value in {"true", "false"}:
        return str(value)
    if wanted == {"string"} and isinstance(value, int | float):
        return f'"{text}"'
    return ""


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdecimal() and text.isascii()
