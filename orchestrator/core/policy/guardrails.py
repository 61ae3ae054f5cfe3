"""Guardrails: small conditions in CEL that must hold.

An error holds the proposal: a missing field, a value of the wrong type, a spent evaluation budget.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.core.codec import Json, canonical
from orchestrator.core.policy.conditions import OBJECT, TIME, Conditions

EFFECTS = ("block", "hold", "two_person", "flag")
VALUE_SHOWN_MAX = 300

VARIABLES: dict[str, Any] = {
    "proposal": OBJECT,
    "agent": OBJECT,
    "run": OBJECT,
    "context": OBJECT,
    "history": OBJECT,
    "now": TIME,
}
_RULES = Conditions(VARIABLES)
ENV_HASH = _RULES.env_hash

_PATH = re.compile(r"\b(?:proposal|agent|run|context|history)(?:\.[A-Za-z_]\w*)+(?!\w*\()")
_PLACEHOLDER = re.compile(r"\{([a-z]+(?:\.[A-Za-z_]\w*)+)\}")


@dataclass(frozen=True, slots=True)
class Rule:
    """One immutable version of a guardrail, as far as deciding needs it."""

    version_id: int
    slug: str
    number: int
    effect: str
    condition: str
    message: str
    actions: tuple[str, ...] = ("*",)
    agents: tuple[str, ...] = ("*",)
    workflows: tuple[str, ...] = ("*",)
    tiers: tuple[str, ...] = ("*",)
    history: Mapping[str, Any] = field(default_factory=dict)
    enforced: bool = True

    def applies_to(self, *, action: str, agent: str, workflow: str, tier: str = "normal") -> bool:
        return (
            _matches(self.actions, action)
            and _matches(self.agents, agent)
            and _matches(self.workflows, workflow)
            and _matches(self.tiers, tier)
        )


@dataclass(frozen=True, slots=True)
class Check:
    """What one rule version said about one proposal."""

    version_id: int
    rule: str
    number: int
    effect: str
    result: str
    reason: str
    enforced: bool
    explain: tuple[dict[str, Json], ...] = ()


def compile_condition(condition: str) -> None:
    """Refuse a condition that cannot work, with the place of the mistake."""
    _RULES.check(condition)


def check_all(rules: Iterable[Rule], inputs: Mapping[str, Any]) -> list[Check]:
    """Every rule on one proposal; the inputs are handed to the engine once."""
    activation = _RULES.activate(inputs)
    return [_check(rule, activation, inputs) for rule in rules]


def _check(rule: Rule, activation: Any, inputs: Mapping[str, Any]) -> Check:
    result, problem = _RULES.evaluate(rule.condition, activation)
    explain = () if result == "pass" else _explain(rule.condition, inputs)
    reason = "" if result == "pass" else problem or _fill(rule.message, inputs)
    return Check(
        rule.version_id, rule.slug, rule.number, rule.effect, result, reason, rule.enforced, explain
    )


def _explain(condition: str, inputs: Mapping[str, Any]) -> tuple[dict[str, Json], ...]:
    """The fields that the condition read, with the values it saw."""
    found = dict.fromkeys(_PATH.findall(condition))
    return tuple(_explained(path, inputs) for path in found)


def _explained(path: str, inputs: Mapping[str, Any]) -> dict[str, Json]:
    try:
        return {"expr": path, "value": _look_up(path, inputs)}
    except LookupError:
        return {"expr": path, "missing": True}


def _fill(message: str, inputs: Mapping[str, Any]) -> str:
    """Only dotted paths are replaced; no formatting language, so a message cannot run anything."""

    def value_of(match: re.Match[str]) -> str:
        try:
            value = _look_up(match.group(1), inputs)
            return (value if isinstance(value, str) else canonical(value))[:VALUE_SHOWN_MAX]
        except LookupError:
            return "(missing)"

    return _PLACEHOLDER.sub(value_of, message) or "the condition does not hold"


def _look_up(path: str, inputs: Mapping[str, Any]) -> Any:
    value: Any = inputs
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            raise LookupError(path)
        value = value[name]
    return value


def _matches(patterns: Sequence[str], name: str) -> bool:
    return any(
        pattern in {"*", name} or (pattern.endswith(".*") and name.startswith(pattern[:-1]))
        for pattern in patterns
    )
