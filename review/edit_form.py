"""The form of an edit: what was sent, as arguments of the same types, with what could not be read.

What nobody changed comes back byte for byte; what was not on the page that was sent stays as it is.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from orchestrator.contract_queries import contract_version
from orchestrator.core.codec import Json
from orchestrator.core.errors import Problem
from orchestrator.core.policy.changed import ABSENT, Absent
from orchestrator.core.schemas import pointer
from orchestrator.models import Contract, Proposal
from review.edit_shape import Field, Rows, fields_of
from review.edit_values import (
    Unreadable,
    json_text,
    read_choice,
    read_integer,
    read_json,
    read_number,
    read_text,
    same_lines,
)

ADD = "add"
RAW = "raw"
AS_JSON = "as_json"
COUNT_DIGITS_MAX = 3
BOTH = "This is left out, and something is typed here as well. Do one of the two."
NULL_TOO = "This is null, and something is typed here as well. Do one of the two."
RAW_UNCHOSEN = "You changed the JSON. Tick that it counts, or put it back as it was."
RAW_AND_FIELDS = "The fields and the JSON were both changed, and only one of them can count."

NO_OBJECT = "Arguments have names, so the whole must be an object: {…}."


class Mistake(NamedTuple):
    """For the summary: where to go, what it is about, what is wrong."""

    id: str
    name: str
    reason: str


def edit_form_of(proposal: Proposal, posted: Mapping[str, str] | None = None) -> "EditForm":
    """By the contract in force, which the edited arguments have to keep."""
    version = contract_version(Contract.Kind.ACTION, proposal.action)
    schema = version.parsed if version else None
    return EditForm(proposal.args, schema, tainted=proposal.tainted, posted=posted)


class EditForm:
    def __init__(
        self,
        args: Mapping[str, Json],
        schema: Json = None,
        *,
        tainted: Sequence[str] = (),
        posted: Mapping[str, str] | None = None,
    ) -> None:
        self.args = dict(args)
        self.posted = posted or {}
        rows = Rows(_counts(self.posted), self.posted.get(ADD, ""))
        self.root = fields_of(self.args, schema, tainted=tainted, rows=rows)
        self.raw_before = json_text(self.args)
        self.raw = self.posted.get(RAW, self.raw_before)
        self.as_json = AS_JSON in self.posted
        self.raw_problem = ""
        # What is wrong with the whole, at no field of its own.
        self.general: list[str] = []
        self._read = _read(self.root, self.posted, ())
        if self.is_adding:
            _forget_problems(self.root)

    @property
    def is_adding(self) -> bool:
        """A row was asked for: nothing is decided, the form is shown again."""
        return ADD in self.posted

    def parse(self) -> dict[str, Json] | None:
        """The edited arguments; None when something could not be read, which is said beside it."""
        if self.is_adding:
            return None
        found = self._raw_args() if self._raw_counts() else self._read
        if not isinstance(found, dict) and not self.mistakes:
            self.general.append(NO_OBJECT)
        return found if isinstance(found, dict) and not self.mistakes else None

    @property
    def mistakes(self) -> list[Mistake]:
        beside = [] if self.as_json else [one for one in self.root.walk() if one.problem]
        found = [Mistake("", "", text) for text in self.general]
        found += [
            Mistake(f"arg{one.key}", ".".join(map(str, one.path)), one.problem) for one in beside
        ]
        return found + ([Mistake(RAW, "JSON", self.raw_problem)] if self.raw_problem else [])

    def add_problems(self, problems: Sequence[Problem]) -> None:
        """What the contract says of the arguments, each beside the field it is about."""
        fields = {one.place: one for one in self.root.walk() if not one.is_left_out and one.path}
        for problem in problems:
            place = problem.pointer
            while place and place not in fields:
                place = place.rpartition("/")[0]
            if self.as_json or not place:
                self.general.append(str(problem))
            else:
                fields[place].problem = f"It {problem.reason}."

    def _raw_counts(self) -> bool:
        is_raw_changed = not same_lines(self.raw, self.raw_before)
        if is_raw_changed and not self.as_json:
            self.raw_problem = RAW_UNCHOSEN
        elif self.as_json and self.root.is_changed:
            self.raw_problem = RAW_AND_FIELDS
        return self.as_json

    def _raw_args(self) -> Json:
        if same_lines(self.raw, self.raw_before):
            return self.args
        try:
            found = read_json(self.raw)
        except Unreadable as error:
            self.raw_problem = self.raw_problem or str(error)
            return None
        return found


def _counts(posted: Mapping[str, str]) -> dict[str, int]:
    return {
        name.removeprefix("rows"): int(posted[name])
        for name in posted
        if name.startswith("rows")
        and posted[name].isdecimal()
        and len(posted[name]) <= COUNT_DIGITS_MAX
    }


def _read(field: Field, posted: Mapping[str, str], place: tuple[str | int, ...]) -> Json | Absent:
    """The value that a field stands for; its problem when it stands for none."""
    field.place = pointer(place)
    if f"arg{field.key}" not in posted:
        return field.value
    field.text = posted[f"arg{field.key}"]
    field.is_null = f"null{field.key}" in posted and field.is_nullable
    field.is_left_out = f"leave{field.key}" in posted and not field.is_required
    if posted.get(ADD) == field.key:
        field.is_null = field.is_left_out = False
    inner = _read_inside(field, posted, place)
    if field.is_left_out or field.is_null:
        _check_untouched(field)
        return ABSENT if field.is_left_out else None
    return inner if field.kind in {"group", "list"} else _read_leaf(field)


def _read_inside(
    field: Field, posted: Mapping[str, str], place: tuple[str | int, ...]
) -> Json | Absent:
    if field.kind == "group":
        found = {one.name: _read(one, posted, (*place, one.name)) for one in field.children}
        return {name: value for name, value in found.items() if not isinstance(value, Absent)}
    kept: list[Json] = []
    for one in field.children:
        value = _read(one, posted, (*place, len(kept)))
        if not isinstance(value, Absent):
            kept.append(value)
    return kept


def _check_untouched(field: Field) -> None:
    """What is taken away is not looked at, unless somebody wrote into it as well."""
    is_typed = not same_lines(field.text, field.initial)
    _forget_problems(field)
    if not field.is_row and (is_typed or any(one.is_changed for one in field.children)):
        field.problem = BOTH if field.is_left_out else NULL_TOO


def _forget_problems(field: Field) -> None:
    for one in field.walk():
        one.problem = ""


def _read_leaf(field: Field) -> Json | Absent:
    if same_lines(field.text, field.initial) and field.value is not ABSENT and not field.was_null:
        return field.value
    try:
        return _value(field)
    except Unreadable as error:
        field.problem = str(error)
        return ABSENT


def _value(field: Field) -> Json:
    if field.kind == "choice":
        return read_choice(field.text, field.choices)
    if field.kind == "text":
        return read_text(field.text, None if field.value is ABSENT else field.value)
    readers = {"integer": read_integer, "number": read_number, "json": read_json}
    return readers[field.kind](field.text)
