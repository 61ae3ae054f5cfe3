"""Shared memory: what an agent may read and write, and what it wants remembered. Values are data, never orders.

A stage that declares `memory` with `writes` answers in an envelope, whatever kind of agent it asks:
`{"output": ..., "remember": [{"key", "value", "tags", "ttl_s"}]}`. The output alone goes on through the run.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.core.codec import Json, JsonLimits, storable
from orchestrator.core.errors import OutputInvalid

AT_MOST = 50
AT_MOST_MAX = 200
SCOPE_TAGS_MAX = 50
KEY_LENGTH_MAX = 200
NAME_LENGTH_MAX = 60
# Neither has an underscore, so that no shared memory can be named like a run.
SPACE_PATTERN = r"^[a-z][a-z0-9.-]*$"
TAG_PATTERN = r"^[a-z][a-z0-9.-]*$"
_TAG = re.compile(TAG_PATTERN)
FIELDS = frozenset({"key", "value", "tags", "ttl_s"})
# Answers say how much they have to remember; nobody reads through thousands of them.
WRITES_MAX = 100


@dataclass(frozen=True, slots=True)
class Scope:
    """What the calls of one stage are allowed. No space means the memory of the run and its family."""

    space: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    at_most: int


@dataclass(frozen=True, slots=True)
class Limits:
    value_bytes: int
    tags: int
    ttl_s: int


@dataclass(frozen=True, slots=True)
class Remembered:
    """An observation that an answer brought. It lives for `ttl_s`, by the database's clock."""

    key: str
    value: Json
    tags: tuple[str, ...]
    ttl_s: int


def scope_of(work: Mapping[str, Any]) -> Scope | None:
    """As a stage of a definition declares it; None when it has no memory."""
    told = work.get("memory")
    if not told:
        return None
    return Scope(
        space=told.get("space", ""),
        reads=tuple(told.get("reads", ())),
        writes=tuple(told.get("writes", ())),
        at_most=told.get("at_most", AT_MOST),
    )


def answer_schema(schema: dict[str, Json] | None, scope: Scope | None) -> dict[str, Json] | None:
    """What the agent is asked to answer with: the envelope, where it may write."""
    if scope is None or not scope.writes:
        return schema
    one: dict[str, Json] = {
        "type": "object",
        "required": ["key", "value", "tags"],
        "additionalProperties": False,
        "properties": {
            "key": {"type": "string", "minLength": 1, "maxLength": KEY_LENGTH_MAX},
            "value": {"description": "anything that is JSON"},
            "tags": {
                "type": "array",
                "minItems": 1,
                "uniqueItems": True,
                "items": {"enum": list(scope.writes)},
            },
            "ttl_s": {"type": "integer", "minimum": 1},
        },
    }
    return {
        "type": "object",
        "required": ["output"],
        "additionalProperties": False,
        "properties": {
            # With an address of its own, so that its references still point into it.
            "output": {"$id": "urn:countersign:inside", **schema} if schema is not None else {},
            "remember": {"type": "array", "maxItems": WRITES_MAX, "items": one},
        },
    }


def open_envelope(scope: Scope | None, answer: Json) -> tuple[Json, Sequence[Json]]:
    """The output and what is to be remembered. Who may not write has no envelope."""
    if scope is None or not scope.writes:
        return answer, ()
    if not isinstance(answer, dict) or "output" not in answer or answer.keys() - _ENVELOPE:
        raise OutputInvalid(
            'a stage that may write to memory answers {"output": ..., "remember": [...]}',
            pointer="",
        )
    wishes = answer.get("remember", [])
    if not isinstance(wishes, list) or len(wishes) > WRITES_MAX:
        raise OutputInvalid(f"it has to be a list of at most {WRITES_MAX}", pointer="/remember")
    return answer["output"], wishes


_ENVELOPE = frozenset({"output", "remember"})


def read_wishes(scope: Scope, wishes: Sequence[Json], limits: Limits) -> tuple[Remembered, ...]:
    """All of them, or OutputInvalid with the place: half of what was meant may mean something else."""
    read = tuple(_read_wish(scope, wish, limits, f"/remember/{n}") for n, wish in enumerate(wishes))
    known: set[tuple[str, tuple[str, ...]]] = set()
    for n, one in enumerate(read):
        if (one.key, one.tags) in known:
            raise OutputInvalid(
                "the same key with the same tags stands there twice", pointer=f"/remember/{n}/key"
            )
        known.add((one.key, one.tags))
    return read


def _read_wish(scope: Scope, wish: Json, limits: Limits, place: str) -> Remembered:
    if not isinstance(wish, dict) or not {"key", "value", "tags"} <= wish.keys():
        raise OutputInvalid("it needs a key, a value and tags", pointer=place)
    if unknown := sorted(wish.keys() - FIELDS):
        raise OutputInvalid(f"{unknown[0][:60]!r} does not belong here", pointer=place)
    return Remembered(
        key=_read_key(wish["key"], place),
        value=_read_value(wish["value"], limits, place),
        tags=_read_tags(scope, wish["tags"], limits, place),
        ttl_s=_read_ttl(wish.get("ttl_s"), limits, place),
    )


def _read_key(told: Json, place: str) -> str:
    is_text = isinstance(told, str) and 0 < len(told) <= KEY_LENGTH_MAX and told.isprintable()
    if not isinstance(told, str) or not is_text or told != told.strip():
        raise OutputInvalid(
            f"a key is a line of 1 to {KEY_LENGTH_MAX} characters", pointer=f"{place}/key"
        )
    return told


def _read_value(told: Json, limits: Limits, place: str) -> Json:
    if not storable(told, JsonLimits(bytes_max=limits.value_bytes)):
        raise OutputInvalid(
            f"a value is JSON that can be stored, of at most {limits.value_bytes:,} bytes",
            pointer=f"{place}/value",
        )
    return told


def _read_tags(scope: Scope, told: Json, limits: Limits, place: str) -> tuple[str, ...]:
    pointer = f"{place}/tags"
    if not isinstance(told, list) or not 0 < len(told) <= limits.tags:
        raise OutputInvalid(f"give 1 to {limits.tags} tags", pointer=pointer)
    tags = tuple(sorted({tag for tag in told if isinstance(tag, str)}))
    if len(tags) != len(told):
        raise OutputInvalid("tags are names, each once", pointer=pointer)
    for tag in tags:
        if tag not in scope.writes:
            raise OutputInvalid(
                f"this stage may not write the tag {tag[:60]!r}; it may write "
                f"{', '.join(scope.writes)}",
                pointer=pointer,
            )
    return tags


def _read_ttl(told: Json, limits: Limits, place: str) -> int:
    if told is None:
        return limits.ttl_s
    if not isinstance(told, int) or isinstance(told, bool) or not 0 < told <= limits.ttl_s:
        raise OutputInvalid(f"it lives for 1 to {limits.ttl_s:,} seconds", pointer=f"{place}/ttl_s")
    return told


def is_tag(text: str) -> bool:
    return len(text) <= NAME_LENGTH_MAX and _TAG.fullmatch(text) is not None
