"""A supervisor hands out tasks to workers, round by round, and makes one result of what they bring.

A round is: the supervisor plans, its tasks are done, at most so many at once, and it is handed results
and gaps. The run ends with a result when the supervisor is done; when a round brings nothing new or the
last round is over, and it was asked to sum up; or when the run cost enough, with the best result so far.
"""

from dataclasses import replace
from typing import Any

from orchestrator.core.codec import Json
from orchestrator.core.handing import part_of, say
from orchestrator.core.patterns import parts as parts_of
from orchestrator.core.patterns import work
from orchestrator.core.plan import Plan, Pool
from orchestrator.core.state import Moment, Part, Round, RunState

PLAN, TASKS, SYNTHESIS = "plan", "tasks", "synthesis"
RESULT = "/result"


def begin(plan: Plan, state: RunState, moment: Moment, intent: Json) -> RunState:
    return _ask(plan, state, PLAN, moment)


def after_work(plan: Plan, state: RunState, name: str, moment: Moment, came: Json) -> RunState:
    if state.works[name].status in work.FAILING and name != TASKS:
        return _go_without(state, name)
    # What a task failed of is no error of the run.
    state = replace(state, error=None)
    if name == TASKS:
        return _gather(plan, state, moment)
    if name == PLAN and not _is_done(came):
        return _hand_out(plan, state, moment, came)
    return _complete(state, part_of(_answer_at(state, name), RESULT))


# A round ----------------------------------------------------------------------------------------


def _ask(plan: Plan, state: RunState, name: str, moment: Moment, **more: Json) -> RunState:
    return work.start(plan, state, name, moment, None, inputs={**_handed(plan, state), **more})


def _hand_out(plan: Plan, state: RunState, moment: Moment, came: Json) -> RunState:
    tasks = came.get("tasks") if isinstance(came, dict) else None
    pool = _pool(plan)
    if not isinstance(tasks, list) or len(tasks) > pool.tasks_at_most:
        reason = f"its answer has no list of at most {pool.tasks_at_most} tasks"
        return _go_without(replace(state, error=_invalid(reason)), PLAN)
    if isinstance(came, dict) and "result" in came:
        state = replace(state, draft=_answer_at(state, PLAN))
    asked = tuple(_part(plan, task) for task in tasks)
    if not _has_news(state, asked):
        return _sum_up(plan, state, moment, "no task was new")
    at = _answer_at(state, PLAN)
    state = work.start(plan, state, TASKS, moment, None, parts=asked, tasks_at=at)
    if state.works[TASKS].status in work.OVER:
        return _gather(plan, replace(state, error=None), moment)
    return state


def _part(plan: Plan, task: Json) -> Part:
    named = task.get("worker") if isinstance(task, dict) else None
    who = named if isinstance(named, str) else ""
    known = parts_of.mark(task)
    if who in plan.works[TASKS].members:
        return Part("queued", who=who, task=known)
    why = f"there is no worker “{who[:60]}”" if who else "it names no worker"
    return Part("given_up", 0, who=who[:60] or "?", task=known, why=why)


def _has_news(state: RunState, asked: tuple[Part, ...]) -> bool:
    """Whether there is a task that was not answered yet."""
    answered = {
        part.task for known in state.rounds for part in known.parts if part.status == "done"
    }
    return any(part.task not in answered for part in asked)


def _gather(plan: Plan, state: RunState, moment: Moment) -> RunState:
    """A round is over."""
    over = Round(state.works[TASKS].tasks_at, state.works[TASKS].parts)
    before = state.rounds[-1] if state.rounds else None
    state = replace(state, rounds=(*state.rounds, over))
    if parts_of.is_stopped(state, plan.works[TASKS]):
        return _complete_early(state, f"{parts_of.STOPPED} in round {len(state.rounds)}")
    if len(state.rounds) >= _pool(plan).rounds:
        return _sum_up(plan, state, moment, f"this was round {len(state.rounds)}, the last one")
    if before is not None and _said(over) and _said(over) == _said(before):
        return _sum_up(plan, state, moment, "two rounds brought the same")
    return _ask(plan, state, PLAN, moment)


def _said(known: Round) -> list[str]:
    return sorted(part.said for part in known.parts if part.status == "done")


# The end ----------------------------------------------------------------------------------------


def _sum_up(plan: Plan, state: RunState, moment: Moment, why: str) -> RunState:
    if parts_of.is_stopped(state, plan.works[TASKS]):
        return _complete_early(state, f"{parts_of.STOPPED} before it could be summed up")
    state = replace(state, notes=(*state.notes, f"{why}, so the supervisor was asked to sum up"))
    return _ask(plan, state, SYNTHESIS, moment, why=why)


def _go_without(state: RunState, name: str) -> RunState:
    """Without a supervisor there is what the workers brought; without that there is nothing."""
    has_some = any(part.status == "done" for known in state.rounds for part in known.parts)
    if not has_some and not state.draft:
        return replace(state, status="failed")
    reason = str((state.error or {}).get("reason", ""))[: parts_of.WHY_LENGTH_MAX]
    return _complete_early(replace(state, error=None), f"the supervisor failed: {reason}")


def _complete_early(state: RunState, why: str) -> RunState:
    """With the best there is: what the supervisor last called its result, or the results as they came."""
    if state.draft:
        note = f"{why}: this is the result that the supervisor had before"
        best: Json = part_of(state.draft, RESULT)
    else:
        note = f"{why}: these are the results as they came"
        best = _results(state)
    return _complete(replace(state, notes=(*state.notes, note)), best)


def _complete(state: RunState, result: Json) -> RunState:
    answer: dict[str, Json] = {
        "result": result,
        "gaps": _gaps(state),
        "notes": list(state.notes),
        "rounds": say(len(state.rounds)),
    }
    return replace(state, status="completed", position="", answer=answer)


# What is handed on ------------------------------------------------------------------------------


def _handed(plan: Plan, state: RunState) -> dict[str, Json]:
    workers = plan.works[TASKS].members
    return {
        "workers": {name: {"$of": f"/workers/{name}/description"} for name in workers},
        "round": say(len(state.rounds) + 1),
        "rounds": say(_pool(plan).rounds),
        "results": _results(state),
        "gaps": _gaps(state),
    }


def _results(state: RunState) -> list[Json]:
    return [
        {**_named(known, place), "result": part.seq}
        for known in state.rounds
        for place, part in enumerate(known.parts)
        if part.status == "done"
    ]


def _gaps(state: RunState) -> list[Json]:
    return [
        {**_named(known, place), "why": part.why}
        for known in state.rounds
        for place, part in enumerate(known.parts)
        if part.status in parts_of.GAPS
    ]


def _named(known: Round, place: int) -> dict[str, Json]:
    return {
        "worker": known.parts[place].who,
        "task": parts_of.task_at(known.plan, place),
    }


def _answer_at(state: RunState, name: str) -> int:
    return state.works[name].parts[0].seq


def _is_done(came: Json) -> bool:
    return isinstance(came, dict) and came.get("done") is True


def _pool(plan: Plan) -> Pool:
    if plan.pool is None:
        raise TypeError("a supervisor's plan says how far it may go")
    return plan.pool


def _invalid(reason: str) -> dict[str, Any]:
    return {"code": "output-invalid", "who": PLAN, "reason": reason, "retryable": False}
