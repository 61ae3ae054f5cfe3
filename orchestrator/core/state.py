"""The canonical state of a run: what the fold of its events says, and nothing else."""

from collections.abc import Callable, Mapping, Sequence
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
# Of the parts of a work: those that are not over.
OPEN_PARTS = frozenset({"queued", "running", "asking"})


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
    # Where people are asked what became of its effect, or that they have answered.
    asked: str = ""
    # The work that waits for it, in a run that is more than its proposals.
    work: str = ""
    # The validators that were asked, each with the place of its answer in the log: 0 while it is out.
    validations: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


@dataclass(frozen=True, slots=True)
class AskState:
    """One thing that an agent asked for: what was proposed of it, and where its answer stands."""

    proposal: str = ""
    # 0 while it is out.
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """One call of an agent; a work that is not fanned out has one. `seq` is where its answer stands."""

    # queued, running, asking, done, skipped, failed, given_up
    status: str = "running"
    attempt: int = 1
    seq: int = 0
    # A call goes on in another turn when what it asked for was settled.
    turn: int = 1
    # Where the newest asks stand in the log, with what it wants kept meanwhile, and what became of each.
    asked: int = 0
    asks: tuple[AskState, ...] = ()
    # Where parts have members: who does it, and what tells the task from every other.
    who: str = ""
    task: str = ""
    # The run that does it.
    child: str = ""
    # What tells its answer from every other.
    said: str = ""
    # Why it came to nothing.
    why: str = ""

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_PARTS


