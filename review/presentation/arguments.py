"""The table of what will run: every argument with its path, its value and what we can say about it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from orchestrator.core.codec import Json
from review.presentation.money import money

MINOR = "_minor"


class Argument(NamedTuple):
    name: str
    value: Json
    note: str
    is_tainted: bool


def arguments(args: Mapping[str, Json], tainted: Sequence[str]) -> list[Argument]:
    return [
        Argument(name, value, _note(name, value, args), is_tainted(f"/args/{name}", tainted))
        for name, value in args.items()
    ]


def _note(name: str, value: Json, args: Mapping[str, Json]) -> str:
    return money(value, args.get("currency")) if name.endswith(MINOR) else ""


def is_tainted(pointer: str, tainted: Sequence[str]) -> bool:
    """A mark on a part of a value marks the value."""
    return any(mark == pointer or mark.startswith(f"{pointer}/") for mark in tainted)
