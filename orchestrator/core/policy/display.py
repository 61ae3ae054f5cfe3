"""How people meet an action: its heading, how its arguments are shown, what may be done with it.

A contract of an action says it in `review`:

    {"heading": "Refund {amount_minor} for {target}",
     "shows": {"/amount_minor": {"as": "money", "currency": "/currency"}},
     "verbs": ["approve", "edit", "respond", "reject"],
     "undo_s": 8}

Each part may be left out. The words are the contract's; the values are the agent's.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.core.codec import Json
from orchestrator.core.errors import Problem
from orchestrator.core.policy.contracts import EVERY, wrong_place
from orchestrator.core.schemas import did_you_mean, pointer

VERBS = ("approve", "edit", "respond", "reject")
# Whoever may not say no has nothing to decide, and neither has who may not say yes.
VERBS_NEEDED = ("approve", "reject")
HEADING_LENGTH_MAX = 120
PLACES_MAX = 6
SHOWS_MAX = 50
UNDO_S_MAX = 3_600
# What a heading can name besides the arguments.
OWN_PLACES = ("action", "agent", "target")
_PLACE = re.compile(r"\{([^{}]*)\}")
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to show a value, and the other arguments it is shown with."""

    parts: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {
    # A whole number in the smallest unit of its currency.
    "money": Kind(("currency",), needs=("currency",)),
    # A patch; with `old`, the new text beside the old one.
    "diff": Kind(("old",)),
    "sql": Kind(),
    # A text is the body of the letter; an object has its parts by these names.
    "email": Kind(("to", "cc", "subject")),
    "json": Kind(),
    "text": Kind(),
    # A list of objects.
    "table": Kind(),
    "value": Kind(),
}
PARTS = ("currency", "old", "to", "cc", "subject")


@dataclass(frozen=True, slots=True)
class Show:
    """How one argument is shown. The parts are pointers; a currency may also be its code."""

    kind: str
    parts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Review:
    # Empty leaves it to the product, which has a sentence for any action.
    heading: str = ""
    # By the pointer of the argument.
    shows: Mapping[str, Show] = field(default_factory=dict)
    verbs: tuple[str, ...] = VERBS
    # None leaves it to the setting UNDO_S.
    undo_s: int | None = None


# For actions that say nothing.
DEFAULT = Review()


def read_review(stored: Json) -> Review:
    """What was stored with a contract; what it leaves out, or nobody could read, is the default."""
    says = stored if isinstance(stored, dict) else {}
    heading, undo_s = says.get("heading"), says.get("undo_s")
    return Review(
        heading=heading if isinstance(heading, str) else "",
        shows=dict(_shows(says.get("shows"))),
        verbs=_verbs(says.get("verbs")),
        undo_s=undo_s if _is_whole(undo_s) else None,  # type: ignore[arg-type]
    )


def review_problems(stored: Json, schema: Json) -> list[Problem]:
    """What is wrong with what somebody wants to store, for arguments that keep this schema."""
    if not isinstance(stored, dict):
        return [Problem("/review", "must be an object")]
    found = list(_unknown_names(stored, _CHECKS, ("review",)))
    for name, check in _CHECKS.items():
        if name in stored:
            found += check(stored[name], schema)
    return found


def split_heading(heading: str) -> list[str]:
    """In turns what is said as it stands and the name of a placeholder, the first and last one said."""
    return _PLACE.split(heading)


def pointer_of(place: str) -> str:
    """`amount_minor` and `customer/name` are the arguments at `/amount_minor` and `/customer/name`."""
    return place if place.startswith("/") else f"/{place}"


# Reading -----------------------------------------------------------------------------------------


def _shows(says: Json) -> Iterator[tuple[str, Show]]:
    for place, show in says.items() if isinstance(says, dict) else ():
        kind = show.get("as") if isinstance(show, dict) else None
        if isinstance(show, dict) and isinstance(kind, str) and kind in KINDS:
            parts = {name: text for name, text in show.items() if name in KINDS[kind].parts}
            yield place, Show(kind, {n: text for n, text in parts.items() if isinstance(text, str)})


def _verbs(says: Json) -> tuple[str, ...]:
    if not isinstance(says, list):
        return VERBS
    return tuple(verb for verb in VERBS if verb in says or verb in VERBS_NEEDED)


def _is_whole(number: Json) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= UNDO_S_MAX


# Checking ----------------------------------------------------------------------------------------


