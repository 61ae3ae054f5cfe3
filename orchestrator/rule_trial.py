"""A rule version, stored or not, asked about one recorded proposal. Nothing is stored."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from orchestrator import rule_queries
from orchestrator.core.codec import Json
from orchestrator.core.policy import guardrails, panel
from orchestrator.core.policy.guardrails import Check, Rule
from orchestrator.core.policy.history import Ask, read_windows
from orchestrator.history_queries import values_for


class Tried(NamedTuple):
    """`check.result` is `unseen` when nobody can say what the rule would have said."""

    check: Check
    is_inside: bool


def try_recorded(rule: Rule, proposal: str) -> Tried | None:
    """On what the rules saw of it then, and the past as it was then; None when nothing was recorded."""
    inputs = rule_queries.recorded_inputs(proposal)
    if inputs is None:
        return None
    inputs["now"] = datetime.fromisoformat(inputs["now"])
    return Tried(_check_recorded(rule, proposal, inputs), _is_inside(rule, inputs))


def try_inputs(
    rule: Rule, inputs: Mapping[str, Any], numbers: Mapping[str, Any], missing: str = ""
) -> Check:
    """`numbers` are those of the rule's own windows, by name; `missing` says why some are not there."""
    seen = {**inputs, "history": {rule.past: numbers}}
    no_history = {rule.past: missing} if missing else None
    (check,) = guardrails.check_all([rule], seen, no_history)
    # Of what passes nothing is stored; who tries a rule wants to see why as well.
    parts = guardrails.explain_condition(rule.condition, {**inputs, "history": dict(numbers)})
    return replace(check, explain=tuple(parts))


def _check_recorded(rule: Rule, proposal: str, inputs: Mapping[str, Any]) -> Check:
    numbers, missing = _past(rule, proposal, inputs)
    check = try_inputs(rule, inputs, numbers, missing)
    masked = _find_masked(rule, inputs, numbers)
    # What its parts are worked out to is as wrong as the whole.
    return replace(check, result=panel.UNSEEN, reason=masked, explain=()) if masked else check


def _find_masked(rule: Rule, inputs: Mapping[str, Any], numbers: Mapping[str, Any]) -> str:
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
    past = values_for([ask], {rule.past: read_windows(dict(rule.history))})[proposal]
    return {**past.numbers.get(rule.past, {})}, past.reason(rule.past)


def _is_inside(rule: Rule, inputs: Mapping[str, Any]) -> bool:
    return rule.applies_to(
        action=inputs["proposal"]["action"],
        agent=inputs["agent"]["name"],
        workflow=inputs["run"].get("workflow", ""),
        tier=inputs["proposal"].get("tier", "normal"),
    )
