"""The canonical state of a run: what the fold of its events says, and nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Any

from orchestrator.core.codec import Json

OPEN = frozenset(
    {
        "received",
        "evaluating",
        "in_review",
        "revision_requested",
        "accepted",
        "executing",
        "unknown",
    }
)
ENDED = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Moment:
    """Where in the log an event stands, and when it was written, in milliseconds since 1970."""

    seq: int
    at_ms: int


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
    # Counts how often a person had a lost effect run again.
    again: int = 0
    # Counts how often it was to be rolled back.
    rollbacks: int = 0
    # The work that waits for it, in a run that is more than its proposals.
    work: str = ""
    # The validators that were asked, each with the place of its answer in the log: 0 while it is out.
    validations: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


@dataclass(frozen=True, slots=True)
class Part:
    """One call of an agent; a work that is not fanned out has one. `seq` is where its answer stands."""

    status: str = "running"  # running, done, skipped, failed
    attempt: int = 1
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkState:
    status: str = "running"  # running, deciding, done, skipped, failed
    # The event that came to it. A machine may come back, and is then on another visit.
    visit: int = 0
    parts: tuple[Part, ...] = ()
    # One part for each element of what came before, be it a single one.
    fanned: bool = False
    inputs: Mapping[str, Json] = field(default_factory=dict)
    # Where the answer of a person, a signal or another run stands.
    seq: int = 0
    item: str = ""
    approvals: tuple[str, ...] = ()
    proposal: str = ""
    child: str = ""
    calls: int = 0
    tokens: int = 0
    money_micros: int = 0

    @property
    def output(self) -> Json:
        """Where its output stands in the log: a number, or one for each part of a fan-out."""
        if self.fanned:
            return [part.seq for part in self.parts]
        return self.parts[0].seq if self.parts and not self.seq else self.seq


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    steps: int = 0
    agent_calls: int = 0
    tokens: int = 0
    money_micros: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    status: str = "new"  # new, running, waiting, completed, failed, cancelled
    workflow: str = ""
    version: int = 0
    pattern: str = ""
    proposals: Mapping[str, ProposalState] = field(default_factory=dict)
    # The work in hand, or the machine's state.
    position: str = ""
    works: Mapping[str, WorkState] = field(default_factory=dict)
    # What a machine's guards may look at: the newest output of each of its states.
    data: Mapping[str, Json] = field(default_factory=dict)
    visits: Mapping[str, int] = field(default_factory=dict)
    spent: Spent = Spent()
    # What is waited for, and until when, in milliseconds since 1970.
    timers: Mapping[str, int] = field(default_factory=dict)
    error: Mapping[str, Json] | None = None
    parent: str = ""
    parent_work: str = ""

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def wakes_at_ms(self) -> int | None:
        return min(self.timers.values(), default=None)

    def with_proposal(self, proposal: str, **changes: Any) -> "RunState":
        known = self.proposals.get(proposal)
        changed = replace(known, **changes) if known else ProposalState(**changes)
        return replace(self, proposals={**self.proposals, proposal: changed})

    def with_work(self, name: str, work: WorkState) -> "RunState":
        return replace(self, works={**self.works, name: work})

    def without_timer(self, name: str) -> "RunState":
        if name not in self.timers:
            return self
        return replace(self, timers={key: at for key, at in self.timers.items() if key != name})


# Stored by every version so far, so always written. What came later is written when it says something.
ALWAYS_RUN = frozenset({"status", "workflow", "version", "pattern", "proposals"})
ALWAYS_PROPOSAL = frozenset(
    {"action", "digest", "status", "disposition", "item", "effect", "approvals_needed", "approvals"}
)


def to_json(state: RunState) -> dict[str, Json]:
    data = _plain(state, ALWAYS_RUN)
    data["proposals"] = {
        key: _plain(proposal, ALWAYS_PROPOSAL) for key, proposal in state.proposals.items()
    }
    if state.works:
        data["works"] = {name: _work_to_json(work) for name, work in state.works.items()}
    if "spent" in data:
        data["spent"] = _plain(state.spent, frozenset())
    return data


def from_json(data: Mapping[str, Any]) -> RunState:
    changed: dict[str, Any] = {
        "proposals": {
            key: ProposalState(**{**value, "approvals": tuple(value["approvals"])})
            for key, value in data["proposals"].items()
        }
    }
    if "works" in data:
        changed["works"] = {name: _work_from_json(work) for name, work in data["works"].items()}
    if "spent" in data:
        changed["spent"] = Spent(**data["spent"])
    return RunState(**{**data, **changed})


def _work_to_json(work: WorkState) -> dict[str, Json]:
    data = _plain(work, frozenset({"status"}))
    if work.parts:
        data["parts"] = [[part.status, part.attempt, part.seq] for part in work.parts]
    return data


def _work_from_json(data: Mapping[str, Any]) -> WorkState:
    changed = {
        "parts": tuple(Part(*part) for part in data.get("parts", ())),
        "approvals": tuple(data.get("approvals", ())),
    }
    return WorkState(**{**data, **changed})


def _plain(value: Any, always: frozenset[str]) -> dict[str, Json]:
    """Its fields, but for those that say nothing. Every step does this for all that a run has."""
    names, read, blanks = _SHAPES[type(value)]
    return {
        name: found
        for name, found, blank in zip(names, read(value), blanks, strict=True)
        if name in always or found != blank
    }


def _shape(blank: Any) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]], tuple[Any, ...]]:
    """The names of its fields, a way to read all of them at once, and what they are when they say nothing."""
    names = tuple(found.name for found in fields(blank))
    read = attrgetter(*names)
    return names, read, read(blank)


_SHAPES = {
    type(blank): _shape(blank)
    for blank in (RunState(), WorkState(), Spent(), ProposalState(action="", digest=""))
}
