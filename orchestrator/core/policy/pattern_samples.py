"""A few texts for a regular expression, without ever running it: what is matched the engine says.

The plain parts are understood: letters, classes, groups, alternatives, repetition. For anything else
there are no samples.
"""

import string
from collections.abc import Iterator, Sequence
from itertools import islice

SAMPLES_MAX = 12
LENGTH_MAX = 300
GROUPS_MAX = 20
PATTERN_MAX = 1_000

_CLASSES = {
    "d": string.digits,
    "w": string.ascii_letters + string.digits + "_",
    "s": " ",
    "D": "a",
    "W": "-",
    "S": "a",
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_ANY = string.ascii_lowercase + string.ascii_uppercase + string.digits + "-_ ."


class _Unknown(Exception):
    """Something in the pattern that is not understood here."""


def pattern_samples(pattern: str) -> list[str]:
    if len(pattern) > PATTERN_MAX:
        return []
    reader = _Reader(pattern)
    try:
        found = reader.alternatives(0)
        if reader.at < len(pattern):
            return []
    except (_Unknown, IndexError):
        return []
    return [text for text in dict.fromkeys(found) if len(text) <= LENGTH_MAX][:SAMPLES_MAX]


class _Reader:
    """Reads the pattern once, from left to right; each method returns samples of what it has read."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def alternatives(self, depth: int) -> list[str]:
        if depth > GROUPS_MAX:
            raise _Unknown
        found = self._sequence(depth)
        while self._peek() == "|":
            self.at += 1
            found += self._sequence(depth)
        return found[: SAMPLES_MAX * 2]

    def _sequence(self, depth: int) -> list[str]:
        pieces: list[list[str]] = []
        while self._peek() not in ("", "|", ")"):
            pieces.append(self._repeated(self._atom(depth)))
        return list(islice(_vary(pieces), SAMPLES_MAX * 2))

    def _atom(self, depth: int) -> list[str]:
        mark = self._next()
        if mark in "^$":
            return [""]
        if mark == ".":
            return ["a", "0", "-"]
        if mark == "[":
            return self._class()
        if mark == "(":
            return self._group(depth)
        if mark == "\\":
            return self._escape()
        return [mark]

    def _group(self, depth: int) -> list[str]:
        if self._peek() == "?":
            if self.pattern[self.at : self.at + 2] != "?:":
                raise _Unknown
            self.at += 2
        found = self.alternatives(depth + 1)
        if self._next() != ")":
            raise _Unknown
        return found

    def _escape(self) -> list[str]:
        mark = self._next()
        if mark in "bB":
            return [""]
        if mark in _CLASSES:
            return _ends(_CLASSES[mark])
        if mark.isalnum() and mark not in _ESCAPES:
            raise _Unknown
        return [_ESCAPES.get(mark, mark)]

    def _class(self) -> list[str]:
        negated = self._peek() == "^"
        self.at += negated
        members = ""
        while (mark := self._next()) != "]":
            first = self._member(mark)
            if self._peek() == "-" and self.pattern[self.at + 1] != "]" and len(first) == 1:
                self.at += 1
                members += _between(first, self._member(self._next()))
            else:
                members += first
        if negated:
            members = "".join(letter for letter in _ANY if letter not in members)
        return _ends(members)

    def _member(self, mark: str) -> str:
        if mark != "\\":
            return mark
        mark = self._next()
        return _CLASSES.get(mark) or _ESCAPES.get(mark, mark)

    def _repeated(self, texts: list[str]) -> list[str]:
        bounds = self._bounds()
        if bounds is None:
            return texts
        least, most = bounds
        counts = dict.fromkeys((least, min(least + 1, most), min(least + 5, most)))
        return [(text * count)[: LENGTH_MAX + 1] for count in counts for text in texts]

    def _bounds(self) -> tuple[int, int] | None:
        mark = self._peek()
        if mark not in "*+?{" or not mark:
            return None
        self.at += 1
        least, most = {"*": (0, LENGTH_MAX), "+": (1, LENGTH_MAX), "?": (0, 1)}.get(mark, (0, 0))
        if mark == "{":
            end = self.pattern.index("}", self.at) if "}" in self.pattern[self.at :] else self.at
            first, comma, last = self.pattern[self.at : end].partition(",")
            if not first.isdecimal() or not (last.isdecimal() or not last):
                raise _Unknown
            least = min(int(first[:6]), LENGTH_MAX)
            most = min(int(last[:6]), LENGTH_MAX) if last else LENGTH_MAX if comma else least
            self.at = end + 1
        # Lazy or not, the same texts fit.
        self.at += self._peek() == "?"
        return least, most

    def _peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _next(self) -> str:
        self.at += 1
        return self.pattern[self.at - 1]


def _vary(pieces: Sequence[list[str]]) -> Iterator[str]:
    """The first of every piece together, then each other text of a piece once."""
    if not all(pieces):
        return
    yield "".join(texts[0] for texts in pieces)
    for place, texts in enumerate(pieces):
        before = "".join(others[0] for others in pieces[:place])
        after = "".join(others[0] for others in pieces[place + 1 :])
        yield from (before + text + after for text in texts[1:])


def _ends(members: str) -> list[str]:
    """One from the beginning, one from the middle and one from the end of a class."""
    if not members:
        raise _Unknown
    return list(dict.fromkeys((members[0], members[len(members) // 2], members[-1])))


def _between(first: str, last: str) -> str:
    if len(last) != 1 or ord(last) < ord(first):
        raise _Unknown
    return "".join(map(chr, range(ord(first), min(ord(last), ord(first) + 200) + 1)))
