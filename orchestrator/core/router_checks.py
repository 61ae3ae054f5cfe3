"""Routers, looked at before any run: every rule leads to a worker, and nothing stands behind what takes all."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.core.errors import Problem
from orchestrator.core.policy.route_rules import FEATURES_MAX, problems_of
from orchestrator.core.schemas import did_you_mean, pointer

# What a worker is handed, or a model, beside the intent; and the name of the model's own work.
RESERVED = frozenset({"route", "workers", "intent", "sent_back"})
WHY_LENGTH_MAX = 2_000

type Rules = Sequence[Mapping[str, Any]]


def check_router(raw: Mapping[str, Any]) -> Iterator[Problem]:
    workers, rules = workers_of(raw), _rules_of(raw)
    for name in workers:
        if name in RESERVED:
            yield _at("workers", name, reason="has a meaning of its own here; rename the worker")
    yield from _check_known(("fallback",), raw.get("fallback"), workers)
    for place, rule in enumerate(rules):
        yield from _check_targets(place, rule.get("to"), workers)
        yield from _check_guard(place, rule.get("if"), raw.get("intent"))
    yield from _check_names(rules)
    yield from _check_order(rules, asks_model="model" in raw)
    yield from _check_reached(raw, workers, rules)


def workers_of(raw: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    workers = raw.get("workers")
    found = workers.items() if isinstance(workers, dict) else ()
    return {name: worker for name, worker in found if isinstance(worker, dict)}


def answer_schema(workers: Sequence[str]) -> dict[str, Any]:
    """What a router's model has to say."""
    return {
        "type": "object",
        "required": ["worker", "confidence"],
        "properties": {
            "worker": {"enum": list(workers)},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "features": {"type": "object", "maxProperties": FEATURES_MAX},
            "why": {"type": "string", "maxLength": WHY_LENGTH_MAX},
        },
    }


def _rules_of(raw: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rules = raw.get("rules")
    return [
        rule if isinstance(rule, dict) else {}
        for rule in (rules if isinstance(rules, list) else [])
    ]


def _check_targets(place: int, to: Any, workers: Mapping[str, Any]) -> Iterator[Problem]:
    if isinstance(to, list):
        for number, name in enumerate(to):
            yield from _check_known(("rules", place, "to", number), name, workers)
    else:
        yield from _check_known(("rules", place, "to"), to, workers)


def _check_known(
    path: tuple[str | int, ...], name: Any, workers: Mapping[str, Any]
) -> Iterator[Problem]:
    if isinstance(name, str) and name not in workers:
        hint = did_you_mean(name, list(workers))
        yield _at(*path, reason=f"there is no worker “{name}”. {hint}".strip())


def _check_guard(place: int, guard: Any, intent: Any) -> Iterator[Problem]:
    if not isinstance(guard, str) or not guard:
        return
    schema = intent if isinstance(intent, dict) else {}
    for problem in problems_of(guard, schema)[:1]:
        where = f"line {problem.line}, column {problem.column}"
        reason = f"the condition cannot be used: {problem.reason} ({where})"
        yield _at("rules", place, "if", reason=reason)


def _check_names(rules: Rules) -> Iterator[Problem]:
    """Those without a name get one by their place."""
    names = [rule.get("name", f"rule-{number}") for number, rule in enumerate(rules, start=1)]
    for place, name in enumerate(names):
        if name in names[:place]:
            first = names.index(name) + 1
            yield _at(
                "rules", place, "name", reason=f"“{name}” is the name of rule {first} already"
            )


def _check_order(rules: Rules, *, asks_model: bool) -> Iterator[Problem]:
    always = next((place for place, rule in enumerate(rules) if rule and _takes_all(rule)), None)
    if always is None:
        return
    if always < len(rules) - 1:
        reason = "is never asked: the rule before it takes everything"
        yield _at("rules", always + 1, reason=reason)
    if asks_model:
        reason = f"is never asked: rule {always + 1} takes everything"
        yield _at("model", reason=reason)


def _takes_all(rule: Mapping[str, Any]) -> bool:
    guard = rule.get("if")
    return "if" not in rule or (isinstance(guard, str) and guard.strip() == "true")


def _check_reached(
    raw: Mapping[str, Any], workers: Mapping[str, Any], rules: Rules
) -> Iterator[Problem]:
    """A model may choose any of them."""
    if "model" in raw:
        return
    named = [raw.get("fallback")]
    for rule in rules:
        to = rule.get("to")
        named += to if isinstance(to, list) else [to]
    for name in workers:
        if name not in named:
            yield _at("workers", name, reason="gets nothing: no rule and no model leads to it")


def _at(*path: str | int, reason: str) -> Problem:
    return Problem(pointer(path), reason)
