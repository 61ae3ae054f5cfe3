"""What a version may use: the tools that it names, as far as they are approved when it is called."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from orchestrator import plugins, tool_queries
from orchestrator.actions import agents, runs, tools, workflows
from orchestrator.actions.actor import Actor
from orchestrator.actions.tools import Wording
from orchestrator.core.codec import Json, read
from orchestrator.core.errors import BadInput, DefinitionInvalid
from orchestrator.engine.agents import resolve
from orchestrator.engine.claim import claim
from orchestrator.models import Effect, Event, Proposal, Run
from tests import versions
from tests.conftest import SYSTEM, Cast
from tests.tools import functions
from tests.work import output_of, work_all

pytestmark = pytest.mark.django_db

ARGS: dict[str, Json] = {"order": "A-20931", "amount": 900}
ASKS = {"asks": [{"tool": "refund", "args": ARGS, "confidence": 0.99}]}
TURNS = [ASKS, {"says": {"echo": "answers"}}]


@pytest.fixture
def ada(cast: Cast, settings: Settings) -> Iterator[Actor]:
    settings.AGENT_MODULES = ["tests.tools.functions"]
    plugins.load.cache_clear()
    functions.DONE.clear()
    yield versions.keep(cast.ada)
    plugins.load.cache_clear()


def deploy(ada: Actor, *names: str, says: Any = TURNS) -> None:
    wish = versions.scripted(None, turns=says, tools=names)
    versions.deploy(ada, "clerk", stable=versions.write(ada, "clerk", wish).number)


def start(**stage: Any) -> Run:
    workflows.save(SYSTEM, "helped", versions.pipeline(versions.stage("help", **stage)))
    return runs.start(SYSTEM, workflow="helped", intent=None)


def answers(run: Run) -> Any:
    work_all()
    run.refresh_from_db()
    return output_of(run)


def told(run: Run) -> dict[str, Any]:
    """What the event of the first turn says of who was asked."""
    said: Any = read(Event.objects.get(run=run, kind="work_asked").payload)
    found: dict[str, Any] = said["agent"]
    return found


def test_an_approved_tool_that_writes_is_asked_for_and_called_as_an_effect(ada: Actor) -> None:
    version = versions.approve_tool(ada, "refund")
    deploy(ada, "refund")
    run = start()
    (answer,) = answers(run)
    assert (answer["status"], answer["receipt"]["said"]) == ("done", {"refunded": 900})
    assert answer["receipt"]["tool_digest"] == version.digest
    proposal, effect = Proposal.objects.get(run=run), Effect.objects.get(proposal__run=run)
    assert (proposal.action, proposal.args) == ("tool:refund", ARGS)
    assert [(effect.idempotency_key, ARGS)] == functions.DONE
    assert "tools_left_out" not in told(run)


def test_it_proposes_the_action_that_the_tool_names(ada: Actor) -> None:
    versions.approve_tool(ada, "refund", action="order.refund")
    deploy(ada, "refund")
    run = start()
    (answer,) = answers(run)
    assert answer["status"] == "done"
    assert Proposal.objects.get(run=run).action == "order.refund"
    assert len(functions.DONE) == 1


@pytest.mark.parametrize("stage", [{}, {"tools": [{"name": "refund", "kind": "write"}]}])
def test_an_agent_that_only_reads_asks_in_vain(ada: Actor, stage: dict[str, Any]) -> None:
    versions.approve_tool(ada, "refund")
    deploy(ada, "refund")
    agents.save(ada, "clerk", tier="read_only")
    run = start(**stage)
    (answer,) = answers(run)
    assert (answer["status"], answer["error"]["code"]) == ("refused", "read-only")
    assert told(run)["tools_left_out"] == f"refund: {tool_queries.WRITES}"
    assert not Proposal.objects.filter(run=run).exists()
    assert not functions.DONE


def test_what_changed_since_it_was_approved_is_left_out_from_the_next_call_on(ada: Actor) -> None:
    versions.approve_tool(ada, "refund")
    deploy(ada, "refund")
    backend: dict[str, Json] = {"kind": "function", "name": "orders.refund"}
    tools.save(ada, "refund", Wording(description="Else.", parameters={}, backend=backend))
    run = start()
    (answer,) = answers(run)
    assert answer["error"]["code"] == "tool-unknown"
    assert told(run)["tools_left_out"] == f"refund: {tool_queries.WAITS}"
    assert not functions.DONE


def test_a_stage_narrows_what_its_agent_may_use(ada: Actor) -> None:
    versions.approve_tool(ada, "refund")
    versions.approve_tool(ada, "find", kind="read")
    deploy(ada, "refund", "find")
    for named in ([], ["find"], ["find", "nothing"]):
        (answer,) = answers(start(tools=named))
        assert answer["error"]["code"] == "tool-unknown"
    (answer,) = answers(start(tools=["refund"]))
    assert answer["status"] == "done"


def test_no_stage_brings_what_would_be_called_unapproved(ada: Actor) -> None:
    deploy(ada, says=TURNS)
    tool = {"name": "find", "kind": "read", "backend": {"kind": "function", "name": "orders.find"}}
    with pytest.raises(DefinitionInvalid):
        start(tools=[tool])


def test_a_version_names_tools_that_are_there(ada: Actor) -> None:
    versions.approve_tool(ada, "refund")
    for names, wrong in ((("refunds",), "no tool"), (("refund", "refund"), "twice")):
        with pytest.raises(BadInput, match=wrong):
            versions.write(ada, "clerk", versions.scripted(1, tools=names))


def test_many_calls_look_their_tools_up_together(ada: Actor) -> None:
    versions.approve_tool(ada, "refund")
    versions.approve_tool(ada, "find", kind="read")
    deploy(ada, "find", "refund")
    for _ in range(6):
        start()
    one, *others = claim("agents", worker="w", at_most=6)
    resolve([one])
    with CaptureQueriesContext(
        connection,
    ) as alone:
        resolve([one])
    with CaptureQueriesContext(connection) as together:
        found = resolve([one, *others])
    assert len(together) == len(alone)
    names = [[tool["name"] for tool in each.config["tools"]] for each in found.values()]
    assert names == [["find", "refund"]] * 6
