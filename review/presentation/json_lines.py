"""On which line of a JSON text each value stands, so that a mistake can be found without counting.

Only for a text that was read already: that it is JSON, and not too deep, is relied on.
"""

import json
import re
from dataclasses import dataclass

# Strings first, so that brackets inside them do not count. Possessive: no text is tried twice.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{},:\n]|[^\s\[\]{},:"]++')


@dataclass(slots=True)
class _Open:
    """A list or an object that has begun, and what in it comes next."""

    pointer: str
    is_list: bool
    count: int = 0
    name: str | None = None

    def next(self) -> str:
        key = str(self.count) if self.is_list else self.name or ""
        return f"{self.pointer}/{key.replace('~', '~0').replace('/', '~1')}"


def lines_of(text: str) -> dict[str, int]:
    """By JSON Pointer; the line of a member is that of its name."""
    found: dict[str, int] = {}
    around: list[_Open] = []
    line = 1
    for match in _TOKEN.finditer(text):
        mark = match.group()
        if mark == "\n":
            line += 1
        elif mark in "]}":
            around.pop()
        elif mark == ",":
            around[-1].count += 1
            around[-1].name = None
        elif mark != ":":
            _begin(mark, line, found, around)
    return found


def _begin(mark: str, line: int, found: dict[str, int], around: list[_Open]) -> None:
    """A name, a value, or a bracket that opens one."""
    inside = around[-1] if around else None
    if inside and not inside.is_list and inside.name is None:
        inside.name = json.loads(mark)
        found[inside.next()] = line
        return
    pointer = inside.next() if inside else ""
    found.setdefault(pointer, line)
    if mark in "[{":
        around.append(_Open(pointer, is_list=mark == "["))
