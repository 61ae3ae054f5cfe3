"""The history windows of a rule as rows of a form, and as they are stored."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from orchestrator.core.codec import Json
from orchestrator.core.policy.history import STATUSES

MEASURES = {"count": "Count of proposals", "sum": "Sum of an argument"}
STATUS_LABELS = {"any": "whatever became of them", "accepted": "accepted", "rejected": "rejected"}
COLUMNS = ("name", "measure", "sum", "same", "actions", "status", "within")
WINDOWS_SENT_MAX = 100


class WindowDraft(NamedTuple):
    """As it stands in the form. Lists are names with commas between."""

    name: str = ""
    measure: str = "count"
    sum: str = ""
    same: str = "agent"
    actions: str = ""
    status: str = STATUSES[0]
    within: str = "24h"


def posted_windows(sent: Mapping[str, Sequence[str]]) -> list[WindowDraft]:
    columns = [sent.get(f"window_{name}", []) for name in COLUMNS]
    rows = zip(*columns, strict=False)
    return [WindowDraft(*(text.strip() for text in row)) for row in rows][:WINDOWS_SENT_MAX]


def declared(windows: Sequence[WindowDraft]) -> dict[str, Json]:
    """What is stored; whether it can be read says core/policy/history.py."""
    return {window.name: _declared(window) for window in windows}


def _declared(window: WindowDraft) -> Json:
    among: dict[str, Json] = {}
    if window.actions:
        among["actions"] = list(names_in(window.actions))
    if window.same:
        among["same"] = list(names_in(window.same))
    if window.status and window.status != STATUSES[0]:
        among["status"] = window.status
    if window.measure == "sum":
        return {"sum": window.sum, "of": among, "within": window.within}
    return {"count": among, "within": window.within}


def shown_windows(history: Mapping[str, Any]) -> list[WindowDraft]:
    return [_shown(name, told) for name, told in sorted(history.items())]


def _shown(name: str, told: Mapping[str, Any]) -> WindowDraft:
    measure = "sum" if "sum" in told else "count"
    among: Mapping[str, Any] = told.get("of" if measure == "sum" else "count") or {}
    return WindowDraft(
        name=name,
        measure=measure,
        sum=str(told.get("sum", "")),
        same=", ".join(among.get("same", [])),
        actions=", ".join(among.get("actions", [])),
        status=str(among.get("status", STATUSES[0])),
        within=str(told.get("within", "")),
    )


def sentence_of(window: WindowDraft) -> str:
    """What it counts, in words."""
    what = f"the sum of {window.sum}" if window.measure == "sum" else "how many proposals"
    whose = f" with the same {' and '.join(names_in(window.same))}" if window.same else ""
    which = f" of {window.actions}" if window.actions else ""
    became = f" were {window.status}" if window.status != STATUSES[0] else " there were"
    if window.measure == "sum":
        became = f" that were {window.status}" if window.status != STATUSES[0] else ""
    return f"{what}{which}{whose}{became} within {window.within}"


def names_in(typed: str) -> tuple[str, ...]:
    """Names with commas between, each once, in the order typed."""
    return tuple(dict.fromkeys(name.strip() for name in typed.split(",") if name.strip()))
