"""What a supervisor's workers and a consensus' members did: round by round, with every gap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from orchestrator.core.codec import Json
from orchestrator.core.handing import AT, find
from orchestrator.core.patterns import consensus, supervisor
from orchestrator.core.patterns.parts import GAPS
from orchestrator.core.state import Part, Round
from review.presentation.chips import WORKS, Look
from review.presentation.veil import veil
from review.run_reads import RunCase

PARTS = {
    **WORKS,
    "queued": Look("Waits its turn", "quiet", "clock"),
    "skipped": Look("Failed", "bad", "circle-alert", is_final=True),
    "given_up": Look("Given up", "warn", "ban", is_final=True),
}


class Task(NamedTuple):
    """One task of a round, and what became of it."""

    worker: str
    task: Json
    # Whether what was asked could be read here.
    is_told: bool
    look: Look
    why: str
    seq: int
    child: str


class RoundShown(NamedTuple):
    number: int
    plan: int
    tasks: list[Task]
    said: str


class Result(NamedTuple):
    """What the supervisor made of it all."""

    seq: int
    value: Json
    is_cut: bool


@dataclass(frozen=True, slots=True)
class PoolShown:
    result: Result | None
    rounds: list[RoundShown]
    rounds_max: int
    at_once: int
    notes: Sequence[str]
    gaps: int


class Member(NamedTuple):
    name: str
    # What the judge knew it as.
    letter: str
    look: Look
    why: str
    seq: int
    output: Json
    is_cut: bool
    is_rested_on: bool


class Criterion(NamedTuple):
    name: str
    asks: str
    reason: str


@dataclass(frozen=True, slots=True)
class CouncilShown:
    reason: str
    quorum: int
    members: list[Member]
    rubric: list[Criterion]
    notes: Sequence[str]
    verdict: Json
    # In words; empty while there is no verdict.
    confidence: str
    judged: str
    answered: int
    asked: int


# A supervisor -----------------------------------------------------------------------------------


def pool(case: RunCase) -> PoolShown | None:
    if case.plan.pool is None:
        return None
    rounds = [_round(case, number, known) for number, known in enumerate(_rounds(case), start=1)]
    return PoolShown(
        result=_result(case),
        rounds=rounds,
        rounds_max=case.plan.pool.rounds,
        at_once=case.plan.works[supervisor.TASKS].at_once,
        notes=case.state.notes,
        gaps=sum(part.status in GAPS for known in case.state.rounds for part in known.parts),
    )


def _result(case: RunCase) -> Result | None:
    """Nothing where it made nothing of it: then the notes say so, and the rounds hold what there is."""
    answer = case.state.answer if isinstance(case.state.answer, Mapping) else {}
    form = answer.get("result")
    seq = form.get(AT) if isinstance(form, Mapping) else None
    if not isinstance(seq, int) or seq not in case.marks:
        return None
    entry = case.marks[seq]
    output = veil(entry.kind, entry.facts, case.veiled).get("output")
    return Result(entry.seq, find(output, supervisor.RESULT), entry.is_cut)


def _rounds(case: RunCase) -> list[Round]:
    """Those that are over, and the one that is under way."""
    found = [*case.state.rounds]
    known = case.state.works.get(supervisor.TASKS)
    if known is not None and all(one.plan != known.tasks_at for one in found):
        found.append(Round(known.tasks_at, known.parts))
    return found


def _round(case: RunCase, number: int, known: Round) -> RoundShown:
    asked = _asked(case, known.plan)
    tasks = [_task(case, part, asked, place) for place, part in enumerate(known.parts)]
    return RoundShown(number, known.plan, tasks, _counted(known.parts))


def _asked(case: RunCase, seq: int) -> list[Any]:
    """What the supervisor wanted, unless that is too long for this page or not for this reader."""
    entry = case.marks.get(seq)
    output = veil(entry.kind, entry.facts, case.veiled).get("output") if entry else None
    tasks = output.get("tasks") if isinstance(output, Mapping) else None
    return tasks if isinstance(tasks, list) else []


def _task(case: RunCase, part: Part, asked: list[Any], place: int) -> Task:
    task = asked[place] if place < len(asked) else None
    stopped = part.is_open and case.has_ended
    return Task(
        worker=part.who,
        task=task.get("task") if isinstance(task, Mapping) else task,
        is_told=place < len(asked),
        look=PARTS["stopped" if stopped else part.status],
        why=part.why,
        seq=part.seq,
        child=part.child,
    )


def _counted(parts: Sequence[Part]) -> str:
    counts = (
        ("done", sum(part.status == "done" for part in parts)),
        ("at work", sum(part.status == "running" for part in parts)),
        ("waiting", sum(part.status == "queued" for part in parts)),
    )
    gaps = sum(part.status in GAPS for part in parts)
    said = [f"{count} {word}" for word, count in counts if count]
    said += [f"{gaps} gap{'' if gaps == 1 else 's'}"] if gaps else []
    return ", ".join(said) or "no tasks"


# A consensus ------------------------------------------------------------------------------------


def council(case: RunCase) -> CouncilShown | None:
    known = case.state.works.get(consensus.MEMBERS)
    if case.plan.pattern != "consensus" or known is None:
        return None
    said = _said_by(case, consensus.JUDGE)
    told: Mapping[str, Any] = said if isinstance(said, Mapping) else {}
    answer = case.state.answer if isinstance(case.state.answer, Mapping) else {}
    answered = sum(part.status == "done" for part in known.parts)
    return CouncilShown(
        reason=str(case.definition["reason"]),
        quorum=case.plan.quorum,
        members=_members(case, known.parts, answer.get("rests_on", [])),
        rubric=_rubric(case.definition["rubric"], told.get("reasons")),
        notes=case.state.notes,
        verdict=told.get("verdict"),
        confidence=_share(answer.get("confidence")) if told else "",
        judged=_share({"$say": told.get("confidence")}) if told else "",
        answered=answered,
        asked=len(known.parts),
    )


def _members(case: RunCase, parts: Sequence[Part], rests_on: Any) -> list[Member]:
    letters = consensus.lettered(case.state) if case.state.rounds else {}
    by_place = {place: letter for letter, place in letters.items()}
    return [
        _member(case, part, by_place.get(place, ""), part.who in rests_on)
        for place, part in enumerate(parts)
    ]


def _member(case: RunCase, part: Part, letter: str, is_rested_on: bool) -> Member:
    entry = case.marks.get(part.seq) if part.seq and part.status == "done" else None
    stopped = part.is_open and case.has_ended
    return Member(
        name=part.who,
        letter=letter,
        look=PARTS["stopped" if stopped else part.status],
        why=part.why,
        seq=part.seq,
        output=veil(entry.kind, entry.facts, case.veiled).get("output") if entry else None,
        is_cut=entry.is_cut if entry else False,
        is_rested_on=is_rested_on,
    )


def _rubric(rubric: Mapping[str, str], reasons: Any) -> list[Criterion]:
    told = reasons if isinstance(reasons, Mapping) else {}
    return [Criterion(name, asks, str(told.get(name, ""))) for name, asks in rubric.items()]


def _said_by(case: RunCase, name: str) -> Json:
    known = case.state.works.get(name)
    seq = known.parts[0].seq if known and known.parts else 0
    entry = case.marks.get(seq)
    found: Json = veil(entry.kind, entry.facts, case.veiled).get("output") if entry else None
    return found


def _share(form: Any) -> str:
    share = form.get("$say") if isinstance(form, Mapping) else None
    return f"{share:.2f}" if isinstance(share, int | float) else ""
