"""A router: every request goes to a worker, found by rules, else by a model, else to the fallback worker.

Workers see the intent and the decision, and nothing of each other; specialists that a rule names
together come one after the other, and each is handed what the one before said.
"""

from collections.abc import Mapping
from dataclasses import replace

from orchestrator.core.codec import Json
from orchestrator.core.handing import say
from orchestrator.core.patterns import work
from orchestrator.core.plan import Plan, Router
from orchestrator.core.policy import route_rules
from orchestrator.core.policy.explain import storable_text
from orchestrator.core.state import Moment, Route, RunState

# The work that asks the model, and under which name a worker is handed the decision.
ROUTE = "route"
NOTHING_SAID: Mapping[str, Json] = {}


def begin(plan: Plan, state: RunState, moment: Moment, intent: Json) -> RunState:
    router = _of(plan)
    found = route_rules.find(router.rules, intent)
    looked = Route(features=found.features, errors=found.errors)
    if found.rule:
        chosen = replace(looked, by="rule", workers=found.rule.to, rule=found.rule.name)
        return _send(plan, state, chosen, moment)
    if router.asks_model:
        return work.start(plan, replace(state, route=looked), ROUTE, moment, None)
    return _send(plan, state, _fallback(router, looked, "no-rule", "no rule fits"), moment)


def after_work(plan: Plan, state: RunState, name: str, moment: Moment, came: Json) -> RunState:
    if name == ROUTE:
        return _send(plan, state, _heard(_of(plan), state, came), moment)
    if state.works[name].status == "failed":
        return _after_failure(plan, state, name, moment)
    following = _following(state.route, name)
    if following:
        return _start(plan, state, following, moment, before=name)
    return replace(state, status="completed", position="", error=None)


def _heard(router: Router, state: RunState, came: Json) -> Route:
    """What the model said counts when it is sure enough of a worker that there is."""
    route = state.route
    if state.works[ROUTE].status != "done":
        reason = str((state.error or {}).get("reason", ""))
        return _fallback(router, route, "model-failed", f"the model failed: {reason}")
    said = came if isinstance(came, Mapping) else NOTHING_SAID
    worker, sure, claims = said.get("worker"), said.get("confidence"), said.get("features")
    told = replace(
        route,
        suggested=str(worker)[:100],
        confidence=_confidence(sure),
        claims=route_rules.brief(claims) if isinstance(claims, Mapping) else {},
        why=storable_text(str(said.get("why", ""))),
    )
    if worker not in router.workers:
        reason = f"the model named “{told.suggested}”, which is no worker"
        return _fallback(router, told, "unknown-worker", reason)
    least = router.confidence_at_least
    if told.confidence is None or told.confidence < least:
        reason = f"the model was not sure enough: {told.confidence}, and {least} is asked for"
        return _fallback(router, told, "unsure", reason)
    return replace(told, by="model", workers=(str(worker),), suggested="")


def _confidence(said: Json) -> float | None:
    is_number = isinstance(said, int | float) and not isinstance(said, bool)
    return float(said) if is_number and 0 <= said <= 1 else None  # type: ignore[operator,arg-type]


def _fallback(router: Router, route: Route, cause: str, why: str) -> Route:
    workers = (router.fallback,)
    return replace(route, by="fallback", workers=workers, cause=cause, why=storable_text(why))


def _send(plan: Plan, state: RunState, route: Route, moment: Moment) -> RunState:
    return _start(plan, replace(state, route=route), route.workers[0], moment)


def _start(plan: Plan, state: RunState, name: str, moment: Moment, *, before: str = "") -> RunState:
    state = work.start(plan, replace(state, error=None), name, moment, None)
    begun = state.works[name]
    inputs: dict[str, Json] = {before: state.works[before].output} if before else {}
    if plan.works[name].kind == "agent":
        inputs[ROUTE] = say(_told(state.route))
    return state.with_work(name, replace(begun, inputs=inputs))


def _told(route: Route) -> dict[str, Json]:
    """The decision as its worker is handed it."""
    told: dict[str, Json] = {"by": route.by, "workers": list(route.workers)}
    if route.rule:
        told["rule"] = route.rule
    if route.why:
        told["why"] = route.why
    if route.confidence is not None:
        told["confidence"] = route.confidence
    return told | ({"failed": route.failed} if route.failed else {})


def _following(route: Route, name: str) -> str:
    """Of specialists, whose turn it is now; the fallback worker is the last in any case."""
    if route.failed or name == route.workers[-1]:
        return ""
    return route.workers[route.workers.index(name) + 1]


def _after_failure(plan: Plan, state: RunState, name: str, moment: Moment) -> RunState:
    """Instead of a worker that could not do it comes the fallback worker, once."""
    router, route = _of(plan), state.route
    if not router.catches or route.failed or name == router.fallback or _was_refused(plan, state):
        return replace(state, status="failed")
    return _start(plan, replace(state, route=replace(route, failed=name)), router.fallback, moment)


def _was_refused(plan: Plan, state: RunState) -> bool:
    """A no of guardrails or people is an answer, and nobody is sent to ask for another."""
    known = state.works[state.position]
    return bool(known.proposal) or plan.works[state.position].kind == "approval"


def _of(plan: Plan) -> Router:
    if plan.router is None:
        raise ValueError(plan.pattern)
    return plan.router
