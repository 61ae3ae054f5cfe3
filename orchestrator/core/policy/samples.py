"""Values at which two schemas may part: at limits, outside enumerations, with a field too many or too few.

Nothing is drawn by chance, and nothing is promised: a value counts once the engine has tried it on both
schemas. The search is bounded everywhere, so that a schema built to be hard costs no more than another.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from typing import Any

from orchestrator.core.codec import Json, canonical
from orchestrator.core.policy.pattern_samples import pattern_samples
from orchestrator.core.policy.schema_parts import definitions_of, has_reference, resolve
from orchestrator.core.schemas import fitting

PLACES_MAX = 1_000
DEPTH_MAX = 8
SHAPES_MAX = 12
KEPT_MAX = 10
TRIED_MAX = 400
LENGTH_MAX = 5_000
ITEMS_MAX = 300
NUMBER_MAX = 10**18

type Shape = Sequence[Mapping[str, Any]]

_TYPES = ("string", "integer", "number", "boolean", "null", "array", "object")
_FORMATS = {
    "date": ("2024-02-29", "1999-12-31"),
    "date-time": ("2024-02-29T12:00:00Z", "1999-12-31T23:59:59.5+01:00"),
    "time": ("12:00:00Z", "23:59:59.5+01:00"),
    "duration": ("P1D", "PT0S"),
    "email": ("a@example.org", "no-reply.1@mail.example.org"),
    "hostname": ("example.org", "a"),
    "ipv4": ("192.0.2.1", "203.0.113.255"),
    "ipv6": ("2001:db8::1", "::"),
    "uri": ("https://example.org/a", "urn:a"),
    "uri-reference": ("/a", "https://example.org/a"),
    "iri": ("https://example.org/a", "urn:ä"),
    "iri-reference": ("/a", "ä"),
    "uri-template": ("/a/{b}", "a"),
    "uuid": ("0b0e7a5e-6a3c-4c1f-9d3b-2f1a5c7e9d01", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"),
    "json-pointer": ("/a", ""),
    "relative-json-pointer": ("0/a", "1"),
    "regex": ("^a$", "a"),
}
# Texts that differ in what patterns ask about, and what longer ones are made of.
_TEXTS = ("a", "", "0", "Z", "-", " ", "a1", "é")
_LETTERS = ("a", "0")
# What a schema has to say for a list or an object to be worth looking into.
_ABOUT = {
    "array": {"items", "prefixItems", "contains", "minItems", "maxItems", "uniqueItems"}
    | {"unevaluatedItems"},
    "object": {"properties", "required", "additionalProperties", "patternProperties"}
    | {"propertyNames", "minProperties", "maxProperties", "dependentRequired"}
    | {"dependentSchemas", "unevaluatedProperties"},
}
_PLAIN: dict[str, tuple[Json, ...]] = {"array": ([], [None]), "object": ({}, {"x": None})}
_EXTRA = ("anything_else", "x", "something_more")


def telling_values(given: Json, taken: Json) -> Iterator[Json]:
    """Values that fit `given`; those first that do not fit `taken`, as far as each place can tell."""
    yield from _Search(given, taken).values(given, taken, 0)


class _Search:
    """Walks both schemas side by side. `given` says what has to fit, `taken` where it may stop to fit."""

    def __init__(self, given: Json, taken: Json) -> None:
        self.roots = (given, taken)
        self.places = 0
        # Whether the same reference means the same on both sides.
        self.same_definitions = definitions_of(given) == definitions_of(taken)

    def values(self, given: Json, taken: Json, depth: int) -> list[Json]:
        self.places += 1
        if self.places > PLACES_MAX or depth > DEPTH_MAX or given is False:
            return []
        fits, passes = self._fitting(given, 0), self._fitting(taken, 1)
        shapes = _shapes(taken, self.roots[1])
        tried = chain.from_iterable(
            _Place(self, shape, shapes, depth).values() for shape in _shapes(given, self.roots[0])
        )
        telling: list[Json] = []
        ordinary: list[Json] = []
        for value in _distinct(islice(tried, TRIED_MAX)):
            if fits(value):
                (ordinary if passes(value) else telling).append(value)
        return telling[:KEPT_MAX] + ordinary[:KEPT_MAX]

    def ordinary(self, values: Sequence[Json], taken: Json) -> Json:
        """One that tells nothing where there is one, so that what is found differs in one place alone."""
        passes = self._fitting(taken, 1)
        return next((value for value in values if passes(value)), values[0])

    def _fitting(self, schema: Json, side: int) -> Callable[[Json], bool]:
        definitions = definitions_of(self.roots[side])
        return fitting({**schema, "$defs": definitions} if isinstance(schema, dict) else schema)


@dataclass(frozen=True, slots=True)
class _Place:
    """One shape of what may stand at one place, with what the other schema says about that place."""

    search: _Search
    shape: Shape
    taken: list[Shape]
    depth: int

    def values(self) -> Iterator[Json]:
        for part in self._both():
            yield from part.get("enum", ())
            yield from (part[name] for name in ("const", "default") if name in part)
            yield from part.get("examples", ())
        makers: dict[str, Callable[[], Iterable[Json]]] = {
            "string": self._strings,
            "integer": self._integers,
            "number": self._numbers,
            "object": self._objects,
            "array": self._arrays,
            "boolean": lambda: (True, False),
            "null": lambda: (None,),
        }
        for name in self._types():
            yield from makers[name]() if self._is_about(name) else _PLAIN[name]

    def _is_about(self, name: str) -> bool:
        about = _ABOUT.get(name)
        return about is None or any(not about.isdisjoint(part) for part in self._both())

    def _types(self) -> list[str]:
        """Those that all parts of the shape allow."""
        allowed = list(_TYPES)
        for part in self.shape:
            wanted = part.get("type", _TYPES)
            wanted = [wanted] if isinstance(wanted, str) else wanted
            allowed = [
                name
                for name in allowed
                if name in wanted or (name == "integer" and "number" in wanted)
            ]
        return allowed

    def _hints(self) -> Iterator[Mapping[str, Any]]:
        return chain.from_iterable(self.taken)

    def _both(self) -> Iterator[Mapping[str, Any]]:
        """Everything said about this place, on either side; what may not be said as well."""
        for part in chain(self.shape, self._hints()):
            yield part
            if isinstance(part.get("not"), dict):
                yield part["not"]

    def _limits(self, *names: str) -> list[Any]:
        return [part[name] for part in self._both() for name in names if name in part]

    # Texts and numbers --------------------------------------------------------------------------

    def _strings(self) -> Iterator[str]:
        samples = [
            text for pattern in self._limits("pattern") for text in pattern_samples(str(pattern))
        ]
        formatted = [text for name in self._limits("format") for text in _FORMATS.get(name, ())]
        counts = [
            count
            for limit in self._limits("minLength", "maxLength")
            for count in _around(limit)
            if 0 <= count <= LENGTH_MAX
        ]
        yield from (*samples, *formatted, *_TEXTS)
        yield from (letter * count for count in counts for letter in _LETTERS)
        starts = [*samples[:2], *formatted]
        yield from (text.ljust(count, "a") for count in counts for text in starts)
        yield from (text + "a" for text in starts)

    def _integers(self) -> Iterator[int]:
        for number in self._interesting():
            yield from (round(number) + step for step in (0, -1, 1))

    def _numbers(self) -> Iterator[float]:
        for number in self._interesting():
            yield from (number, number - 0.5, number + 0.5)

    def _interesting(self) -> list[float]:
        limits = self._limits("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
        steps = self._limits("multipleOf")
        found = [*limits, 1, 0, -1, *steps]
        found += [
            round(limit / step) * step + more
            for step in steps
            for limit in limits
            if abs(limit) < NUMBER_MAX * step
            for more in (0, step, -step)
        ]
        found += [one * other for one in steps for other in (2, 3)]
        return [number for number in dict.fromkeys(found) if abs(number) <= NUMBER_MAX]

    # Lists --------------------------------------------------------------------------------------

    def _arrays(self) -> Iterator[list[Json]]:
        first = [self._options(place) for place in range(self._places_before_items())]
        options = self._options(len(first))
        wanted = [
            value
            for part in self.shape
            if "contains" in part
            for value in self._inner(part["contains"])
        ]
        heads = [values[0] for values in first if values]
        if len(heads) < len(first):
            return
        yield heads
        yield []
        for place, values in enumerate(first):
            yield from ([*heads[:place], value, *heads[place + 1 :]] for value in values)
        yield from ([*heads, value] for value in [*wanted, *options])
        counts = [
            count
            for limit in self._limits("minItems", "maxItems", "minContains", "maxContains")
            for count in _around(limit)
        ]
        for count in dict.fromkeys(count for count in [2, *counts] if 0 < count <= ITEMS_MAX):
            yield from self._many(heads, wanted + options, count)

    def _many(self, heads: list[Json], options: list[Json], count: int) -> Iterator[list[Json]]:
        more = count - len(heads)
        if more < 0:
            yield heads[:count]
        elif options:
            yield [*heads, *([options[0]] * more)]
            yield [*heads, *([options[-1]] * more)]
            yield [*heads, *_different(options, more)]

    def _places_before_items(self) -> int:
        return min(max((len(part.get("prefixItems", ())) for part in self._both()), default=0), 20)

    def _options(self, place: int) -> list[Json]:
        given = _together(_item(part, place) for part in self.shape)
        return self._narrowed(given, _either(self.taken, lambda part: _item(part, place)))

    def _inner(self, given: Json) -> list[Json]:
        return self.search.values(given, given, self.depth + 1)[:3]

    # Objects ------------------------------------------------------------------------------------

    def _objects(self) -> Iterator[dict[str, Json]]:
        required = [name for part in self.shape for name in part.get("required", ())]
        options = {name: self._member(name) for name in self._changed_first(required)}
        if not all(options.get(name) for name in required):
            return
        base = {name: self._usual(name, options[name]) for name in required}
        full = {name: self._usual(name, values) for name, values in options.items() if values}
        declared = {name: value for name, value in full.items() if self._is_declared(name)}
        yield base
        for name, values in options.items():
            yield from ({**base, name: value} for value in values)
        yield from (declared, full)
        for name, values in options.items():
            yield {other: value for other, value in declared.items() if other != name}
            yield from ({**declared, name: value} for value in values[:3])
        yield from self._of_sizes(base, full)

    def _changed_first(self, required: Sequence[str]) -> list[str]:
        """What differs is looked at before the search has used up what it may."""
        return sorted(
            self._names(required),
            key=lambda name: self._same(self._given_member(name), self._taken_member(name)),
        )

    def _names(self, required: Sequence[str]) -> list[str]:
        declared = [name for part in self._both() for name in part.get("properties", ())]
        asked = [name for part in self._hints() for name in part.get("required", ())]
        asked += [
            name
            for part in self._both()
            for key, names in part.get("dependentRequired", {}).items()
            for name in (key, *names)
        ]
        patterns = [name for part in self._both() for name in part.get("patternProperties", ())]
        sampled = [text for pattern in patterns for text in pattern_samples(pattern)[:3]]
        for part in self._both():
            if isinstance(part.get("propertyNames"), dict):
                sampled += [
                    str(text)
                    for text in self.search.values(part["propertyNames"], True, self.depth + 1)
                    if isinstance(text, str)
                ][:5]
        return list(dict.fromkeys([*required, *asked, *declared, *sampled, *_EXTRA]))

    def _is_declared(self, name: str) -> bool:
        return any(name in part.get("properties", ()) for part in self.shape)

    def _member(self, name: str) -> list[Json]:
        return self._narrowed(self._given_member(name), self._taken_member(name))

    def _given_member(self, name: str) -> Json:
        return _together(_member(part, name) for part in self.shape)

    def _taken_member(self, name: str) -> Json:
        return _either(self.taken, lambda part: _member(part, name))

    def _usual(self, name: str, values: Sequence[Json]) -> Json:
        return self.search.ordinary(values, self._taken_member(name))

    def _of_sizes(
        self, base: Mapping[str, Json], full: Mapping[str, Json]
    ) -> Iterator[dict[str, Json]]:
        """With as many members as somebody counts, made of what is there and of numbered ones."""
        for limit in self._limits("minProperties", "maxProperties"):
            for count in _around(limit):
                if len(base) <= count <= ITEMS_MAX:
                    more = {f"x{number}": None for number in range(count)}
                    yield dict(islice({**base, **full, **more}.items(), count))

    def _narrowed(self, given: Json, taken: Json) -> list[Json]:
        """Where both say the same an ordinary value is enough."""
        found = self.search.values(given, taken, self.depth + 1)
        return found[:2] if self._same(given, taken) else found

    def _same(self, given: Json, taken: Json) -> bool:
        return given == taken and (self.search.same_definitions or not has_reference(given))


# What a schema says about one place --------------------------------------------------------------


def _shapes(schema: Json, root: Json, above: tuple[str, ...] = ()) -> list[Shape]:
    """The ways in which a value can fit, each a list of parts that all have to hold."""
    if not isinstance(schema, dict):
        return [[]] if schema is True else []
    found: list[Shape] = [[schema]]
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in above:
        found = _combine(found, _shapes(resolve(root, reference), root, (*above, reference)))
    for inner in schema.get("allOf", ()):  # type: ignore[union-attr]
        found = _combine(found, _shapes(inner, root, above))
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            ways = [way for inner in schema[keyword] for way in _shapes(inner, root, above)]  # type: ignore[union-attr]
            found = _combine(found, ways[:SHAPES_MAX])
    if "if" in schema:
        then = _combine(
            _shapes(schema["if"], root, above), _shapes(schema.get("then", True), root, above)
        )
        found = _combine(found, [*then, *_shapes(schema.get("else", True), root, above)])
    return found[:SHAPES_MAX]


def _combine(ones: list[Shape], others: list[Shape]) -> list[Shape]:
    """Each of the ones with the first of the others, and each of the others with the first of the ones."""
    if not ones or not others:
        return []
    with_first: list[Shape] = [[*one, *others[0]] for one in ones]
    return [*with_first, *([*ones[0], *other] for other in others[1:])][:SHAPES_MAX]


def _member(part: Mapping[str, Any], name: str) -> Json:
    if name in part.get("properties", {}):
        declared: Json = part["properties"][name]
        return declared
    by_pattern = [
        inner
        for pattern, inner in part.get("patternProperties", {}).items()
        if _matching(pattern)(name)
    ]
    others: Json = part.get("additionalProperties", True)
    return _together(by_pattern) if by_pattern else others


@lru_cache(maxsize=500)
def _matching(pattern: str) -> Callable[[str], bool]:
    return fitting({"pattern": pattern})


def _item(part: Mapping[str, Any], place: int) -> Json:
    first: Sequence[Json] = part.get("prefixItems", ())
    others: Json = part.get("items", True)
    return first[place] if place < len(first) else others


def _together(schemas: Iterable[Json]) -> Json:
    telling = [schema for schema in schemas if schema is not True and schema != {}]
    if not telling:
        return True
    return telling[0] if len(telling) == 1 else {"allOf": telling}


def _either(shapes: Sequence[Shape], inner: Callable[[Mapping[str, Any]], Json]) -> Json:
    ways = [_together(inner(part) for part in shape) for shape in shapes]
    if True in [way for way in ways if isinstance(way, bool)]:
        return True
    different = list({canonical(way): way for way in ways}.values())
    if not different:
        return False
    return different[0] if len(different) == 1 else {"anyOf": different}


# Small numbers -----------------------------------------------------------------------------------


def _around(limit: float) -> tuple[int, int, int]:
    whole = int(limit)
    return whole, whole - 1, whole + 1


def _different(options: Sequence[Json], count: int) -> list[Json]:
    """No two the same, as far as that can be told without knowing what fits."""
    numbers = [value for value in options if isinstance(value, int) and not isinstance(value, bool)]
    if numbers:
        return [numbers[0] + step for step in range(count)]
    texts = [value for value in options if isinstance(value, str)]
    if texts:
        return [texts[0] + "a" * step for step in range(count)]
    return list(options[:count])


def _distinct(values: Iterable[Json]) -> Iterator[Json]:
    seen: set[str] = set()
    for value in values:
        text = canonical(value)
        if text not in seen:
            seen.add(text)
            yield value
