"""The rules of a router: conditions over the intent, in order, of which the first that holds wins.

A rule that cannot be evaluated does not fit, and is named in what was decided: behind the rules of a
router stands a worker that takes everything.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.core.codec import Json
from orchestrator.core.plan import RouteRule
from orchestrator.core.policy.catalogue import fields_of
from orchestrator.core.policy.conditions import ANYTHING, Conditions
from orchestrator.core.policy.diagnostics import ConditionProblem
from orchestrator.core.policy.explain import shown
from orchestrator.core.policy.expressions import Node
from orchestrator.core.policy.paths import joined

FEATURES_MAX = 20
# Of an object or a list inside a feature only so many levels.
LEVELS = 1

_RULES = Conditions({"intent": ANYTHING})

type Steps = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The rule that fits, if any, and what was looked at to find it."""

    rule: RouteRule | None
    features: Mapping[str, Json]
    errors: Mapping[str, Json]


def find(rules: Sequence[RouteRule], intent: Json) -> Found:
    activation = _RULES.activate({"intent": intent})
    asked: list[RouteRule] = []
    errors: dict[str, Json] = {}
    for rule in rules:
        asked.append(rule)
        result, reason = _RULES.evaluate(rule.guard, activation) if rule.guard else ("pass", "")
        if result == "pass":
            return Found(rule, _features(asked, intent), errors)
        if result == "error":
            errors[rule.name] = reason
    return Found(None, _features(asked, intent), errors)


def problems_of(guard: str, intent_schema: Mapping[str, Any]) -> list[ConditionProblem]:
    """Mistakes in a condition over intents of this schema; an empty one lets everything pass."""
    fields = fields_of(intent_schema, "intent") if intent_schema else []
    found = _RULES.problems(guard, fields)
    return [problem for problem in found if problem.severity == "error"]


def brief(values: Mapping[str, Json]) -> dict[str, Json]:
    """So few and so short that they can be kept with every decision."""
    return {name: shown(value, LEVELS) for name, value in _first(values.items())}


def _features(rules: Iterable[RouteRule], intent: Json) -> dict[str, Json]:
    """What the rules that were asked could see. A field that is not there is left out."""
    places = dict.fromkeys(steps for rule in rules if rule.guard for steps in _reads(rule.guard))
    found = {_path(steps): _look_up(steps, intent) for steps in places}
    return brief({path: value for path, value in found.items() if value is not None})


def _reads(guard: str) -> list[Steps]:
    tree = _RULES.tree(guard)
    return list(_places(tree)) if tree else []


def _places(node: Node) -> Iterator[Steps]:
    steps = _steps(node)
    if steps and steps[0] == "intent":
        yield steps
        return
    for child in node.children:
        yield from _places(child)


def _steps(node: Node) -> Steps:
    """What a part reads by name alone; of a list that is asked for one element, the list."""
    if node.kind == "name":
        return (node.name,)
    if node.kind in {"field", "has"}:
        of = _steps(node.children[0])
        return (*of, node.name) if of else ()
    if node.kind == "call" and node.name == "_[_]":
        of, key = _steps(node.children[0]), node.children[1]
        return (*of, key.value) if of and isinstance(key.value, str) else of
    return ()


def _path(steps: Steps) -> str:
    path = steps[0]
    for step in steps[1:]:
        path = joined(path, step)
    return path


def _look_up(steps: Steps, intent: Json) -> Json:
    value = intent
    for step in steps[1:]:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _first[T](values: Iterable[T]) -> Iterator[T]:
    for number, value in enumerate(values):
        if number == FEATURES_MAX:
            return
        yield value
