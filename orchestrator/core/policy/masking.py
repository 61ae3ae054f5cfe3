"""Hide declared values before they are stored: in what the rules saw, in reasons, in explain trees.

Deciding always uses the real values. Pointers are those of a contract: RFC 6901, relative to the
arguments, where `*` stands for every item of an array or every member of an object.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.core.codec import Json, canonical
from orchestrator.core.policy.guardrails import Check

MASKED = "(masked)"
EVERY = "*"
# A shorter value would be found in many a word that has nothing to do with it.
TEXT_MIN = 4
# So much of a value that was cut short is still known by its beginning.
BEGINNING_MIN = 8
# Each is looked for everywhere; with more of them than this, everything is hidden.
SECRETS_MAX = 100

# What the product fills in itself, or what rules and people are found by.
_KEPT = {"action", "confidence", "tier"}
_WHOLE = {"agent", "run", "history", "now", "proposal"}


@dataclass(frozen=True, slots=True)
class Secrets:
    """The masked values of one proposal, as texts by which copies of them are known."""

    # Found anywhere; the longest first, so that none is hidden in part.
    texts: tuple[str, ...] = ()
    # Too short or too common for that: found where they stand alone, and only in what rules say.
    words: tuple[str, ...] = ()
    # Of the masked places, as conditions write them.
    names: frozenset[str] = frozenset()

    @property
    def too_many(self) -> bool:
        return len(self.texts) + len(self.words) > SECRETS_MAX


def mask(inputs: Mapping[str, Any], pointers: Sequence[str]) -> dict[str, Any]:
    """A copy of a snapshot's inputs without the values, and without copies of them elsewhere in it."""
    if not pointers:
        return dict(inputs)
    proposal = inputs["proposal"]
    secrets = secrets_of(proposal["args"], pointers)
    args = proposal["args"]
    for pointer in pointers:
        args = _without(args, _segments(pointer))
    seen = {
        name: one
        if name in _KEPT
        else _members_without_copies(one, secrets)
        if name == "args"
        else _without_copies(one, secrets)
        for name, one in {**proposal, "args": args}.items()
    }
    context = {
        name: _without_copies(one, secrets) for name, one in inputs.items() if name not in _WHOLE
    }
    return {**inputs, **context, "proposal": seen}


def mask_checks(
    checks: Iterable[Check], inputs: Mapping[str, Any], pointers: Sequence[str]
) -> list[Check]:
    """The same checks, whose reasons and explain trees show none of the values."""
    if not pointers:
        return list(checks)
    secrets = secrets_of(inputs["proposal"]["args"], pointers)
    return [
        replace(
            check,
            reason=mask_text(check.reason, secrets),
            explain=tuple(_masked_row(row, secrets) for row in check.explain),
        )
        for check in checks
    ]


def secrets_of(args: Json, pointers: Sequence[str]) -> Secrets:
    """What has to be hidden of these arguments."""
    found = [value for pointer in pointers for value in _values_at(args, _segments(pointer))]
    leaves = {leaf for value in found for leaf in _leaves(value)}
    texts = {leaf for leaf in leaves if len(leaf) >= TEXT_MIN and leaf not in {"true", "false"}}
    return Secrets(
        texts=tuple(sorted(texts, key=lambda text: (-len(text), text))),
        words=tuple(sorted(leaves - texts)),
        names=frozenset(_last_name(pointer) for pointer in pointers) - {""},
    )


def mask_text(text: str, secrets: Secrets) -> str:
    """What a rule says, without the secrets and without the beginning of one that was cut short."""
    if secrets.too_many and text:
        return MASKED
    for secret in secrets.texts:
        text = _without_beginnings(text, secret)
    for word in secrets.words:
        text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", MASKED, text)
    return text


def mask_envelope(envelope: Mapping[str, Any], pointers: Sequence[str]) -> dict[str, Any]:
    """An event without what its contract hides in its data, and without copies of that elsewhere."""
    if not pointers or "data" not in envelope:
        return dict(envelope)
    data = envelope["data"]
    secrets = secrets_of(data, pointers)
    for pointer in pointers:
        data = _without(data, _segments(pointer))
    attributes = {name: one for name, one in envelope.items() if name != "data"}
    return {
        **_members_without_copies(attributes, secrets),
        "data": _members_without_copies(data, secrets)
        if isinstance(data, dict)
        else _without_copies(data, secrets),
    }


def restored(sent: Json, shown: Json, stored: Json) -> Json:
    """Whatever was left as it was shown is again as it was stored. Elements of a list have no names to tell
    them by: those of one that was changed come back as they were sent.
    """
    if canonical(sent) == canonical(shown):
        return stored
    if not isinstance(sent, dict) or not isinstance(shown, dict) or not isinstance(stored, dict):
        return sent
    return {
        name: restored(one, shown[name], stored[name]) if name in shown and name in stored else one
        for name, one in sent.items()
    }


def still_masked(value: Json, stored: Json) -> bool:
    """Whether it says “(masked)” where what was stored never did."""
    said = {leaf for leaf in _leaves(value) if MASKED in leaf}
    return bool(said - set(_leaves(stored)))


# Arguments ---------------------------------------------------------------------------------------


