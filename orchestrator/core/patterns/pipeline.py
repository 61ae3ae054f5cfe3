"""A pipeline: one stage after the other. Optional stages are left out when they fail, others end the run."""

from dataclasses import replace

from orchestrator.core.codec import Json
from orchestrator.core.patterns import work
from orchestrator.core.plan import Plan
from orchestrator.core.state import Moment, RunState


def begin(plan: Plan, state: RunState, moment: Moment, intent: Json) -> RunState:
    return _go_on(plan, state, None, moment, intent)


def after_work(plan: Plan, state: RunState, name: str, moment: Moment, came: Json) -> RunState:
    """A work of the run is over, one way or the other."""
    status = state.works[name].status
    if status == "failed":
        return replace(state, status="failed")
    # What an optional stage failed of is no error of the run.
    fine = replace(state, error=None) if state.error is not None else state
    return _go_on(plan, fine, name, moment, came)


def _go_on(plan: Plan, state: RunState, done: str | None, moment: Moment, came: Json) -> RunState:
    """The next stage; one that has nothing to do is over as it starts."""
    names = list(plan.works)
    for name in names[names.index(done) + 1 if done else 0 :]:
        state = work.start(plan, state, name, moment, came)
        begun = state.works[name].status
        if begun == "failed":
            return replace(state, status="failed")
        if begun == "running":
            return state
        state, came = replace(state, error=None), []
    return replace(state, status="completed", position="")
