"""The parts of a JSON Schema: walked, freed of references and of words that decide nothing."""

from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Any, NamedTuple

from orchestrator.core.codec import Json

# Where schemas stand inside a schema: by name, in a list, or alone.
BY_NAME = ("properties", "patternProperties", "dependentSchemas", "$defs")
IN_LIST = ("allOf", "anyOf", "oneOf", "prefixItems")
ALONE = (
    "items",
    "contains",
    "additionalProperties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "not",
    "if",
    "then",
    "else",
)
# Every other keyword that can refuse a value. What is none of these is a note to the reader.
DECIDING = frozenset(
    {
        "type", "enum", "const", "format", "pattern", "minLength", "maxLength", "minimum", "maximum",
        "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "uniqueItems",
        "minContains", "maxContains", "minProperties", "maxProperties", "required",
        "dependentRequired", "$ref",
    }
)  # fmt: skip
# Those that speak of the value itself and not of something inside it.
SAME_VALUE = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"})
PARTS_MAX = 5_000


class TooManyParts(Exception):
    """The schema refers to more than PARTS_MAX parts, counting each as often as it is referred to."""


class Part(NamedTuple):
    keyword: str
    # The name or the number under the keyword; None where a schema stands alone.
    key: str | int | None
    schema: Json


def parts_of(schema: Mapping[str, Json]) -> Iterator[Part]:
    """The schemas directly inside this one."""
    for keyword, value in schema.items():
        if keyword in BY_NAME and isinstance(value, dict):
            yield from (Part(keyword, name, inner) for name, inner in value.items())
        elif keyword in IN_LIST and isinstance(value, list):
            yield from (Part(keyword, index, inner) for index, inner in enumerate(value))
        elif keyword in ALONE:
            yield Part(keyword, None, value)


def replace_parts(schema: Mapping[str, Json], change: Callable[[Json], Json]) -> dict[str, Json]:
    """The same schema with each of its parts changed."""
    found = dict(schema)
    for keyword, value in schema.items():
        if keyword in BY_NAME and isinstance(value, dict):
            found[keyword] = {name: change(inner) for name, inner in value.items()}
        elif keyword in IN_LIST and isinstance(value, list):
            found[keyword] = [change(inner) for inner in value]
        elif keyword in ALONE:
            found[keyword] = change(value)
    return found


def without_notes(schema: Json) -> Json:
    """What two schemas have in common that say the same in other words."""
    if not isinstance(schema, dict):
        return schema
    known = DECIDING.union(BY_NAME, IN_LIST, ALONE)
    kept = {keyword: value for keyword, value in schema.items() if keyword in known}
    return replace_parts(kept, without_notes)


def inline(schema: Json) -> Json:
    """With each reference replaced by what it leads to, but for those that lead back to themselves.

    Raises TooManyParts: references that refer to references can grow without end.
    """
    if not isinstance(schema, dict):
        return schema
    body = {keyword: value for keyword, value in schema.items() if keyword != "$defs"}
    found = _Inliner(schema).walk(body, ())
    if "$defs" in schema and isinstance(found, dict) and has_reference(found):
        return {**found, "$defs": schema["$defs"]}
    return found


def definitions_of(schema: Json) -> dict[str, Json]:
    found = schema.get("$defs") if isinstance(schema, dict) else None
    return found if isinstance(found, dict) else {}


def has_reference(schema: Json) -> bool:
    return bool(references_in(schema))


def references_in(schema: Json) -> set[str]:
    if not isinstance(schema, dict):
        return set()
    found = {schema["$ref"]} if isinstance(schema.get("$ref"), str) else set()
    return found.union(*(references_in(part.schema) for part in parts_of(schema)))  # type: ignore[return-value]


def asked_twice(schema: Json) -> str:
    """A reference that leads back to itself and is asked twice about one value, or nothing.

    Two, four, eight times further in: such a schema needs hours for a value of a few levels.
    """
    round_trips = {name for name in references_in(schema) if name in _reached(schema, name)}
    for inner in _all_parts(schema) if round_trips else ():
        asked = [name for name in _asked_here(inner, schema, ()) if name in round_trips]
        if len(asked) > len(set(asked)):
            return next(name for name in asked if asked.count(name) > 1)
    return ""


def same_value(
    schema: Json, root: Json, above: tuple[str, ...] = ()
) -> Iterator[Mapping[str, Any]]:
    """The schema and all that speak of the same value: alternatives, conditions, what is referred to."""
    if not isinstance(schema, dict):
        return
    yield schema
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in above:
        yield from same_value(resolve(root, reference), root, (*above, reference))
    for part in parts_of(schema):
        if part.keyword in SAME_VALUE:
            yield from same_value(part.schema, root, above)


def resolve(root: Json, reference: str) -> Json:
    """What `#` or `#/a/b` leads to; a schema that takes everything where it leads nowhere."""
    return next(_led_to(root, reference), True)


def leads_somewhere(root: Json, reference: str) -> bool:
    is_plain = reference == "#" or reference.startswith("#/")
    return is_plain and next(_led_to(root, reference), None) is not None


def branches(schema: Json) -> int:
    """About how many cases a proof has to tell apart: alternatives multiply where all have to hold."""
    if not isinstance(schema, dict):
        return 1
    inner: dict[str, list[int]] = {}
    for part in parts_of(schema):
        inner.setdefault(part.keyword, []).append(branches(part.schema))
    together = prod(inner.pop("allOf", [1]))
    for keyword in ("anyOf", "oneOf", "dependentSchemas"):
        together *= sum(inner.pop(keyword, [1])) or 1
    if "if" in inner:
        together *= 2 * prod(max(inner.pop(keyword, [1])) for keyword in ("if", "then", "else"))
    inner.pop("$defs", None)
    return together * max((most for counts in inner.values() for most in counts), default=1)


class _Inliner:
    def __init__(self, root: dict[str, Json]) -> None:
        self.root = root
        self.parts = 0

    def walk(self, schema: Json, above: tuple[str, ...]) -> Json:
        self.parts += 1
        if self.parts > PARTS_MAX:
            raise TooManyParts
        if not isinstance(schema, dict):
            return schema
        reference = schema.get("$ref")
        if not isinstance(reference, str) or reference in above:
            return replace_parts(schema, lambda part: self.walk(part, above))
        target = self.walk(resolve(self.root, reference), (*above, reference))
        rest = {keyword: value for keyword, value in schema.items() if keyword != "$ref"}
        if not rest:
            return target
        whole = self.walk(rest, above)
        others = whole.get("allOf", []) if isinstance(whole, dict) else []
        return {**whole, "allOf": [*others, target]}  # type: ignore[dict-item, misc]


def _led_to(root: Json, reference: str) -> Iterator[Json]:
    found = root
    for part in reference.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            return
    yield found


def _all_parts(schema: Json) -> Iterator[Json]:
    yield schema
    if isinstance(schema, dict):
        for part in parts_of(schema):
            yield from _all_parts(part.schema)


def _reached(root: Json, reference: str) -> set[str]:
    """Every reference on any way that begins with this one."""
    found: set[str] = set()
    waiting = [reference]
    while waiting:
        more = references_in(resolve(root, waiting.pop())) - found
        found |= more
        waiting += more
    return found


def _asked_here(schema: Json, root: Json, above: tuple[str, ...]) -> list[str]:
    around = same_value(schema, root, above)
    return [str(part["$ref"]) for part in around if isinstance(part.get("$ref"), str)]
