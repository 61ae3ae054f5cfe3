import time
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
    assert failed.explain == ({"expr": "proposal.args.amount_minor", "value": 184_000},)


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


HOSTILE = {
    "10,000 parentheses": "(" * 10_000 + "true" + ")" * 10_000,
    "20,000 additions": "+".join(["1"] * 20_000) + " > 0",
    "nested loops": "[0,1,2,3,4,5,6,7,8,9].all(a, [0,1,2,3,4,5,6,7,8,9].all(b, "
    "[0,1,2,3,4,5,6,7,8,9].all(c, [0,1,2,3,4,5,6,7,8,9].all(d, "
    "[0,1,2,3,4,5,6,7,8,9].all(e, true)))))",
    "a regular expression built to explode": "proposal.args.note.matches('(x+x+)+y')",
    "1 MB of text": "'" + "x" * 1_000_000 + "' != ''",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_condition_ends_soon_and_does_not_pass(name: str) -> None:
    before = time.process_time()
    assert check(HOSTILE[name]).result in {"error", "fail"}
    assert time.process_time() - before < 2


def test_a_mistake_is_refused_with_its_place() -> None:
    with pytest.raises(RuleInvalid) as caught:
        compile_condition("true &&\n  amount < 5")
    assert (caught.value.line, caught.value.column) == (2, 3)
    with pytest.raises(RuleInvalid, match="true or false"):
        compile_condition("'a' + 'b'")
    with pytest.raises(RuleInvalid, match="longer than"):
        compile_condition("true || " * 2_000 + "true")


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
