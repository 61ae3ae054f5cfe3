"""The fields that a condition may read, by path: what completion offers and what types are checked by.

A contract promises less than it seems to: what it does not forbid may be there. Wherever a schema
leaves something open (alternatives, depths, sizes), a field is listed as `any`, an object as open.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.core.codec import Json, canonical
from orchestrator.core.policy.paths import ITEM, joined

FIELDS_MAX = 1_000
DEPTH_MAX = 8
SCHEMAS_READ_MAX = 5_000
NESTED_MAX = 16
CHOICES_MAX = 20
VALUES_SHOWN_MAX = 12

ANY = "any"
TIME = "time"
JSON_TYPES = ("string", "integer", "number", "boolean", "object", "array", "null")


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that can be read. Lists have a path of their own for what is in them: `tags[]`."""

    path: str
    # One of JSON_TYPES, `time` or `any`; of several: "number or null".
    type: str
    description: str = ""
    example: Json = None
    # Whether it is always there, as long as what it is in is there.
    required: bool = False
    # The only values it may have; empty when there are others.
    values: tuple[Json, ...] = ()
    # Whether an object has no other fields than those that are listed.
    closed: bool = False

    @property
    def types(self) -> frozenset[str]:
        return frozenset(self.type.split(" or "))


def _always(path: str, kind: str, description: str, example: Json = None, **more: Any) -> Field:
    return Field(path, kind, description, example, required=True, **more)


STANDARD: list[Field] = [
    _always("proposal", "object", "what the agent suggests", closed=True),
    _always("proposal.action", "string", "what is to be done", "refund.create"),
    _always("proposal.target", "string", "what it is to be done to", "order/A-20931"),
    _always("proposal.args", "object", "the arguments of the action"),
    _always("proposal.confidence", "number or null", "the agent's own score, 0 to 1", 0.92),
    _always("proposal.rationale", "string", "why the agent suggests it", "photo shows damage"),
    _always("proposal.tainted", "array", "pointers to arguments that somebody else wrote"),
    _always("proposal.tainted[]", "string", "one such pointer", "/args/reason"),
    _always(
        "proposal.tier",
        "string",
        "the risk of the action, as its contract says",
        "normal",
        values=("low", "normal", "high"),
    ),
    _always("agent", "object", "who suggests it", closed=True),
    _always("agent.name", "string", "the agent's name", "refund-agent"),
    _always("agent.version", "string", "the agent's version", "14"),
    _always("agent.model", "string", "the model behind the agent", "gpt-4o-2024-11-20"),
    _always("run", "object", "the run it belongs to", closed=True),
    _always("run.id", "string", "the run's id", "run_01jq8k2v7m"),
    _always("run.workflow", "string", "the workflow's name", "support"),
    _always(
        "context", "object", "the evidence that was sent along; its fields are the sender's own"
    ),
    _always("history", "object", "numbers about the recent past, declared by the rule"),
    _always("now", TIME, "when the proposal was checked"),
]


def fields_for(schemas: Sequence[Mapping[str, Any]], windows: Iterable[str]) -> list[Field]:
    """All that a rule may read: over these contracts of its actions, with these declared windows."""
    own = [*fields_of_any(schemas, "proposal.args"), *_windows(windows)]
    replaced = {found.path for found in own}
    return [*(found for found in STANDARD if found.path not in replaced), *own]


def fields_of(schema: Mapping[str, Any], prefix: str = "proposal.args") -> list[Field]:
    """What a JSON Schema says can be read, the whole first, then its fields in order."""
    return fields_of_any([schema], prefix)


def fields_of_any(schemas: Sequence[Mapping[str, Any]], prefix: str) -> list[Field]:
    """Of values that keep one of several contracts: required is only what every one requires."""
    if not schemas:
        return []
    return _Lister().list(prefix, [[_Place(schema, schema)] for schema in schemas])


def _windows(names: Iterable[str]) -> Iterator[Field]:
    yield _always("history", "object", "numbers about the recent past", closed=True)
    for name in names:
        yield _always(joined("history", name), "number", "declared by this rule", 3)


