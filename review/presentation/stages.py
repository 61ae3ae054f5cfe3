"""How far a run has come: each stage or state of its plan, and what came of it."""

from collections.abc import Iterator, Mapping, Sequence
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
    outputs: list[Output]
    item: str
    proposal: str
    child: str

    @property
    def has_begun(self) -> bool:
        return self.started_at is not None


def stages(case: RunCase, now: datetime) -> list[Stage]:
    """A pipeline's stages in their order, a machine's states from its first one outwards."""
    names = _outwards(case.plan) if case.plan.places else list(case.plan.works)
    return [_stage(case, name, now) for name in names]


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
        is_here=name == case.state.position and not case.has_ended,
        facts=_facts(case, name, planned, known),
        started_at=started_at,
        took=_took(case, known, started_at, now),
        calls=known.calls,
        tokens=known.tokens,
        money_micros=known.money_micros,
        outputs=list(_outputs(case, known)),
        item=known.item,
        proposal=known.proposal,
        child=known.child,
    )


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
    return "waiting" if waits else known.status


def _about(case: RunCase, name: str, planned: Work | None) -> str:
    """Who does it, or what is asked or waited for."""
    if planned is None:
        return ""
    if planned.kind == "approval":
        return str(_raw(case, name).get("approval", {}).get("question", ""))
    if planned.kind == "agent":
        agent = _raw(case, name).get("agent", {})
        return f"{agent.get('kind', '')} {agent.get('name', '')}".strip()
    return planned.signal or planned.workflow


def _raw(case: RunCase, name: str) -> Mapping[str, Any]:
    """A stage or state as it was written."""
    if case.plan.places:
        found: Mapping[str, Any] = case.definition["states"][name].get("run", {})
        return found
    return next(stage for stage in case.definition["stages"] if stage["name"] == name)


def _facts(case: RunCase, name: str, planned: Work | None, known: WorkState) -> list[str]:
    said = []
    attempt = max((part.attempt for part in known.parts), default=0)
    if planned and attempt > 1:
        said.append(f"attempt {attempt} of {planned.attempts}")
    if known.fanned:
        done = sum(part.status == "done" for part in known.parts)
        said.append(f"{done} of {len(known.parts)} parts done")
    if planned and planned.approvals > 1:
        said.append(f"{len(known.approvals)} of {planned.approvals} approvals")
    if planned and planned.optional:
        said.append("optional")
    visits = _visits(case, name)
    if visits > 1:
        said.append(f"came here {visits} times")
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
            yield _output(case, entry, f"Part {index + 1}" if known.fanned else "Output")


def _output(case: RunCase, entry: Entry, label: str) -> Output:
    facts = veil(entry.kind, entry.facts, case.veiled)
    value = {
        "person_answered": {
            name: facts.get(name, "") for name in ("verdict", "by", "reason", "note")
        },
        "signal_received": facts.get("data"),
    }.get(entry.kind, facts.get("output"))
    cut = veiled_text(entry.kind, entry.text[:TEXT_CUT_TO], case.veiled) if entry.is_cut else ""
    return Output(label, entry.seq, value, cut, entry.size)
