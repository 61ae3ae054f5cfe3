"""A rule version, asked about one recorded proposal or about inputs that somebody made up."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from orchestrator import rule_queries
from orchestrator.core import typeid
from orchestrator.core.codec import Json
from orchestrator.core.errors import BadInput, NotFound
from orchestrator.core.policy import guardrails, panel
from orchestrator.core.policy.guardrails import Check, Rule
from orchestrator.core.policy.history import Ask, read_windows
from orchestrator.history_queries import values_for

# What a condition may name; the past and the time are seen to below.
OBJECTS = ("proposal", "agent", "run", "context")


def try_recorded(rule: Rule, proposal: str) -> Check:
    """On what the rules saw of it then. Of the past the rule sees what had happened by then."""
    inputs = rule_queries.recorded_inputs(proposal) if typeid.is_id(proposal, "prp") else None
    if inputs is None:
        raise NotFound("proposal", proposal[:60])
    inputs["now"] = datetime.fromisoformat(inputs["now"])
    numbers, missing = _past(rule, proposal, inputs)
    check = _ask(rule, inputs, numbers, missing)
    masked = _masked(rule, inputs, numbers)
    return replace(check, result=panel.UNSEEN, reason=masked) if masked else check


def try_inputs(rule: Rule, inputs: Mapping[str, Any]) -> Check:
    """`history` has the numbers of the rule's own windows, by name."""
    known = (*OBJECTS, "history", "now")
    for name, value in inputs.items():
        if name not in known:
            raise BadInput(f"inputs.{name[:60]}", f"it is not known here; use {', '.join(known)}.")
        if name != "now" and not isinstance(value, dict):
            raise BadInput(f"inputs.{name}", "it must be an object.")
    whole = {name: inputs.get(name, {}) for name in OBJECTS}
    return _ask(rule, {**whole, "now": _time(inputs.get("now"))}, inputs.get("history", {}), "")


def _ask(rule: Rule, inputs: Mapping[str, Any], numbers: Mapping[str, Any], missing: str) -> Check:
    seen = {**inputs, "history": {rule.past: numbers}}
    no_history = {rule.past: missing} if missing else None
    (check,) = guardrails.check_all([rule], seen, no_history)
    # Of what passes nothing is stored; who tries a rule wants to see why as well.
    parts = guardrails.explain_condition(rule.condition, {**inputs, "history": dict(numbers)})
    return replace(check, explain=tuple(parts))


def _masked(rule: Rule, inputs: Mapping[str, Any], numbers: Mapping[str, Any]) -> str:
    """Why nobody can say what the rule would have said; empty when it saw what it asks about."""
    seen = panel.Recorded(inputs, {rule.version_id: numbers}, panel.hidden_names(dict(inputs)))
    said = panel.Panel([rule]).ask(seen, frozenset({rule.version_id}))[rule.version_id]
    return said.reason if said.result == panel.UNSEEN else ""


def _past(rule: Rule, proposal: str, inputs: Mapping[str, Any]) -> tuple[dict[str, Json], str]:
    """The numbers of its windows, or why there are none."""
    if not rule.history:
        return {}, ""
    seen = inputs["proposal"]
    ask = Ask(
        id=proposal,
        at=inputs["now"],
        agent=inputs["agent"]["name"],
        action=seen["action"],
        target=seen["target"],
        workflow=inputs["run"].get("workflow", ""),
        args=seen.get("args", {}),
    )
    past = values_for([ask], {rule.past: read_windows(rule.history)})[proposal]
    return {**past.numbers.get(rule.past, {})}, past.reason(rule.past)


def _time(value: Any) -> datetime:
    """JSON has no times; conditions do."""
    if value is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise BadInput("inputs.now", "write it as 2026-05-01T12:00:00Z.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
