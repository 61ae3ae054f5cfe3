"""What is wrong with a condition that somebody writes: where, in plain words, and what to write instead."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from orchestrator.core.policy.expressions import Node, Token, tokens_of

DIAGNOSTICS_MAX = 20

_COMPILER = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): ([^\n]+)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_OVERLOAD = re.compile(r"found no matching overload for '([^']*)' applied to '([^']*)'")
_SYNTAX = re.compile(
    r"Syntax error: (?:.*?input|.*?error at:|missing .*? at) '(.*?)'(?: expecting|$)"
)
_OPERATOR = re.compile(r"_?([^_\s]+)_?")
_TYPES = {
    "int": "a whole number",
    "uint": "an unsigned number",
    "double": "a number with decimals",
    "string": "a text",
    "bool": "true or false",
    "bytes": "bytes",
    "google.protobuf.Timestamp": "a time",
    "google.protobuf.Duration": "a duration",
    "null_type": "null",
    "dyn": "any value",
}
_TOO_DEEP = (
    "it is nested too deeply, or one operator follows another too often: 32 levels is the most"
)

FUNCTIONS = (
    "all",
    "bool",
    "bytes",
    "contains",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "exists",
    "exists_one",
    "filter",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "has",
    "int",
    "map",
    "matches",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "type",
    "uint",
)
_USED = {
    name: f"write list.{name}(item, …)" for name in ("all", "exists", "exists_one", "filter", "map")
}


@dataclass(frozen=True, slots=True)
class ConditionProblem:
    """One mark in the text. A warning is about a condition that works, though maybe not as meant."""

    line: int
    column: int
    length: int
    reason: str
    suggestion: str = ""
    severity: Literal["error", "warning"] = "error"


def at(
    node: Node,
    source: str,
    reason: str,
    suggestion: str = "",
    severity: Literal["error", "warning"] = "error",
) -> ConditionProblem:
    """A problem of one part of the condition."""
    line, column = _place(source, node.start)
    return ConditionProblem(line, column, node.end - node.start, reason, suggestion, severity)


def read_compiler(message: str, source: str, names: Iterable[str]) -> list[ConditionProblem]:
    """What the engine said about a condition that does not compile. `names` can stand first in one."""
    reader = _Reader(source, tokens_of(source), sorted({*names, *FUNCTIONS}))
    found = [
        reader.read(int(line), int(column), text.strip())
        for line, column, text in _COMPILER.findall(message)
    ]
    if not found:
        reason = _TOO_DEEP if "recursion limit" in message else message.strip().split("\n")[0]
        found = [ConditionProblem(1, 1, max(len(source), 1), reason)]
    return list(dict.fromkeys(found))[:DIAGNOSTICS_MAX]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else ""


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns one line of the engine's into one mark."""

    source: str
    tokens: Sequence[Token]
    known: Sequence[str]

    def read(self, line: int, column: int, text: str) -> ConditionProblem:
        if line < 1:
            reason = _TOO_DEEP if "recursion" in text else text
            return ConditionProblem(1, 1, max(len(self.source), 1), reason)
        place = _offset(self.source, line, column)
        if undeclared := _UNDECLARED.search(text):
            return self._undeclared(undeclared[1].partition(".")[0], place)
        token = next((t for t in self.tokens if t.start <= place < t.end), None)
        length = token.end - token.start if token else 1
        return ConditionProblem(line, column, length, *_reworded(text))

    def _undeclared(self, name: str, place: int) -> ConditionProblem:
        """The engine points behind a function, or at the last dot of a path; unknown is its first name."""
        before = [t.start for t in self.tokens if t.start <= place and t.text == name]
        line, column = _place(self.source, before[-1] if before else place)
        if name in self.known:
            reason, advice = f"{name} cannot be used like this", _USED.get(name, "")
        else:
            reason, advice = f"undeclared reference to '{name}'", did_you_mean(name, self.known)
        return ConditionProblem(line, column, len(name), reason, advice)


def _reworded(text: str) -> tuple[str, str]:
    if overload := _OVERLOAD.search(text):
        return _overload(overload[1], overload[2])
    if syntax := _SYNTAX.search(text):
        unexpected = syntax[1]
        return (
            "it ends too early" if "<EOF>" in unexpected else f"{unexpected} cannot stand here"
        ), ""
    return re.sub(r" \(in container ''\)", "", text), ""


def _overload(function: str, applied: str) -> tuple[str, str]:
    kinds = applied.strip("()").split(", ")
    said = " and ".join(_TYPES.get(kind, kind) for kind in kinds)
    shown = (_OPERATOR.fullmatch(function) or [function, function])[1].removeprefix("@")
    mixed = sorted(kinds) == ["double", "int"]
    suggestion = "write both as whole numbers, or both with decimals: 5 or 5.0" if mixed else ""
    if "google.protobuf.Timestamp" in kinds and "string" in kinds:
        suggestion = 'write the text as a time: timestamp("2026-01-31T00:00:00Z")'
    if function == "@in" and kinds[-1] == "string":
        suggestion = "write text.contains(part)"
    return f"{shown} cannot work with {said}", suggestion


def _offset(source: str, line: int, column: int) -> int:
    lines = source.split("\n")
    return sum(len(text) + 1 for text in lines[: line - 1]) + column - 1


def _place(source: str, offset: int) -> tuple[int, int]:
    before = source[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1
