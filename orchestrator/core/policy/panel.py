"""Versions of rules, asked about recorded proposals: any number of versions on the same inputs at once."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

from orchestrator.core.codec import Json, canonical
from orchestrator.core.policy import guardrails
from orchestrator.core.policy.conditions import Conditions
from orchestrator.core.policy.guardrails import Rule, check_all
from orchestrator.core.policy.masking import MASKED

PASS, FAIL, ERROR = "pass", "fail", "error"
# Outside its scope, or there is no such version: nobody asks it, so it objects to nothing.
OUT = "out"
# What it would have seen was masked, or was never recorded. Nobody can say what it would have said.
UNSEEN = "unseen"

SCOPES_KEPT_MAX = 10_000

_CONDITIONS = Conditions(guardrails.VARIABLES)


class Said(NamedTuple):
    result: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One proposal in the form in which it was decided about. `inputs["now"]` is a time."""

    inputs: Mapping[str, Any]
    # By rule version: the numbers of its windows, or the reason why there are none.
    past: Mapping[int, Mapping[str, Any] | str] = field(default_factory=dict)
    # Names whose values were masked before they were stored.
    hidden: frozenset[str] = frozenset()


class Panel:
    """Versions of rules that are asked about one recorded proposal after another."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self._wanted = lru_cache(maxsize=SCOPES_KEPT_MAX)(self._find_wanted)
        self._asked = lru_cache(maxsize=SCOPES_KEPT_MAX)(self._find_asked)

    def wants(self, *, action: str, agent: str) -> bool:
        """Whether anybody may be asked, as far as is known before its inputs are read."""
        return self._wanted(action, agent)

    def asked(self, *, action: str, agent: str, workflow: str, tier: str) -> frozenset[int]:
        """The versions whose scope it is in."""
        return self._asked(action, agent, workflow, tier)

    def ask(self, recorded: Recorded, asked: frozenset[int]) -> dict[int, Said]:
        """By version. Its inputs are handed to the engine once for all that ask nothing about the past."""
        shared = _CONDITIONS.activate({**recorded.inputs, "history": {}})
        return {
            rule.version_id: _ask(rule, recorded, shared)
            for rule in self.rules
            if rule.version_id in asked
        }

    def _find_wanted(self, action: str, agent: str) -> bool:
        facts = {"action": action, "agent": agent, "workflow": "*", "tier": "*"}
        wide = (replace(rule, workflows=("*",), tiers=("*",)) for rule in self.rules)
        return any(rule.applies_to(**facts) for rule in wide)

    def _find_asked(self, action: str, agent: str, workflow: str, tier: str) -> frozenset[int]:
        facts = {"action": action, "agent": agent, "workflow": workflow, "tier": tier}
        return frozenset(rule.version_id for rule in self.rules if rule.applies_to(**facts))


def reason_of(rule: Rule, recorded: Recorded) -> str:
    """The sentence that people would have read."""
    history = {rule.past: recorded.past.get(rule.version_id, {})}
    return check_all([rule], {**recorded.inputs, "history": history})[0].reason


def _ask(rule: Rule, recorded: Recorded, shared: Any) -> Said:
    unseen = _find_hidden(rule, recorded.hidden)
    if unseen:
        return Said(UNSEEN, f"{unseen} was masked before it was stored")
    if not rule.history:
        return Said(*_CONDITIONS.evaluate(rule.condition, shared))
    past = recorded.past.get(rule.version_id)
    if past is None:
        return Said(UNSEEN, "its history was not recorded")
    if isinstance(past, str):
        return Said(ERROR, past)
    own = _CONDITIONS.activate({**recorded.inputs, "history": dict(past)})
    return Said(*_CONDITIONS.evaluate(rule.condition, own))


def _find_hidden(rule: Rule, hidden: frozenset[str]) -> str:
    """A masked name that the version mentions anywhere: rather too often than a wrong answer."""
    if not hidden:
        return ""
    text = f"{rule.condition}\n{canonical(dict(rule.history))}"
    return next((name for name in sorted(hidden) if _mentions(text, name)), "")


@lru_cache(maxsize=SCOPES_KEPT_MAX)
def _mentions(text: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def hidden_names(inputs: Json, name: str = "") -> frozenset[str]:
    """The names of all values that were masked, or that held a copy of such a value."""
    if isinstance(inputs, str):
        return frozenset([name]) if MASKED in inputs else frozenset()
    if isinstance(inputs, dict):
        # A name that was hidden: whatever is asked of the whole may be about it.
        whole = frozenset([name]) if any(MASKED in key for key in inputs) else frozenset[str]()
        return whole.union(*(hidden_names(value, key) for key, value in inputs.items()))
    if isinstance(inputs, list):
        return frozenset().union(*(hidden_names(value, name) for value in inputs))
    return frozenset()
