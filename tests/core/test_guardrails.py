from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.core.errors import RuleInvalid
from orchestrator.core.policy import guardrails
from orchestrator.core.policy.guardrails import Check, Rule, check_all, compile_condition

INPUTS: dict[str, Any] = {
    "proposal": {
        "action": "refund.create",
        "args": {"amount_minor": 184_000, "note": "x" * 1_000, "tags": ["a", "b"], "none": None},
        "tainted": ["/args/note"],
    },
    "agent": {"name": "refund-agent"},
    "run": {},
    "context": {"confirmed": True},
    "history": {},
    "now": datetime(2026, 1, 2, tzinfo=UTC),
}


def check(condition: str, **changes: Any) -> Check:
    rule = Rule(1, "limit", 3, "hold", condition, changes.pop("message", ""), **changes)
    return check_all([rule], INPUTS)[0]


@pytest.mark.parametrize(
    "condition",
    [
        "proposal.args.amount_minor <= 200000",
        "proposal.args.amount_minor <= 200000.5",
        "'/args/note' in proposal.tainted",
        "context.confirmed && agent.name.startsWith('refund')",
        "has(proposal.args.missing) || true",
        "now < timestamp('2027-01-01T00:00:00Z')",
        "proposal.args.tags.all(tag, tag in ['a', 'b'])",
    ],
)
def test_a_condition_that_holds_passes(condition: str) -> None:
    assert check(condition).result == "pass"
    assert check(condition).explain == ()


def test_a_failure_says_what_it_saw() -> None:
    failed = check(
        "proposal.args.amount_minor <= 50000",
        message="the amount {proposal.args.amount_minor} is over 50000 {proposal.nope}",
    )
    assert failed.result == "fail"
    assert failed.reason == "the amount 184000 is over 50000 (missing)"
    assert failed.explain == (
        {"expr": "proposal.args.amount_minor <= 50000", "depth": 0, "value": False},
        {"expr": "proposal.args.amount_minor", "depth": 1, "value": 184_000},
    )


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("proposal.args.missing <= 5", "missing"),
        ("proposal.args.note <= 5", "No matching overloads"),
        ("proposal.args.none <= 5", "No matching overloads"),
        ("1 / 0 == 1", "divide by zero"),
        ("proposal.args.amount_minor", "neither true nor false"),
        ("proposal.args.amount_minor <=", "does not compile"),
        ("proposl.args.amount_minor < 1", "undeclared reference"),
    ],
)
def test_what_cannot_be_evaluated_is_an_error_never_a_pass(condition: str, reason: str) -> None:
    found = check(condition)
    assert found.result == "error"
    assert reason in found.reason
    assert "error" in found.explain[0] or found.explain[0]["value"] not in (True, False)


def test_a_mistake_is_refused_with_its_place() -> None:
    with pytest.raises(RuleInvalid) as caught:
        compile_condition("true &&\n  amount < 5")
    assert (caught.value.line, caught.value.column) == (2, 3)
    with pytest.raises(RuleInvalid, match="true or false"):
        compile_condition("'a' + 'b'")
    with pytest.raises(RuleInvalid, match="longer than"):
        compile_condition("true || " * 2_000 + "true")


PAST = {"today": {"count": {"actions": ["refund.create"]}, "within": "24h"}}


def asked_about_the_past(*rules: Rule, **history: Any) -> list[Check]:
    return check_all(
        rules, {**INPUTS, "history": history}, {"unreadable": "history.today: too old"}
    )


def test_a_rule_sees_its_own_past_and_no_others() -> None:
    few = Rule(1, "few", 1, "hold", "history.today <= 3", "{history.today} refunds", history=PAST)
    many = Rule(2, "many", 1, "hold", "history.today <= 9", "", history=PAST)
    none = Rule(3, "none", 1, "hold", "!has(history.today)", "")
    found = asked_about_the_past(few, many, none, few={"today": 5}, many={"today": 5})
    assert [check.result for check in found] == ["fail", "pass", "pass"]
    assert found[0].reason == "5 refunds"
    assert found[0].explain[1] == {"expr": "history.today", "depth": 1, "value": 5}


def test_a_shadow_has_a_past_of_its_own() -> None:
    shadow = Rule(1, "r", 2, "hold", "history.today == 1", "", history=PAST, enforced=False)
    (found,) = asked_about_the_past(shadow, r={"today": 2}, **{shadow.past: {"today": 1}})
    assert found.result == "pass"


@pytest.mark.parametrize("condition", ["true", "history.today > 3", "false"])
def test_without_its_past_a_rule_is_an_error_whatever_it_says(condition: str) -> None:
    rule = Rule(1, "r", 1, "flag", condition, "", history=PAST)
    for numbers in ({}, {"r": {}}, {"r": {"today": None}}, {"r": {"other": 1}}):
        (found,) = asked_about_the_past(rule, **numbers)
        assert (found.result, found.reason) == ("error", "history.today is not known")


def test_why_the_past_is_unknown_is_said() -> None:
    (found,) = asked_about_the_past(Rule(1, "unreadable", 1, "hold", "true", "", history=PAST))
    assert found.reason == "history.today: too old"


def test_scopes_are_names_families_or_everything() -> None:
    rule = Rule(1, "r", 1, "hold", "true", "", actions=("refund.*", "invoice.pay"), agents=("a",))

    def applies(action: str, agent: str = "a") -> bool:
        return rule.applies_to(action=action, agent=agent, workflow="w")

    assert applies("refund.create")
    assert applies("invoice.pay")
    assert not applies("invoice.pay.twice")
    assert not applies("refunds.create")
    assert not applies("refund.create", agent="b")


def test_messages_cannot_format_or_reach_attributes() -> None:
    message = "{proposal.args.tags.__class__} {0} {proposal} {{x}} {proposal.action!r}"
    assert check("false", message=message).reason == message.replace(
        "{proposal.args.tags.__class__}", "(missing)"
    )


def test_the_environment_has_a_stable_hash() -> None:
    assert guardrails.ENV_HASH.startswith("sha256:")
