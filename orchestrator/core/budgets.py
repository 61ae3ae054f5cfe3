"""How much a run may use up. What is over ends the run, with the figure in its error."""

from dataclasses import replace

from orchestrator.core.codec import Json
from orchestrator.core.plan import Budget, Plan
from orchestrator.core.state import RunState

WALL = "wall"
_SPENDABLE = ("steps", "agent_calls", "tokens", "money_micros")


def check(plan: Plan, state: RunState) -> RunState:
    """After each event, before anything more is asked for."""
    if state.has_ended:
        return state
    for name in _SPENDABLE:
        limit, spent = getattr(plan.budget, name), getattr(state.spent, name)
        if limit and spent > limit:
            return exhaust(state, name, limit, spent)
    return state


def check_lineage(budget: Budget, state: RunState, lineage: tuple[str, ...]) -> RunState:
    """Runs that start runs: not too deep, and never in a circle."""
    if state.workflow in lineage:
        way = " → ".join((*lineage, state.workflow))
        return _fail(state, "cycle", f"the workflow comes round to itself: {way}")
    if budget.depth and len(lineage) >= budget.depth:
        return exhaust(state, "depth", budget.depth, len(lineage) + 1)
    return state


def exhaust(state: RunState, name: str, limit: int, spent: int) -> RunState:
    reason = f"the budget of {limit} {name.replace('_', ' ')} is used up ({spent})"
    return _fail(state, "budget-exceeded", reason, budget=name, limit=limit, spent=spent)


def _fail(state: RunState, code: str, reason: str, **more: Json) -> RunState:
    who = state.position or state.workflow
    error: dict[str, Json] = {"code": code, "who": who, "reason": reason, "retryable": False}
    return replace(state, status="failed", error={**error, **more})
