"""Guardrails: small conditions in CEL that must hold. This is the only module that knows the engine.

Anything but a plain `true` or `false` is an error, and an error holds the proposal: a missing
field, a value of the wrong type, a spent evaluation budget. The engine's own limits (depth,
iterations, source size) stop a hostile condition in milliseconds.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from orchestrator.core.codec import Json, canonical
from orchestrator.core.errors import RuleInvalid

EFFECTS = ("block", "hold", "two_person", "flag")
CONDITION_LENGTH_MAX = 10_000
VALUE_SHOWN_MAX = 300

_OBJECT = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
VARIABLES: dict[str, Any] = {
    "proposal": _OBJECT,
    "agent": _OBJECT,
    "run": _OBJECT,
    "context": _OBJECT,
    "history": _OBJECT,
    "now": cel.Type.TIMESTAMP,
}
_ENV = cel.NewEnv(variables=VARIABLES)
ENV_HASH = "sha256:" + hashlib.sha256(_ENV.config().to_yaml().encode()).hexdigest()

_POSITION = re.compile(r"ERROR: <input>:(\d+):(\d+): ([^\n]+)")
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
    enforced: bool = True

    def applies_to(self, *, action: str, agent: str, workflow: str) -> bool:
        return (
            _matches(self.actions, action)
            and _matches(self.agents, agent)
            and _matches(self.workflows, workflow)
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
    if len(condition) > CONDITION_LENGTH_MAX:
        raise RuleInvalid(f"it is longer than {CONDITION_LENGTH_MAX:,} characters")
    expression = _compile(condition)
    if expression.return_type().name() not in {"BOOL", "DYN"}:
        raise RuleInvalid(
            f"it gives {expression.return_type().name().lower()}, but must be true or false"
        )


def check_all(rules: Iterable[Rule], inputs: Mapping[str, Any]) -> list[Check]:
    """Every rule on one proposal; the inputs are handed to the engine once."""
    activation = _ENV.Activation(dict(inputs))
    return [_check(rule, activation, inputs) for rule in rules]


def _check(rule: Rule, activation: Any, inputs: Mapping[str, Any]) -> Check:
    result, problem = _evaluate(rule.condition, activation)
    explain = () if result == "pass" else _explain(rule.condition, inputs)
    reason = "" if result == "pass" else problem or _fill(rule.message, inputs)
    return Check(
        rule.version_id, rule.slug, rule.number, rule.effect, result, reason, rule.enforced, explain
    )


def _evaluate(condition: str, activation: Any) -> tuple[str, str]:
    try:
        value = _compile(condition).eval(activation)
        plain = value.plain_value()
    except RuleInvalid as error:
        return "error", str(error)
    except Exception as error:  # noqa: BLE001  (the binding raises several unrelated kinds; each must hold)
        return "error", f"could not be evaluated: {_first_line(error)}"
    if plain is True:
        return "pass", ""
    if plain is False:
        return "fail", ""
    if str(value.type().name()) == "ERROR":
        return "error", f"could not be evaluated: {_first_line(plain)}"
    return "error", f"gave {_first_line(plain)}, which is neither true nor false"


@lru_cache(maxsize=2_000)
def _compile(condition: str) -> Any:
    try:
        return _ENV.compile(condition)
    except Exception as error:
        found = _POSITION.search(str(error))
        if not found:
            raise RuleInvalid(_first_line(error)) from error
        line, column, reason = found.groups()
        raise RuleInvalid(reason.strip(), int(line), int(column)) from error


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


def _first_line(error: object) -> str:
    return str(error).strip().split("\n", 1)[0][:VALUE_SHOWN_MAX]
