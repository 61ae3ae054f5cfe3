"""What changed between two versions of the routes: in sentences first, and line by line."""

from collections.abc import Sequence
from difflib import unified_diff
from typing import NamedTuple

from orchestrator.core.policy.routing import Route

CONTEXT_LINES = 3


class Line(NamedTuple):
    """`kind` is added, removed, place or same."""

    kind: str
    text: str


def sentences(old: Sequence[Route], new: Sequence[Route]) -> list[str]:
    before = {one.name: one for one in old}
    after = {one.name: one for one in new}
    found = [f"“{name}” is gone" for name in before if name not in after]
    for name, one in after.items():
        if name not in before:
            found.append(f"“{name}” is new: when {one.when}, to {one.workflow}")
        else:
            found += _of_one(before[name], one)
    return found + _order(list(before), list(after))


def lines(old: Sequence[Route], new: Sequence[Route]) -> list[Line]:
    diff = unified_diff(_text(old), _text(new), lineterm="", n=CONTEXT_LINES)
    kinds = {"+": "added", "-": "removed", "@": "place"}
    return [Line(kinds.get(text[:1], "same"), text) for text in list(diff)[2:]]


def _of_one(old: Route, new: Route) -> list[str]:
    found = []
    if old.when != new.when:
        found.append(f"“{new.name}” takes events when {new.when}; it was when {old.when}")
    if old.workflow != new.workflow:
        found.append(f"“{new.name}” leads to {new.workflow}; it led to {old.workflow}")
    return found


def _order(before: list[str], after: list[str]) -> list[str]:
    """Of the routes that both have."""
    was = [name for name in before if name in after]
    now = [name for name in after if name in before]
    if was == now:
        return []
    return [f"the order of routes changed: {', '.join(f'“{name}”' for name in now)}"]


def _text(routes: Sequence[Route]) -> list[str]:
    found = []
    for place, one in enumerate(routes):
        found += [
            f"{place + 1}. {one.name}",
            *(f"   when {line}" for line in one.when.splitlines()),
            f"   to {one.workflow}",
        ]
    return found
