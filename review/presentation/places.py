"""Values by JSON Pointer: found, named for the reader, and taken out of the whole."""

from collections.abc import Iterable, Mapping

from orchestrator.core.codec import Json
from orchestrator.core.policy.changed import ABSENT, Absent


def parts_of(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def at(value: Json, pointer: str) -> Json | Absent:
    """What stands there; ABSENT where nothing does."""
    found: Json | Absent = value
    for name in parts_of(pointer):
        if isinstance(found, dict):
            found = found.get(name, ABSENT)
        elif isinstance(found, list):
            found = found[int(name)] if name.isdecimal() and int(name) < len(found) else ABSENT
        else:
            return ABSENT
    return found


def path_of(pointer: str) -> str:
    """`customer.name`, `lines.0.sku`: the way people write it."""
    return ".".join(parts_of(pointer))


def without(args: Mapping[str, Json], pointers: Iterable[str]) -> dict[str, Json]:
    """The rest. What stands in a list stays there, so that the others keep their numbers."""
    rest = dict(args)
    for pointer in pointers:
        rest = _without(rest, parts_of(pointer))
    return rest


def _without(around: dict[str, Json], names: list[str]) -> dict[str, Json]:
    first, *others = names
    if first not in around:
        return around
    left = {name: value for name, value in around.items() if name != first}
    inner = around[first]
    if not others:
        return left
    if not isinstance(inner, dict):
        return around
    rest = _without(inner, others)
    if not rest:
        return left
    return {name: rest if name == first else value for name, value in around.items()}
