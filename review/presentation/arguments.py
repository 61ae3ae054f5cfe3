"""The table of what will run: every argument with its path, its value and what we can say about it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from orchestrator.core.codec import Json
from orchestrator.core.schemas import pointer
from review.presentation.money import money

MINOR = "_minor"


class Argument(NamedTuple):
    name: str
    value: Json
    note: str
    is_tainted: bool


def arguments(args: Mapping[str, Json], tainted: Sequence[str]) -> list[Argument]:
    return [
        Argument(name, value, amount_note(name, value, args), is_tainted(args_at(name), tainted))
        for name, value in args.items()
    ]


def amount_note(name: str, value: Json, args: Mapping[str, Json]) -> str:
    return money(value, args.get("currency")) if name.endswith(MINOR) else ""


def args_at(*path: str | int) -> str:
    """The place of an argument as agents name it where they mark untrusted text."""
    return pointer(("args", *path))


def is_tainted(pointer: str, tainted: Sequence[str]) -> bool:
    """A mark on a part of a value marks the value, and one on the whole marks each of its parts."""
    return any(_is_inside(mark, pointer) or _is_inside(pointer, mark) for mark in tainted)


def _is_inside(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith(f"{outer}/")
