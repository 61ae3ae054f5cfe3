"""How far a run has come: each stage or state of its plan, and what came of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from orchestrator.core.codec import Json
from orchestrator.core.patterns import work
from orchestrator.core.plan import Plan, Work
from orchestrator.core.state import Part, WorkState
from review.presentation.chips import WORKS, Look
from review.presentation.times import took
from review.presentation.veil import veil, veiled_text
from review.run_reads import TEXT_CUT_TO, Entry, RunCase

# The run lists the newest of its proposals anyway.
ASKS_SHOWN = 10


class Output(NamedTuple):
    """One answer: of an agent, a person, a signal or another run."""

    label: str
    seq: int
    value: Json
    # The beginning of what is too long for this page.
    cut: str
    size: int


@dataclass(frozen=True, slots=True)
class Stage:
    """One thing that is done or waited for, and what came of it."""

    name: str
    kind: str
    about: str
    look: Look
    is_here: bool
    facts: list[str]
    started_at: datetime | None
    took: str
    calls: int
    tokens: int
    money_micros: int
    unpriced: bool
    outputs: list[Output]
    item: str
    proposal: str
    # What its agents asked for in their newest turn.
    asks: list[str]
    child: str

    @property
    def has_begun(self) -> bool:
        return self.started_at is not None


def stages(case: RunCase, now: datetime) -> list[Stage]:
    """A pipeline's stages in their order, a machine's states from its first one outwards."""
    names = _outwards(case.plan) if case.plan.places else list(case.plan.works)
    if case.plan.router:
        names = _routed(case)
    return [_stage(case, name, now) for name in names]


def _routed(case: RunCase) -> list[str]:
    """Of a router only who had a part in it, in their order, and who still waits for their turn."""
    works, route = case.state.works, case.state.route
    waiting = [] if route.failed else [name for name in route.workers if name not in works]
    return [*sorted(works, key=lambda name: works[name].visit), *waiting]


def _outwards(plan: Plan) -> list[str]:
    found = [plan.initial]
    for name in found:
        place = plan.places[name]
        ways = [way.to for ways in place.ways.values() for way in ways]
        found += [to for to in dict.fromkeys([*ways, place.after_to]) if to and to not in found]
    return found


def _stage(case: RunCase, name: str, now: datetime) -> Stage:
    planned, known = case.plan.works.get(name), case.state.works.get(name)
    place = case.plan.places.get(name)
    known = known or WorkState(status="")
    started_at = case.marks[known.visit].at if known.visit in case.marks else None
    return Stage(
        name=name,
        kind=planned.kind if planned else "end" if place and place.end else "state",
        about=_about(case, name, planned),
        look=WORKS[_status(case, name, planned, known)],
        is_here=_is_here(case, name, known) and not case.has_ended,
        facts=_facts(case, name, planned, known),
        started_at=started_at,
        took=_took(case, known, started_at, now),
        calls=known.calls,
        tokens=known.tokens,
        money_micros=known.money_micros,
        unpriced=name in case.unpriced,
        outputs=list(_outputs(case, known)),
        item=known.item,
        proposal=known.proposal,
        asks=[one.proposal for part in known.parts for one in part.asks if one.proposal][
            :ASKS_SHOWN
        ],
        child=known.child,
    )


def _is_here(case: RunCase, name: str, known: WorkState) -> bool:
    """Of a mesh several at a time."""
    if case.plan.mesh:
        return known.status == "running"
    return name == case.state.position


def _status(case: RunCase, name: str, planned: Work | None, known: WorkState) -> str:
    """A run that ended left what it was at; a machine's state without work is only passed through."""
    is_here, has_ended = name == case.state.position, case.has_ended
    if known.status in work.OVER:
        return known.status
    if known.status:
        return "stopped" if has_ended else _open_status(planned, known)
    if not _visits(case, name):
        return "planned"
    place = case.plan.places.get(name)
    if not is_here:
        return "done"
    if not has_ended:
        return "waiting"
    return AT_THE_END[place.end if place else ""]


AT_THE_END = {"completed": "done", "failed": "failed", "": "stopped"}


def _open_status(planned: Work | None, known: WorkState) -> str:
    waits = planned is not None and planned.kind in work.WAITING
    return "waiting" if waits or known.waits_for_asks else known.status


def _about(case: RunCase, name: str, planned: Work | None) -> str:
    """Who does it, or what is asked or waited for."""
    if planned is None:
        return ""
    if planned.kind == "approval":
        return str(_raw(case, name).get("approval", {}).get("question", ""))
    if planned.kind == "agent":
        agent = _raw(case, name).get("agent", {})
        return f"{agent.get('kind', '')} {agent.get('name', '')}".strip()
    return planned.signal or planned.workflow or planned.collects or planned.topic


