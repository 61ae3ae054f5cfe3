"""Which fields an edit has: from the contract's schema and the arguments as they are now.

What a schema leaves open, or what is too deep, too long or not of the type that the schema wants, is
edited as JSON, so that everything can be edited and nothing is lost.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote

from orchestrator.core.codec import Json, canonical
from orchestrator.core.policy.changed import ABSENT, Absent
from orchestrator.core.policy.schema_parts import TooManyParts, inline
from orchestrator.core.schemas import pointer
from review.edit_values import json_text, number_text, same_lines
from review.presentation.arguments import args_at, is_tainted
from review.presentation.schema_places import TYPES, Place
from review.presentation.values import has_unseen

FIELDS_MAX = 200
ROWS_MAX = 50
DEPTH_MAX = 4
CHOICES_MAX = 100
HEIGHT_MAX = 16
LINE_LENGTH = 80
SHORT_LENGTH_MAX = 80
# A text that may have so many characters has lines.
LONG_LENGTH_MIN = 320
_KINDS = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "choice",
    "object": "group",
    "array": "list",
}
_PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    "text": str,
    "integer": (int, float),
    "number": (int, float),
    "group": dict,
    "list": list,
}


@dataclass(slots=True, kw_only=True)
class Field:
    """One place of the arguments: what stands there, what may, and what was typed."""

    path: tuple[str | int, ...]
    kind: str
    # What stands there now; ABSENT in a new row, and where an optional field is left out.
    value: Json | Absent
    initial: str
    word: str = ""
    about: str = ""
    limits: list[str] = field(default_factory=list)
    is_required: bool = False
    is_nullable: bool = False
    is_row: bool = False
    is_tainted: bool = False
    is_long: bool = False
    choices: list[Json] = field(default_factory=list)
    children: list["Field"] = field(default_factory=list)
    may_grow: bool = False
    # As it was sent, or as it stands.
    text: str = ""
    is_left_out: bool = False
    is_null: bool = False
    problem: str = ""
    # Where its value comes to stand; rows move up when one before them is removed.
    place: str = ""

    @property
    def key(self) -> str:
        """For names and ids of inputs, which browsers change when there is a line break in them."""
        return quote(pointer(self.path), safe="/")

    @property
    def name(self) -> str:
        last = self.path[-1] if self.path else ""
        return f"{last + 1}" if isinstance(last, int) else last

    @property
    def was_left_out(self) -> bool:
        return self.value is ABSENT and not self.is_required and not self.is_row

    @property
    def was_null(self) -> bool:
        return self.value is None and self.is_nullable

    @property
    def is_changed(self) -> bool:
        """Whether anything was typed here or further in."""
        if not same_lines(self.text, self.initial) or self.is_null != self.was_null:
            return True
        return any(
            child.is_changed or child.is_left_out != child.was_left_out for child in self.children
        )

    @property
    def options(self) -> list[tuple[str, str]]:
        """Texts as they are, unless one of them looks like something that is no text."""
        plain = [one if isinstance(one, str) else canonical(one) for one in self.choices]
        exact = [canonical(one) for one in self.choices]
        labels = plain if len(set(plain)) == len(plain) else exact
        return [(str(number), label) for number, label in enumerate(labels)]

    @property
    def height(self) -> int:
        """In lines, so that most of a text is seen at once."""
        lines = sum(1 + len(line) // LINE_LENGTH for line in self.text.split("\n"))
        return max(2, min(lines + 1, HEIGHT_MAX))

    @property
    def hidden_characters(self) -> str:
        """The text, when there is something in it that nobody sees."""
        return self.text if has_unseen(self.text.replace("\r\n", "\n")) else ""

    def walk(self) -> Iterator["Field"]:
        yield self
        for child in self.children:
            yield from child.walk()


class Rows(NamedTuple):
    """How many rows the lists have that were sent, and which of them gets one more."""

    counts: Mapping[str, int]
    added: str = ""


def fields_of(
    args: Mapping[str, Json],
    schema: Json = None,
    *,
    tainted: Sequence[str] = (),
    rows: Rows | None = None,
) -> Field:
    """The whole as one group, or as JSON when it has too many fields. No schema: by the present types."""
    known = _inlined(schema) if schema is not None else schema_of(dict(args))
    return _Shaper(tainted, rows or Rows({})).shape((), known, dict(args), is_required=True)


def schema_of(value: Json) -> dict[str, Json]:
    """What keeps the types of a value without a contract; `{}` where they say too little."""
    if isinstance(value, dict):
        return {"type": "object", "properties": {n: schema_of(v) for n, v in value.items()}}
    if isinstance(value, list):
        kinds = {canonical(schema_of(one)): one for one in value}
        (only,) = kinds.values() if len(kinds) == 1 else (None,)
        return {"type": "array", "items": schema_of(only)} if _is_plain(only) else {}
    names = {str: "string", bool: "boolean", int: "integer", float: "number"}
    return {"type": names[type(value)]} if value is not None else {}


def _is_plain(value: Json) -> bool:
    return isinstance(value, str | int | float | bool)


def _inlined(schema: Json) -> Json:
    try:
        return inline(schema)
    except TooManyParts:
        return {}


class _Shaper:
    """Makes fields until there are too many; the rest is JSON."""

    def __init__(self, tainted: Sequence[str], rows: Rows) -> None:
        self.tainted = tainted
        self.rows = rows
        self.left = FIELDS_MAX

    def shape(
        self,
        path: tuple[str | int, ...],
        schema: Json,
        value: Json | Absent,
        *,
        is_required: bool = False,
        is_row: bool = False,
    ) -> Field:
        self.left -= 1
        says, is_nullable = _simplified(schema)
        kind = self._kind(says, value, len(path), is_nullable=is_nullable)
        found = Field(
            path=path,
            kind=kind,
            value=value,
            initial="",
            word=_word(says, kind),
            about=str(says.get("description") or says.get("title") or ""),
            limits=[] if kind in {"group", "choice"} else _limits(says),
            is_required=is_required,
            is_nullable=is_nullable and kind not in {"json", "choice"},
            is_row=is_row,
            is_tainted=bool(path) and is_tainted(args_at(*path), self.tainted),
            is_long=_is_long(says, value),
            choices=_choices(says, value, is_nullable=is_nullable) if kind == "choice" else [],
        )
        found.is_left_out, found.is_null = found.was_left_out, found.was_null
        found.initial = found.text = _initial(found)
        if kind == "group":
            found.children = list(self._members(path, says, value))
        elif kind == "list":
            found.children = list(self._items(found, says, value))
            found.may_grow = len(found.children) < ROWS_MAX and self.left > 0
        return found

    def _kind(
        self, says: Mapping[str, Any], value: Json | Absent, depth: int, *, is_nullable: bool
    ) -> str:
        kind = _kind_of(says)
        if value is None and is_nullable and kind != "choice":
            value = ABSENT
        if not _fits(kind, value):
            return "json"
        if kind == "group":
            names = _names(says, value)
            return "group" if depth < DEPTH_MAX and 0 < len(names) <= self.left else "json"
        if kind == "list":
            count = len(value) if isinstance(value, list) else 0
            return "list" if depth < DEPTH_MAX and count <= min(ROWS_MAX, self.left) else "json"
        return kind

    def _members(
        self, path: tuple[str | int, ...], says: Mapping[str, Any], value: Json | Absent
    ) -> Iterator[Field]:
        """What the schema does not name is kept, as JSON."""
        present = value if isinstance(value, dict) else {}
        known, required = says.get("properties", {}), says.get("required", ())
        for name in _names(says, value):
            yield self.shape(
                (*path, name),
                known.get(name, {}),
                present.get(name, ABSENT),
                # What is missing against the contract stays missing until somebody fills it in.
                is_required=name in required and (name in present or value is ABSENT),
            )

    def _items(
        self, around: Field, says: Mapping[str, Any], value: Json | Absent
    ) -> Iterator[Field]:
        present = value if isinstance(value, list) else []
        count = max(len(present), min(self.rows.counts.get(around.key, 0), ROWS_MAX))
        if self.rows.added == around.key and count < ROWS_MAX:
            count += 1
            around.is_left_out = around.is_null = False
        for number in range(count):
            one = present[number] if number < len(present) else ABSENT
            yield self.shape((*around.path, number), says.get("items", {}), one, is_row=True)


# Schemas -----------------------------------------------------------------------------------------


def _simplified(schema: Json) -> tuple[dict[str, Any], bool]:
    """With parts that all hold put together, and whether null may stand there."""
    says: dict[str, Any] = dict(schema) if isinstance(schema, dict) else {}
    parts = [_simplified(part) for part in says.pop("allOf", [])]
    for part, _ in parts:
        names = {**part.get("properties", {}), **says.get("properties", {})}
        required = [*says.get("required", ()), *part.get("required", ())]
        says = {**part, **says}
        says |= {"properties": names} if names else {}
        says |= {"required": required} if required else {}
    for word in ("anyOf", "oneOf"):
        ways = says.get(word, ())
        others = [way for way in ways if way != {"type": "null"}]
        if len(others) == 1 and len(ways) == 2:
            inner, _ = _simplified(others[0])
            return {**inner, **{n: v for n, v in says.items() if n != word}}, True
    types = says.get("type")
    if isinstance(types, list):
        others = [name for name in types if name != "null"]
        says["type"] = others[0] if len(others) == 1 else others
        return says, "null" in types
    return says, False


def _kind_of(says: Mapping[str, Any]) -> str:
    if "$ref" in says or "anyOf" in says or "oneOf" in says:
        return "json"
    if "const" in says or 0 < len(says.get("enum", ())) <= CHOICES_MAX:
        return "choice"
    wanted = says.get("type")
    if wanted == "array" and ("prefixItems" in says or says.get("items") is None):
        return "json"
    return _KINDS.get(wanted, "json") if isinstance(wanted, str) else "json"


def _fits(kind: str, value: Json | Absent) -> bool:
    """A value of another type than the schema wants is kept as it is."""
    if value is ABSENT or kind in {"choice", "json"}:
        return True
    return isinstance(value, _PYTHON_TYPES[kind]) and not isinstance(value, bool)


def _names(says: Mapping[str, Any], value: Json | Absent) -> list[str]:
    """In the order of the schema, what has to be there first."""
    required = says.get("required", ())
    known = sorted(says.get("properties", {}), key=lambda name: name not in required)
    present = value if isinstance(value, dict) else {}
    return list(dict.fromkeys([*known, *(name for name in required), *present]))


def _choices(says: Mapping[str, Any], value: Json | Absent, *, is_nullable: bool) -> list[Json]:
    """With what stands there now, even if nobody could choose it any more."""
    found = [says["const"]] if "const" in says else list(says.get("enum", (True, False)))
    others = [*([None] if is_nullable else []), *([] if isinstance(value, Absent) else [value])]
    for one in others:
        if canonical(one) not in map(canonical, found):
            found.append(one)
    return found


def _is_long(says: Mapping[str, Any], value: Json | Absent) -> bool:
    """An input of one line would take the line breaks out of a text."""
    text = value if isinstance(value, str) else ""
    has_lines = "\n" in text or "\r" in text
    return has_lines or len(text) > SHORT_LENGTH_MAX or says.get("maxLength", 0) > LONG_LENGTH_MIN


def _word(says: Mapping[str, Any], kind: str) -> str:
    if kind == "json":
        return "JSON"
    if kind == "choice" and "type" not in says:
        return "one of"
    return TYPES.get(str(says.get("type")), "")


def _limits(says: Mapping[str, Any]) -> list[str]:
    return Place("", 0, "", False, {n: v for n, v in says.items() if n != "format"}).limits


def _initial(found: Field) -> str:
    """What the input shows of the value that stands there."""
    value = found.value
    if isinstance(value, Absent) or found.is_null or found.kind in {"group", "list"}:
        return ""
    if found.kind == "choice":
        return str([canonical(one) for one in found.choices].index(canonical(value)))
    if found.kind == "text":
        return str(value)
    return number_text(value) if found.kind in {"integer", "number"} else json_text(value)
