"""What a reader who has yet to judge is not told: what others said, and how sure the agent is."""

from collections.abc import Mapping, Set
from typing import Any, NamedTuple

from orchestrator.trace_queries import LATER


class Hidden(NamedTuple):
    # Which fact names the item, the proposal or the work that it is about.
    about: str
    path: tuple[str, ...]
    instead: str = LATER


VEILED: dict[str, tuple[Hidden, ...]] = {
    "work_finished": (
        Hidden("work", ("output", "confidence")),
        Hidden("work", ("remembered",)),
    ),
    "work_asked": (Hidden("work", ("asks",)), Hidden("work", ("memory",))),
    "proposal_disposed": (Hidden("item", ("score",)),),
    "validation_finished": (
        Hidden("proposal", ("score",)),
        Hidden("proposal", ("verdict",)),
        Hidden("proposal", ("reasons",)),
    ),
    "validation_failed": (Hidden("proposal", ("error",)),),
    "approval_given": (Hidden("item", ("by",), "somebody"), Hidden("item", ("decision",))),
    "person_answered": (
        Hidden("item", ("by",), "somebody"),
        Hidden("item", ("decision",)),
        Hidden("item", ("note",)),
    ),
}


def veiled_text(kind: str, text: str, veiled: Set[str]) -> str:
    """Stored text as it is can hold anything, so it is shown as a whole or not at all."""
    return LATER if veiled and kind in VEILED else text


def veil(kind: str, facts: Mapping[str, Any], veiled: Set[str]) -> dict[str, Any]:
    """`veiled` names the items, proposals and works that the reader has yet to judge."""
    shown = dict(facts)
    for hidden in VEILED.get(kind, ()):
        if facts.get(hidden.about) in veiled:
            shown = _hide(shown, hidden.path, hidden.instead)
    return shown


def _hide(facts: dict[str, Any], path: tuple[str, ...], instead: str) -> dict[str, Any]:
    name, *rest = path
    if name not in facts:
        return facts
    if not rest:
        return {**facts, name: instead}
    inner = facts[name]
    if not isinstance(inner, dict):
        return facts
    return {**facts, name: _hide(inner, tuple(rest), instead)}
