import pytest

from orchestrator.core.policy.terms import Scope, Validator, most_specific

REFUND = Scope("support", "2", "refund.create", "high")


@pytest.mark.parametrize(
    ("scopes", "decides"),
    [
        ([Scope()], 0),
        ([Scope(), Scope(action="refund.create")], 1),
        ([Scope(action="refund.create", tier="high"), Scope(agent="support")], 0),
        # Of two that name as much: the version, the agent, the action, the tier.
        ([Scope(tier="high"), Scope(action="refund.create")], 1),
        ([Scope(action="refund.create"), Scope(agent="support")], 1),
        ([Scope(agent="support"), Scope(agent_version="2")], 1),
        ([Scope(agent="support", tier="high"), Scope(agent="support", action="refund.create")], 1),
        # What does not fit decides nothing, however much it names.
        ([Scope(), Scope("support", "2", "refund.create", "low")], 0),
        ([Scope(agent="billing"), Scope(tier="high")], 1),
    ],
)
def test_the_most_specific_decides(scopes: list[Scope], decides: int) -> None:
    for order in (list(enumerate(scopes)), list(enumerate(scopes))[::-1]):
        held = [(scope, number) for number, scope in order]
        assert most_specific(held, REFUND) == decides


def test_none_decides_where_none_fits() -> None:
    assert most_specific([(Scope(agent="billing"), 1)], REFUND) is None


def test_a_scope_says_what_it_names() -> None:
    assert str(Scope()) == "everything"
    assert str(Scope(agent="support", tier="high")) == "support, high"


def test_a_validator_is_read_as_it_was_written() -> None:
    one = Validator(name="tone", agent="judge", rubric="Is it polite?", timeout_s=30)
    assert Validator.from_json(one.to_json()) == one


def test_the_longest_names_still_have_a_target() -> None:
    long = Scope(agent="é" * 100, agent_version="雪" * 100)
    assert len(long.target) <= 500
    assert long.target != Scope(agent="é" * 100, agent_version="雨" * 100).target
    assert Scope(action="refund.create").target == "policy/action=refund.create"
