"""The state of the target as pages show it, and how it came to differ from what a reader saw."""

from collections.abc import Mapping
from typing import NamedTuple

from orchestrator.actions.targets import TargetState
from orchestrator.core.codec import Json, canonical, digest, safe_json
from orchestrator.core.errors import BadJson
from review.presentation.changed import Changes, changes_of

# What is longer is not sent along with a form; its digest always is.
CARRIED_MAX = 8_000


class Shown(NamedTuple):
    state: Json
    digest: str
    problem: str
    # The state in the bytes of its digest, to be held against a later one.
    carried: str

    @property
    def is_seen(self) -> bool:
        return bool(self.digest or self.problem)


NOTHING = Shown(None, "", "", "")


def shown(found: TargetState) -> Shown:
    text = canonical(found.state) if found.digest else ""
    carried = text if len(text) <= CARRIED_MAX else ""
    return Shown(found.state, found.digest, found.problem, carried)


def told_changes(sent: Mapping[str, str], now: Shown) -> Changes | None:
    """From the state that the form carried, when it is the one whose digest it named."""
    text = sent.get("target_state", "")[:CARRIED_MAX]
    if not text or digest(text) != sent.get("target"):
        return None
    try:
        before = safe_json(text.encode())
    except BadJson:
        return None
    return changes_of(_named(before), _named(now.state))


def _named(state: Json) -> dict[str, Json]:
    return state if isinstance(state, dict) else {"state": state}
