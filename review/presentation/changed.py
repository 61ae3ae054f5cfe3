"""What an edit or a revision changed, field by field, for those who decide about the new one."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from orchestrator.core.codec import Json
from orchestrator.core.policy.changed import Absent, diff_of
from orchestrator.core.policy.display import DEFAULT, Review
from review.presentation.arguments import args_at, is_tainted
from review.presentation.places import parts_of, path_of
from review.presentation.show_diff import Line, compared
from review.presentation.show_money import amount_at, is_amount

CHANGES_SHOWN_MAX = 100
SHORT_TEXT_MAX = 80


class Side(NamedTuple):
    is_absent: bool
    value: Json
    # The same as an amount, when it is one.
    note: str


class ChangedRow(NamedTuple):
    path: str
    old: Side
    new: Side
    # Of long texts, what differs line by line.
    lines: list[Line]
    is_tainted: bool


class Changes(NamedTuple):
    rows: list[ChangedRow]
    left: int


def changes_of(
    old: Mapping[str, Json],
    new: Mapping[str, Json],
    *,
    review: Review = DEFAULT,
    tainted: Sequence[str] = (),
) -> Changes:
    found = diff_of(dict(old), dict(new))
    rows = []
    for one in found[:CHANGES_SHOWN_MAX]:
        before, after = (
            _side(value, args, one.pointer, review)
            for value, args in ((one.old, old), (one.new, new))
        )
        lines = _lines(one.old, one.new)
        marked = is_tainted(args_at(*parts_of(one.pointer)), tainted)
        rows.append(ChangedRow(path_of(one.pointer), before, after, lines, marked))
    return Changes(rows, max(0, len(found) - CHANGES_SHOWN_MAX))


def _side(value: Json | Absent, args: Mapping[str, Json], pointer: str, review: Review) -> Side:
    if isinstance(value, Absent):
        return Side(is_absent=True, value=None, note="")
    note = amount_at(pointer, args, review) if is_amount(pointer, review) else ""
    return Side(is_absent=False, value=value, note=note)


def _lines(old: Json | Absent, new: Json | Absent) -> list[Line]:
    if not isinstance(old, str) or not isinstance(new, str):
        return []
    is_short = max(len(old), len(new)) <= SHORT_TEXT_MAX and "\n" not in old + new
    return [] if is_short else compared(old, new)
