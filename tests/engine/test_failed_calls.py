"""Calls that fail cost what they cost, and an agent hears what its answer has to look like."""

import json
from typing import Any

import pytest

from orchestrator.actions import endpoints, workflows
from orchestrator.actions import runs as runs_of_people
from orchestrator.actions.agents import Wish
from orchestrator.actions.endpoints import Whereabouts
from orchestrator.core import definitions
from orchestrator.core.codec import canonical, digest, read
from orchestrator.engine.advance import advance
from orchestrator.models import Command, Event, Run, WorkflowVersion
from tests import runs, versions
from tests.agents.chat_server import Says, chat_server
from tests.conftest import SYSTEM, Cast
from tests.work import claim_one, crew, work_all

OUTPUT = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}

pytestmark = pytest.mark.django_db


def pipeline(agent: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "pattern": "pipeline",
        "stages": [{"name": "read", "agent": agent, "attempts": 2, **more}],
    }


def events_of(run: Any, kind: str) -> list[Any]:
    found = Event.objects.filter(run=run, kind=kind).order_by("seq")
    return [read(event.payload) for event in found]


def test_what_a_failed_attempt_had_cost_counts(db: None) -> None:
    steps = [
        {
            "attempt": 1,
            "fails": {"code": "output-invalid"},
            "usage": {"tokens_in": 900, "tokens_out": 40, "money_micros": 1_200},
        },
        {"output": {"total": 7}, "usage": {"tokens_in": 100, "tokens_out": 10}},
    ]
    recorded = {"kind": "recorded", "name": "clerk", "trajectory": steps}
    run = runs.start("recorded", definition=pipeline(recorded))
    # The second attempt waits a moment.
    Command.objects.filter(run=run, status="pending").update(not_before=run.created_at)
    work_all()
    run.refresh_from_db()
    assert run.status == "completed"
    (failed,) = events_of(run, "work_failed")
    assert (failed["tokens_in"], failed["money_micros"]) == (900, 1_200)
    (finished,) = events_of(run, "work_finished")
    assert finished["unpriced"] is True
    spent = run.canonical_state.spent
    assert spent.tokens == 1_050
    assert spent.money_micros == 1_200


def test_an_agent_behind_an_address_is_told_the_schema_of_its_answer(cast: Cast) -> None:
    ada = versions.keep(cast.ada)
    with chat_server() as server:
        server.says(Says(body=json.dumps({"output": {"total": 7}}).encode()))
        where = Whereabouts(
            provider="http", base_url=f"{server.url}/ask", is_local=True, data_classes=["internal"]
        )
        endpoints.make(ada, "house", where)
        versions.write(
            ada, "clerk", Wish(adapter="http", endpoints=["house"], data_classes=["internal"])
        )
        versions.deploy(ada, "clerk", stable=1)
        named = {"kind": "agent", "name": "clerk"}
        run = runs.start("behind", definition=pipeline(named, output=OUTPUT), intent={"n": 1})
        work_all()
        call = server.asked[0]["call"]
    assert (call["output"], call["intent"]) == (OUTPUT, {"n": 1})
    (finished,) = events_of(run, "work_finished")
    assert finished["agent"] == {
        "kind": "http", "name": "clerk", "version": "1", "endpoint": "house", "as": "stable",
    }  # fmt: skip


def given_up() -> None:
    """As the committer does with a thread that does not come back."""
    claimed = claim_one("agents")
    assert claimed is not None
    job = crew("agents")._job(claimed, crew("agents")._load_each([claimed]))
    assert job is not None
    advance(endings=[job.overdue()])


@pytest.mark.parametrize(("adapter", "is_unpriced"), [("http", True), ("scripted", False)])
def test_nobody_knows_what_a_call_cost_that_was_given_up(
    cast: Cast, adapter: str, is_unpriced: bool
) -> None:
    ada = versions.keep(cast.ada)
    where = Whereabouts(
        provider="http", base_url="http://127.0.0.1:9", is_local=True, data_classes=["internal"]
    )
    endpoints.make(ada, "house", where)
    asked = Wish(adapter="http", endpoints=["house"], data_classes=["internal"])
    wish = asked if adapter == "http" else versions.scripted(1)
    versions.write(ada, "clerk", wish)
    versions.deploy(ada, "clerk", stable=1)
    runs.save("slow", pipeline({"kind": "agent", "name": "clerk"}))
    run = runs_of_people.start(SYSTEM, workflow="slow", intent={"n": 1})
    given_up()
    (failed,) = events_of(run, "work_failed")
    assert "gave up waiting" in failed["error"]["reason"]
    assert failed.get("unpriced", False) is is_unpriced


def start_of_old(definition: dict[str, Any]) -> Run:
    """Of a version that nobody could save today."""
    runs.save("old", pipeline({"kind": "scripted", "name": "clerk"}))
    version = WorkflowVersion.objects.get(workflow__slug="old")
    whole = definitions.complete(definition, workflows.limits(), workflows.defaults())
    said = canonical(whole)
    WorkflowVersion.objects.create(
        workflow=version.workflow, number=2, definition=said, content_hash=digest(said)
    )
    return runs_of_people.start(SYSTEM, workflow="old", intent={"n": 1})


@pytest.mark.parametrize("kind", ["http", "llm"])
def test_what_stands_behind_an_address_without_a_version_is_never_called(
    db: None, kind: str
) -> None:
    """As a definition may have said that was stored before that was looked at."""
    with chat_server() as server:
        bare = {
            "kind": kind,
            "name": "clerk",
            "model": "small-1",
            "endpoint": {"provider": "openai_compatible", "base_url": f"{server.url}/v1"},
        }
        run = start_of_old(pipeline(bare))
        work_all()
        assert server.asked == []
    run.refresh_from_db()
    assert run.status == "failed"
    (failed,) = events_of(run, "work_failed")
    assert (failed["error"]["code"], failed["error"]["retryable"]) == ("no-endpoint", False)
    assert "nothing was sent" in failed["error"]["reason"]
