"""Supervisors and consensus through the real engine."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import Settings

from orchestrator.actions import runs, workflows
from orchestrator.actions.actor import Actor
from orchestrator.core.codec import read
from orchestrator.core.errors import DefinitionInvalid
from orchestrator.core.replay import first_divergence
from orchestrator.engine.sweep import sweep
from orchestrator.journal import history
from orchestrator.models import Command, Run, WorkflowVersion
from tests.work import output_of, work_all, work_shift

SYSTEM = Actor(None)


def says(value: Any, name: str = "tester", **more: Any) -> dict[str, Any]:
    return {"agent": {"kind": "scripted", "name": name, "says": value, **more}}


def tasks(*named: tuple[str, Any], result: Any = "all of it") -> dict[str, Any]:
    """The same plan each time, so that the second time nothing is new."""
    return {"tasks": [{"worker": who, "task": task} for who, task in named], "result": result}


def supervisor(*named: tuple[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "pattern": "supervisor",
        "supervisor": says(tasks(*named), "boss"),
        "workers": {"find": says({"echo": "item"}, "finder"), "ask": {"workflow": "other"}},
        **changes,
    }


def consensus(**changes: Any) -> dict[str, Any]:
    verdict = {
        "verdict": {"pay": True},
        "rests_on": ["A", "B"],
        "confidence": 0.9,
        "reasons": {"facts": "both quote the contract"},
    }
    return {
        "pattern": "consensus",
        "high_stakes": True,
        "reason": "a payment nobody can take back",
        "members": {name: says({"pay": True}, f"m-{name}") for name in ("ann", "ben", "cem")},
        "judge": says(verdict, "judge"),
        "rubric": {"facts": "Which answers quote the contract?"},
        "output": {
            "$defs": {"yes": {"type": "boolean"}},
            "properties": {"pay": {"$ref": "#/$defs/yes"}},
        },
        **changes,
    }


@pytest.fixture
def start(db: None) -> Callable[..., Run]:
    def begin(definition: dict[str, Any], intent: Any = None, slug: str = "w") -> Run:
        workflows.save(SYSTEM, slug, definition)
        return runs.start(SYSTEM, workflow=slug, intent=intent)

    return begin


def ended(run: Run) -> Run:
    work_all()
    run.refresh_from_db()
    assert first_divergence(history(run)) is None
    return run


def test_a_supervisor_hands_out_and_sums_up(start: Callable[..., Run]) -> None:
    run = ended(start(supervisor(("find", "a"), ("find", {"b": 1}), ("nobody", "c"))))
    # Every time the same plan: what was a gap is tried until the rounds are over.
    found: Any = output_of(run)
    assert run.status == "completed"
    assert (found["result"], found["rounds"]) == ("all of it", 2)
    assert [gap["worker"] for gap in found["gaps"]] == ["nobody", "nobody"]
    assert found["notes"] == ["two rounds brought the same, so the supervisor was asked to sum up"]


def test_an_answer_that_is_no_plan_is_refused(start: Callable[..., Run]) -> None:
    definition = supervisor(("find", "a"), rounds=1)
    definition["supervisor"] |= says({"echo": "inputs"}) | {"attempts": 1}
    # What it is handed is no plan, and its answer is refused as such.
    run = ended(start(definition))
    assert run.status == "failed"
    assert (run.canonical_state.error or {})["cause"]["code"] == "output-invalid"


def test_more_tasks_than_allowed_are_refused_and_asked_for_again(
    start: Callable[..., Run],
) -> None:
    definition = supervisor(("find", 1), ("find", 2), tasks_at_most=1)
    definition["supervisor"]["attempts"] = 2
    run = start(definition)
    work_shift("agents")
    again = Command.objects.get(run=run, kind="run_agent", status="pending")
    assert again.payload
    assert '"refused":{"$say":"' in again.payload
    assert "tasks" in again.payload


def test_four_at_once_unless_it_says_otherwise(
    start: Callable[..., Run], settings: Settings
) -> None:
    run = start(supervisor(*(("find", n) for n in range(9))))
    work_shift("agents", at_most=1)
    assert Command.objects.filter(run=run, kind="run_agent", status="pending").count() == 4
    work_shift("agents", at_most=1)
    assert Command.objects.filter(run=run, kind="run_agent", status="pending").count() == 4
    settings.SUPERVISOR_AT_ONCE = 7
    saved = workflows.save(SYSTEM, "w2", supervisor(("find", 1))).version
    assert '"at_once":7' in saved.definition


def test_a_worker_may_be_any_pattern(start: Callable[..., Run]) -> None:
    workflows.save(
        SYSTEM,
        "other",
        {"pattern": "pipeline", "stages": [{"name": "a", **says({"echo": "intent"})}]},
    )
    run = ended(start(supervisor(("ask", {"q": 1}), ("find", "x"), rounds=1)))
    child = Run.objects.get(parent=run)
    assert output_of(child) == {"q": 1}
    parts = run.canonical_state.rounds[0].parts
    assert [(part.status, part.child) for part in parts] == [("done", child.pk), ("done", "")]


def test_what_a_run_of_a_worker_spent_counts_for_its_supervisor(start: Callable[..., Run]) -> None:
    usage = {"tokens_in": 70, "tokens_out": 5, "money_micros": 900}
    workflows.save(
        SYSTEM,
        "other",
        {"pattern": "pipeline", "stages": [{"name": "a", **says("x", usage=usage)}]},
    )
    run = ended(start(supervisor(("ask", 1), stops_at={"money_micros": 500})))
    found: Any = output_of(run)
    assert run.canonical_state.spent.money_micros == 900
    assert found["result"] == "all of it"
    assert "the cost limit of the run was reached" in found["notes"][0]


def test_supervisors_below_supervisors_end_in_a_gap(start: Callable[..., Run]) -> None:
    for slug, below in (("three", "nobody"), ("two", "three")):
        definition = supervisor(("ask", "deeper"), rounds=1)
        definition["workers"]["ask"] = {"workflow": below}
        workflows.save(SYSTEM, slug, definition)
    top = supervisor(("ask", "deeper"), rounds=1)
    top["workers"]["ask"] = {"workflow": "two"}
    run = ended(start(top))
    third = Run.objects.get(workflow_version__workflow__slug="three")
    assert third.status == "failed"
    assert (third.canonical_state.error or {})["budget"] == "delegations"
    second = Run.objects.get(workflow_version__workflow__slug="two")
    found: Any = output_of(second)
    assert "no supervisor may stand below" in found["gaps"][0]["why"]
    assert run.status == "completed"


def test_a_worker_that_does_not_exist_is_a_gap(start: Callable[..., Run]) -> None:
    run = ended(start(supervisor(("ask", 1), rounds=1)))
    found: Any = output_of(run)
    assert "other" in found["gaps"][0]["why"]


def test_after_the_deadline_it_goes_on_with_what_there_is(start: Callable[..., Run]) -> None:
    definition = supervisor(("find", 1), ("find", 2), at_once=1, rounds=1, deadline_seconds=1)
    run = start(definition)
    work_shift("agents", at_most=2)
    time.sleep(1.1)
    sweep()
    found: Any = output_of(ended(run))
    assert found["gaps"] == [{"worker": "find", "task": 2, "why": "no answer within 1 s"}]
    assert found["result"] == "all of it"


def test_a_consensus_weighs_and_says_why(start: Callable[..., Run]) -> None:
    definition = consensus()
    definition["members"]["cem"]["agent"]["fails"] = [{"attempt": 1, "code": "agent-refused"}]
    run = ended(start(definition, {"claim": 7}))
    found: Any = output_of(run)
    assert run.status == "completed"
    assert found["verdict"] == {"pay": True}
    assert (found["confidence"], found["judged"]) == (0.6, 0.9)
    assert sorted(found["rests_on"]) == ["ann", "ben"]
    assert found["gaps"][0]["member"] == "cem"


def test_a_judge_has_to_speak_to_each_criterion(start: Callable[..., Run]) -> None:
    definition = consensus()
    definition["judge"]["attempts"] = 1
    definition["judge"]["agent"]["says"]["reasons"] = {}
    run = ended(start(definition))
    error = run.canonical_state.error or {}
    assert run.status == "failed"
    assert "facts" in str(error["reason"])


def test_an_answer_of_a_member_keeps_the_one_schema(start: Callable[..., Run]) -> None:
    definition = consensus()
    definition["members"]["ann"] |= {"attempts": 1}
    definition["members"]["ann"]["agent"]["says"] = {"pay": "perhaps"}
    run = ended(start(definition))
    assert run.canonical_state.rounds[0].parts[0].status == "skipped"


def test_a_pattern_may_be_a_stage_of_another(start: Callable[..., Run]) -> None:
    workflows.save(SYSTEM, "council", consensus())
    run = ended(
        start({"pattern": "pipeline", "stages": [{"name": "decide", "workflow": "council"}]})
    )
    found: Any = output_of(run)
    assert found["verdict"] == {"pay": True}


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"high_stakes": False}, "/high_stakes"),
        ({"reason": "short"}, "/reason"),
        ({"quorum": 4}, "/quorum"),
        ({"members": {"ann": says(1)}}, "/members"),
        ({"rubric": {}}, "/rubric"),
        ({"judge": says(1, "m-ann")}, "/judge/agent"),
        ({"output": {"type": "strin"}}, "/output/type"),
        ({"contract": "unheard"}, "/contract"),
    ],
)
def test_a_wrong_consensus_is_not_saved(db: None, changes: Any, pointer: str) -> None:
    with pytest.raises(DefinitionInvalid) as refusal:
        workflows.save(SYSTEM, "w", consensus(**changes))
    assert pointer in [problem.pointer for problem in refusal.value.problems]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"workers": {}}, "/workers"),
        ({"workers": {"a": {"workflow": "w"}}}, "/workers/a/workflow"),
        ({"workers": {"a": {**says(1), "workflow": "x"}}}, "/workers/a"),
        ({"workers": {"a": says(1) | {"output": {"type": 3}}}}, "/workers/a/output/type"),
        ({"workers": {"a": says(1) | {"contract": "unheard"}}}, "/workers/a/contract"),
        ({"result": {"type": 3}}, "/result/type"),
        ({"round": 2}, "/round"),
        ({"at_once": 0}, "/at_once"),
        ({"stops_at": {"tokens": 9}, "budget": {"tokens": 5}}, "/stops_at/tokens"),
        ({"supervisor": {"agent": {"kind": "scripted"}}}, "/supervisor/agent"),
    ],
)
def test_a_wrong_supervisor_is_not_saved(db: None, changes: Any, pointer: str) -> None:
    with pytest.raises(DefinitionInvalid) as refusal:
        workflows.save(SYSTEM, "w", supervisor(("find", 1), **changes))
    assert pointer in [problem.pointer for problem in refusal.value.problems]


def test_a_definition_is_completed_and_completing_it_again_changes_nothing(db: None) -> None:
    for slug, raw in (("s", supervisor(("find", 1))), ("c", consensus())):
        version: WorkflowVersion = workflows.save(SYSTEM, slug, raw).version
        assert workflows.complete(slug, read(version.definition)) == version.definition
