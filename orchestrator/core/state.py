"""The canonical state of a run: what the fold of its events says, and nothing else."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

from orchestrator.core.codec import Json

OPEN = frozenset(
    {"received", "in_review", "revision_requested", "accepted", "executing", "unknown"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalState:
    action: str
    digest: str
    status: str = "received"
    disposition: str | None = None
    item: str | None = None
    effect: str | None = None
    approvals_needed: int = 0
    approvals: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    status: str = "new"
    workflow: str = ""
    version: int = 0
    pattern: str = ""
    proposals: Mapping[str, ProposalState] = field(default_factory=lambda: MappingProxyType({}))

    def with_proposal(self, proposal: str, **changes: Any) -> "RunState":
        known = self.proposals.get(proposal)
        changed = replace(known, **changes) if known else ProposalState(**changes)
        proposals = MappingProxyType({**self.proposals, proposal: changed})
        return replace(self, proposals=proposals)


def to_json(state: RunState) -> dict[str, Json]:
    proposals: dict[str, Json] = {
        key: _plain(asdict(proposal)) for key, proposal in state.proposals.items()
    }
    return {
        "status": state.status,
        "workflow": state.workflow,
        "version": state.version,
        "pattern": state.pattern,
        "proposals": proposals,
    }


def from_json(data: dict[str, Any]) -> RunState:
    proposals = {
        key: ProposalState(**{**value, "approvals": tuple(value["approvals"])})
        for key, value in data["proposals"].items()
    }
    return RunState(**{**data, "proposals": MappingProxyType(proposals)})


def _plain(data: dict[str, Any]) -> dict[str, Json]:
    return {**data, "approvals": list(data["approvals"])}
