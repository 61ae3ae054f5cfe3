"""JSON in and out. `safe_json` is the one gate for outside data; `canonical` is the one way to store.

What passes the gate can always be read back: PostgreSQL and Python disagree about depth, huge
numbers, NUL and lone surrogates, so a careless system can store rows that nobody can ever read.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from orchestrator.core.errors import BadJson

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None

INTEGER_MAX = 10**18
INTEGER_DIGITS_MAX = 19


@dataclass(frozen=True, slots=True)
class JsonLimits:
    bytes_max: int = 1_000_000
    depth_max: int = 64
    nodes_max: int = 20_000


# Strings are matched so that brackets inside them do not count.
# Possessive throughout: an unterminated string of quotes must not be tried from every one of them.
_STRUCTURE = re.compile(r'"[^"\\]*+(?:\\.?+[^"\\]*+)*+"?+|[\[\]{},]', re.DOTALL)
# Only these escapes can bring in what PostgreSQL cannot store; without them no string need be walked.
_SUSPICIOUS = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def safe_json(raw: bytes, limits: JsonLimits | None = None) -> Json:
    """Parse outside data, or refuse it whole with the reason."""
    limits = limits or JsonLimits()
    if len(raw) > limits.bytes_max:
        raise BadJson(
            f"it has {len(raw):,} bytes, at most {limits.bytes_max:,} are taken.", too_large=True
        )
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadJson(f"byte {error.start} is not UTF-8.") from error
    _check_structure(text, limits)
    try:
        value: Json = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as error:
        raise BadJson(
            f"it is not JSON ({error.msg}, line {error.lineno}, column {error.colno})."
        ) from error
    if _SUSPICIOUS.search(text):
        for string in _strings(value):
            _check_string(string)
    return value


def canonical(value: Json) -> str:
    """The stored form: sorted keys, no spaces, so that equal values have equal bytes and digests."""
    return _CANONICAL.encode(value)


def read(text: str) -> Json:
    """Read back what `canonical` wrote."""
    value: Json = json.loads(text)
    return value


def storable(value: object, limits: JsonLimits | None = None) -> bool:
    """Whether a value made inside, by an agent or a target, would pass the gate for outside data."""
    limits = limits or JsonLimits()
    try:
        text = canonical(value)  # type: ignore[arg-type]
        if len(text.encode()) > limits.bytes_max or "\\u0000" in text:
            return False
        _check_structure(text, limits)
    except (TypeError, ValueError, RecursionError, BadJson):
        return False
    return True


def digest(text: str) -> str:
    """Over the stored bytes, never over a database's own rendering of them."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _check_structure(text: str, limits: JsonLimits) -> None:
    """Depth and size before parsing: the parser itself recurses, and allocates for every node."""
    depth = nodes = 0
    for match in _STRUCTURE.finditer(text):
        mark = match.group()
        if mark in "[{":
            depth += 1
            nodes += 1
            if depth > limits.depth_max:
                raise BadJson(f"it is nested deeper than {limits.depth_max} levels.")
        elif mark in "]}":
            depth -= 1
        elif mark == ",":
            nodes += 1
        if nodes > limits.nodes_max:
            raise BadJson(f"it has more than {limits.nodes_max:,} values.", too_large=True)


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise BadJson(f"the key {key[:80]!r} appears twice in one object.")
            seen.add(key)
    return result


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > INTEGER_DIGITS_MAX or abs(int(digits)) > INTEGER_MAX:
        raise BadJson(f"the number {digits[:24]} is beyond ±10^18.")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise BadJson(f"the number {digits[:24]} is too large.")
    return number


def _constant(name: str) -> NoReturn:
    raise BadJson(f"{name} is not a JSON number.")


def _strings(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _strings(item)


def _check_string(string: str) -> None:
    if "\x00" in string:
        raise BadJson("a string holds the character NUL (\\u0000).")
    try:
        string.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadJson("a string holds half a surrogate pair.") from error
