"""A rule version as a document: the one form that files, the API and comparisons share.

Everything that makes no difference is left out of it, so that two documents are equal when the rules
are: an empty message, a scope that means everything, the order of names.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from orchestrator.core import codec, schemas
from orchestrator.core.codec import Json
from orchestrator.core.errors import Problem
from orchestrator.core.policy.conditions import CONDITION_LENGTH_MAX
from orchestrator.core.policy.guardrails import EFFECTS

SCOPES = ("actions", "agents", "workflows", "tiers")
EVERYTHING = ("*",)
LINES_MAX = 10_000
REQUIRED = ("slug", "title", "effect", "require")
# What a window says, in the order in which it is read.
_WINDOW = ("count", "sum", "of", "actions", "same", "status", "within")

_PATTERNS: dict[str, Json] = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "string", "minLength": 1},
}
SCHEMA: dict[str, Json] = {
    "type": "object",
    "additionalProperties": False,
    "required": list(REQUIRED),
    "properties": {
        "slug": {
            "type": "string",
            "maxLength": 100,
            "pattern": "^[-A-Za-z0-9_]+$",
            "description": "use letters, digits, hyphens and underscores only",
        },
        "title": {"type": "string", "minLength": 1, "maxLength": 200},
        "applies_to": {
            "type": "object",
            "additionalProperties": False,
            "properties": dict.fromkeys(SCOPES, _PATTERNS),
        },
        "effect": {"type": "string", "enum": list(EFFECTS)},
        "require": {"type": "string", "minLength": 1, "maxLength": CONDITION_LENGTH_MAX},
        "message": {"type": "string"},
        "owner": {"type": "string", "maxLength": 100},
        "history": {"type": "object"},
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a rule version says."""

    slug: str
    title: str
    effect: str
    require: str
    message: str = ""
    owner: str = ""
    applies_to: Mapping[str, Sequence[str]] = field(default_factory=dict)
    history: Mapping[str, Json] = field(default_factory=dict)


class Named(Protocol):
    """A rule, as far as its document needs it."""

    slug: Any
    owner: Any


class Worded(Protocol):
    """A version of a rule, as far as its document needs it."""

    rule: Any
    title: Any
    effect: Any
    condition: Any
    message: Any
    applies_to: Any
    history: Any


class Change(NamedTuple):
    """One thing that another document says differently. An empty side says nothing about it."""

    place: str
    before: str
    after: str


def document_of(version: Worded) -> Document:
    rule: Named = version.rule
    return Document(
        slug=rule.slug,
        title=version.title,
        effect=version.effect,
        require=version.condition,
        message=version.message,
        owner=rule.owner,
        applies_to=version.applies_to,
        history=version.history,
    )


def problems_of(raw: Json) -> list[Problem]:
    """What is wrong with the form. Whether the condition compiles is asked elsewhere."""
    return schemas.check(SCHEMA, raw)


def from_json(raw: Mapping[str, Any]) -> Document:
    """A document whose form was found right."""
    values = dict(raw)
    return Document(require=values.pop("require"), **values)


def as_json(document: Document) -> dict[str, Json]:
    """In the order in which people read it, without what makes no difference."""
    found: dict[str, Json] = {
        "slug": document.slug,
        "title": document.title,
        "applies_to": _scope(document.applies_to),
        "effect": document.effect,
        "require": document.require,
        "message": document.message,
        "owner": document.owner,
        "history": _history(document.history),
    }
    return {name: value for name, value in found.items() if value or name in REQUIRED}


def canonical(document: Document) -> str:
    """Equal for documents that say the same."""
    return codec.canonical(as_json(document))


def changes(old: Document, new: Document) -> list[Change]:
    """What a newer document decides differently, then what it only words differently."""
    return [
        *_change("effect", old.effect, new.effect),
        *_scope_changes(old, new),
        *_change("require", old.require, new.require),
        *_history_changes(old, new),
        *_change("message", old.message, new.message),
        *_change("title", old.title, new.title),
        *_change("owner", old.owner, new.owner),
    ]


def line_diff(before: str, after: str, *, around: int = LINES_MAX) -> list[str]:
    """The lines of both texts: kept ones begin with a blank, others with - or +.

    Of kept ones only so many `around` a change; @@ stands where some are left out.
    """
    # Not ndiff, whose search for similar lines takes minutes when somebody means it to.
    old, new = before.split("\n"), after.split("\n")
    found = list(difflib.unified_diff(old, new, n=around, lineterm=""))
    if not found:
        return [f" {line}" for line in old]
    lines = ["@@" if line.startswith("@@") else line for line in found[2:]]
    return lines[1:] if lines.count("@@") == 1 else lines


def _scope(applies_to: Mapping[str, Sequence[str]]) -> dict[str, Json]:
    return {
        name: list(patterns)
        for name in SCOPES
        if (patterns := _patterns(applies_to, name)) != EVERYTHING
    }


def _patterns(applies_to: Mapping[str, Sequence[str]], name: str) -> tuple[str, ...]:
    """Each once; beside * no other says anything."""
    patterns = applies_to.get(name, EVERYTHING)
    return EVERYTHING if "*" in patterns else tuple(dict.fromkeys(patterns))


def _history(windows: Mapping[str, Json]) -> dict[str, Json]:
    return {name: _in_order(windows[name]) for name in sorted(windows)}


def _in_order(value: Json) -> Json:
    """The database keeps objects in an order of its own."""
    if not isinstance(value, dict):
        return value
    known = [name for name in _WINDOW if name in value]
    others = sorted(set(value) - set(known))
    return {name: _in_order(value[name]) for name in (*known, *others)}


def _change(place: str, before: str, after: str) -> Iterator[Change]:
    if before != after:
        yield Change(place, before, after)


def _scope_changes(old: Document, new: Document) -> Iterator[Change]:
    for name in SCOPES:
        before, after = (", ".join(_patterns(one.applies_to, name)) for one in (old, new))
        yield from _change(f"applies_to.{name}", before, after)


def _history_changes(old: Document, new: Document) -> Iterator[Change]:
    before, after = _history(old.history), _history(new.history)
    for name in sorted({*before, *after}):
        texts = (codec.canonical(one[name]) if name in one else "" for one in (before, after))
        yield from _change(f"history.{name}", *texts)
