"""A router: rules before a model, a model before the fallback worker, and nothing that is dropped."""

from typing import Any

import pytest

from orchestrator.core import commands as cm
from orchestrator.core.codec import Json
from orchestrator.core.handing import SAY
from orchestrator.core.plan import RouteRule
from orchestrator.core.policy.route_rules import find
from orchestrator.core.state import from_json, to_json
from tests.core.stories import Story, agent, answered, approval, asked, child, router

WORKERS = {"refunds": agent(), "letters": agent(), "archive": child(), "person": approval()}
RULES = (("intent.amount > 100", "refunds"), ("intent.kind == 'letter'", "letters", "archive"))


def told(intent: Json, *rules: Any, **more: Any) -> Story:
    return Story(router(WORKERS, *(rules or RULES), **more), intent)


def test_the_first_rule_that_holds_decides() -> None:
    story = told({"amount": 180, "kind": "letter"})
    (command,) = story.first
    assert isinstance(command, cm.RunAgent)
    assert command.work == "refunds"
    route = story.state.route
    assert (route.by, route.rule, route.workers) == ("rule", "rule-1", ("refunds",))
    assert route.features == {"intent.amount": 180}
    assert route.errors == {}


def test_a_worker_is_handed_the_decision_and_no_other_output() -> None:
    (command,) = told({"amount": 180, "kind": "letter"}).first
    assert isinstance(command, cm.RunAgent)
    told_of = {"by": "rule", "rule": "rule-1", "workers": ["refunds"]}
    # As a value that is handed on as it is: no number in it is one of an event.
    assert command.inputs == {"route": {SAY: told_of}}


def test_a_rule_that_errs_does_not_fit_and_is_named() -> None:
    story = told({"kind": "letter"})
    route = story.state.route
    assert route.rule == "rule-2"
    assert set(route.errors) == {"rule-1"}
    assert "amount" in str(route.errors["rule-1"])
    assert route.features == {"intent.kind": "letter"}


def test_specialists_come_one_after_the_other() -> None:
    story = told({"amount": 5, "kind": "letter"})
    (command,) = story.finish("letters", {"text": "Dear"})
    assert isinstance(command, cm.StartChild)
    assert command.work == "archive"
    # The run is asked for what the one before it said.
    assert command.inputs == {"letters": 2}
    assert story.state.status == "waiting"


def test_without_a_rule_and_a_model_the_fallback_worker_takes_it() -> None:
    story = told({"amount": 5, "kind": "call"})
    (command,) = story.first
    assert isinstance(command, cm.AskPerson)
    assert (story.state.route.by, story.state.route.cause) == ("fallback", "no-rule")
    story.tell(asked("person"))
    story.tell(answered("person"))
    assert story.state.status == "completed"


@pytest.mark.parametrize(
    ("said", "by", "cause"),
    [
        ({"worker": "letters", "confidence": 0.7}, "model", ""),
        ({"worker": "letters", "confidence": 0.69}, "fallback", "unsure"),
        ({"worker": "letters"}, "fallback", "unsure"),
        ({"worker": "letters", "confidence": True}, "fallback", "unsure"),
        ({"worker": "letters", "confidence": 7}, "fallback", "unsure"),
        ({"worker": "nobody", "confidence": 1}, "fallback", "unknown-worker"),
        ({"worker": ["letters"], "confidence": 1}, "fallback", "unknown-worker"),
        ({"worker": "route", "confidence": 1}, "fallback", "unknown-worker"),
        ("letters", "fallback", "unknown-worker"),
        (None, "fallback", "unknown-worker"),
    ],
)
def test_what_a_model_says_counts_when_it_can(said: Json, by: str, cause: str) -> None:
    story = told({"amount": 5, "kind": "call"}, model={})
    story.finish("route", said)
    route = story.state.route
    assert (route.by, route.cause) == (by, cause)
    assert story.state.position == ("letters" if by == "model" else "person")


def test_a_model_is_asked_only_when_no_rule_fits() -> None:
    assert told({"amount": 180}, model={}).state.position == "refunds"
    assert told({"amount": 5, "kind": "call"}, model={}).state.position == "route"


def test_a_model_that_fails_drops_nothing() -> None:
    story = told({"amount": 5, "kind": "call"}, model={"attempts": 2})
    story.fail("route")
    story.fail("route", attempt=2)
    assert (story.state.route.cause, story.state.position) == ("model-failed", "person")
    assert story.state.error is None


def test_the_fallback_worker_takes_over_once() -> None:
    story = told({"amount": 180, "kind": "x"}, fallback="letters")
    story.fail("refunds", retryable=False)
    assert story.state.route.failed == "refunds"
    assert story.state.position == "letters"
    story.fail("letters", retryable=False)
    assert story.state.status == "failed"
    assert story.error["who"] == "letters"


def test_where_it_shall_fail_it_fails() -> None:
    story = told({"amount": 180}, on_failure="fail")
    story.fail("refunds", retryable=False)
    assert story.state.status == "failed"


def test_a_no_is_an_answer_and_no_other_worker_is_asked() -> None:
    workers = WORKERS | {"refunds": agent(proposes=True)}
    story = Story(router(workers, *RULES), {"amount": 180})
    story.finish("refunds", {"action": "x"})
    story.propose("refunds", "block")
    assert story.state.status == "failed"
    assert story.error["code"] == "proposal-blocked"


def test_people_who_say_no_are_not_passed_over() -> None:
    story = told({"amount": 180}, ("", "person"), fallback="letters")
    story.tell(asked("person"))
    story.tell(answered("person", verdict="reject"))
    assert story.state.status == "failed"


def test_the_decision_can_be_stored_and_read() -> None:
    story = told({"amount": 5, "kind": "call"}, model={})
    story.finish("route", {"worker": "letters", "confidence": 0.8, "features": {"a": [1, [2]]}})
    assert from_json(to_json(story.state)) == story.state  # type: ignore[arg-type]


def test_features_are_what_the_conditions_read() -> None:
    rule = RouteRule(
        name="r",
        to=("a",),
        guard='has(intent.a.b) && intent["due-date"] == "x" && intent.lines.exists(l, l.n > 1)'
        " && intent.tags[0] == intent.nothing",
    )
    intent: Json = {"a": {"b": 1}, "due-date": "x", "lines": [{"n": 2}], "tags": ["q"], "more": 1}
    found = find([rule], intent)
    assert found.rule is None
    assert found.features == {
        "intent.a.b": 1,
        'intent["due-date"]': "x",
        # One level of what is in a list.
        "intent.lines": ["{…}"],
        "intent.tags": ["q"],
    }


def test_what_is_kept_of_a_decision_is_small() -> None:
    story = told({"amount": 5, "kind": "call"}, model={})
    features: dict[str, Json] = {f"f{n}": "x" * 100_000 for n in range(200)}
    story.finish("route", {"worker": "x" * 99_999, "features": features, "why": "y" * 99_999})
    assert len(str(to_json(story.state))) < 20_000
