"""Every work of a definition, whatever its pattern: the one list of the places where an agent can stand.

What has to hold for all agents is asked of these, so that no pattern can forget it.
"""

from collections.abc import Iterable
from typing import Any

from orchestrator.core.codec import Json

type Path = tuple[str | int, ...]

# Where the works of all patterns stand: by name or number below one key, or under a key of their own.
_MANY = ("stages", "workers", "members", "peers")
_ONE = ("model", "supervisor", "judge")


def works(raw: Json) -> list[tuple[Path, dict[str, Any]]]:
    """Each work with its place, however wrong the definition may be otherwise."""
    if not isinstance(raw, dict):
        return []
    found: list[tuple[Path, Json]] = [((key,), raw.get(key)) for key in _ONE]
    for key in _MANY:
        found += [((key, name), work) for name, work in _named(raw.get(key))]
    found += [
        (("states", name, "run"), state.get("run"))
        for name, state in _named(raw.get("states"))
        if isinstance(state, dict)
    ]
    return [(path, work) for path, work in found if isinstance(work, dict)]


def _named(holder: Json) -> Iterable[tuple[str | int, Json]]:
    if isinstance(holder, dict):
        return holder.items()
    return enumerate(holder) if isinstance(holder, list) else ()
