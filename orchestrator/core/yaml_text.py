"""YAML in and out. What is read comes with the place of every value; what is written, every reader of
YAML reads alike.

YAML is taken down to its events only, and every value is text, a list or an object. What can surprise
is refused: a key twice, an alias (a few lines of them can stand for gigabytes), a tag, and text without
quotes that some reader takes for something else, such as `no` or `1e3`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, NoReturn

import yaml
from yaml.resolver import Resolver

from orchestrator.core.codec import Json, canonical
from orchestrator.core.schemas import pointer
from orchestrator.core.yaml_places import Place, Scalar, inside

DEPTH_MAX = 8
SHOWN_MAX = 80

type Path = tuple[str | int, ...]


class Fault(NamedTuple):
    """One thing that is wrong with a file."""

    place: Place
    reason: str


@dataclass(slots=True)
class Sheet:
    """One document of a file, and where everything in it stands."""

    value: Json = None
    places: dict[str, Place] = field(default_factory=dict)
    scalars: dict[str, Scalar] = field(default_factory=dict)

    def place_of(self, place: str) -> Place:
        """Of a JSON pointer, or of the nearest value around it."""
        while place not in self.places and place:
            place = place.rpartition("/")[0]
        return self.places[place]

    def place_inside(self, place: str, line: int, column: int) -> Place:
        """Of a character of a text, which is named by its line and column there."""
        scalar = self.scalars.get(place)
        return inside(scalar, line, column) if scalar else self.place_of(place)


def read(data: bytes) -> tuple[list[Sheet], list[Fault]]:
    """The documents of a file, or what is wrong with it. Documents are divided by `---`."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        lines = data[: error.start].split(b"\n")
        place = Place(len(lines), len(lines[-1]) + 1)
        return [], [Fault(place, f"byte {error.start} is not UTF-8")]
    try:
        return list(_Reader(text).sheets()), []
    except _Wrong as wrong:
        return [], [wrong.fault]
    except yaml.reader.ReaderError as error:
        reason = (
            f"the character U+{error.character:04X} cannot stand in a file; write it as an escape"
        )
        return [], [Fault(_at_index(text, error.position), reason)]
    except yaml.MarkedYAMLError as error:
        return [], [_explain(error)]


def write(value: Json) -> str:
    """Equal values are equal bytes, as long as their names come in the same order."""
    text: str = yaml.dump(
        value,
        Dumper=_Dumper,
        allow_unicode=True,
        default_flow_style=False,
        sort_keys=False,
        width=float("inf"),
    )
    return text


# Reading ----------------------------------------------------------------------------------------

# What people mean by what YAML cannot read.
_HINTS = {
    "while scanning an alias": "a text that begins with * needs quotes",
    "while scanning an anchor": "a text that begins with & needs quotes",
    "mapping values are not allowed here": "a text with a colon and a blank in it needs quotes",
}


class _Wrong(Exception):
    """Nothing further can be read."""

    def __init__(self, place: Place, reason: str) -> None:
        super().__init__(reason)
        self.fault = Fault(place, reason)


