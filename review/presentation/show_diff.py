"""A patch line by line: one that was sent as a patch, or the difference of an old and a new text."""

import re
from collections.abc import Iterator, Sequence
from difflib import unified_diff
from typing import Any, NamedTuple

from review.presentation.sight import Sight

LINES_SHOWN_MAX = 600
# Beyond this, finding the shortest difference could take seconds; the long way takes none.
LINES_COMPARED_MAX = 500
CONTEXT_LINES = 3
_HUNK = re.compile(r"@@ -\d{1,9}(?:,(\d{1,9}))? \+\d{1,9}(?:,(\d{1,9}))? @@")
_FILES = ("--- ", "+++ ")


class Line(NamedTuple):
    sign: str
    text: str


def patch(sight: Sight) -> dict[str, Any] | None:
    if not isinstance(sight.value, str):
        return None
    if "old" in sight.parts:
        old = sight.part("old")
        if not isinstance(old, str):
            return None
        lines = compared(old, sight.value)
        is_tainted = sight.parts["old"].is_tainted
        return _facts(lines, "The old text against the new one") | {"old_is_tainted": is_tainted}
    lines = _signed(sight.value)
    return _facts(lines, "A patch") if lines else None


def compared(old: str, new: str) -> list[Line]:
    """Lines end with a newline and nothing else, so that other line ends show as a difference."""
    before, after = old.split("\n"), new.split("\n")
    if max(len(before), len(after)) > LINES_COMPARED_MAX:
        return list(_replaced(before, after))
    found = list(unified_diff(before, after, lineterm="", n=CONTEXT_LINES))[2:]
    return [Line("@", text) if text[:1] == "@" else Line(text[:1], text[1:]) for text in found]


def _facts(lines: Sequence[Line], label: str) -> dict[str, Any]:
    return {
        "lines": lines[:LINES_SHOWN_MAX],
        "label": label,
        "added": sum(line.sign == "+" for line in lines),
        "removed": sum(line.sign == "-" for line in lines),
        "left": max(0, len(lines) - LINES_SHOWN_MAX),
    }


def _signed(text: str) -> list[Line]:
    """Nothing when it is no patch.

    Inside a hunk the first character counts alone: `--- x` is then the removal of `-- x`, and no file.
    """
    found, old_left, new_left, hunks = [], 0, 0, 0
    for line in text.removesuffix("\n").split("\n"):
        sign = line[:1]
        hunk = None if old_left > 0 or new_left > 0 else _HUNK.match(line)
        if hunk:
            old_left, new_left = (1 if count is None else int(count) for count in hunk.groups())
            hunks += 1
            found.append(Line("@", line))
            continue
        is_inside = old_left > 0 or new_left > 0
        old_left -= sign not in {"+", "\\"}
        new_left -= sign not in {"-", "\\"}
        found.append(_line(line, is_inside=is_inside))
    return found if hunks else []


def _line(text: str, *, is_inside: bool) -> Line:
    if not is_inside and text.startswith(_FILES):
        return Line("@", text)
    # Editors take the blank away that an empty line of context is written with.
    sign = text[:1] or " "
    return Line(sign, text[1:]) if sign in {"+", "-", " "} else Line("@", text)


def _replaced(before: Sequence[str], after: Sequence[str]) -> Iterator[Line]:
    """All between what begins and what ends alike is removed and added."""
    start = _alike(before, after)
    end = _alike(before[start:][::-1], after[start:][::-1])
    yield Line("@", f"@@ from line {start + 1:,} @@")
    yield from (Line("-", text) for text in before[start : len(before) - end])
    yield from (Line("+", text) for text in after[start : len(after) - end])


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))
