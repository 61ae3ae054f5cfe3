"""What changed between two versions of a contract: what it means first, then the text, line by line."""

import json
from collections.abc import Iterator
from difflib import unified_diff
from typing import Any, NamedTuple

from orchestrator.core.codec import Json, canonical
from orchestrator.models import ContractVersion
from review.presentation.contract_terms import Term, meeting_of, terms_of
from review.presentation.schema_places import Place, places_of

CHANGES_SHOWN_MAX = 200
CONTEXT_LINES = 3
VALUE_LENGTH_MAX = 120
WHOLE = "the whole"
# Words that say nothing about which values fit.
_NOTES = {"description", "title", "examples", "default", "$comment", "$schema", "$id"}


class Change(NamedTuple):
    """`before` and `after` are what stands there, one of them empty when it was added or removed."""

    what: str
    before: str
    after: str


class Line(NamedTuple):
    sign: str
    text: str


def changes(old: ContractVersion, new: ContractVersion) -> list[Change]:
    found = [*_schema_changes(old.parsed, new.parsed), *_term_changes(old, new)]
    return found[:CHANGES_SHOWN_MAX]


def lines(old: ContractVersion, new: ContractVersion) -> list[Line]:
    diff = unified_diff(_text(old), _text(new), lineterm="", n=CONTEXT_LINES)
    return [Line(text[:1], text[1:] if text[:1] != "@" else text) for text in list(diff)[2:]]


def pretty(value: Json) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _text(version: ContractVersion) -> list[str]:
    terms = [f"{term.name}: {term.text}" for term in _terms(version)]
    return [*terms, *pretty(version.parsed).splitlines()]


def _schema_changes(old: dict[str, Json], new: dict[str, Json]) -> Iterator[Change]:
    before = {place.pointer: place for place in places_of(old)}
    after = {place.pointer: place for place in places_of(new)}
    for pointer, place in before.items():
        if pointer not in after and not _has_parent(pointer, before.keys() - after.keys()):
            yield Change(place.path or WHOLE, _say(place), "")
    for pointer, place in after.items():
        if pointer in before:
            yield from _place_changes(before[pointer], place)
        elif not _has_parent(pointer, after.keys() - before.keys()):
            yield Change(place.path or WHOLE, "", f"new: {_say(place)}")


def _has_parent(pointer: str, others: set[str]) -> bool:
    """What came or went as a whole is told once."""
    return any(pointer.startswith(f"{other}/") for other in others)


def _say(place: Place) -> str:
    facts = [place.kind, *(_value(choice) for choice in place.choices), *place.limits]
    return ", ".join([*facts, "required" if place.is_required else "may be left out"])


def _place_changes(old: Place, new: Place) -> Iterator[Change]:
    where = f"{new.path}: " if new.path else ""
    if old.is_required != new.is_required:
        became = "required" if new.is_required else "may be left out"
        yield Change(f"{where}became", "", became)
    for word in sorted(old.says.keys() | new.says.keys()):
        before, after = old.says.get(word), new.says.get(word)
        if word == "required" or before == after:
            continue
        if word in {"enum", "type"}:
            yield from _set_changes(f"{where}{_WORDS.get(word, word)}", before, after)
        elif word in _NOTES:
            yield Change(f"{where}{word}", "", "reworded")
        else:
            yield Change(f"{where}{_WORDS.get(word, word)}", _value(before), _value(after))


_WORDS = {
    "enum": "choices",
    "additionalProperties": "other fields",
    "unevaluatedProperties": "other fields",
}


def _set_changes(what: str, before: Any, after: Any) -> Iterator[Change]:
    """A list of choices, of which only those matter that came or went."""
    old, new = _list(before), _list(after)
    if not old or not new:
        yield Change(what, ", ".join(old), ", ".join(new))
        return
    gone = [value for value in old if value not in new]
    came = [value for value in new if value not in old]
    if gone or came:
        yield Change(what, ", ".join(gone), f"also {', '.join(came)}" if came else "")


def _list(value: Any) -> list[str]:
    if value is None:
        return []
    return [_value(one) for one in (value if isinstance(value, list) else [value])]


def _value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "allowed" if value else "not allowed"
    text = value if isinstance(value, str) else canonical(value)
    if isinstance(value, int | float):
        text = f"{value:,}"
    return text if len(text) <= VALUE_LENGTH_MAX else text[: VALUE_LENGTH_MAX - 1] + "…"


def _term_changes(old: ContractVersion, new: ContractVersion) -> Iterator[Change]:
    before = {term.name: term.text for term in _terms(old)}
    after = {term.name: term.text for term in _terms(new)}
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            yield Change(name, before.get(name, ""), after.get(name, ""))


def _terms(version: ContractVersion) -> list[Term]:
    return [*terms_of(version), *meeting_of(version)]
