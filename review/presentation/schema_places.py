"""Every place that a JSON Schema speaks about, in its order: a name to show, and what is said there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.core.codec import Json, canonical
from orchestrator.core.policy.schema_parts import ALONE, BY_NAME, IN_LIST, Part, parts_of

PLACES_SHOWN_MAX = 500
TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "object",
    "null": "null",
}
_AFTER = {
    "items": "[]",
    "contains": "[some]",
    "additionalProperties": ".*",
    "unevaluatedProperties": ".*",
    "unevaluatedItems": "[]",
    "propertyNames": " (names)",
    "not": " (never)",
    "if": " (if)",
    "then": " (then)",
    "else": " (else)",
}
_AFTER_NAMED = {
    "patternProperties": ".{{{}}}",
    "dependentSchemas": " (with {})",
    "prefixItems": "[{}]",
    "allOf": " (part {})",
    "anyOf": " (either {})",
    "oneOf": " (one {})",
}


@dataclass(frozen=True, slots=True)
class Place:
    path: str
    depth: int
    pointer: str
    is_required: bool
    # What is said here, without what is said further in.
    says: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """What may stand here, in a word or two."""
        if "$ref" in self.says:
            return _name_of(self.says["$ref"])
        if "const" in self.says:
            return "always the same"
        if "enum" in self.says:
            return "one of"
        wanted = self.says.get("type", [])
        names = [wanted] if isinstance(wanted, str) else wanted
        return " or ".join(TYPES.get(name, name) for name in names) or "anything"

    @property
    def choices(self) -> list[Json]:
        return [self.says["const"]] if "const" in self.says else list(self.says.get("enum", ()))

    @property
    def limits(self) -> list[str]:
        return [text for say in _LIMITS if (text := say(self.says))]

    @property
    def about(self) -> str:
        return str(self.says.get("description") or self.says.get("title") or "")

    @property
    def example(self) -> str:
        found = self.says.get("examples") or []
        return canonical(found[0]) if found and not isinstance(found[0], dict | list) else ""


def places_of(schema: dict[str, Json]) -> list[Place]:
    """The whole first, then its fields, then the parts that are referred to."""
    return list(_walk(schema, "", 0, "", is_required=False))[:PLACES_SHOWN_MAX]


def _walk(
    schema: Json, path: str, depth: int, pointer: str, *, is_required: bool
) -> Iterator[Place]:
    if not isinstance(schema, dict):
        return
    yield Place(path, depth, pointer, is_required, _shallow(schema))
    required: Any = schema.get("required", ())
    for part in sorted(parts_of(schema), key=lambda part: _rank(part, required)):
        yield from _walk(
            part.schema,
            _path(path, part),
            0 if part.keyword == "$defs" else depth + 1,
            _pointer(pointer, part),
            is_required=part.keyword == "properties" and part.key in required,
        )


def _rank(part: Part, required: Any) -> int:
    """What has to be there first; what is only referred to last."""
    if part.keyword == "properties":
        return 0 if part.key in required else 1
    return 3 if part.keyword == "$defs" else 2


def _shallow(schema: Mapping[str, Any]) -> dict[str, Any]:
    """With the schemas inside taken out; that nothing else may be there stays."""
    inside = {*BY_NAME, *IN_LIST, *ALONE}
    return {
        word: value
        for word, value in schema.items()
        if word not in inside or isinstance(value, bool)
    }


def _path(path: str, part: Part) -> str:
    if part.keyword == "properties":
        return f"{path}.{part.key}".lstrip(".")
    if part.keyword == "$defs":
        return f"“{part.key}”"
    key = part.key + 1 if isinstance(part.key, int) and part.keyword != "prefixItems" else part.key
    after = _AFTER_NAMED.get(part.keyword, "").format(key) or _AFTER[part.keyword]
    return f"{path}{after}".lstrip(". ")


def _pointer(pointer: str, part: Part) -> str:
    key = "" if part.key is None else f"/{str(part.key).replace('~', '~0').replace('/', '~1')}"
    return f"{pointer}/{part.keyword}{key}"


def _name_of(reference: str) -> str:
    name = reference.rsplit("/", 1)[-1]
    return "the same as the whole" if reference == "#" else f"“{name}”"


# Limits in words ---------------------------------------------------------------------------------


def _range(says: Mapping[str, Any]) -> str:
    low, high = says.get("minimum"), says.get("maximum")
    if low is not None and high is not None:
        return f"{low:,} to {high:,}"
    return (
        f"at least {low:,}" if low is not None else f"at most {high:,}" if high is not None else ""
    )


def _beyond(says: Mapping[str, Any]) -> str:
    low, high = says.get("exclusiveMinimum"), says.get("exclusiveMaximum")
    parts = [f"more than {low:,}" if low is not None else ""]
    parts.append(f"less than {high:,}" if high is not None else "")
    return ", ".join(part for part in parts if part)


def _step(says: Mapping[str, Any]) -> str:
    return f"a multiple of {says['multipleOf']}" if "multipleOf" in says else ""


def _length(says: Mapping[str, Any]) -> str:
    low = 0 if says.get("minLength") == 1 else says.get("minLength", 0)
    filled = "not empty" if says.get("minLength") == 1 and "maxLength" not in says else ""
    return filled or _count(low, says.get("maxLength"), "characters")


def _pattern(says: Mapping[str, Any]) -> str:
    return f"fits {says['pattern']}" if "pattern" in says else ""


def _format(says: Mapping[str, Any]) -> str:
    return str(says.get("format", ""))


def _items(says: Mapping[str, Any]) -> str:
    return _count(says.get("minItems", 0), says.get("maxItems"), "elements")


def _unique(says: Mapping[str, Any]) -> str:
    return "no element twice" if says.get("uniqueItems") is True else ""


def _members(says: Mapping[str, Any]) -> str:
    return _count(says.get("minProperties", 0), says.get("maxProperties"), "entries")


def _closed(says: Mapping[str, Any]) -> str:
    is_closed = says.get("additionalProperties") is False
    return "no other field" if is_closed or says.get("unevaluatedProperties") is False else ""


def _count(low: int, high: int | None, what: str) -> str:
    if low and high is not None:
        return f"{low:,} {what}" if low == high else f"{low:,} to {high:,} {what}"
    if low:
        return f"at least {low:,} {what}"
    return f"at most {high:,} {what}" if high is not None else ""


_LIMITS = (
    _format, _range, _beyond, _step, _length, _pattern, _items, _unique, _members, _closed,
)  # fmt: skip
