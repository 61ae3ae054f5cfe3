"""Simple conditions as rows of field, operator and value, and as CEL: the same meaning in both.

Rows become text always; text becomes rows only when rows say all of it, and otherwise says why not.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

type Scalar = bool | int | float | str | None
type Value = Scalar | tuple[Scalar, ...]

ROWS_MAX = 50
INTEGERS = range(-(1 << 63), 1 << 63)
# Words of the language: a field of that name is written in brackets.
RESERVED = frozenset({"true", "false", "null", "in"})
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Operator(NamedTuple):
    """`takes` is what stands beside it: anything, order, text, list or nothing."""

    label: str
    takes: str
    form: str


COMPARISONS = {
    "is": Operator("is", "anything", "{field} == {value}"),
    "is_not": Operator("is not", "anything", "{field} != {value}"),
    "at_most": Operator("is at most", "order", "{field} <= {value}"),
    "below": Operator("is below", "order", "{field} < {value}"),
    "at_least": Operator("is at least", "order", "{field} >= {value}"),
    "above": Operator("is above", "order", "{field} > {value}"),
}
MEMBERSHIPS = {
    "one_of": Operator("is one of", "list", "{field} in {value}"),
    "none_of": Operator("is none of", "list", "!({field} in {value})"),
    "includes": Operator("list includes", "anything", "{value} in {field}"),
    "excludes": Operator("list does not include", "anything", "!({value} in {field})"),
}
METHODS = {
    "contains": Operator("text contains", "text", "{field}.contains({value})"),
    "lacks": Operator("text does not contain", "text", "!{field}.contains({value})"),
    "starts_with": Operator("starts with", "text", "{field}.startsWith({value})"),
    "not_starts_with": Operator("does not start with", "text", "!{field}.startsWith({value})"),
    "ends_with": Operator("ends with", "text", "{field}.endsWith({value})"),
    "not_ends_with": Operator("does not end with", "text", "!{field}.endsWith({value})"),
    "matches": Operator("matches the pattern", "text", "{field}.matches({value})"),
    "not_matches": Operator("does not match the pattern", "text", "!{field}.matches({value})"),
}
PRESENCES = {
    "given": Operator("is given", "nothing", "has({field})"),
    "missing": Operator("is missing", "nothing", "!has({field})"),
}
OPERATORS = COMPARISONS | MEMBERSHIPS | METHODS | PRESENCES
JOINS = {"all": " &&\n", "any": " ||\n"}


class Row(NamedTuple):
    field: str
    operator: str
    value: Value = None


@dataclass(frozen=True, slots=True)
class Rows:
    """`all` of them must hold, or `any`. A single row is all of one."""

    rows: tuple[Row, ...]
    join: str = "all"


class NotSimple(NamedTuple):
    """Why a text cannot be shown as rows."""

    reason: str


def to_text(rows: Rows) -> str:
    return JOINS[rows.join].join(text_of(row) for row in rows.rows)


def text_of(row: Row) -> str:
    value = f"[{', '.join(map(literal, row.value))}]" if isinstance(row.value, tuple) else ""
    value = value or literal(row.value)  # type: ignore[arg-type]
    return OPERATORS[row.operator].form.format(field=row.field, value=value)


def literal(value: Scalar) -> str:
    """JSON writes texts, numbers, true, false and null as CEL does."""
    return json.dumps(value, ensure_ascii=False)


def problem_of(row: Row) -> str:
    """What is wrong with a row, as a sentence; empty when it can be written as text."""
    segments = path_of(row.field)
    if not segments:
        return "Write a field such as proposal.args.amount_minor."
    if row.operator not in OPERATORS:
        return "Choose an operator."
    takes = OPERATORS[row.operator].takes
    if takes == "nothing":
        # has() is a word of the language that looks only at names after a dot.
        is_named = len(segments) > 1 and row.field.endswith(f".{segments[-1]}")
        return "" if is_named else "Only a field after a dot can be asked whether it is given."
    values = row.value if isinstance(row.value, tuple) else (row.value,)
    return _problem_of_values(takes, values, is_list=isinstance(row.value, tuple))


def _problem_of_values(takes: str, values: Sequence[Scalar], *, is_list: bool) -> str:
    if takes == "list" and not (is_list and values):
        return "Give at least one value."
    if is_list and takes != "list":
        return "Give a single value."
    if takes == "text" and not isinstance(values[0], str):
        return "Give a text."
    is_ordered = isinstance(values[0], int | float | str) and not isinstance(values[0], bool)
    if takes == "order" and not is_ordered:
        return "Give a number, or a text to compare by alphabet."
    if not all(map(_is_writable, values)):
        return "The value is a number that is too large, or a text with a NUL in it."
    return ""


def _is_writable(value: Scalar) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return value in INTEGERS
    return "\0" not in (value or "")


_SEGMENT = re.compile(r'\.([A-Za-z_][A-Za-z0-9_]*)|\[("(?:[^"\\]|\\.)*")\]')


def path_of(field: str) -> tuple[str, ...]:
    """The names that a field is reached by; empty when it is not written as fields are."""
    root = IDENTIFIER.match(field)
    if not root or root.group() in RESERVED:
        return ()
    names, at = [root.group()], root.end()
    while at < len(field):
        segment = _SEGMENT.match(field, at)
        if not segment:
            return ()
        name = segment[1] or _unquoted(segment[2])
        if name is None or segment[1] in RESERVED:
            return ()
        names.append(name)
        at = segment.end()
    return tuple(names) if field == field_of(names) else ()


def field_of(names: Sequence[str]) -> str:
    """The one way to write a path, so that equal paths are equal texts."""
    root, *rest = names
    return root + "".join(
        f".{name}"
        if IDENTIFIER.fullmatch(name) and name not in RESERVED
        else f"[{json.dumps(name, ensure_ascii=False)}]"
        for name in rest
    )


def _unquoted(text: str) -> str | None:
    try:
        return str(json.loads(text))
    except ValueError:
        return None
