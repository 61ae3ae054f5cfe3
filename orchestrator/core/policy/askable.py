"""The fields of an action that a suggested rule may ask about: plain values that its contract promises.

Never what the contract masks, and nothing that holds a copy of it: the condition of a rule is read by
people who must not see it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.core.codec import Json
from orchestrator.core.policy.builder import Scalar, path_of
from orchestrator.core.policy.catalogue import Field, fields_of
from orchestrator.core.policy.masking import mask

ROOT = ("proposal", "args")
_NUMBERS = frozenset({"integer", "number"})


@dataclass(frozen=True, slots=True)
class Askable:
    """By the path that a condition writes, the names that lead to it from the arguments."""

    names: Mapping[str, tuple[str, ...]]
    # Fields that a proposal need not have.
    may_lack: frozenset[str]
    masked: Sequence[str]


def askable(schema: Mapping[str, Any], masked: Iterable[str]) -> Askable:
    pointers = tuple(dict.fromkeys(masked))
    fields = {parts: field for field in fields_of(schema) if (parts := path_of(field.path))}
    names = {
        field.path: parts[len(ROOT) :]
        for parts, field in fields.items()
        if _is_plain(field)
        and all(_is_always_there(fields, parts[:end]) for end in range(len(ROOT), len(parts)))
        and not any(_hides(pointer, parts[len(ROOT) :]) for pointer in pointers)
    }
    optional = frozenset(path for path, one in names.items() if not fields[(*ROOT, *one)].required)
    return Askable(names, optional, pointers)


def _is_plain(field: Field) -> bool:
    """Of one type: a comparison fails on any other, and a rule that fails holds."""
    return field.types in ({"string"}, {"boolean"}) or field.types <= _NUMBERS


def _is_always_there(fields: Mapping[tuple[str, ...], Field], parts: tuple[str, ...]) -> bool:
    """Whether a field is given can only be asked where what it is in is."""
    found = fields.get(parts)
    return found is not None and found.type == "object" and found.required


def _hides(pointer: str, names: Sequence[str]) -> bool:
    hidden = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    return len(hidden) <= len(names) and all(
        one in {"*", other} for one, other in zip(hidden, names, strict=False)
    )


def values_of(args: Json, fields: Askable) -> dict[str, Scalar]:
    """What a proposal says in these fields; those it lacks are left out."""
    found = {path: _at(args, names) for path, names in fields.names.items()}
    return {path: value for path, value in found.items() if not isinstance(value, _Lacking)}


def copies_in(args: dict[str, Json], fields: Askable) -> set[str]:
    """The fields that repeat something masked."""
    if not fields.masked:
        return set()
    shown = mask({"proposal": {"args": args}}, fields.masked)["proposal"]["args"]
    return {path for path, names in fields.names.items() if _at(args, names) != _at(shown, names)}


class _Lacking:
    """Stands for what is not there, which null does not."""


_LACKING = _Lacking()


def _at(value: Json, names: Sequence[str]) -> Scalar | _Lacking:
    for name in names:
        if not isinstance(value, dict) or name not in value:
            return _LACKING
        value = value[name]
    # Only of an older contract: then it is none of the types that are asked about.
    return None if isinstance(value, dict | list) else value
