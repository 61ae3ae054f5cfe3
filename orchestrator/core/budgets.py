"""How much a run may use up. What is over ends the run, with the figure in its error."""

from dataclasses import replace

from orchestrator.core.codec import Json
from orchestrator.core.plan import Budget, Plan
from orchestrator.core.state import RunState, Spent

WALL = "wall"
_SPENDABLE = ("steps", "agent_calls", "tokens", "money_micros")
# A supervisor stops by itself before these are used up, with the best that it has by then.
_STOPPED_BEFORE = frozenset({"tokens", "money_micros"})


def check(plan: Plan, state: RunState) -> RunState:
    """After each event, before anything more is asked for."""
    if state.has_ended:
        return state
    name = first_over(plan, state.spent)
    if not name:
        return state
    return exhaust(state, name, getattr(plan.budget, name), getattr(state.spent, name))


def first_over(plan: Plan, spent: Spent) -> str:
    for name in _SPENDABLE:
        if plan.pool is not None and name in _STOPPED_BEFORE:
            continue
        if 0 < getattr(plan.budget, name) < getattr(spent, name):
            return name
    return ""


def check_lineage(budget: Budget, state: RunState, lineage: tuple[str, ...]) -> RunState:
    """Runs that start runs: not too deep, and never in a circle."""
    if state.workflow in lineage:
        way = " → ".join((*lineage, state.workflow))
        return _fail(state, "cycle", f"the workflow comes round to itself: {way}")
    if budget.depth and len(lineage) >= budget.depth:
        return exhaust(state, "depth", budget.depth, len(lineage) + 1)
    return state


def check_delegations(plan: Plan, state: RunState) -> RunState:
    """Supervisors whose workers are supervisors: so many as the one at the top allows."""
    if plan.pool is None or state.delegations != 0 or state.has_ended:
        return state
    reason = "no supervisor may stand below those above it any more (delegations)"
    return _fail(state, "budget-exceeded", reason, budget="delegations")


def delegations_below(plan: Plan, state: RunState) -> int:
    """What a run is told that this one starts; -1 is no limit."""
    if plan.pool is None:
        return state.delegations
    above = [plan.pool.delegations, *([state.delegations] if state.delegations >= 0 else [])]
    return max(0, min(above) - 1)


def exhaust(state: RunState, name: str, limit: int, spent: int) -> RunState:
    reason = f"the budget of {limit} {name.replace('_', ' ')} is used up ({spent})"
    return _fail(state, "budget-exceeded", reason, budget=name, limit=limit, spent=spent)


def _fail(state: RunState, code: str, reason: str, **more: Json) -> RunState:
    who = state.position or state.workflow
    error: dict[str, Json] = {"code": code, "who": who, "reason": reason, "retryable": False}
    return replace(state, status="failed", error={**error, **more})