class _Reader:
    """From events to values. Nothing is built before it is known to be small."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._events = _events(text)
        self._sheet = Sheet()

    def sheets(self) -> Iterator[Sheet]:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._sheet = Sheet()
                self._sheet.value = self._read(next(self._events), ())
                yield self._sheet

    def _read(self, event: Any, path: Path) -> Json:
        place = _at(event.start_mark)
        _check_plain(event, place)
        if len(path) > DEPTH_MAX:
            _refuse(place, f"it is nested deeper than {DEPTH_MAX} levels")
        self._sheet.places.setdefault(pointer(path), place)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._scalar(event, place, path)

    def _mapping(self, path: Path) -> Json:
        found: dict[str, Json] = {}
        for event in self._until(yaml.MappingEndEvent):
            place = _at(event.start_mark)
            _check_plain(event, place)
            if not isinstance(event, yaml.ScalarEvent):
                _refuse(place, "a name must be text")
            name = _text_of(event, place)
            if name in found:
                first = self._sheet.places[pointer((*path, name))].line
                _refuse(place, f"“{name[:SHOWN_MAX]}” is said twice; the first is in line {first}")
            # A mistake is shown where its name stands; a text, where it begins.
            self._sheet.places[pointer((*path, name))] = place
            found[name] = self._read(next(self._events), (*path, name))
        return found

    def _sequence(self, path: Path) -> Json:
        events = self._until(yaml.SequenceEndEvent)
        return [self._read(event, (*path, index)) for index, event in enumerate(events)]

    def _scalar(self, event: Any, place: Place, path: Path) -> str:
        value = _text_of(event, place)
        source = self._text[event.start_mark.index : event.end_mark.index]
        self._sheet.scalars[pointer(path)] = Scalar(place, event.style or "", source, value)
        return value

    def _until(self, end: type) -> Iterator[Any]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield event


def _events(text: str) -> Iterator[Any]:
    place = Place(1, 1)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            place = _at(event.end_mark)
            yield event
    except ValueError:
        # PyYAML hands some numbers to Python as they are, and does not say where they stand.
        _refuse(
            place,
            "what follows here holds a number that is too large: "
            "an escape beyond \\U0010FFFF, or a version after %YAML",
        )


def _explain(error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    said = f"it is not YAML: {error.problem or error.context}"
    if error.problem and error.context and error.context_mark:
        said += f" {error.context} that begins in line {error.context_mark.line + 1}"
    hint = _HINTS.get(error.context or "") or _HINTS.get(error.problem or "")
    return Fault(_at(mark) if mark else Place(1, 1), f"{said}; {hint}" if hint else said)


def _check_plain(event: Any, place: Place) -> None:
    if isinstance(event, yaml.AliasEvent):
        shown = (event.anchor or "")[:SHOWN_MAX]
        _refuse(place, f"*{shown} refers to another place; write its value out")
    if event.anchor:
        _refuse(
            place, f"&{event.anchor[:SHOWN_MAX]} names a value for later; that is not taken here"
        )
    if event.tag is not None:
        _refuse(
            place,
            f"the tag {event.tag[:SHOWN_MAX]} is not taken; a text that begins with ! needs quotes",
        )


def _text_of(event: Any, place: Place) -> str:
    value: str = event.value
    if event.style is None and _is_ambiguous(value):
        shown = value[:SHOWN_MAX]
        why = (
            f"`{shown}` without quotes is not text to every reader of YAML"
            if value
            else "it is empty"
        )
        _refuse(place, f"{why}; write {canonical(shown)}")
    if "\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        _refuse(place, "it holds NUL or half a surrogate pair, which cannot be stored")
    return value


def _refuse(place: Place, reason: str) -> NoReturn:
    raise _Wrong(place, reason)


def _at(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def _at_index(text: str, index: int) -> Place:
    lines = text[:index].split("\n")
    return Place(len(lines), len(lines[-1]) + 1)


# Text that is none to some readers: to PyYAML, which follows YAML 1.1, or to those that follow
# 1.2, or the letters that 1.1 names but PyYAML forgot.
_RESOLVER = Resolver()
_TEXT = "tag:yaml.org,2002:str"
_ELSEWHERE = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+|[yYnN]")


def _is_ambiguous(text: str) -> bool:
    tag = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return tag != _TEXT or _ELSEWHERE.fullmatch(text) is not None


# Writing ----------------------------------------------------------------------------------------


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Long texts as they are, and quotes where some reader would see no text."""
    style = '"' if _is_ambiguous(text) or not _is_visible(text) else "|" if "\n" in text else None
    return dumper.represent_scalar(_TEXT, text, style=style)


def _list(dumper: yaml.SafeDumper, values: list[Json]) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)


def _is_visible(text: str) -> bool:
    """What an editor does not show must not be in a file without an escape that tells."""
    return all(letter.isprintable() for letter in text.replace("\n", ""))


class _Dumper(yaml.SafeDumper):
    yaml_representers: ClassVar[dict[type[Any], Callable[..., Any]]] = {
        **yaml.SafeDumper.yaml_representers,
        str: _text,
        list: _list,
    }

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def choose_scalar_style(self) -> Any:
        """Single quotes only where double ones would need escapes inside."""
        event: Any = self.event
        style = super().choose_scalar_style()
        needs_none = not {'"', "\\"} & set(event.value)
        return '"' if style == "'" and needs_none else style
