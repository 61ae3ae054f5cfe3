"""Guardrails: small conditions in CEL that must hold.

An error holds the proposal: a missing field, a value of the wrong type, a spent evaluation budget.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.core.codec import Json, canonical
from orchestrator.core.policy.catalogue import Field
from orchestrator.core.policy.conditions import OBJECT, TIME, Conditions
from orchestrator.core.policy.diagnostics import ConditionProblem

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

    @property
    def past(self) -> str:
        """Under which name its numbers of the past are kept: a shadow may count otherwise than the rule in force."""
        return self.slug if self.enforced else f"{self.slug} v{self.number}"

    def applies_to(self, *, action: str, agent: str, workflow: str, tier: str = "normal") -> bool:
        return (
            names(self.actions, action)
            and names(self.agents, agent)
            and names(self.workflows, workflow)
            and names(self.tiers, tier)
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


def problems_of(condition: str, fields: Iterable[Field]) -> list[ConditionProblem]:
    """All that is wrong with a condition over these fields, for whoever is writing it."""
    return _RULES.problems(condition, fields)


def explain_condition(condition: str, inputs: Mapping[str, Any]) -> list[dict[str, Json]]:
    """Each part of a condition with its value; of inputs whose `history` is the rule's own."""
    return _RULES.explain(condition, inputs)


def check_all(
    rules: Iterable[Rule], inputs: Mapping[str, Any], no_history: Mapping[str, str] | None = None
) -> list[Check]:
    """Every rule on one proposal; the inputs are handed to the engine once.

    `inputs["history"]` has the numbers that each rule declares, by `Rule.past` and name; a rule sees its own
    and no others. `no_history` says of a rule why some of them could not be found out.
    """
    asker = _Asker(inputs, no_history or {})
    return [asker.check(rule) for rule in rules]


class _Asker:
    """One proposal, and the rules that are put to it."""

    def __init__(self, inputs: Mapping[str, Any], no_history: Mapping[str, str]) -> None:
        self.history: Mapping[str, Mapping[str, Any]] = inputs.get("history") or {}
        self.no_history = no_history
        self.inputs = {**inputs, "history": {}}
        self.activation = _RULES.activate(self.inputs)

    def check(self, rule: Rule) -> Check:
        seen, activation = self.inputs, self.activation
        if rule.history:
            seen = {**self.inputs, "history": dict(self.history.get(rule.past, {}))}
            activation = _RULES.activate(seen)
        result, problem = _RULES.evaluate(rule.condition, activation)
        if unknown := self._find_unknown(rule, seen["history"]):
            result, problem = "error", unknown
        if result == "pass":
            return _checked(rule, "pass", "")
        explain = _RULES.explain(rule.condition, seen)
        return _checked(rule, result, problem or _fill(rule.message, seen), explain)

    def _find_unknown(self, rule: Rule, known: Mapping[str, Any]) -> str:
        """A rule that asks about the past is not judged without it, whatever its condition says."""
        missing = [name for name in rule.history if known.get(name) is None]
        if not missing:
            return ""
        return self.no_history.get(rule.past) or f"history.{missing[0]} is not known"


def _checked(
    rule: Rule, result: str, reason: str, explain: Iterable[dict[str, Json]] = ()
) -> Check:
    return Check(
        version_id=rule.version_id,
        rule=rule.slug,
        number=rule.number,
        effect=rule.effect,
        result=result,
        reason=reason,
        enforced=rule.enforced,
        explain=tuple(explain),
    )


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


def names(patterns: Sequence[str], name: str) -> bool:
    """Whether one of the patterns stands for the name: itself, its family.*, or everything."""
    return any(
        pattern in {"*", name} or (pattern.endswith(".*") and name.startswith(pattern[:-1]))
        for pattern in patterns
    )
