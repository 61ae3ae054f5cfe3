"""What one wording of a rule decides differently from another: meaning first, not letters.

A difference is stricter when it can only stop more, and looser when it can only let more through.
Where that cannot be told from the wording, nothing is claimed.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.core.policy import rule_text
from orchestrator.core.policy.builder import OPERATORS, Row, Rows, Value, literal
from orchestrator.core.policy.builder_reading import to_rows
from orchestrator.core.policy.rule_text import Document

STRICTER, LOOSER = "stricter", "looser"
# From the one that stops nothing to the one that stops for good.
_STRENGTHS = ("flag", "hold", "two_person", "block")
_JOINS = {"all": "every row must hold", "any": "one row is enough"}
_NAMES = {
    "effect": "effect",
    "require": "condition",
    "applies_to": "where it applies",
    "history": "what it asks of the past",
    "message": "message",
}
_LITERALS = re.compile(r"""("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|(?<![\w.])\d[\w.]*)""")
_SPACES = re.compile(r"\s+")
_LAST_WORDS = re.compile(r"[\w.()\[\]]*\s*[^\w\s]*\s*$")
PLACE_SHOWN_MAX = 60


class Difference(NamedTuple):
    """`before` and `after` are what stands there, one of them empty when it was added or removed."""

    what: str
    before: str
    after: str
    bearing: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    differences: tuple[Difference, ...]
    unchanged: tuple[str, ...]


def compare(old: Document, new: Document) -> Comparison:
    changes = rule_text.changes(old, new)
    found = [one for change in changes for one in _differences(change, old, new)]
    places = {change.place.split(".")[0] for change in changes}
    same = tuple(name for place, name in _NAMES.items() if place not in places)
    return Comparison(tuple(found), same)


def _differences(change: rule_text.Change, old: Document, new: Document) -> Iterator[Difference]:
    place, _, name = change.place.partition(".")
    if place == "effect":
        is_stricter = _STRENGTHS.index(change.after) > _STRENGTHS.index(change.before)
        yield Difference("effect", change.before, change.after, STRICTER if is_stricter else LOOSER)
    elif place == "require":
        yield from _conditions(change.before, change.after)
    elif place == "applies_to":
        before, after = (set(one.applies_to.get(name, rule_text.EVERYTHING)) for one in (old, new))
        yield Difference(f"applies to {name}", change.before, change.after, _reach(before, after))
    elif place == "history":
        yield Difference(f"history.{name}", change.before, change.after)
    else:
        yield Difference(place, change.before, change.after)


def _reach(before: set[str], after: set[str]) -> str:
    """A rule that is asked about more stops more."""
    if "*" in after or before < after:
        return STRICTER
    return LOOSER if "*" in before or after < before else ""


def _conditions(before: str, after: str) -> Iterator[Difference]:
    old, new = to_rows(before), to_rows(after)
    if isinstance(old, Rows) and isinstance(new, Rows):
        yield from _rows(old, new)
    else:
        yield from _texts(before, after)


def _rows(old: Rows, new: Rows) -> Iterator[Difference]:
    # A single row is all of one and one of any.
    joins = {rows.join for rows in (old, new) if len(rows.rows) > 1} or {"all"}
    join = joins.pop() if len(joins) == 1 else ""
    if not join:
        yield Difference("condition", _JOINS[old.join], _JOINS[new.join])
    gone = [row for row in old.rows if row not in new.rows]
    come = [row for row in new.rows if row not in old.rows]
    for row in list(gone):
        partner = _partner(row, come)
        if partner:
            gone.remove(row)
            come.remove(partner)
            yield _changed(row, partner)
    more, less = (STRICTER, LOOSER) if join == "all" else (LOOSER, STRICTER)
    for row in gone:
        yield Difference("condition", _said(row), "", less if join else "")
    for row in come:
        yield Difference("condition", "", _said(row), more if join else "")
    if not gone and not come and old.rows != new.rows and set(old.rows) == set(new.rows):
        yield Difference("condition", "", "the same rows in another order")
    elif old == new:
        yield Difference("condition", "", "written differently, with the same meaning")


def _partner(row: Row, others: Sequence[Row]) -> Row | None:
    """The row that took its place: the same question with another value, else the same field."""
    same = [other for other in others if other[:2] == row[:2]]
    return next(iter(same or [other for other in others if other.field == row.field]), None)


def _changed(before: Row, after: Row) -> Difference:
    if before.operator != after.operator:
        return Difference(before.field, _asks(before), _asks(after))
    label = OPERATORS[before.operator].label
    return Difference(
        f"{before.field} {label}",
        _shown(before.value),
        _shown(after.value),
        _bearing(before, after),
    )


def _bearing(before: Row, after: Row) -> str:
    """Rows only differ in their value here."""
    rising = {"at_most": LOOSER, "below": LOOSER, "at_least": STRICTER, "above": STRICTER}
    growing = {"one_of": LOOSER, "none_of": STRICTER}
    if before.operator in rising and _is_number(before.value) and _is_number(after.value):
        is_up = after.value > before.value  # type: ignore[operator]
        return _turned(rising[before.operator], is_up=is_up)
    if before.operator in growing:
        old, new = (set(map(repr, row.value)) for row in (before, after))  # type: ignore[arg-type]
        if old < new or new < old:
            return _turned(growing[before.operator], is_up=old < new)
    return ""


def _turned(bearing: str, *, is_up: bool) -> str:
    if is_up:
        return bearing
    return STRICTER if bearing == LOOSER else LOOSER


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _asks(row: Row) -> str:
    takes = OPERATORS[row.operator].takes
    shown = "" if takes == "nothing" else f" {_shown(row.value)}"
    return OPERATORS[row.operator].label + shown


def _said(row: Row) -> str:
    return f"{row.field} {_asks(row)}"


def _shown(value: Value) -> str:
    return ", ".join(map(literal, value)) if isinstance(value, tuple) else literal(value)


def _texts(before: str, after: str) -> Iterator[Difference]:
    """Of conditions that are no rows: values that changed in an otherwise equal text."""
    old, new = _LITERALS.split(before), _LITERALS.split(after)
    frames = [[_SPACES.sub("", part) for part in parts[::2]] for parts in (old, new)]
    if frames[0] != frames[1]:
        yield Difference("condition", "", "written anew; the text below shows how")
        return
    values = list(zip(old[1::2], new[1::2], strict=True))
    if all(one == other for one, other in values):
        yield Difference("condition", "", "only spaces and line breaks moved")
    for index, (one, other) in enumerate(values):
        if one != other:
            yield Difference(_place(old[2 * index]), one, other)


def _place(text_before: str) -> str:
    """The last words before a value, by which people find it."""
    found = _LAST_WORDS.search(text_before)
    words = _SPACES.sub(" ", found.group()).strip() if found else ""
    return words[-PLACE_SHOWN_MAX:] or "condition"
