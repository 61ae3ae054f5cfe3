"""Where events go: a list of conditions in order, of which the first that holds wins.

The same table and the same event give the same answer, always and everywhere. A condition that
cannot be evaluated ends the search: the routes behind it were written for events that it let pass.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from orchestrator.core.codec import Json, canonical, read
from orchestrator.core.errors import Problem, RoutesInvalid, RuleInvalid
from orchestrator.core.policy.conditions import ANYTHING, CONDITION_LENGTH_MAX, OBJECT, Conditions
from orchestrator.core.schemas import check

ROUTES_MAX = 200

NO_ROUTE = "no_route"
ROUTE_ERROR = "route_error"

# `event` has the attributes of the envelope, `data` what is inside it.
_ROUTES = Conditions({"event": OBJECT, "data": ANYTHING})
_PATH = re.compile(r"\b(?:event|data)(?:\.[A-Za-z_]\w*)+(?!\w*\()")

FORMAT: dict[str, Any] = {
    "type": "array",
    "maxItems": ROUTES_MAX,
    "items": {
        "type": "object",
        "required": ["name", "when", "workflow"],
        "additionalProperties": False,
        "properties": {
            "name": {
                "type": "string",
                "minLength": 1,
                "maxLength": 100,
                "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$",
                "description": "a name has letters, digits, dots, hyphens and underscores",
            },
            "when": {"type": "string", "minLength": 1, "maxLength": CONDITION_LENGTH_MAX},
            "workflow": {
                "type": "string",
                "maxLength": 100,
                "pattern": "^[A-Za-z0-9_-]+$",
                "description": "a workflow's name has letters, digits, hyphens and underscores",
            },
        },
    },
}


@dataclass(frozen=True, slots=True)
class Route:
    name: str
    when: str
    workflow: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What one route said about one event."""

    route: Route
    result: str
    reason: str


@dataclass(frozen=True, slots=True)
class Routed:
    """`features` are the fields that decided, with their values."""

    route: str
    workflow: str
    features: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Dead:
    reason: str
    detail: str
    features: Mapping[str, Json]


def route(routes: Sequence[Route], event: Mapping[str, Json], data: Json) -> Routed | Dead:
    tried = trials(routes, event, data)
    features = _features(tried, {"event": event, "data": data})
    last = tried[-1] if tried else None
    if last and last.result == "pass":
        return Routed(last.route.name, last.route.workflow, features)
    if last and last.result == "error":
        detail = f"the route “{last.route.name}” {_without_full_stop(last.reason)}"
        return Dead(ROUTE_ERROR, detail, features)
    return Dead(NO_ROUTE, f"none of {len(tried)} routes wants it", features)


def trials(routes: Sequence[Route], event: Mapping[str, Json], data: Json) -> list[Trial]:
    """Every route that was asked, in order, up to the one that ended the search."""
    activation = _ROUTES.activate({"event": event, "data": data})
    tried = []
    for one in routes:
        result, reason = _ROUTES.evaluate(one.when, activation)
        tried.append(Trial(one, result, reason))
        if result != "fail":
            break
    return tried


def read_routes(raw: Json) -> tuple[Route, ...]:
    """Raises RoutesInvalid for what has not the form of routes."""
    problems = check(FORMAT, raw)
    if problems:
        raise RoutesInvalid(problems)
    return stored_routes(canonical(raw))


def problems_of(routes: Sequence[Route]) -> list[Problem]:
    """Everything that keeps them from deciding, save workflows that do not exist."""
    return [*_compile_problems(routes), *_same_names(routes), *_never_reached(routes)]


@lru_cache(maxsize=50)
def stored_routes(text: str) -> tuple[Route, ...]:
    """What was checked before it was stored."""
    found: Any = read(text)
    return tuple(Route(one["name"], one["when"], one["workflow"]) for one in found)


def _compile_problems(routes: Sequence[Route]) -> list[Problem]:
    found = []
    for place, one in enumerate(routes):
        try:
            _ROUTES.check(one.when)
        except RuleInvalid as error:
            where = f"line {error.line}, column {error.column}"
            found.append(Problem(f"/{place}/when", f"does not compile: {error.reason} ({where})"))
    return found


def _same_names(routes: Sequence[Route]) -> list[Problem]:
    names = [one.name for one in routes]
    return [
        Problem(f"/{place}/name", f"“{name}” is the name of another route, too")
        for place, name in enumerate(names)
        if name in names[:place]
    ]


def _never_reached(routes: Sequence[Route]) -> list[Problem]:
    always = next((place for place, one in enumerate(routes) if one.when.strip() == "true"), None)
    if always is None or always == len(routes) - 1:
        return []
    reason = f"“{routes[always].name}” stands before it and takes every event"
    return [Problem(f"/{always + 1}", reason)]


def _features(tried: Sequence[Trial], inputs: Mapping[str, Any]) -> dict[str, Json]:
    """A field that is not there is left out."""
    paths = dict.fromkeys(path for trial in tried for path in _PATH.findall(trial.route.when))
    found = {path: _look_up(path, inputs) for path in paths}
    return {path: value for path, value in found.items() if value is not None}


def _look_up(path: str, inputs: Mapping[str, Any]) -> Any:
    value: Any = inputs
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _without_full_stop(reason: str) -> str:
    return reason.rstrip(".")