def _segments(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _last_name(pointer: str) -> str:
    return next((name for name in reversed(_segments(pointer)) if not _is_place(name)), "")


def _is_place(name: str) -> bool:
    return name == EVERY or name.isdecimal()


def _members(value: Json, name: str) -> Iterator[tuple[Any, Json]]:
    """The members that a segment of a pointer stands for, with their keys or indexes."""
    if isinstance(value, dict):
        yield from (
            value.items() if name == EVERY else [(name, value[name])] if name in value else []
        )
    elif isinstance(value, list) and name == EVERY:
        yield from enumerate(value)
    elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
        yield int(name), value[int(name)]


def _values_at(value: Json, segments: Sequence[str]) -> Iterator[Json]:
    if not segments:
        yield value
        return
    for _, member in _members(value, segments[0]):
        yield from _values_at(member, segments[1:])


def _without(value: Json, segments: Sequence[str]) -> Json:
    if not segments:
        return MASKED
    changed = {key: _without(member, segments[1:]) for key, member in _members(value, segments[0])}
    if isinstance(value, dict):
        return {**value, **changed}
    if isinstance(value, list):
        return [changed.get(index, item) for index, item in enumerate(value)]
    return value


def _leaves(value: Json) -> Iterator[str]:
    """Texts as they are and as JSON writes them, numbers as JSON writes them."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _leaves(name)
            yield from _leaves(member)
    elif isinstance(value, list):
        for member in value:
            yield from _leaves(member)
    elif isinstance(value, str) and value:
        yield value
        yield canonical(value)[1:-1]
    elif value is not None and value != "":
        yield canonical(value)


# Copies ------------------------------------------------------------------------------------------


def _members_without_copies(args: Mapping[str, Any], secrets: Secrets) -> dict[str, Any]:
    """The names of arguments are the action's and not the agent's: a value chosen to look like one hides nothing."""
    return {name: _without_copies(one, secrets) for name, one in args.items()}


def _without_copies(value: Any, secrets: Secrets) -> Any:
    if isinstance(value, dict):
        named: dict[str, Any] = {}
        for key, one in value.items():
            named[_unused(_without_texts(key, secrets), named)] = _without_copies(one, secrets)
        return named
    if isinstance(value, list):
        return [_without_copies(one, secrets) for one in value]
    if isinstance(value, str):
        return _without_texts(value, secrets)
    if _is_number(value) and (secrets.too_many or canonical(value) in secrets.texts):
        return MASKED
    return value


def _unused(name: str, taken: Mapping[str, Any]) -> str:
    """Two names that hide the same text stay two."""
    found, number = name, 2
    while found in taken:
        found, number = f"{name} {number}", number + 1
    return found


def _without_texts(text: str, secrets: Secrets) -> str:
    if secrets.too_many and text:
        return MASKED
    for secret in secrets.texts:
        text = text.replace(secret, MASKED)
    return text


def _without_beginnings(text: str, secret: str) -> str:
    if len(secret) <= BEGINNING_MIN:
        return _without_end(text.replace(secret, MASKED), secret)
    beginning, place = secret[:BEGINNING_MIN], 0
    while (place := text.find(beginning, place)) >= 0:
        length = _common_length(text[place : place + len(secret)], secret)
        text = text[:place] + MASKED + text[place + length :]
        place += len(MASKED)
    return _without_end(text, secret)


def _common_length(text: str, secret: str) -> int:
    pairs = enumerate(zip(text, secret, strict=False))
    return next((n for n, (one, other) in pairs if one != other), min(len(text), len(secret)))


def _without_end(text: str, secret: str) -> str:
    """A value that begins at the very end of what was kept of a text."""
    shown = text.removesuffix("…")
    for length in range(min(BEGINNING_MIN, len(secret)) - 1, TEXT_MIN - 1, -1):
        if shown.endswith(secret[:length]):
            return shown[:-length] + MASKED
    return text


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# Explain trees -----------------------------------------------------------------------------------


def _masked_row(row: Mapping[str, Json], secrets: Secrets) -> dict[str, Json]:
    """What is worked out from a masked place is hidden as well, but for a plain yes or no."""
    masked: dict[str, Json] = {**row, "expr": _without_texts(str(row.get("expr", "")), secrets)}
    if "error" in row:
        masked["error"] = mask_text(str(row["error"]), secrets)
    if "value" in row:
        masked["value"] = _masked_value(row["value"], str(row.get("expr", "")), secrets)
    return masked


def _masked_value(value: Json, expression: str, secrets: Secrets) -> Json:
    reads = any(re.search(rf"""[.\["']{re.escape(n)}(?!\w)""", expression) for n in secrets.names)
    is_path = re.fullmatch(r"""[\w.\[\]"'-]+""", expression) is not None
    if reads and (is_path or not isinstance(value, bool)):
        return MASKED
    return _masked_part(value, secrets)


def _masked_part(value: Json, secrets: Secrets) -> Json:
    if isinstance(value, dict):
        return {
            _without_texts(key, secrets): MASKED
            if key in secrets.names
            else _masked_part(one, secrets)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [_masked_part(one, secrets) for one in value]
    if isinstance(value, bool) or value is None:
        return value
    return _masked_leaf(value, secrets)


def _masked_leaf(value: str | float, secrets: Secrets) -> Json:
    """A value that has a secret in it, or is a part of one."""
    text = value if isinstance(value, str) else canonical(value)
    part = text.removesuffix("…")
    if len(part) >= TEXT_MIN and any(part in secret for secret in secrets.texts):
        return MASKED
    hidden = mask_text(text, secrets)
    return value if hidden == text else hidden
