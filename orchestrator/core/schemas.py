"""JSON Schema 2020-12: values against schemas, schemas against their own. The one user of the engine.

Nothing is ever fetched: a `$ref` to another address is an error of the schema. Every error points at
its place and says in plain words what is wrong there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema_rs import (
    CanonicalSchema,
    Draft202012,
    Draft202012Validator,
    ValidationError,
    ValidationErrorKind,
    canonicalize,
)

from orchestrator.core.codec import Json, canonical, read
from orchestrator.core.errors import Problem

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PROBLEMS_MAX = 50
SHOWN_MAX = 60
NAMED_MAX = 12
# What stands below these is data, and no schema.
_DATA = frozenset({"const", "enum", "default", "examples"})
_TYPES = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def check(schema: str | Mapping[str, Json], value: Json) -> list[Problem]:
    """What is wrong with the value, at most PROBLEMS_MAX things. The schema itself must be sound."""
    text = schema if isinstance(schema, str) else canonical(dict(schema))
    validator, root = _compile(text)
    found = islice(validator.iter_errors(value), PROBLEMS_MAX)
    return [problem for error in found for problem in _explain(error, root)][:PROBLEMS_MAX]


def check_schema(schema: Json) -> list[Problem]:
    """What is wrong with a schema that somebody wrote. Pointers are relative to it."""
    if not isinstance(schema, dict):
        return [Problem("", f"must be {_TYPES['object']}; it is {_show(schema)}")]
    problems = [*_foreign(schema), *check({"$ref": DIALECT}, schema)]
    return problems or _build_problems(schema)


def fitting(schema: Json) -> Callable[[Json], bool]:
    """Tells values that fit from others, for a schema that is asked many times and then forgotten."""
    try:
        return _validator(schema).is_valid
    except ValueError:
        return lambda value: True


def covers(wide: Json, narrow: Json) -> bool | None:
    """Whether everything that fits `narrow` fits `wide`: proven, refuted, or beyond what can be told."""
    try:
        answer = _canonical(wide).covers(_canonical(narrow))
    except ValueError:
        return None
    return {"yes": True, "no": False}.get(answer.value)


def difference(wide: Json, narrow: Json) -> Json:
    """A schema of what fits `wide` and not `narrow`: False when nothing does, True when it cannot be told."""
    try:
        found = _canonical(wide).subtract(_canonical(narrow))
        if found.satisfiability().value == "no":
            return False
        return found.to_json_schema()  # type: ignore[return-value]
    except ValueError:
        return True


def pointer(path: Iterable[str | int]) -> str:
    """RFC 6901: the place of a value inside a document."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """A hint for a name that nobody knows: the one it looks like, or all there are."""
    close = get_close_matches(name, known, n=1)
    if close:
        return f"Did you mean “{close[0]}”?"
    return f"Known: {', '.join(sorted(set(known))[:NAMED_MAX])}." if known else ""


@lru_cache(maxsize=1_000)
def _compile(text: str) -> tuple[Draft202012Validator, Any]:
    schema = read(text)
    return _validator(schema), schema


def _validator(schema: Json) -> Draft202012Validator:
    return Draft202012Validator(schema, offline=True, validate_formats=True)  # type: ignore[arg-type]


def _canonical(schema: Json) -> CanonicalSchema:
    return canonicalize(schema, draft=Draft202012, offline=True, validate_formats=True)  # type: ignore[arg-type]


def _build_problems(schema: Json) -> list[Problem]:
    """What only shows when all the parts are put together, such as a `$ref` to nothing."""
    try:
        _compile(canonical(schema))
    except ValidationError as error:
        return [Problem(pointer(error.instance_path), f"cannot be used: {error.message}")]
    except ValueError as error:
        return [Problem("", f"cannot be used: {error}")]
    return []


def _foreign(schema: Json, path: tuple[str | int, ...] = ()) -> Iterator[Problem]:
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from _foreign(item, (*path, index))
    if not isinstance(schema, dict):
        return
    dialect = schema.get("$schema", DIALECT)
    if isinstance(dialect, str) and dialect.rstrip("#") != DIALECT:
        yield Problem(pointer((*path, "$schema")), f"must be {DIALECT}, the one dialect known here")
    for name, value in schema.items():
        if name in {"$ref", "$dynamicRef"} and isinstance(value, str) and value[:1] != "#":
            reason = "points outside the schema, and nothing is fetched from elsewhere; "
            reason += "put what is meant into $defs and point to “#/$defs/…”"
            yield Problem(pointer((*path, name)), reason)
        elif name not in _DATA:
            yield from _foreign(value, (*path, name))


# In words -------------------------------------------------------------------------------------


def _explain(error: ValidationError, root: Any) -> list[Problem]:
    """Most errors are one problem; unknown fields are one each, alternatives those of the likely one."""
    kind, path = error.kind, error.instance_path
    around = _look_up(root, error.schema_path[:-1])
    if isinstance(kind, ValidationErrorKind.OneOfNotValid | ValidationErrorKind.AnyOf):
        return _explain_alternatives(error, around, root)
    if isinstance(
        kind,
        ValidationErrorKind.AdditionalProperties | ValidationErrorKind.UnevaluatedProperties,
    ):
        known = list(around.get("properties", {}))
        return [
            Problem(pointer((*path, name)), f"does not belong here. {did_you_mean(name, known)}")
            for name in kind.unexpected
        ]
    if isinstance(kind, ValidationErrorKind.PropertyNames):
        name = str(kind.error.instance)
        return [
            Problem(pointer((*path, name)), f"as a name {problem.reason}")
            for problem in _explain(kind.error, root)
        ]
    return [Problem(pointer(path), _say(error, around))]


def _explain_alternatives(error: ValidationError, around: Any, root: Any) -> list[Problem]:
    branches: list[list[ValidationError]] = error.kind.context  # type: ignore[attr-defined]
    missing = [_only_required(branch) for branch in branches]
    if all(missing):
        return [Problem(pointer(error.instance_path), f"needs one of {_words(missing)}")]
    types = [_only_type(branch, error.instance_path) for branch in branches]
    if all(types):
        expected = _or(dict.fromkeys(name for names in types for name in names))
        reason = f"must be {expected}; it is {_show(error.instance)}"
        return [Problem(pointer(error.instance_path), reason)]
    fitting = [
        branch for branch, wrong in zip(branches, types, strict=True) if branch and not wrong
    ]
    likely = max(fitting or branches, key=_depth)
    return [problem for inner in likely for problem in _explain(inner, root)]


def _only_required(branch: Sequence[ValidationError]) -> str:
    if len(branch) == 1 and isinstance(branch[0].kind, ValidationErrorKind.Required):
        return str(branch[0].kind.property)
    return ""


def _only_type(branch: Sequence[ValidationError], path: Sequence[str | int]) -> list[str]:
    """The types that a branch asks for, when it already fails by that."""
    for error in branch:
        if isinstance(error.kind, ValidationErrorKind.Type) and error.instance_path == path:
            return [_TYPES[name] for name in error.kind.types]
    return []


def _depth(branch: Sequence[ValidationError]) -> tuple[int, int]:
    """A branch that fails further inside fitted further, and fewer errors are closer."""
    return max(len(error.instance_path) for error in branch), -len(branch)


def _look_up(root: Any, path: Sequence[str | int]) -> Any:
    """The part of the schema that was not met; an empty one where the path leads elsewhere."""
    found = root
    for part in path:
        try:
            found = found[part]
        except (KeyError, IndexError, TypeError):
            return {}
    return found if isinstance(found, dict) else {}


def _say(error: ValidationError, around: Mapping[str, Any]) -> str:
    say = _SENTENCES.get(type(error.kind))
    if say is None:
        return error.message if len(error.message) < 300 else "does not fit the schema"
    value: Any = error.instance
    return say(error.kind, value, around)


def _say_pattern(kind: Any, value: Json, around: Mapping[str, Any]) -> str:
    wanted = around.get("description") or f"it must match {kind.pattern}"
    return f"{_show(value)} does not fit: {wanted}"


def _say_at_least(kind: Any, value: Json, what: str) -> str:
    return "must not be empty" if kind.limit == 1 else f"needs at least {kind.limit} {what}"


def _say_both(kind: Any, value: Json, around: Mapping[str, Any]) -> str:
    branches = [branch for branch in around.get("oneOf", []) if isinstance(branch, dict)]
    names = [branch["required"][0] for branch in branches if list(branch) == ["required"]]
    if len(names) < 2 or not isinstance(value, dict):
        return "fits more than one of the alternatives, and may fit only one"
    return f"may have only one of {_words(name for name in names if name in value)}"


_SENTENCES: dict[type, Callable[[Any, Json, Mapping[str, Any]], str]] = {
    ValidationErrorKind.Type: lambda kind, value, _: (
        f"must be {_or(_TYPES[name] for name in kind.types)}; it is {_show(value)}"
    ),
    ValidationErrorKind.Required: lambda kind, value, _: f"“{kind.property}” is missing",
    ValidationErrorKind.Enum: lambda kind, value, _: (
        f"must be {_or(_show(option) for option in kind.options)}; it is {_show(value)}"
    ),
    ValidationErrorKind.Constant: lambda kind, value, _: (
        f"must be {_show(kind.expected_value)}; it is {_show(value)}"
    ),
    ValidationErrorKind.Minimum: lambda kind, value, _: (
        f"must be at least {kind.limit:,}; it is {_show(value)}"
    ),
    ValidationErrorKind.Maximum: lambda kind, value, _: (
        f"must be at most {kind.limit:,}; it is {_show(value)}"
    ),
    ValidationErrorKind.ExclusiveMinimum: lambda kind, value, _: (
        f"must be more than {kind.limit:,}; it is {_show(value)}"
    ),
    ValidationErrorKind.ExclusiveMaximum: lambda kind, value, _: (
        f"must be less than {kind.limit:,}; it is {_show(value)}"
    ),
    ValidationErrorKind.MultipleOf: lambda kind, value, _: (
        f"must be a multiple of {kind.multiple_of}; it is {_show(value)}"
    ),
    ValidationErrorKind.MinLength: lambda kind, value, _: _say_at_least(kind, value, "characters"),
    ValidationErrorKind.MaxLength: lambda kind, value, _: (
        f"may have at most {kind.limit:,} characters; it has {len(str(value)):,}"
    ),
    ValidationErrorKind.MinItems: lambda kind, value, _: _say_at_least(kind, value, "elements"),
    ValidationErrorKind.MaxItems: lambda kind, value, _: (
        f"may have at most {kind.limit:,} elements; it has {_count(value):,}"
    ),
    ValidationErrorKind.MinProperties: lambda kind, value, _: _say_at_least(kind, value, "entries"),
    ValidationErrorKind.MaxProperties: lambda kind, value, _: (
        f"may have at most {kind.limit:,} entries; it has {_count(value):,}"
    ),
    ValidationErrorKind.UniqueItems: lambda kind, value, _: "has the same element twice",
    ValidationErrorKind.Contains: lambda kind, value, _: "has no element of the kind that it needs",
    ValidationErrorKind.Pattern: _say_pattern,
    ValidationErrorKind.Format: lambda kind, value, _: (
        f"{_show(value)} is not a valid {kind.format}"
    ),
    ValidationErrorKind.FalseSchema: lambda kind, value, _: "is not allowed here",
    ValidationErrorKind.Not: lambda kind, value, _: f"may not be {_show(value)}",
    ValidationErrorKind.OneOfMultipleValid: _say_both,
}


def _show(value: Any) -> str:
    if isinstance(value, dict | list) and value:
        return _TYPES["object" if isinstance(value, dict) else "array"]
    text = canonical(value)
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 1] + "…"


def _count(value: Json) -> int:
    return len(value) if isinstance(value, list | dict) else 0


def _words(names: Iterable[str]) -> str:
    return _join([f"“{name}”" for name in names], "and")


def _or(names: Iterable[str]) -> str:
    return _join(list(names), "or")


def _join(names: list[str], word: str) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {word} {names[-1]}"
