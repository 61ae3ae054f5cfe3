"""What differs between two values, place by place: what an edit or a revision made of the arguments."""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from orchestrator.core.codec import Json, canonical
from orchestrator.core.schemas import pointer


class Absent(Enum):
    """Nothing stands there, not even null."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


class Changed(NamedTuple):
    """What stood at a place and what stands there now. Where a list has shifted, `pointer` is where it is now."""

    pointer: str
    old: Json | Absent
    new: Json | Absent


def diff_of(old: Json, new: Json) -> list[Changed]:
    """Empty when they are the same, byte for byte: 5, 5.0 and "5" are three values."""
    return list(_changes(old, new, ()))


def _changes(
    old: Json | Absent, new: Json | Absent, path: tuple[str | int, ...]
) -> Iterator[Changed]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new}):
            yield from _changes(old.get(name, ABSENT), new.get(name, ABSENT), (*path, name))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list_changes(old, new, path)
    elif not _same(old, new):
        yield Changed(pointer(path), old, new)


def _list_changes(
    old: Sequence[Json], new: Sequence[Json], path: tuple[str | int, ...]
) -> Iterator[Changed]:
    """What begins and ends alike has stayed; in between, one is held against the other in order."""
    before, after = [canonical(one) for one in old], [canonical(one) for one in new]
    start = _common(before, after)
    end = _common(before[start:][::-1], after[start:][::-1])
    gone, come = old[start : len(old) - end], new[start : len(new) - end]
    for index in range(max(len(gone), len(come))):
        was = gone[index] if index < len(gone) else ABSENT
        now = come[index] if index < len(come) else ABSENT
        yield from _changes(was, now, (*path, start + index))


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def _same(old: Json | Absent, new: Json | Absent) -> bool:
    if isinstance(old, Absent) or isinstance(new, Absent):
        return old is new
    return canonical(old) == canonical(new)
