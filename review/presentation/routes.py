"""What a router decided, in words: by what, why, and whether it was right."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from orchestrator.core.codec import Json
from orchestrator.core.state import Route
from review.presentation.chips import Look

BY = {"rule": "a rule", "model": "the model", "fallback": "the fallback"}
BY_LOOK = {
    "rule": Look("By a rule", "info", "list-checks"),
    "model": Look("By the model", "info", "bot"),
    "fallback": Look("By the fallback", "warn", "undo-2"),
}
# Why it came to the fallback worker.
BECAUSE = {
    "no-rule": "no rule fits",
    "model-failed": "the model failed",
    "unsure": "the model was not sure",
    "unknown-worker": "the model named no worker",
}
VERDICTS = {
    "right": Look("right", "ok", "circle-check"),
    "wrong": Look("wrong", "bad", "circle-x"),
    "unknown": Look("not known", "quiet", "circle-dashed"),
}


class Told(NamedTuple):
    """A decision as the page of its run shows it."""

    look: Look
    workers: Sequence[str]
    because: str
    why: str
    confidence: str
    suggested: str
    failed: str
    features: Mapping[str, Json]
    claims: Mapping[str, Json]
    errors: Mapping[str, Json]


def tell_route(route: Route) -> Told | None:
    if not route.by:
        return None
    return Told(
        look=BY_LOOK[route.by],
        workers=route.workers,
        because=route.rule or BECAUSE.get(route.cause, ""),
        why=route.why,
        confidence="" if route.confidence is None else f"{route.confidence:.2f}",
        suggested=route.suggested,
        failed=route.failed,
        features=route.features,
        claims=route.claims,
        errors=route.errors,
    )


class RuleRow(NamedTuple):
    """A rule of a definition."""

    name: str
    guard: str
    to: Sequence[str]


def rules_of(definition: Mapping[str, Any]) -> list[RuleRow]:
    return [
        RuleRow(rule["name"], rule.get("if", ""), rule["to"])
        for rule in definition.get("rules", ())
    ]
