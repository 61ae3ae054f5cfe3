from typing import Any

import pytest

from orchestrator.core.plan import DIRECT, Budget, Place, Way, Work, read_plan
from tests.core.stories import BUDGET, agent, approval, child, machine, pipeline, signal


def works(*stages: Any) -> dict[str, Work]:
    return dict(read_plan(pipeline(*stages)).works)


def test_a_direct_plan_has_nothing_in_it() -> None:
    assert read_plan({"pattern": "direct"}) == DIRECT


def test_a_pattern_of_a_later_version_is_no_plan() -> None:
    with pytest.raises(KeyError, match="swarm"):
        read_plan({"pattern": "swarm"})


def test_stages_keep_their_order_and_need_the_one_before() -> None:
    found = works(agent("read"), agent("draft"), agent("send", needs=["read", "draft"]))
    assert list(found) == ["read", "draft", "send"]
    assert [work.needs for work in found.values()] == [(), ("read",), ("read", "draft")]


def test_each_kind_of_stage_says_what_it_waits_for() -> None:
    found = works(
        agent("a", proposes=True, attempts=2),
        approval("b", approvals=2, due_s=60),
        signal("c", "paid", due_s=30),
        child("d", "audit", optional=True),
        agent("e", for_each="/items", at_most=7),
    )
    assert found["a"] == Work(name="a", kind="agent", attempts=2, proposes=True)
    assert found["b"] == Work(name="b", kind="approval", approvals=2, due_s=60, needs=("a",))
    assert found["c"] == Work(name="c", kind="signal", signal="paid", due_s=30, needs=("b",))
    assert found["d"] == Work(
        name="d", kind="workflow", workflow="audit", optional=True, needs=("c",)
    )
    assert (found["e"].for_each, found["e"].at_most) == ("/items", 7)


@pytest.mark.parametrize(
    ("config", "queue"),
    [
        ({"kind": "scripted"}, "agents"),
        ({"kind": "function", "name": "f"}, "isolated"),
        ({"kind": "function", "name": "f", "isolated": True}, "isolated"),
        ({"kind": "function", "name": "f", "isolated": False}, "agents"),
    ],
)
def test_functions_run_apart_unless_somebody_vouches_for_them(
    config: dict[str, Any], queue: str
) -> None:
    assert works(agent("a", agent=config))["a"].queue == queue


def test_a_machine_has_places_and_the_works_they_run() -> None:
    plan = read_plan(
        machine(
            {
                "ask": {
                    "run": approval(),
                    "on": {
                        "done": [{"if": "event.by == 'rita'", "to": "good"}, {"to": "idle"}],
                        "failed": [{"to": "bad"}],
                    },
                },
                "idle": {"after": {"seconds": 9, "to": "bad"}},
                "good": {"end": "completed"},
                "bad": {"end": "failed"},
            }
        )
    )
    assert plan.initial == "ask"
    assert list(plan.works) == ["ask"]
    assert plan.places["ask"].ways["done"] == (
        Way(to="good", guard="event.by == 'rita'"),
        Way(to="idle"),
    )
    assert plan.places["idle"] == Place(name="idle", after_s=9, after_to="bad")
    assert plan.places["bad"].end == "failed"


def test_the_budget_is_what_the_definition_says() -> None:
    assert read_plan(pipeline(agent("a"), tokens=5)).budget == Budget(**BUDGET | {"tokens": 5})  # type: ignore[arg-type]
