"""A rule version, asked about one recorded proposal or about inputs that somebody made up."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from orchestrator import rule_trial
from orchestrator.core import typeid
from orchestrator.core.errors import BadInput, NotFound
from orchestrator.core.policy.guardrails import Check, Rule

# What a condition may name; the past and the time are seen to below.
OBJECTS = ("proposal", "agent", "run", "context")


def try_recorded(rule: Rule, proposal: str) -> Check:
    tried = rule_trial.try_recorded(rule, proposal) if typeid.is_id(proposal, "prp") else None
    if tried is None:
        raise NotFound("proposal", proposal[:60])
    return tried.check


def try_inputs(rule: Rule, inputs: Mapping[str, Any]) -> Check:
    """`history` has the numbers of the rule's own windows, by name."""
    known = (*OBJECTS, "history", "now")
    for name, value in inputs.items():
        if name not in known:
            raise BadInput(f"inputs.{name[:60]}", f"it is not known here; use {', '.join(known)}.")
        if name != "now" and not isinstance(value, dict):
            raise BadInput(f"inputs.{name}", "it must be an object.")
    whole = {name: inputs.get(name, {}) for name in OBJECTS}
    seen = {**whole, "now": _time(inputs.get("now"))}
    return rule_trial.try_inputs(rule, seen, inputs.get("history", {}))


def _time(value: Any) -> datetime:
    """JSON has no times; conditions do."""
    if value is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise BadInput("inputs.now", "write it as 2026-05-01T12:00:00Z.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