@dataclass(frozen=True, slots=True)
class Round:
    """What was asked of members together, and what became of it. `plan` is where the tasks stand."""

    plan: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkState:
    status: str = "running"  # running, deciding, done, skipped, failed
    # The event that came to it. A machine may come back, and is then on another visit.
    visit: int = 0
    parts: tuple[Part, ...] = ()
    # One part for each element of what came before, be it a single one.
    fanned: bool = False
    # Where the tasks of its parts stand, when a supervisor gave them out.
    tasks_at: int = 0
    inputs: Mapping[str, Json] = field(default_factory=dict)
    # Where the answer of a person, a signal or another run stands.
    seq: int = 0
    item: str = ""
    approvals: tuple[str, ...] = ()
    proposal: str = ""
    child: str = ""
    # How a run ended that was not waited for here: `status`, where in the log that stands, and its `error`.
    ended: Mapping[str, Json] = field(default_factory=dict)
    # What it listens to.
    topic: str = ""
    calls: int = 0
    tokens: int = 0
    money_micros: int = 0

    @property
    def waits_for_asks(self) -> bool:
        """No call is under way, and one cannot go on before what it asked for is settled."""
        found = {part.status for part in self.parts}
        return "asking" in found and "running" not in found

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
    # Of some of that nobody knows what it cost.
    unpriced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Whom a router gave its request, and what that was decided by."""

    by: str = ""  # rule, model, fallback; nothing while the model is asked
    # One after the other; the first is who was chosen.
    workers: tuple[str, ...] = ()
    rule: str = ""
    # Why it came to the fallback worker: no-rule, model-failed, unsure, unknown-worker.
    cause: str = ""
    why: str = ""
    confidence: float | None = None
    # What the rules looked at, by path, and what the model says that it went by.
    features: Mapping[str, Json] = field(default_factory=dict)
    claims: Mapping[str, Json] = field(default_factory=dict)
    # Rules that could not be evaluated, and why.
    errors: Mapping[str, Json] = field(default_factory=dict)
    # Whom the model named where it was not followed.
    suggested: str = ""
    # The worker that failed, so that the fallback worker took over.
    failed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshState:
    """How far the peers of a mesh have come."""

    round: int = 0
    # Peers of this round that wait for their turn, and those of the next.
    queue: tuple[str, ...] = ()
    due: tuple[str, ...] = ()
    # Of each key with its tags what was written last, both as short digests.
    values: Mapping[str, str] = field(default_factory=dict)
    # Where the newest answer of each peer stands.
    said: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    # The event that carries the result, and its place in there.
    result: tuple[int, ...] = ()
    ended: str = ""  # result, converged, rounds, budget
    notes: tuple[str, ...] = ()


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
    route: Route = Route()
    # What is waited for, and until when, in milliseconds since 1970.
    timers: Mapping[str, int] = field(default_factory=dict)
    error: Mapping[str, Json] | None = None
    parent: str = ""
    parent_work: str = ""
    # Which part of the parent's work this run does, where that has several.
    parent_index: int = 0
    # How many supervisors may still stand below; -1 says that none stands above.
    delegations: int = -1
    # Whatever chance a pattern needs comes from here.
    seed: int = 0
    # Whether runs that it started and waits for no longer are cancelled.
    cancels_below: bool = False
    # Whether what it asked for and waits for no longer is withdrawn.
    withdraws: bool = False
    # Of those, the ones that have ended since: what they spent is counted.
    settled: tuple[str, ...] = ()
    # The rounds that are over, and what has to be said about how the run went.
    rounds: tuple[Round, ...] = ()
    notes: tuple[str, ...] = ()
    # Where the newest result stands that a supervisor gave before it was done.
    draft: int = 0
    # What the run comes to, where that is more than its last output: see `core/handing.py`.
    answer: Json = None
    mesh: MeshState = MeshState()
    # Where in the log stands what came into the run from tools: see `core/hearing.py`.
    heard: tuple[int, ...] = ()
    # The classes of the data that came into the run from outside: see `core/classes.py`.
    classes: tuple[str, ...] = ()

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def listens_to(self) -> str:
        """The topic that it waits to hear of, if it does."""
        known = self.works.get(self.position)
        if known is None or known.status != "running" or self.has_ended:
            return ""
        return known.topic

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
    if "rounds" in data:
        data["rounds"] = [[one.plan, _parts_to_json(one.parts)] for one in state.rounds]
    if "route" in data:
        data["route"] = _plain(state.route, frozenset())
    if "mesh" in data:
        data["mesh"] = _plain(state.mesh, frozenset())
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
    if "rounds" in data:
        changed["rounds"] = tuple(
            Round(at, _parts_from_json(parts)) for at, parts in data["rounds"]
        )
    if "notes" in data:
        changed["notes"] = tuple(data["notes"])
    if "heard" in data:
        changed["heard"] = tuple(data["heard"])
    if "settled" in data:
        changed["settled"] = tuple(data["settled"])
    if "classes" in data:
        changed["classes"] = tuple(data["classes"])
    if "route" in data:
        route = data["route"]
        changed["route"] = Route(**{**route, "workers": tuple(route.get("workers", ()))})
    if "mesh" in data:
        changed["mesh"] = _mesh_from_json(data["mesh"])
    return RunState(**{**data, **changed})


def _mesh_from_json(data: Mapping[str, Any]) -> MeshState:
    lists = {name for name, value in data.items() if isinstance(value, list)}
    return MeshState(**{**data, **{name: tuple(data[name]) for name in lists}})


def _work_to_json(work: WorkState) -> dict[str, Json]:
    data = _plain(work, frozenset({"status"}))
    if work.parts:
        data["parts"] = _parts_to_json(work.parts)
    return data


def _parts_to_json(parts: tuple[Part, ...]) -> list[Json]:
    return [_part_to_json(part) for part in parts]


def _part_to_json(part: Part) -> list[Json]:
    """Three values that all have, and what else it says by name."""
    data: list[Json] = [part.status, part.attempt, part.seq]
    more = {name: value for name in PART_NAMES if (value := getattr(part, name)) != _PART[name]}
    if part.asks:
        more["asks"] = [[ask.proposal, ask.seq] for ask in part.asks]
    return [*data, more] if more else data


def _parts_from_json(data: Any) -> tuple[Part, ...]:
    return tuple(_part_from_json(part) for part in data)


def _part_from_json(data: Sequence[Any]) -> Part:
    status, attempt, seq, *more = data
    if not more:
        return Part(status, attempt, seq)
    named = dict(more[0])
    named["asks"] = tuple(AskState(*ask) for ask in named.get("asks", ()))
    return Part(status, attempt, seq, **named)


def _work_from_json(data: Mapping[str, Any]) -> WorkState:
    changed = {
        "parts": _parts_from_json(data.get("parts", ())),
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


_PART = {found.name: found.default for found in fields(Part) if found.name != "asks"}
# What a part says only where it is not as it is by default, beside its first three values.
PART_NAMES = tuple(name for name in _PART if name not in {"status", "attempt", "seq"})

_SHAPES = {
    type(blank): _shape(blank)
    for blank in (
        RunState(),
        WorkState(),
        Spent(),
        Route(),
        MeshState(),
        ProposalState(action="", digest=""),
    )
}
