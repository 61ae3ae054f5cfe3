"""A state machine given as data: states, the events that lead out of them, and guards in CEL."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from orchestrator.core import budgets
from orchestrator.core import events as ev
from orchestrator.core.codec import Json, canonical, digest
from orchestrator.core.errors import IllegalTransition
from orchestrator.core.patterns import work
from orchestrator.core.plan import Place, Plan
from orchestrator.core.policy.guards import holds
from orchestrator.core.state import Moment, RunState

AFTER = "state:"
# What a state's own work says when it is over, as names of events.
SAYS = {"done": "done", "skipped": "failed", "failed": "failed"}


def begin(plan: Plan, state: RunState, moment: Moment, intent: Json) -> RunState:
    started = replace(state, data={"intent": intent})
    return _enter(plan, started, plan.initial, moment, intent)


def after_work(plan: Plan, state: RunState, name: str, moment: Moment, came: Json) -> RunState:
    """The work of a state is over; its output can be seen by guards from now on."""
    if state.works[name].fanned:
        # Of many answers the last to come is no better than any other.
        came = None
    state, to = _choose(plan, state, name, came)
    return _enter(plan, state, to, moment, came)


def signal(plan: Plan, state: RunState, event: ev.SignalReceived, moment: Moment) -> RunState:
    """From outside, so one that no way fits is refused: a stranger's mistake must not end the run."""
    place = plan.places[state.position]
    to = "" if event.name in SAYS.values() else _way(plan, state, event.name, event.data)
    if not to:
        raise IllegalTransition(
            "The run", f"in state {place.name!r} and not waiting for {event.name!r}", event.kind
        )
    return _enter(plan, _close(state, place), to, moment, event.data)


def reach_time(plan: Plan, state: RunState, timer: str, moment: Moment) -> RunState:
    place = plan.places[timer.removeprefix(AFTER)]
    return _enter(plan, _close(state, place), place.after_to, moment, None)


def _choose(plan: Plan, state: RunState, name: str, came: Json) -> tuple[RunState, str]:
    """The way out of a state whose work is over. Without one the run has failed."""
    status = state.works[name].status
    if status == "done":
        state = replace(state, data={**state.data, name: came}, error=None)
    to = _way(plan, state, SAYS[status], came)
    if to:
        return _close(state, plan.places[name]), to
    error = state.error or {
        "code": "no-way-out",
        "who": name,
        "reason": f"no transition of state {name!r} fits the event {SAYS[status]!r}",
        "retryable": False,
    }
    return replace(state, status="failed", error=error), ""


def _way(plan: Plan, state: RunState, event: str, came: Json) -> str:
    """Where the first way leads whose guard holds."""
    facts = {"data": dict(state.data), "event": came}
    for way in plan.places[state.position].ways.get(event, ()):
        if not way.guard or holds(way.guard, facts):
            return way.to
    return ""


def _close(state: RunState, place: Place) -> RunState:
    return work.leave(state.without_timer(AFTER + place.name), place.name)


def _enter(plan: Plan, state: RunState, to: str, moment: Moment, came: Json) -> RunState:
    """Into a state, and on through those whose work is over as it starts."""
    while to:
        state = _arrive(plan, state, plan.places[to], moment, came)
        known = state.works.get(to) if plan.places[to].work else None
        if state.has_ended or known is None or known.status not in SAYS:
            return state
        state, to, came = *_choose(plan, state, to, []), []
    return state


def _arrive(plan: Plan, state: RunState, place: Place, moment: Moment, came: Json) -> RunState:
    state = budgets.check(plan, _count_visit(plan, replace(state, position=place.name)))
    if state.has_ended:
        return state
    if place.end:
        failed = place.end == "failed"
        return replace(state, status=place.end, error=state.error if failed else None)
    if place.after_s:
        due = moment.at_ms + place.after_s * 1000
        state = replace(state, timers={**state.timers, AFTER + place.name: due})
    if place.work is None:
        spent = replace(state.spent, steps=state.spent.steps + 1)
        return replace(state, spent=spent)
    return work.start(plan, state, place.name, moment, came)


def _count_visit(plan: Plan, state: RunState) -> RunState:
    """The same state with the same data again and again is a loop, whatever its length."""
    data: dict[str, Any] = dict(state.data)
    here = f"{state.position}:{digest(canonical(data))[7:23]}"
    count = state.visits.get(here, 0) + 1
    visits: Mapping[str, int] = {**state.visits, here: count}
    if plan.budget.repeats and count > plan.budget.repeats:
        reason = f"it came to {state.position!r} with the same data {count} times"
        error: dict[str, Json] = {
            "code": "cycle",
            "who": state.position,
            "reason": reason,
            "retryable": False,
        }
        return replace(state, status="failed", visits=visits, error=error)
    return replace(state, visits=visits)
