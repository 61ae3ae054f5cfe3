"""Where a character of a text stands in the YAML file that says the text, whatever quotes it is in."""

import re
from dataclasses import dataclass
from typing import NamedTuple


class Place(NamedTuple):
    """Where in a file, both counted from 1 as editors do."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text as it stands in the file."""

    place: Place
    style: str
    source: str
    value: str


_PIECES = {
    '"': re.compile(r"\\x..|\\u.{4}|\\U.{8}|\\.|.", re.DOTALL),
    "'": re.compile(r"''|.", re.DOTALL),
}
_LETTERS = re.compile(r".", re.DOTALL)
_BLANK_ESCAPES = frozenset({f"\\{letter}" for letter in "ntrvf_NLP \n"})


def inside(scalar: Scalar, line: int, column: int) -> Place:
    """Where the character stands that is in this line and column of the text itself."""
    index = _index_of(scalar.value, line, column)
    begin = _begin_of(scalar)
    pieces = list(_PIECES.get(scalar.style, _LETTERS).finditer(scalar.source, begin))
    if "\n" in scalar.source:
        # Lines are folded and indented, but what is not blank is neither added nor taken away.
        pieces = [piece for piece in pieces if not _is_blank(piece.group())]
        index = sum(not letter.isspace() for letter in scalar.value[:index])
    found = pieces[index].start() if index < len(pieces) else len(scalar.source.rstrip())
    lines = scalar.source[:found].split("\n")
    offset = 0 if len(lines) > 1 else scalar.place.column - 1
    return Place(scalar.place.line + len(lines) - 1, offset + len(lines[-1]) + 1)


def _index_of(text: str, line: int, column: int) -> int:
    before = text.split("\n")[: line - 1]
    return sum(len(one) + 1 for one in before) + column - 1


def _begin_of(scalar: Scalar) -> int:
    """Behind the quote, or below the line that says that a block follows."""
    if scalar.style in {"|", ">"}:
        return scalar.source.find("\n") + 1
    return len(scalar.style)


def _is_blank(piece: str) -> bool:
    return piece.isspace() or piece in _BLANK_ESCAPES
