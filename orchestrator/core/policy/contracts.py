"""Contracts: what is wrong with one, and whether a new version keeps what the old one promised.

Whoever sends an event or proposes an action relies on what was accepted before; whoever reads an agent's
output relies on what could come before. A new version keeps that, which is proven, or it is refused.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.core.codec import Json, storable
from orchestrator.core.errors import Problem
from orchestrator.core.policy.samples import telling_values
from orchestrator.core.policy.schema_parts import (
    PARTS_MAX,
    TooManyParts,
    asked_twice,
    branches,
    inline,
    leads_somewhere,
    parts_of,
    same_value,
    without_notes,
)
from orchestrator.core.schemas import (
    check,
    check_schema,
    covers,
    did_you_mean,
    difference,
    fitting,
    pointer,
)

# A proof tells cases apart one by one; with more of them than this it would take seconds.
BRANCHES_MAX = 64
_NAMES_OF_PARTS = frozenset({"$id", "$anchor", "$dynamicAnchor", "$dynamicRef"})
EVERY = "*"


@dataclass(frozen=True, slots=True)
class Incompatible:
    """Why a new version may not follow the old one."""

    # A value that one version accepts and the other refuses: any JSON, so look at `why` first.
    counterexample: Json
    # Where and why it is refused; empty when there is no value to show.
    why: tuple[Problem, ...]
    reason: str


def problems_of(schema: Json, kind: str) -> list[Problem]:
    """What is wrong with a contract's schema."""
    found = [*_odd_references(schema, schema)] or check_schema(schema) or _endless(schema)
    if found:
        return found
    if kind == "action" and isinstance(schema, dict) and schema.get("type") != "object":
        return [Problem("/type", "must be “object”: the arguments of an action have names")]
    if branches(inline(schema)) <= BRANCHES_MAX and covers(False, schema):
        return [Problem("", "refuses every value there is; nothing could ever fit it")]
    return []


def masked_problems(schema: Json, pointers: Sequence[str]) -> list[Problem]:
    """Masks that hide nothing, because the schema has no such place."""
    return [
        Problem(f"/masked/{index}", reason)
        for index, text in enumerate(pointers)
        if (reason := wrong_place(schema, text))
    ]


def compare(old: Json, new: Json, kind: str) -> Incompatible | None:
    """None when the new version keeps what the old one promised. Anything short of a proof is a refusal."""
    given, taken = (new, old) if kind == "output" else (old, new)
    given, taken = inline(given), inline(taken)
    if without_notes(given) == without_notes(taken):
        return None
    found = _refused_value(telling_values(given, taken), given, taken)
    return found or _proof_missing(given, taken)


def _proof_missing(given: Json, taken: Json) -> Incompatible | None:
    if max(branches(given), branches(taken)) > BRANCHES_MAX:
        reason = "it has more alternatives than can be compared one by one"
        return Incompatible(None, (), reason)
    plain = without_notes(given), without_notes(taken)
    proven = covers(plain[1], plain[0])
    if proven:
        return None
    left = difference(*plain)
    if left is False:
        return None
    found = _refused_value(telling_values(left, False), given, taken)
    if found or proven is False:
        return found or Incompatible(None, (), "they differ, in a value too large to show")
    return Incompatible(None, (), "it could neither be proven nor refuted")


def _refused_value(values: Iterator[Json], given: Json, taken: Json) -> Incompatible | None:
    is_given, is_taken = fitting(given), fitting(taken)
    for value in values:
        if is_given(value) and not is_taken(value) and storable(value):
            why = check(taken, value) if isinstance(taken, dict) else []
            return Incompatible(value, tuple(why or [Problem("", "nothing is accepted")]), "")
    return None


def _odd_references(
    schema: Json, root: Json, path: tuple[str | int, ...] = ()
) -> Iterator[Problem]:
    """One way to refer to a part is enough, and is the only one that can be compared."""
    if not isinstance(schema, dict):
        return
    for word in _NAMES_OF_PARTS & schema.keys():
        if path or word != "$id":
            reason = "is not taken here; put the part into $defs and point to “#/$defs/…”"
            yield Problem(pointer((*path, word)), reason)
    reference = str(schema.get("$ref", "#"))
    if reference[:1] == "#" and not leads_somewhere(root, reference):
        yield Problem(pointer((*path, "$ref")), f"there is no part “{reference}”")
    for keyword, key, part in parts_of(schema):
        yield from _odd_references(part, root, (*path, keyword, *([] if key is None else [key])))


def _endless(schema: Json) -> list[Problem]:
    try:
        inline(schema)
    except TooManyParts:
        return [Problem("", f"refers to itself too often: it has more than {PARTS_MAX:,} parts")]
    twice = asked_twice(schema)
    reason = f"asks “{twice}” twice about the same value, and that leads back to itself"
    return [Problem("", reason)] if twice else []


def misfits(schema: str, value: Json, masked: Sequence[str] = ()) -> list[Problem]:
    """Why the value does not fit. What is said about a masked place does not show what stands there."""
    return [
        Problem(problem.pointer, "does not fit; what stands there is masked")
        if any(_shows_masked(problem.pointer, mask, value) for mask in masked)
        else problem
        for problem in check(schema, value)
    ]


def _shows_masked(place: str, mask: str, value: Json) -> bool:
    """At a masked place or below it; and above it, where a plain value stands in the place of the whole."""
    parts, wanted = place.split("/"), mask.split("/")
    if any(name not in (EVERY, part) for part, name in zip(parts, wanted, strict=False)):
        return False
    return len(parts) >= len(wanted) or not isinstance(_value_at(value, parts[1:]), dict | list)


def _value_at(value: Json, parts: Sequence[str]) -> Json:
    for part in parts:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list):
            value = value[int(name)] if name.isdecimal() and int(name) < len(value) else None
    return value


# Places ------------------------------------------------------------------------------------------


def wrong_place(schema: Json, text: str) -> str:
    """Why a pointer leads to nothing that the schema names, or nothing."""
    if not text.startswith("/"):
        return "must be a JSON Pointer into the value, such as /card_number"
    found: list[Json] = [schema]
    for name in (part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]):
        around = [part for one in found for part in same_value(one, schema)]
        found = [inner for part in around for inner in _inside(part, name)]
        if not found:
            known = sorted({key for part in around for key in part.get("properties", {})})
            return f"the schema has no “{name}” here. {did_you_mean(name, known)}".strip()
    return ""


def _inside(part: Mapping[str, Any], name: str) -> list[Json]:
    """What may stand under the name; only what is declared counts, or a slip would go unseen."""
    members: Mapping[str, Json] = part.get("properties", {})
    if name in members:
        return [members[name]]
    places = part.get("prefixItems", [])
    if name.isdecimal() and int(name) < len(places):
        return [places[int(name)]]
    found = [
        inner
        for key, inner in part.get("patternProperties", {}).items()
        if name == EVERY or fitting({"pattern": key})(name)
    ]
    others = [
        part.get("additionalProperties"),
        *([part.get("items")] if name == EVERY or name.isdecimal() else []),
    ]
    found += [one for one in others if isinstance(one, dict)]
    return [*found, *members.values(), *places] if name == EVERY else found
