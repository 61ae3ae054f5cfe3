"""Guards of a machine's transitions. One that cannot be evaluated does not hold."""

from collections.abc import Mapping
from typing import Any

from orchestrator.core.policy.conditions import ANYTHING, OBJECT, Conditions

# `data` has the intent and the newest output of each state, `event` what the event brought along.
_GUARDS = Conditions({"data": OBJECT, "event": ANYTHING})


def check_guard(guard: str) -> None:
    """Raises RuleInvalid with the place of the mistake."""
    _GUARDS.check(guard)


def holds(guard: str, facts: Mapping[str, Any]) -> bool:
    return _GUARDS.evaluate(guard, _GUARDS.activate(facts))[0] == "pass"