def _heading_problems(heading: Json, schema: Json) -> Iterator[Problem]:
    if not isinstance(heading, str) or len(heading) > HEADING_LENGTH_MAX:
        reason = f"must be one line of at most {HEADING_LENGTH_MAX} characters"
        yield Problem("/review/heading", reason)
        return
    if not heading.isprintable():
        yield Problem("/review/heading", "must be one line, without characters that nobody sees")
    places = _PLACE.findall(heading)
    if len(places) > PLACES_MAX:
        yield Problem("/review/heading", f"names more than {PLACES_MAX} values")
    for place in places[:PLACES_MAX]:
        reason = "" if place in OWN_PLACES else _wrong_argument(schema, pointer_of(place))
        if reason:
            yield Problem("/review/heading", f"names “{place}”, but {reason}")
    if set("{}") & set(_PLACE.sub("", heading)):
        yield Problem("/review/heading", "has a brace without the other one")


def _shows_problems(shows: Json, schema: Json) -> Iterator[Problem]:
    if not isinstance(shows, dict) or len(shows) > SHOWS_MAX:
        reason = f"must be an object of at most {SHOWS_MAX} arguments, by their JSON Pointers"
        yield Problem("/review/shows", reason)
        return
    for place, show in shows.items():
        path = ("review", "shows", place)
        if reason := _wrong_argument(schema, place):
            yield Problem(pointer(path), reason)
        yield from _show_problems(show, schema, path)


def _show_problems(show: Json, schema: Json, path: tuple[str, ...]) -> Iterator[Problem]:
    kind = show.get("as") if isinstance(show, dict) else None
    if not isinstance(show, dict) or not isinstance(kind, str):
        yield Problem(pointer(path), f"must be an object with “as”: {', '.join(KINDS)}")
        return
    if kind not in KINDS:
        hint = did_you_mean(kind, list(KINDS))
        yield Problem(pointer((*path, "as")), f"is not a way to show something. {hint}")
        return
    known = KINDS[kind]
    yield from _unknown_names(show, ("as", *known.parts), path)
    for name in known.needs:
        if name not in show:
            reason = f"shown as {kind}, it needs “{name}”, a JSON Pointer to another argument"
            yield Problem(pointer(path), reason)
    for name in known.parts:
        if name in show and (reason := _wrong_part(name, show[name], schema)):
            yield Problem(pointer((*path, name)), reason)


def _wrong_argument(schema: Json, place: str) -> str:
    if EVERY in place.split("/"):
        return f"names one argument, so {EVERY} does not belong there"
    return wrong_place(schema, place)


def _wrong_part(name: str, place: Json, schema: Json) -> str:
    if not isinstance(place, str):
        return "must be a JSON Pointer to another argument"
    if name == "currency" and _CURRENCY.fullmatch(place):
        return ""
    return _wrong_argument(schema, place)


def _verbs_problems(verbs: Json, schema: Json) -> Iterator[Problem]:
    if not isinstance(verbs, list) or not all(isinstance(verb, str) for verb in verbs):
        yield Problem("/review/verbs", f"must be a list of {', '.join(VERBS)}")
        return
    for index, verb in enumerate(verbs):
        if verb not in VERBS:
            hint = did_you_mean(str(verb), VERBS)
            yield Problem(f"/review/verbs/{index}", f"is nothing that people can do. {hint}")
    for verb in VERBS_NEEDED:
        if verb not in verbs:
            reason = f"has no “{verb}”, and who decides has to be able to say yes and no"
            yield Problem("/review/verbs", reason)
    if len(set(map(str, verbs))) < len(verbs):
        yield Problem("/review/verbs", "has the same one twice")


def _undo_problems(undo_s: Json, schema: Json) -> Iterator[Problem]:
    if not _is_whole(undo_s):
        yield Problem("/review/undo_s", f"must be a whole number from 0 to {UNDO_S_MAX:,}")


def _unknown_names(
    says: Mapping[str, Any], known: Mapping[str, Any] | tuple[str, ...], path: tuple[str, ...]
) -> Iterator[Problem]:
    for name in says:
        if name not in known:
            hint = did_you_mean(name, list(known))
            yield Problem(pointer((*path, name)), f"does not belong here. {hint}")


_CHECKS: dict[str, Callable[[Json, Json], Iterator[Problem]]] = {
    "heading": _heading_problems,
    "shows": _shows_problems,
    "verbs": _verbs_problems,
    "undo_s": _undo_problems,
}
