"""Which arguments of a proposed action came out of untrusted data: the result of a tool, a mail, a page.

A value is followed by what it says and not by how a model came to it, so it is found wherever it stands
in the data: as it is, inside a longer text, written with other spaces or capitals, percent-encoded or
in base64. What is short says nothing of where it came from: `EUR` stands everywhere. So texts count from a
length on, numbers from a size on and only as they are.

What also stands in data that is trusted, such as the words of whoever started the run, is not tainted.

It finds what was copied. A value that somebody computed or reworded on the way is not found, which is why
rules and bands are asked all the same.
"""

import base64
import binascii
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from itertools import accumulate, islice
from urllib.parse import unquote

from orchestrator.core.codec import Json, canonical
from orchestrator.core.schemas import pointer

EXACT = "exact"
EMBEDDED = "embedded"
UNSEARCHED = "unsearched"
# Of one proposal so many are told.
FOUND_MAX = 200
# Letters that are read while the values of one proposal are looked for, a second or two of work. Beyond
# them every value counts as tainted.
EFFORT_MAX = 1_000_000_000
TOO_MUCH = "more results of tools than are searched"
# Encodings within encodings are undone so often.
_DECODED_TIMES = 2
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*")
_SPACE = re.compile(r"\s+")
# What names somebody or something, rather than being a word of a language.
_NAME = re.compile(r"[^\s\"'<>(),;\[\]{}]+")
_NAMES_SOMETHING = re.compile(r"[\d@/_#]|\w\.\w")
_INSIDE = re.compile(r"[/?&=#:|]")
_ARGUMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_AROUND_NAMES = ".,:;!?`*"

_VERBS = {EMBEDDED: "holds what stands in", UNSEARCHED: "may hold what stands in"}

type Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """What is shorter or smaller says nothing of where it came from."""

    length_min: int = 6
    number_min: int = 1_000


@dataclass(frozen=True, slots=True)
class Source:
    """Untrusted data, and where it came from in words: the result of tool `read_email`."""

    origin: str
    value: Json


@dataclass(frozen=True, slots=True)
class Tainted:
    """One argument that stands in untrusted data."""

    pointer: str
    origin: str
    how: str

    @property
    def sentence(self) -> str:
        return f"{self.pointer} {_VERBS.get(self.how, 'came from')} {self.origin}"


def find(
    proposed: Mapping[str, Json],
    sources: Iterable[Source],
    limits: Limits = Limits(),
    *,
    trusted: Sequence[Json] = (),
) -> tuple[Tainted, ...]:
    """Of `{"args": ..., "target": ...}` each value that came from one of the sources, with the first of them; at most FOUND_MAX.

    What an argument is called counts for nothing, as its tool calls it so and results call it likewise;
    names further in, and those that no tool would use, may be anybody's.
    """
    seen = list(sources)
    data = _Data([source.value for source in seen], limits)
    known = _Data(trusted, limits)
    found: dict[str, Tainted] = {}
    effort = 0
    for path, leaf in _said(proposed) if seen else ():
        value = _Value(leaf, limits)
        hit = data.first(value)
        effort += len(value.texts) * (len(data) + (len(known) if hit else 0))
        if effort > EFFORT_MAX:
            return everything(proposed, TOO_MUCH)
        if hit is None or known.first_with_whole(value) is not None:
            continue
        # A field and its value stand at one place.
        place, (number, how) = pointer(path), hit
        if place not in found and len(found) == FOUND_MAX:
            break
        found[place] = Tainted(place, seen[number].origin, how)
    return tuple(found.values())


def everything(proposed: Mapping[str, Json], origin: str) -> tuple[Tainted, ...]:
    """Each value, whatever it is: where what was said is too much to be searched."""
    pointers = dict.fromkeys(
        pointer(path) for path, leaf in _said(proposed) if leaf not in (None, "")
    )
    return tuple(Tainted(one, origin, UNSEARCHED) for one in islice(pointers, FOUND_MAX))


def _said(proposed: Mapping[str, Json]) -> Iterator[tuple[Path, Json]]:
    """All but the names of the parts and of their arguments."""
    for part, value in proposed.items():
        if not isinstance(value, dict):
            yield from _leaves(value, (part,))
            continue
        for name, inner in value.items():
            if not _ARGUMENT.match(name):
                yield (part, name), name
            yield from _leaves(inner, (part, name))


