"""Definitions of routers: what is refused, with its place, and what is filled in."""

from typing import Any

import pytest

from orchestrator.core import definitions
from orchestrator.core.plan import read_plan
from tests.core.test_definitions import LIMITS, lines

SCRIPT = {"agent": {"kind": "scripted", "name": "one", "says": 1}}
INTENT = {
    "type": "object",
    "required": ["kind"],
    "properties": {"kind": {"enum": ["refund", "letter"]}, "amount": {"type": "integer"}},
    "additionalProperties": False,
}


def raw(**changes: Any) -> dict[str, Any]:
    workers = {
        "refunds": {"description": "pays", **SCRIPT},
        "archive": {"description": "files", "workflow": "archive"},
        "person": {"description": "looks", "approval": {"question": "What now?"}},
    }
    rules = [
        {"if": "intent.kind == 'refund'", "to": "refunds"},
        {"name": "old", "if": "has(intent.amount) && intent.amount > 7", "to": ["archive"]},
    ]
    whole = {
        "pattern": "router",
        "intent": INTENT,
        "rules": rules,
        "workers": workers,
        "fallback": "person",
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def one_rule(guard: str, to: Any = "refunds") -> dict[str, Any]:
    return {"rules": [{"if": guard, "to": to}, {"if": "intent.kind == 'letter'", "to": "archive"}]}


def test_a_router_may_be_saved() -> None:
    assert lines(raw()) == []
    assert lines(raw(model=SCRIPT)) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fallback": "persn"}, "/fallback: there is no worker “persn”. Did you mean “person”?"),
        ({"fallback": None}, "“fallback” is missing"),
        (one_rule("intent.kind == 'refund'", "refund"), "/rules/0/to: there is no worker “refund”"),
        (
            one_rule("intent.kind == 'refund'", ["refunds", "x"]),
            "/rules/0/to/1: there is no worker",
        ),
        (one_rule("intent.knd == 'refund'"), "/rules/0/if: the condition cannot be used"),
        (one_rule("intent.kind > 3"), "/rules/0/if: the condition cannot be used"),
        (one_rule("event.kind == 1"), "/rules/0/if: the condition cannot be used"),
        (one_rule("true"), "/rules/1: is never asked: the rule before it takes everything"),
        (
            {"rules": [{"to": ["refunds", "archive"]}], "model": SCRIPT},
            "/model: is never asked: rule 1 takes everything",
        ),
        ({"rules": []}, "/workers/refunds: gets nothing: no rule and no model leads to it"),
        (
            {"rules": [{"name": "rule-2", "if": "1 == 1", "to": "archive"}, *raw()["rules"][:1]]},
            "/rules/1/name: “rule-2” is the name of rule 1 already",
        ),
        (
            {"workers": raw()["workers"] | {"route": {"description": "x", **SCRIPT}}},
            "/workers/route: has a meaning of its own here",
        ),
        (
            {"workers": raw()["workers"] | {"refunds": SCRIPT}},
            "/workers/refunds: “description” is missing",
        ),
        (
            {"workers": raw()["workers"] | {"archive": {"description": "x", "workflow": "main"}}},
            "/workers/archive/workflow: a workflow cannot wait for a run of itself",
        ),
        (
            {
                "workers": raw()["workers"]
                | {"refunds": {"description": "x", "signal": {"name": "x"}}}
            },
            "/workers/refunds",
        ),
        (
            {
                "workers": raw()["workers"]
                | {"refunds": {**SCRIPT, "description": "", "for_each": ""}}
            },
            "/workers/refunds/for_each: does not belong here",
        ),
        ({"model": SCRIPT | {"confidence_at_least": 2}}, "/model/confidence_at_least"),
        ({"stages": []}, "/stages: does not belong here"),
    ],
)
def test_what_cannot_work_is_said(changes: dict[str, Any], said: str) -> None:
    told = lines(raw(**changes), "main")
    assert any(said in line for line in told), told


def test_nonsense_is_refused_and_never_an_error() -> None:
    for name in ("rules", "workers", "model", "fallback", "intent", "on_failure"):
        for value in (7, "x", [], [7], {}, {"a": 7}, [{}], [{"to": 7}]):
            lines(raw(**{name: value}))


def test_what_is_not_said_is_filled_in() -> None:
    whole = definitions.complete(raw(model=SCRIPT), LIMITS)
    assert [rule["name"] for rule in whole["rules"]] == ["rule-1", "old"]
    assert whole["rules"][0]["to"] == ["refunds"]
    assert whole["on_failure"] == "fallback"
    assert whole["workers"]["refunds"]["attempts"] == 3
    assert whole["model"]["confidence_at_least"] == 0.7
    answers = whole["model"]["output"]["properties"]["worker"]["enum"]
    assert answers == ["archive", "person", "refunds"]
    # What is stored may be saved again as it is.
    assert lines(whole) == []
    assert definitions.complete(whole, LIMITS) == whole


def test_a_plan_knows_its_works() -> None:
    plan = read_plan(definitions.complete(raw(model=SCRIPT), LIMITS))
    assert set(plan.works) == {"refunds", "archive", "person", "route"}
    assert plan.router
    assert plan.router.rules[1].to == ("archive",)


def test_descriptions_are_what_a_model_chooses_between() -> None:
    whole = definitions.complete(raw(model=SCRIPT), LIMITS)
    assert definitions.descriptions(whole) == {
        "refunds": "pays",
        "archive": "files",
        "person": "looks",
    }
