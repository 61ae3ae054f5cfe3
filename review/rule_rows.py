"""Rows of the builder as people type them, and as the core knows them.

What looks like a number is one, and quotation marks make a text of anything. In a field that holds
text, everything is text.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from orchestrator.core.policy.builder import (
    OPERATORS,
    ROWS_MAX,
    NotSimple,
    Row,
    Rows,
    Scalar,
    Value,
    literal,
    problem_of,
)

ROWS_SENT_MAX = 200
TOO_MANY = f"A rule has at most {ROWS_MAX} rows. Write it as text."
# Longer ones are for the text.
TYPED_MAX = 2_000
TOO_LONG = f"A field or value has at most {TYPED_MAX:,} characters here. Write the rule as text."
# Each piece is taken whole, with the blanks around it: to try where they begin takes quadratic time.
_PIECES = re.compile(r'\s*+("(?:[^"\\]|\\.)*+"(?=\s*+(?:,|\Z))|[^,]*+)\s*+(?:,|\Z)', re.DOTALL)


class RowDraft(NamedTuple):
    """As it stands in the form, right or not."""

    field: str = ""
    operator: str = "at_most"
    value: str = ""
    problem: str = ""

    @property
    def takes(self) -> str:
        return OPERATORS[self.operator].takes if self.operator in OPERATORS else "anything"


@dataclass(frozen=True, slots=True)
class RowsDraft:
    rows: tuple[RowDraft, ...]
    join: str = "all"


def read_rows(draft: RowsDraft, texts: Iterable[str]) -> Rows | RowsDraft:
    """The rows, or the draft again with what is wrong in it. `texts` are the fields that hold text."""
    known = frozenset(texts)
    judged = [_judge(row, is_text=row.field.strip() in known) for row in draft.rows]
    problems = [problem for _, problem in judged]
    problems[ROWS_MAX:] = [TOO_MANY] * len(problems[ROWS_MAX:])
    if any(problems) or not judged:
        told = [row._replace(problem=text) for row, text in zip(draft.rows, problems, strict=True)]
        return RowsDraft(tuple(told), draft.join)
    rows = tuple(row for row, _ in judged)
    return Rows(rows, draft.join if draft.join == "any" and len(rows) > 1 else "all")


def _judge(draft: RowDraft, *, is_text: bool) -> tuple[Row, str]:
    """The row, and what is wrong with it."""
    if _is_too_long(draft):
        return Row("", draft.operator), TOO_LONG
    row = read_row(draft, is_text=is_text)
    return row, problem_of(row) or _problem_of_typed(draft)


def _is_too_long(draft: RowDraft) -> bool:
    return max(len(draft.field), len(draft.value)) > TYPED_MAX


def _problem_of_typed(draft: RowDraft) -> str:
    """Whoever means an empty text can say so; an empty field is mostly one that was forgotten."""
    is_empty = draft.takes != "nothing" and not draft.value.strip()
    return 'Give a value; an empty text is written "".' if is_empty else ""


def show_rows(rows: Rows, texts: Iterable[str]) -> RowsDraft | NotSimple:
    """As a person would have typed them; refused when they could not."""
    known = frozenset(texts)
    drafts = [show_row(row, is_text=row.field in known) for row in rows.rows]
    for row, draft in zip(rows.rows, drafts, strict=True):
        if _is_too_long(draft):
            return NotSimple(f"a field or value has more than {TYPED_MAX:,} characters")
        if read_row(draft, is_text=row.field in known) != row:
            return NotSimple(f"{row.field} holds text and is compared with something else")
    return RowsDraft(tuple(drafts), rows.join)


def read_row(draft: RowDraft, *, is_text: bool) -> Row:
    takes = draft.takes
    if takes == "nothing":
        return Row(draft.field.strip(), draft.operator)
    is_text = is_text or takes == "text"
    value: Value = (
        read_list(draft.value, is_text=is_text)
        if takes == "list"
        else read_scalar(draft.value, is_text=is_text)
    )
    return Row(draft.field.strip(), draft.operator, value)


def show_row(row: Row, *, is_text: bool) -> RowDraft:
    takes = OPERATORS[row.operator].takes
    is_text = is_text or takes == "text"
    if takes == "nothing":
        shown = ""
    elif isinstance(row.value, tuple):
        shown = ", ".join(show_scalar(one, is_text=is_text, in_list=True) for one in row.value)
    else:
        shown = show_scalar(row.value, is_text=is_text)
    return RowDraft(row.field, row.operator, shown)


def read_scalar(typed: str, *, is_text: bool) -> Scalar:
    typed = typed.strip()
    if is_text and not _is_quoted(typed):
        return typed
    try:
        found = json.loads(typed, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return typed
    return typed if isinstance(found, dict | list) else found


def show_scalar(value: Scalar, *, is_text: bool, in_list: bool = False) -> str:
    if not isinstance(value, str):
        return literal(value)
    is_plain = value != "" and read_scalar(value, is_text=is_text) == value
    has_signs = in_list and ("," in value or '"' in value)
    return value if is_plain and not has_signs else literal(value)


def read_list(typed: str, *, is_text: bool) -> tuple[Scalar, ...]:
    """Parts between commas; a comma inside quotation marks is part of the text."""
    pieces = [match[1].strip() for match in _PIECES.finditer(typed)]
    return tuple(read_scalar(piece, is_text=is_text) for piece in pieces if piece)


def _is_quoted(typed: str) -> bool:
    return len(typed) > 1 and typed[0] == typed[-1] == '"'


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def posted_rows(sent: Mapping[str, Sequence[str]]) -> RowsDraft:
    """From the lists of a form; `sent` gives all values of a name."""
    columns = [sent.get(f"row_{name}", []) for name in ("field", "operator", "value")]
    rows = tuple(RowDraft(*values) for values in zip(*columns, strict=False))
    joins = sent.get("join", [])
    return RowsDraft(rows[:ROWS_SENT_MAX], "any" if list(joins) == ["any"] else "all")