def _leaves(value: Json, path: Path = ()) -> Iterator[tuple[Path, Json]]:
    """Everything that holds nothing else, with its path; and the names of fields, which are words too."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*path, name), name
            yield from _leaves(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*path, number))
    else:
        yield path, value


@dataclass(slots=True)
class _Value:
    """One value that is looked for: its ways to be written, or its number, as far as they say anything."""

    leaf: InitVar[Json]
    limits: InitVar[Limits]
    texts: list[str] = field(init=False, default_factory=list)
    number: float | None = field(init=False, default=None)

    def __post_init__(self, leaf: Json, limits: Limits) -> None:
        if isinstance(leaf, str):
            self.texts = [text for text in _writings(leaf) if len(text) >= limits.length_min]
        elif isinstance(leaf, int | float) and not isinstance(leaf, bool):
            self.number = float(leaf) if abs(leaf) >= limits.number_min else None


@dataclass(slots=True)
class _Data:
    """Pieces of data, so prepared that all of them are searched for a value at once.

    What is found is the number of the first piece that has it.
    """

    pieces: InitVar[Iterable[Json]]
    limits: Limits
    whole: dict[str, int] = field(init=False, default_factory=dict)
    numbers: dict[float, int] = field(init=False, default_factory=dict)
    names: dict[str, int] = field(init=False, default_factory=dict)
    # All their texts, and the same without spaces and hyphens, as people write account numbers; with
    # where each piece ends in them.
    text: str = field(init=False, default="")
    dense: str = field(init=False, default="")
    ends: list[int] = field(init=False, default_factory=list)
    dense_ends: list[int] = field(init=False, default_factory=list)

    def __post_init__(self, pieces: Iterable[Json]) -> None:
        texts: list[str] = []
        dense: list[str] = []
        for number, piece in enumerate(pieces):
            whole = self._take(number, piece)
            # A line feed is no part of any normalised text, so nothing is found across two of them.
            texts.append("".join(f"{text}\n" for text in whole))
            dense.append("".join(f"{_densely(text)}\n" for text in whole))
        self.text, self.dense = "".join(texts), "".join(dense)
        self.ends = list(accumulate(map(len, texts)))
        self.dense_ends = list(accumulate(map(len, dense)))

    def __len__(self) -> int:
        return len(self.text) + len(self.dense)

    def first(self, value: _Value) -> tuple[int, str] | None:
        """The whole value first: it says more than a part of it."""
        hits = [self.whole[text] for text in value.texts if text in self.whole]
        if value.number in self.numbers:
            hits.append(self.numbers[value.number])
        if hits:
            return min(hits), EXACT
        within = (self.first_with_whole(value), self._first_with_name(value))
        return min(((number, EMBEDDED) for number in within if number is not None), default=None)

    def first_with_whole(self, value: _Value) -> int | None:
        """The value stands somewhere in it."""
        if value.number in self.numbers:
            return self.numbers[value.number]
        hits = []
        for text in value.texts:
            hits.append(_piece_at(self.text.find(text), self.ends))
            if _names_something(text):
                hits.append(_piece_at(self.dense.find(_densely(text)), self.dense_ends))
        return min((hit for hit in hits if hit is not None), default=None)

    def _first_with_name(self, value: _Value) -> int | None:
        """A name of something in the value, an account or an address, stands in it as well."""
        names = (name for text in value.texts for name in _names(text, self.limits))
        return min((self.names[name] for name in names if name in self.names), default=None)

    def _take(self, number: int, piece: Json) -> set[str]:
        whole: set[str] = set()
        for _, leaf in _leaves(piece):
            whole |= _writings(leaf)
            if isinstance(leaf, int | float) and not isinstance(leaf, bool):
                self.numbers.setdefault(float(leaf), number)
            elif isinstance(leaf, str):
                for one in _numbers(leaf):
                    self.numbers.setdefault(one, number)
        for text in whole:
            self.whole.setdefault(text, number)
            for name in _names(text, self.limits):
                self.names.setdefault(name, number)
        return whole


def _piece_at(place: int, ends: Sequence[int]) -> int | None:
    return bisect_right(ends, place) if place >= 0 else None


def _writings(leaf: Json) -> set[str]:
    """A value as text, with whatever encoding it stands in undone, in one way to write it each."""
    if isinstance(leaf, bool) or leaf is None:
        return set()
    text = leaf if isinstance(leaf, str) else canonical(leaf)
    found, new = {text}, {text}
    for _ in range(_DECODED_TIMES):
        new = {plain for one in new for plain in _decoded(one)} - found
        found |= new
    return {normal for one in found if (normal := _normal(one))}


def _normal(text: str) -> str:
    """Without differences that nobody sees: capitals, spaces, wide letters, and those of no width."""
    visible = "".join(one for one in text if unicodedata.category(one) != "Cf")
    folded = unicodedata.normalize("NFKC", visible).casefold()
    return _SPACE.sub(" ", folded).strip()


def _densely(text: str) -> str:
    return text.replace(" ", "").replace("-", "")


def _decoded(text: str) -> Iterator[str]:
    if _PERCENT.search(text):
        yield unquote(text, errors="ignore")
        yield unquote(text.replace("+", " "), errors="ignore")
    for match in _BASE64.finditer(text):
        plain = _from_base64(match.group())
        if plain is not None:
            yield plain


def _from_base64(text: str) -> str | None:
    """None for a word that only looks like it, as most do: what it says is not to be read."""
    padded = text.rstrip("=").replace("-", "+").replace("_", "/")
    padded += "=" * (-len(padded) % 4)
    try:
        plain = base64.b64decode(padded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return plain if plain.isprintable() else None


def _numbers(text: str) -> Iterator[float]:
    """As they are written in either half of Europe: 1,840.50 and 1.840,50."""
    for match in _NUMBER.finditer(text):
        written = match.group()
        for thousands, decimal in ((",", "."), (".", ",")):
            plain = written.replace(thousands, "").replace(decimal, ".")
            if plain.count(".") <= 1 and len(plain) <= 20:
                yield float(plain)


def _names(text: str, limits: Limits) -> Iterator[str]:
    for match in _NAME.finditer(text):
        whole = match.group()
        # An address of a page is one name, and what stands in it are others.
        for part in (whole, *_INSIDE.split(whole)):
            name = part.strip(_AROUND_NAMES)
            if len(name) >= limits.length_min and _names_something(name):
                yield name


def _names_something(text: str) -> bool:
    return bool(_NAMES_SOMETHING.search(text))
