"""The rows of “what will run”: each argument in the way its contract says, or as the plain value it is.

A way to show a value is a function that returns what its template needs, or nothing when the value is
not of that kind: then it is shown as it is, and the row says why. Whatever agents wrote stays text.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from orchestrator.contract_queries import review_of
from orchestrator.core.codec import Json, canonical
from orchestrator.core.policy.changed import ABSENT, Absent
from orchestrator.core.policy.display import Review, Show
from orchestrator.models import Proposal
from review.presentation.arguments import amount_note, args_at, is_tainted
from review.presentation.places import at, parts_of, path_of, without
from review.presentation.show_diff import patch
from review.presentation.show_json import folded
from review.presentation.show_letter import letter
from review.presentation.show_money import amount
from review.presentation.show_sql import statement
from review.presentation.show_table import table
from review.presentation.show_text import long_text
from review.presentation.sight import Part, Sight


class Way(NamedTuple):
    facts: Callable[[Sight], dict[str, Any] | None]
    # What the value is not, when it cannot be shown in this way.
    wanted: str
    is_wide: bool = True


WAYS: dict[str, Way] = {
    "money": Way(amount, "an amount", is_wide=False),
    "diff": Way(patch, "a patch"),
    "sql": Way(statement, "a statement"),
    "email": Way(letter, "a letter"),
    "json": Way(folded, "JSON"),
    "text": Way(long_text, "a text"),
    "table": Way(table, "a list of objects"),
}
# What takes the other arguments into itself; a currency is small, and stays a row of its own.
_TAKEN_IN = ("diff", "email")


class Row(NamedTuple):
    path: str
    value: Json
    note: str
    is_tainted: bool
    # Why it is not shown in the way that its contract says.
    why: str = ""
    # The template of a kind and what it needs; empty for a plain value.
    template: str = ""
    facts: Mapping[str, Any] | None = None
    is_wide: bool = False


class Payload(NamedTuple):
    """All that will run, and nothing else."""

    target: str
    target_is_tainted: bool
    rows: list[Row]


def payload_of(proposal: Proposal) -> Payload:
    tainted = proposal.tainted
    found = rows(proposal.args, tainted, review_of(proposal.contract_version_id))
    return Payload(proposal.target, is_tainted("/target", tainted), found)


def rows(args: Mapping[str, Json], tainted: Sequence[str], review: Review) -> list[Row]:
    """First what the contract names, amounts before what takes more room, then everything else."""
    shown, taken = [], []
    for pointer, show in sorted(review.shows.items(), key=_rank):
        value = at(dict(args), pointer)
        if not isinstance(value, Absent) and pointer not in taken:
            sight = _sight(value, show, args, pointer, tainted)
            row, inside = _row(sight, show)
            shown.append(row)
            taken += [pointer, *inside]
    rest = without(args, taken)
    return shown + [_plain_row(name, value, args, tainted) for name, value in rest.items()]


def _rank(named: tuple[str, Show]) -> tuple[bool, str]:
    """The database keeps no order of names."""
    pointer, show = named
    return show.kind in WAYS and WAYS[show.kind].is_wide, pointer


def _sight(
    value: Json, show: Show, args: Mapping[str, Json], pointer: str, tainted: Sequence[str]
) -> Sight:
    parts = {
        name: Part(place, found, _is_tainted(place, tainted))
        for name, place in show.parts.items()
        if not isinstance(found := _part(args, place), Absent)
    }
    return Sight(value, pointer, _is_tainted(pointer, tainted), parts)


def _part(args: Mapping[str, Json], place: str) -> Json | Absent:
    return at(dict(args), place) if place.startswith("/") else place or ABSENT


def _is_tainted(pointer: str, tainted: Sequence[str]) -> bool:
    return is_tainted(args_at(*parts_of(pointer)), tainted)


def _row(sight: Sight, show: Show) -> tuple[Row, list[str]]:
    """The row, and the pointers of the other arguments that it shows."""
    way, path = WAYS.get(show.kind), path_of(sight.pointer)
    if way is None:
        return Row(path, sight.value, "", sight.is_tainted), []
    facts = way.facts(sight)
    if facts is None:
        return Row(path, sight.value, "", sight.is_tainted, _why(sight, show, way)), []
    template = f"show/{show.kind}.html"
    row = Row(path, sight.value, "", sight.is_tainted, "", template, facts, way.is_wide)
    inside = [part.pointer for part in sight.parts.values()] if show.kind in _TAKEN_IN else []
    return row, inside


def _why(sight: Sight, show: Show, way: Way) -> str:
    if show.kind == "money" and isinstance(sight.value, int):
        return f"Its currency is unknown ({canonical(sight.part('currency'))[:20]}), so it is shown as it is."
    return f"Its contract says that it is {way.wanted}, and it is not, so it is shown as it is."


def _plain_row(name: str, value: Json, args: Mapping[str, Json], tainted: Sequence[str]) -> Row:
    return Row(name, value, amount_note(name, value, args), is_tainted(args_at(name), tainted))
