"""What is handed on, named by places in the log: a form that is filled in where the bytes are known.

A number stands for what the event of that number brought, 0 for nothing, and text for itself. Lists and
objects are filled in part by part, but for objects with one of these keys:

    {"$say": value}                  the value as it is
    {"$of": pointer}                 what stands there in the definition
    {"$at": number, "$find": pointer}   a part of what that event brought
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from orchestrator.core.codec import Json

SAY, OF, AT, FIND = "$say", "$of", "$at", "$find"

type Said = Callable[[int], Json]


def places(form: Json) -> Iterator[int]:
    """The numbers of all events that are needed to fill it in."""
    if isinstance(form, int):
        if form:
            yield form
    elif isinstance(form, list | tuple):
        for part in form:
            yield from places(part)
    elif isinstance(form, Mapping) and AT in form:
        yield from places(form[AT])
    elif isinstance(form, Mapping) and SAY not in form and OF not in form:
        for part in form.values():
            yield from places(part)


def fill_in(form: Json, said: Said, definition: Mapping[str, Any]) -> Json:
    if isinstance(form, int):
        return said(form) if form else None
    if isinstance(form, list | tuple):
        return [fill_in(part, said, definition) for part in form]
    return _fill_object(form, said, definition) if isinstance(form, Mapping) else form


def _fill_object(form: Mapping[str, Json], said: Said, definition: Mapping[str, Any]) -> Json:
    if SAY in form:
        return form[SAY]
    if OF in form:
        return find(dict(definition), str(form[OF]))
    if AT in form:
        return find(fill_in(form[AT], said, definition), str(form[FIND]))
    return {name: fill_in(part, said, definition) for name, part in form.items()}


def part_of(seq: int, pointer: str) -> dict[str, Json]:
    return {AT: seq, FIND: pointer}


def say(value: Json) -> dict[str, Json]:
    return {SAY: value}


def find(value: Json, pointer: str) -> Json:
    """What a JSON Pointer names, or nothing."""
    for raw in pointer.split("/")[1:]:
        token = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping) and token in value:
            value = value[token]
        elif isinstance(value, list | tuple) and token.isdigit() and int(token) < len(value):
            value = value[int(token)]
        else:
            return None
    return value