def _raw(case: RunCase, name: str) -> Mapping[str, Any]:
    """A stage or state as it was written."""
    if case.plan.places:
        found: Mapping[str, Any] = case.definition["states"][name].get("run", {})
        return found
    if case.plan.pattern in POOLS:
        return POOLS[case.plan.pattern](case.definition, name)
    if case.plan.router:
        chosen: Mapping[str, Any] = case.definition["workers"].get(name) or case.definition["model"]
        return chosen
    if case.plan.mesh:
        peer: Mapping[str, Any] = case.definition["peers"][name]
        return peer
    return next(stage for stage in case.definition["stages"] if stage["name"] == name)


# Of a supervisor and a consensus: who is asked in a work that is one call.
POOLS: dict[str, Callable[[Mapping[str, Any], str], Mapping[str, Any]]] = {
    "supervisor": lambda found, name: {} if name == "tasks" else found["supervisor"],
    "consensus": lambda found, name: found["judge"] if name == "judge" else {},
}


def _facts(case: RunCase, name: str, planned: Work | None, known: WorkState) -> list[str]:
    said = []
    attempt = max((part.attempt for part in known.parts), default=0)
    if planned and attempt > 1 and not planned.members:
        said.append(f"attempt {attempt} of {planned.attempts}")
    if known.fanned:
        done = sum(part.status == "done" for part in known.parts)
        said.append(f"{done} of {len(known.parts)} parts done")
    said += _asks(known)
    if planned and planned.approvals > 1:
        said.append(f"{len(known.approvals)} of {planned.approvals} approvals")
    needs_no_word = case.plan.router or case.plan.mesh
    if planned and planned.optional and not planned.members and not needs_no_word:
        said.append("optional")
    visits = _visits(case, name)
    if visits > 1:
        said.append(f"came here {visits} times")
    return said


def _asks(known: WorkState) -> list[str]:
    """How often its agents asked for something, and whether they wait for it now."""
    said, turn = [], max((part.turn for part in known.parts), default=1)
    if turn > 1:
        said.append(f"turn {turn}")
    open_asks = [one for part in known.parts if part.status == "asking" for one in part.asks]
    if open_asks:
        settled = sum(bool(one.seq) for one in open_asks)
        said.append(f"{settled} of {len(open_asks)} asks settled")
    return said


def _visits(case: RunCase, name: str) -> int:
    """A machine counts its states with the data they were reached with: `name:hash`."""
    counts = case.state.visits.items()
    return sum(count for key, count in counts if key.rpartition(":")[0] == name)


def _took(case: RunCase, known: WorkState, started_at: datetime | None, now: datetime) -> str:
    if started_at is None:
        return ""
    if known.status not in work.OVER:
        ended_at = case.run.ended_at or now
    else:
        ended_at = _answered_at(case, known) or _followed_at(case, known) or now
    return took((ended_at - started_at).total_seconds())


def _answered_at(case: RunCase, known: WorkState) -> datetime | None:
    """Where its newest answer stands; a proposal goes on after the agent's answer."""
    if known.proposal or known.status != "done":
        return None
    seqs = {known.seq, *(part.seq for part in known.parts)}
    return max((case.marks[seq].at for seq in seqs if seq in case.marks), default=None)


def _followed_at(case: RunCase, known: WorkState) -> datetime | None:
    """What follows begins with the event that ended it."""
    later = [one.visit for one in case.state.works.values() if one.visit > known.visit]
    following = case.marks.get(min(later, default=0))
    return following.at if following else case.run.ended_at


def _outputs(case: RunCase, known: WorkState) -> Iterator[Output]:
    parts: Sequence[Part] = known.parts or ((Part("done", 1, known.seq),) if known.seq else ())
    for index, part in enumerate(parts):
        entry = case.marks.get(part.seq)
        if entry is not None and part.seq:
            label = f"Part {index + 1}" if known.fanned else "Output"
            yield _output(case, entry, part.who or label)


def _output(case: RunCase, entry: Entry, label: str) -> Output:
    facts = veil(entry.kind, entry.facts, case.veiled)
    value = {
        "person_answered": {
            name: facts.get(name, "") for name in ("verdict", "by", "reason", "note")
        },
        "signal_received": facts.get("data"),
        "message_received": facts.get("data"),
        "published": {"reached": facts.get("reached", 0)},
        "child_started": {"run": facts.get("run")},
    }.get(entry.kind, facts.get("output"))
    cut = veiled_text(entry.kind, entry.text[:TEXT_CUT_TO], case.veiled) if entry.is_cut else ""
    return Output(label, entry.seq, value, cut, entry.size)