@dataclass(frozen=True, slots=True)
class _Place:
    """A schema, and the document that its references are into."""

    schema: Any
    root: Any

    def at(self, schema: Any) -> "_Place":
        return _Place(schema, self.root)

    def get(self, keyword: str) -> Any:
        return self.schema.get(keyword) if isinstance(self.schema, Mapping) else None

    def all_of(self, keyword: str) -> list["_Place"]:
        found = self.get(keyword)
        return [self.at(schema) for schema in found] if isinstance(found, list) else []

    def branches(self) -> list["_Place"]:
        """Of `if`: what holds then, and else."""
        known = isinstance(self.get("if"), Mapping)
        return [self.at(self.get(keyword)) for keyword in ("then", "else")] if known else []

    def referred(self) -> list["_Place"]:
        """What `$ref` leads to; an address elsewhere leads nowhere."""
        reference, found = self.get("$ref"), self.root
        if not isinstance(reference, str) or not reference.startswith("#"):
            return []
        for step in reference.removeprefix("#").split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, Mapping) and key in found:
                found = found[key]
            elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            else:
                return []
        return [self.at(found)]


# One of these lists holds, and of it every schema. An empty list allows anything.
type _Choices = Sequence[Sequence[_Place]]

_ANYTHING: _Choices = ((),)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of a value. No types means any type; `items` is what a list has in it."""

    types: frozenset[str] | None = None
    properties: Mapping[str, _Choices] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    closed: bool = False
    items: _Choices = _ANYTHING
    values: tuple[Json, ...] = ()
    description: str = ""
    example: Json = None


@dataclass(slots=True)
class _Lister:
    """Lists fields up to a limit. What lies beyond it is unknown, so nothing is closed any more."""

    fields: list[Field] = field(default_factory=list)
    left: int = SCHEMAS_READ_MAX
    is_cut: bool = False

    def list(self, prefix: str, schemas: _Choices) -> list[Field]:
        self._add(prefix, schemas, True, DEPTH_MAX)
        return (
            [replace(found, closed=False) for found in self.fields] if self.is_cut else self.fields
        )

    def _add(self, path: str, choices: _Choices, required: bool, depth: int) -> None:
        if len(self.fields) >= FIELDS_MAX:
            self.is_cut = True
            return
        facts = self._facts(choices)
        below = depth > 0
        self.fields.append(_field(path, facts, required, closed=facts.closed and below))
        if below and all(facts.items):
            self._add(path + ITEM, facts.items, True, depth - 1)
        for name, wanted in facts.properties.items() if below else ():
            self._add(joined(path, name), wanted, name in facts.required, depth - 1)

    def _facts(self, choices: _Choices) -> _Facts:
        return _either([_both(map(self._read, places)) for places in choices])

    def _read(self, place: _Place, nested: int = 0) -> _Facts:
        """A schema by itself, together with what it refers to and is made of."""
        self.left -= 1
        if self.left < 0 or nested > NESTED_MAX:
            self.is_cut = True
            return _Facts()
        parts = [_own(place)]
        parts += [self._read(p, nested + 1) for p in (*place.referred(), *place.all_of("allOf"))]
        for choices in (place.all_of("anyOf"), place.all_of("oneOf"), place.branches()):
            if choices:
                parts.append(_either([self._read(choice, nested + 1) for choice in choices]))
        return _both(parts)


def _own(place: _Place) -> _Facts:
    """What a schema says at its own level."""
    values = place.get("enum") if isinstance(place.get("enum"), list) else []
    values = [place.get("const")] if "const" in _keys(place) else values
    extra = any(place.get(k) is False for k in ("additionalProperties", "unevaluatedProperties"))
    named = _names(place, "properties")
    items = place.get("items")
    has_items = isinstance(items, Mapping) and not place.get("prefixItems")
    return _Facts(
        types=_types(place, values),
        properties={name: ((place.at(schema),),) for name, schema in named.items()},
        required=frozenset(n for n in place.get("required") or () if isinstance(n, str)),
        closed=extra and not _names(place, "patternProperties"),
        items=((place.at(items),),) if has_items else _ANYTHING,
        values=tuple(values),
        description=str(place.get("description") or place.get("title") or ""),
        example=_example(place, values),
    )


def _keys(place: _Place) -> Iterable[str]:
    return place.schema if isinstance(place.schema, Mapping) else ()


def _names(place: _Place, keyword: str) -> Mapping[str, Any]:
    found = place.get(keyword)
    return found if isinstance(found, Mapping) else {}


def _types(place: _Place, values: Sequence[Json]) -> frozenset[str] | None:
    named = place.get("type")
    if named is None:
        return frozenset(map(_type_of, values)) if values else None
    found = frozenset([named] if isinstance(named, str) else named)
    return found if found <= set(JSON_TYPES) else None


def _type_of(value: Json) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    return "null" if value is None else kinds.get(type(value), "object")


def _example(place: _Place, values: Sequence[Json]) -> Json:
    examples = place.get("examples")
    if isinstance(examples, list) and examples:
        return examples[0]  # type: ignore[no-any-return]
    return place.get("default") if "default" in _keys(place) else next(iter(values), None)


def _both(parts: Iterable[_Facts]) -> _Facts:
    """Of a value that keeps all of them."""
    result = _Facts()
    for part in parts:
        names = {**result.properties, **part.properties}
        result = _Facts(
            types=_narrowed(result.types, part.types),
            properties={
                name: _combined(_wanted(result, name), _wanted(part, name)) for name in names
            },
            required=result.required | part.required,
            closed=result.closed or part.closed,
            items=_combined(result.items, part.items),
            values=result.values or part.values,
            description=result.description or part.description,
            example=part.example if result.example is None else result.example,
        )
    return result


def _either(parts: Sequence[_Facts]) -> _Facts:
    """Of a value that keeps at least one of them."""
    first, *others = parts
    if not others:
        return first
    types = [part.types for part in parts]
    names = dict.fromkeys(name for part in parts for name in part.properties)
    return _Facts(
        types=None if None in types else frozenset().union(*(t for t in types if t)),
        properties={name: _one_of(name, parts) for name in names},
        required=frozenset.intersection(*(part.required for part in parts)),
        closed=all(part.closed for part in parts),
        items=tuple(choice for part in parts for choice in part.items),
        values=_all_values(parts),
        description=first.description,
        example=first.example,
    )


def _narrowed(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    whole = {"integer"} if "integer" in one | other and "number" in one | other else set()
    return frozenset(one & other | whole) or None


def _combined(one: _Choices, other: _Choices) -> _Choices:
    """Every choice of one with every choice of the other; where that is too many, one says enough."""
    if len(one) * len(other) > CHOICES_MAX:
        return one
    return tuple((*a, *b) for a in one for b in other)


def _wanted(facts: _Facts, name: str) -> _Choices:
    return facts.properties.get(name, _ANYTHING)


def _one_of(name: str, parts: Sequence[_Facts]) -> _Choices:
    """A part that neither names nor forbids a field lets it be anything."""
    able = [part for part in parts if name in part.properties or not part.closed]
    return tuple(choice for part in able for choice in _wanted(part, name))


def _all_values(parts: Sequence[_Facts]) -> tuple[Json, ...]:
    if not all(part.values for part in parts):
        return ()
    return tuple({canonical(value): value for part in parts for value in part.values}.values())


def _field(path: str, facts: _Facts, required: bool, *, closed: bool) -> Field:
    types = sorted(facts.types, key=JSON_TYPES.index) if facts.types else [ANY]
    return Field(
        path=path,
        type=" or ".join(types),
        description=_described(facts),
        example=facts.example,
        required=required,
        values=facts.values,
        closed=closed,
    )


def _described(facts: _Facts) -> str:
    values = ", ".join(canonical(value) for value in facts.values[:VALUES_SHOWN_MAX])
    more = ", …" if len(facts.values) > VALUES_SHOWN_MAX else ""
    listed = f"one of {values}{more}" if values else ""
    return ": ".join(part for part in (facts.description, listed) if part)
