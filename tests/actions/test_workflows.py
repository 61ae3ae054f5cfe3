"""Workflows: versions that never change, numbers that nobody shares, and who may save one."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from orchestrator.actions import contracts, workflows
from orchestrator.actions.actor import Actor
from orchestrator.core.codec import digest, read
from orchestrator.core.errors import BadInput, BadJson, DefinitionInvalid, NotAllowed, NotFound
from orchestrator.models import AuditEntry, Proposal, Workflow, WorkflowVersion
from tests.conftest import SYSTEM, Cast

Saving = Callable[..., WorkflowVersion]


def plan(title: str = "Ask somebody", **fields: Any) -> dict[str, Any]:
    stage = {"name": "ask", "approval": {"question": "Shall it go on?"}}
    return {"pattern": "pipeline", "title": title, "stages": [stage], **fields}


@pytest.fixture
def save(cast: Cast) -> Saving:
    def as_ada(slug: str = "refunds", raw: Any = None) -> WorkflowVersion:
        return workflows.save(Actor(cast.ada), slug, plan() if raw is None else raw).version

    return as_ada


def test_a_version_is_stored_complete(save: Saving, cast: Cast) -> None:
    version = save()
    definition = read(version.definition)
    assert isinstance(definition, dict)
    assert definition["stages"][0]["approval"]["due_seconds"] == 86_400  # type: ignore[index,call-overload]
    assert definition["budget"] == workflows.limits()
    assert version.content_hash == digest(version.definition)
    entry = AuditEntry.objects.get(verb="workflow.saved")
    assert (entry.user, entry.object_id, entry.detail) == (
        cast.ada,
        "workflow/refunds",
        {"version": 1},
    )


def test_the_same_again_is_the_same_version(save: Saving) -> None:
    first = save()
    assert save() == first
    second = save(raw=plan("Another"))
    assert second.number == 2
    # What an older version said becomes the newest again.
    assert save().number == 3
    assert AuditEntry.objects.filter(verb="workflow.saved").count() == 3


def test_only_who_may_edit_workflows_saves_them(cast: Cast) -> None:
    for user in (cast.rita, cast.max, cast.agents):
        with pytest.raises(NotAllowed, match="role admin"):
            workflows.save(Actor(user), "refunds", plan())
    assert not Workflow.objects.exists()


def test_a_definition_that_could_not_run_is_refused_whole(save: Saving) -> None:
    with pytest.raises(DefinitionInvalid, match="“stages” is missing") as refused:
        save(raw={"pattern": "pipeline", "titel": "x"})
    assert len(refused.value.problems) == 2
    with pytest.raises(DefinitionInvalid, match="of itself"):
        save("me", plan(stages=[{"name": "again", "workflow": "me"}]))
    with pytest.raises(DefinitionInvalid, match="must be an object"):
        save(raw=[])
    assert not Workflow.objects.exists()


def test_limits_come_from_the_settings(save: Saving, settings: Settings) -> None:
    settings.RUN_TOKENS_MAX = 10
    with pytest.raises(DefinitionInvalid, match="/budget/tokens: must be at most 10; it is 11"):
        save(raw=plan(budget={"tokens": 11}))
    settings.WORKFLOW_BYTES_MAX = 100
    with pytest.raises(BadJson, match="WORKFLOW_BYTES_MAX"):
        save(raw=plan("x" * 100))
    settings.WORKFLOW_BYTES_MAX = 1_000
    settings.WORKFLOWS_MAX = 1
    save()
    with pytest.raises(BadInput, match="WORKFLOWS_MAX"):
        save("another")
    save(raw=plan("A new version is no new workflow"))


@pytest.mark.parametrize("slug", ["", "a b", "a/b", "ä", "x" * 101, "a\n"])
def test_a_name_that_is_none_is_refused(save: Saving, slug: str) -> None:
    with pytest.raises(BadInput, match="letters"):
        save(slug)


def test_the_name_of_an_address_is_refused(save: Saving) -> None:
    with pytest.raises(BadInput, match="address of the API"):
        save("schema")


def test_a_proposal_from_outside_is_carried_by_a_version_of_its_own(
    save: Saving, propose: Callable[..., Proposal]
) -> None:
    saved = save("support")
    first, second = (propose(workflow="support").run.workflow_version for _ in range(2))
    assert first == second != saved
    assert read(first.definition) == {"pattern": "direct"}
    assert workflows.newest_plan("support") == saved
    newer = save("support", plan("Newer"))
    assert newer.number == 3
    assert propose(workflow="support").run.workflow_version == first
    assert workflows.newest_plan("support") == newer


def test_without_a_plan_nothing_can_be_started(propose: Callable[..., Proposal]) -> None:
    propose(workflow="support")
    with pytest.raises(BadInput, match="save a plan"):
        workflows.newest_plan("support")
    with pytest.raises(NotFound):
        workflows.newest_plan("none")


@pytest.mark.django_db(transaction=True)
def test_saving_at_once_gives_each_a_number_of_its_own(cast: Cast) -> None:
    start = threading.Barrier(8)

    def save(number: int) -> int:
        start.wait()
        try:
            raw = plan(f"by {number % 6}")
            return workflows.save(Actor(cast.ada), "refunds", raw).version.number
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(save, range(8)))
    stored = list(WorkflowVersion.objects.order_by("number").values_list("number", flat=True))
    assert sorted(set(numbers)) == stored == list(range(1, len(stored) + 1))
    assert 6 <= len(stored) <= 8


@pytest.mark.django_db(transaction=True)
def test_many_first_proposals_at_once_register_one_version(cast: Cast) -> None:
    start = threading.Barrier(8)

    def register(_: int) -> int:
        start.wait()
        try:
            return workflows.version_for(SYSTEM, "support").pk
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(register, range(8)))) == 1
    assert WorkflowVersion.objects.count() == 1


# manage.py workflow ----------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "refunds.json"
    path.write_text(json.dumps(plan()))
    return path


def test_the_command_saves_and_shows(
    cast: Cast, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("workflow", "check", str(file))
    assert "can be saved" in capsys.readouterr().out
    assert not Workflow.objects.exists()
    call_command("workflow", "save", "refunds", str(file), "--by", "ada")
    assert "refunds v1 is saved." in capsys.readouterr().out
    call_command("workflow", "save", "refunds", str(file))
    assert "refunds v1 says the same already" in capsys.readouterr().out
    call_command("workflow", "show", "refunds")
    shown = json.loads(capsys.readouterr().out)
    assert shown["title"] == "Ask somebody"
    call_command("workflow", "show", "refunds", "1")
    assert json.loads(capsys.readouterr().out) == shown
    assert AuditEntry.objects.get(verb="workflow.saved").user == cast.ada


def test_the_command_says_what_is_wrong_line_by_line(cast: Cast, file: Path) -> None:
    file.write_text('{"pattern": "pipeline", "stages": [{"name": "a"}], "titel": ""}')
    for arguments in (["check", str(file)], ["save", "refunds", str(file)]):
        with pytest.raises(CommandError) as refused:
            call_command("workflow", *arguments)
        heading, *problems = str(refused.value).splitlines()
        assert heading.endswith(":")
        assert problems == [
            "  /stages/0: needs one of “agent”, “approval”, “signal”, “workflow”, “collect”, “publish” and “subscribe”",
            "  /titel: does not belong here. Did you mean “title”?",
        ]


def test_the_command_refuses_in_sentences(cast: Cast, file: Path, tmp_path: Path) -> None:
    refusals = {
        "There is no workflow none.": ["show", "none"],
        "There is no user eve. Nothing was saved.": ["save", "x", str(file), "--by", "eve"],
        "rita may not save workflows": ["save", "x", str(file), "--by", "rita"],
        "cannot be read: No such file": ["check", str(tmp_path / "none.json")],
        "use 1 to 100 letters": ["save", "a b", str(file)],
    }
    for said, arguments in refusals.items():
        with pytest.raises(CommandError, match=said):
            call_command("workflow", *arguments)
    file.write_text("{")
    with pytest.raises(CommandError, match="it is not JSON"):
        call_command("workflow", "check", str(file))


class TestContracts:
    """Works may keep a contract of outputs, in place of a schema of their own."""

    DEFINITION: dict[str, Any] = {
        "pattern": "pipeline",
        "stages": [
            {
                "name": "read",
                "agent": {"kind": "scripted", "name": "a", "says": 1},
                "contract": "sum",
            }
        ],
    }

    def keep(self, *, maximum: int) -> None:
        contracts.save(
            SYSTEM,
            kind="output",
            name="sum",
            schema={"type": "integer", "maximum": maximum},
            timeout_s=60,
        )

    def test_the_newest_version_is_written_in_and_stays(self, save: Saving) -> None:
        self.keep(maximum=5)
        first = read(save("reads", self.DEFINITION).definition)
        self.keep(maximum=3)
        second = read(save("reads", first).definition)
        found = [definition["stages"][0] for definition in (first, second)]  # type: ignore[index,call-overload]
        assert [work["contract"] for work in found] == [
            {"name": "sum", "version": 1},
            {"name": "sum", "version": 2},
        ]
        assert [work["output"]["maximum"] for work in found] == [5, 3]

    def test_what_is_not_there_is_named_with_its_place(self, save: Saving) -> None:
        machine = {
            "pattern": "machine",
            "start": "a",
            "states": {"a": {"run": self.DEFINITION["stages"][0]}},
        }
        with pytest.raises(DefinitionInvalid) as refused:
            save("reads", self.DEFINITION)
        assert "/stages/0/contract" in {problem.pointer for problem in refused.value.problems}
        with pytest.raises(DefinitionInvalid) as refused:
            save("reads", machine)
        assert "/states/a/run/contract" in {problem.pointer for problem in refused.value.problems}

    @pytest.mark.parametrize("raw", [{"stages": 1}, {"states": [1]}, {"stages": [{"contract": 7}]}])
    def test_what_is_wrong_altogether_is_only_refused(self, save: Saving, raw: Any) -> None:
        with pytest.raises(DefinitionInvalid):
            save("reads", {"pattern": "pipeline", **raw})
