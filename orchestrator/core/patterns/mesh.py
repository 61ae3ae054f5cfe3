"""A mesh: peers that know each other only through a shared memory, in rounds.

In each round everybody is asked whose readable memory changed since their last turn, some at a time. It
ends when somebody posts the result, when a round brought nothing new, or at a limit: then with what there
is, and a note. Whether something is new is told by the events alone, which carry what was remembered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator.core import budgets
from orchestrator.core import events as ev
from orchestrator.core.codec import Json, canonical, digest
from orchestrator.core.patterns import work
from orchestrator.core.plan import Mesh, Plan
from orchestrator.core.state import MeshState, Moment, RunState

RESULT, CONVERGED, ROUNDS, BUDGET = "result", "converged", "rounds", "budget"


def begin(plan: Plan, state: RunState, moment: Moment, intent: Json) -> RunState:
    return _open_round(plan, replace(state, mesh=MeshState()), list(plan.works), moment)


def hear(plan: Plan, state: RunState, event: ev.Event, moment: Moment) -> RunState:
    """What happened to a peer."""
    state, name = work.move(plan, state, event, moment)
    if name and isinstance(event, ev.WorkFinished):
        state = _take_in(_mesh(plan), state, event, moment)
    state = check(plan, state)
    if not name or state.has_ended or state.works[name].status not in work.OVER:
        return state
    return _go_on(plan, _count_failure(_mesh(plan), state, name), moment)


def check(plan: Plan, state: RunState) -> RunState:
    """A budget that is used up ends it with what there is."""
    if state.has_ended:
        return state
    over = budgets.first_over(plan, state.spent)
    return stop(state, BUDGET, f"the budget of {over} is used up") if over else state


def stop(state: RunState, why: str, note: str = "") -> RunState:
    """Nobody is asked any more. Only where nobody ever answered there is nothing to complete with."""
    for name in state.works:
        state = work.leave(state, name)
    known = state.mesh
    notes = (*known.notes, note) if note else known.notes
    mesh = replace(known, ended=why, notes=notes, queue=(), due=())
    if known.said:
        return replace(state, status="completed", position="", error=None, mesh=mesh)
    error: dict[str, Json] = {
        "code": "nobody-answered",
        "who": state.workflow,
        "reason": note or "every peer failed",
        "retryable": False,
    }
    return replace(state, status="failed", error=state.error or error, mesh=mesh)


def _take_in(mesh: Mesh, state: RunState, event: ev.WorkFinished, moment: Moment) -> RunState:
    """Who has to hear of what it wrote, and whether that is the result."""
    known = state.mesh
    values, due, result = dict(known.values), set(known.due), known.result
    for place, said in enumerate(event.remembered):
        name, mark = _marks(said)
        if values.get(name) == mark:
            continue
        values[name] = mark
        due |= _readers(mesh, state, event.work, said)
        if not result and _is_result(mesh, said):
            result = (moment.seq, place)
    said_by = {**known.said, event.work: moment.seq}
    changed = replace(known, values=values, due=_in_order(mesh, due), said=said_by, result=result)
    return replace(state, mesh=changed, error=None)


def _marks(said: Mapping[str, Any]) -> tuple[str, str]:
    """Short: a state with a thousand of them is stored with every step."""
    place = canonical([said["key"], list(said["tags"])])
    return digest(place)[7:23], digest(canonical(said["value"]))[7:23]


def _readers(mesh: Mesh, state: RunState, writer: str, said: Mapping[str, Any]) -> set[str]:
    """Whoever still waits for their turn in this round will be handed it then."""
    return {
        name
        for name, reads in mesh.reads.items()
        if name != writer and name not in state.mesh.queue and set(said["tags"]) <= set(reads)
    }


def _is_result(mesh: Mesh, said: Mapping[str, Any]) -> bool:
    key_fits = not mesh.result_key or said["key"] == mesh.result_key
    tag_fits = not mesh.result_tag or mesh.result_tag in said["tags"]
    return key_fits and tag_fits


def _count_failure(mesh: Mesh, state: RunState, name: str) -> RunState:
    """Who failed is asked again in the next round, until it failed too often."""
    if state.works[name].status not in work.FAILING:
        return state
    known = state.mesh
    failures = {**known.failures, name: known.failures.get(name, 0) + 1}
    changed = replace(known, failures=failures)
    if failures[name] < mesh.failures:
        changed = replace(changed, due=_in_order(mesh, {*known.due, name}))
    else:
        note = f"{name} was left out after {failures[name]} failed turns"
        changed = replace(changed, notes=(*known.notes, note))
    return replace(state, mesh=changed)


def _go_on(plan: Plan, state: RunState, moment: Moment) -> RunState:
    mesh, known = _mesh(plan), state.mesh
    if known.result:
        return stop(state, RESULT)
    state = _fill(plan, state, moment)
    if state.has_ended or _running(state):
        return state
    due = [name for name in state.mesh.due if not _is_out(mesh, state, name)]
    if not due:
        return stop(state, CONVERGED)
    if known.round >= mesh.rounds:
        return stop(state, ROUNDS, f"there was more to say after {mesh.rounds} rounds")
    return _open_round(plan, state, due, moment)


def _open_round(plan: Plan, state: RunState, peers: Sequence[str], moment: Moment) -> RunState:
    known = state.mesh
    opened = replace(known, round=known.round + 1, queue=tuple(peers), due=())
    return _fill(plan, replace(state, mesh=opened), moment)


def _fill(plan: Plan, state: RunState, moment: Moment) -> RunState:
    """As many at a time as may be; the others of the round wait."""
    while state.mesh.queue and len(_running(state)) < _mesh(plan).at_once:
        name, *rest = state.mesh.queue
        state = replace(state, mesh=replace(state.mesh, queue=tuple(rest)))
        state = check(plan, work.start(plan, state, name, moment, None))
        if state.has_ended:
            return state
    running = _running(state)
    return replace(state, position=running[0]) if running else state


def _running(state: RunState) -> list[str]:
    return [name for name, known in state.works.items() if known.status not in work.OVER]


def _is_out(mesh: Mesh, state: RunState, name: str) -> bool:
    return state.mesh.failures.get(name, 0) >= mesh.failures


def _in_order(mesh: Mesh, names: set[str]) -> tuple[str, ...]:
    return tuple(name for name in mesh.reads if name in names)


def _mesh(plan: Plan) -> Mesh:
    if plan.mesh is None:
        raise ValueError(f"a {plan.pattern} has no peers")
    return plan.mesh
