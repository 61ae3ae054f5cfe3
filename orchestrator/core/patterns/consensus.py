"""A consensus: members answer the same question unseen by each other, and a judge weighs what they said.

The judge does not count votes: it goes by a rubric, and is told neither who said what nor in which order.
Every member that did not answer lowers the confidence; too few answers end the run.
"""

from dataclasses import replace
from string import ascii_uppercase

from orchestrator.core.codec import Json, digest
from orchestrator.core.handing import part_of, say
from orchestrator.core.patterns import parts as parts_of
from orchestrator.core.patterns import work
from orchestrator.core.plan import Plan
from orchestrator.core.state import Moment, Part, Round, RunState

MEMBERS, JUDGE = "members", "judge"


def begin(plan: Plan, state: RunState, moment: Moment, intent: Json) -> RunState:
    asked = tuple(Part("queued", who=name) for name in sorted(plan.works[MEMBERS].members))
    return work.start(plan, state, MEMBERS, moment, None, parts=asked)


def after_work(plan: Plan, state: RunState, name: str, moment: Moment, came: Json) -> RunState:
    if name == MEMBERS:
        return _hear(plan, state, moment)
    if state.works[name].status in work.FAILING:
        return replace(state, status="failed")
    return _conclude(replace(state, error=None), came)


def lettered(state: RunState) -> dict[str, int]:
    """Which part is which to the judge: A, B, C in an order that the run's seed shuffles."""
    parts = state.rounds[0].parts
    answered = [place for place, part in enumerate(parts) if part.status == "done"]
    shuffled = sorted(answered, key=lambda place: digest(f"{state.seed}:{parts[place].who}"))
    return dict(zip(ascii_uppercase, shuffled, strict=False))


def _hear(plan: Plan, state: RunState, moment: Moment) -> RunState:
    parts = state.works[MEMBERS].parts
    state = replace(state, rounds=(Round(0, parts),))
    answered = sum(part.status == "done" for part in parts)
    if answered < plan.quorum:
        reason = f"{answered} of {len(parts)} members answered, and it takes {plan.quorum}"
        return _fail(state, "no-quorum", MEMBERS, reason)
    inputs: dict[str, Json] = {
        "answers": {letter: parts[place].seq for letter, place in lettered(state).items()},
        "rubric": {"$of": "/rubric"},
        "missing": say(len(parts) - answered),
    }
    return work.start(plan, replace(state, error=None), JUDGE, moment, None, inputs=inputs)


def _conclude(state: RunState, came: Json) -> RunState:
    judged = came.get("confidence") if isinstance(came, dict) else None
    if not isinstance(came, dict) or not _is_share(judged):
        reason = "the judge gave no verdict with a confidence from 0 to 1"
        return _fail(state, "output-invalid", JUDGE, reason)
    parts, at = state.rounds[0].parts, state.works[JUDGE].parts[0].seq
    letters = lettered(state)
    rests_on, strange = _rests_on(came.get("rests_on"), letters)
    notes = [f"the judge rests on {letter[:20]}, which nobody said" for letter in strange]
    answer: dict[str, Json] = {
        "verdict": part_of(at, "/verdict"),
        "confidence": say(lowered(judged, len(letters), len(parts))),
        "judged": part_of(at, "/confidence"),
        "reasons": part_of(at, "/reasons"),
        "rests_on": [parts[letters[letter]].who for letter in rests_on],
        "answered": say(len(letters)),
        "asked": say(len(parts)),
        "gaps": [
            {"member": part.who, "why": part.why} for part in parts if part.status in parts_of.GAPS
        ],
        "notes": [*notes],
    }
    return replace(
        state, status="completed", position="", answer=answer, notes=(*state.notes, *notes)
    )


def lowered(judged: Json, answered: int, asked: int) -> float:
    """The judge's confidence times the share of the members that answered."""
    number = judged if isinstance(judged, int | float) else 0.0
    return round(number * answered / asked, 4)


def _is_share(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _rests_on(named: Json, letters: dict[str, int]) -> tuple[list[str], list[str]]:
    found = [one for one in named if isinstance(one, str)] if isinstance(named, list) else []
    known = [letter for letter in letters if letter in found]
    return known, sorted(set(found) - set(known))[: len(ascii_uppercase)]


def _fail(state: RunState, code: str, who: str, reason: str) -> RunState:
    error: dict[str, Json] = {"code": code, "who": who, "reason": reason, "retryable": False}
    return replace(state, status="failed", error=error)
