"""What somebody needs to see who is asked to countersign what is in use of an agent, or where an endpoint is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator import agent_queries
from orchestrator.core.policy import changes
from orchestrator.models import Proposal
from review.agent_page import difference

_AGENT = {
    "stable": "Stable version",
    "canary": "Canary",
    "share": "Runs that get the canary, in %",
    "shadow": "Shadow",
}
_ENDPOINT = {
    "provider": "Provider",
    "base_url": "Address",
    "region": "Region",
    "is_local": "In our own house",
    "data_classes": "May see",
}


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    before: str
    after: str

    @property
    def is_changed(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class AgentChange:
    heading: str
    note: str
    rows: list[Row]
    # Of the versions that come into use: against the stable one of before, line by line.
    differences: list[tuple[str, list[tuple[str, str]]]]
    agent: str = ""
    template: str = "review/agent_change.html"


def agent_change_of(proposal: Proposal) -> AgentChange | None:
    """None for any other proposal."""
    if proposal.action == changes.DEPLOY_AGENT:
        return _deployment(proposal, str(proposal.args.get("agent", "")))
    if proposal.action == changes.MOVE_ENDPOINT:
        args = proposal.args
        rows = _rows(_ENDPOINT, args.get("before") or {}, args.get("to") or {})
        return AgentChange("What the endpoint would be", proposal.rationale, rows, [])
    return None


def _deployment(proposal: Proposal, slug: str) -> AgentChange:
    before: Mapping[str, Any] = proposal.args.get("before") or {}
    return AgentChange(
        heading="What would be in use",
        note=proposal.rationale,
        rows=_rows(_AGENT, before, proposal.args),
        differences=list(_differences(slug, before, proposal.args)),
        agent=slug,
    )


def _differences(
    slug: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterable[tuple[str, list[tuple[str, str]]]]:
    old = agent_queries.version(slug, before["stable"]) if before.get("stable") else None
    known = {before.get(name) for name in ("stable", "canary", "shadow")}
    for name in ("stable", "canary", "shadow"):
        number = after.get(name)
        new = agent_queries.version(slug, number) if number and number not in known else None
        if old and new:
            yield f"Version {new.number} against version {old.number}", difference(old, new)


def _rows(
    labels: Mapping[str, str], before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[Row]:
    return [
        Row(label, _text(before.get(name)), _text(after.get(name)))
        for name, label in labels.items()
    ]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value else "none"
