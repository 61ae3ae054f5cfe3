"""A trace shows what each call was handed: the very same that its agent was, in every pattern."""

import json
from typing import Any

import pytest
from django.utils import timezone

from orchestrator import trace_queries
from orchestrator.agents import registry
from orchestrator.agents.base import Agent, AgentAnswer, AgentCall
from orchestrator.core.codec import canonical
from orchestrator.models import Command, Run
from tests import memories, runs
from tests.engine.test_asking import ANSWERS, ask, clerk
from tests.engine.test_router import definition as router
from tests.work import work_all

pytestmark = pytest.mark.django_db

STATES: dict[str, Any] = {
    "pattern": "machine",
    "initial": "read",
    "states": {
        name: {
            "run": {"agent": runs.scripted(name, {"n": 1})},
            "on": {"done": [{"to": then}], "failed": [{"to": "end"}]},
        }
        for name, then in (("read", "sum"), ("sum", "end"))
    }
    | {"end": {"end": "completed"}},
}
MODEL = {"agent": runs.scripted("picker", {"worker": "write", "confidence": 0.9})}
CHOICE: dict[str, Any] = router(model=MODEL | {"confidence_at_least": 0.5})
PATTERNS: dict[str, Any] = {
    "fan-out": runs.INVOICES,
    "failing": runs.FAILING,
    "machine": STATES,
    "router by rule": router(),
    "router by model": CHOICE,
    "supervisor": runs.POOL,
    "consensus": runs.COUNCIL,
    "mesh": memories.MESH,
    "memory": memories.REMEMBERING,
    "asking": clerk({"asks": [ask("no.such.tool")], "memory": {"n": 1}}, ANSWERS),
}
INTENTS: dict[str, Any] = {"router by rule": {"kind": "letter"}, "router by model": {"kind": "?"}}


class Overheard:
    """The agents themselves, and all that they were asked."""

    def __init__(self) -> None:
        self.calls: list[AgentCall] = []

    def listen(self, agent: Agent) -> Agent:
        calls = self.calls

        class Listening:
            def call(self, call: AgentCall) -> AgentAnswer:
                calls.append(call)
                return agent.call(call)

        return Listening()


@pytest.fixture
def overheard(monkeypatch: pytest.MonkeyPatch) -> Overheard:
    found, heard = registry.find, Overheard()
    monkeypatch.setattr(registry, "find", lambda config: heard.listen(found(config)))
    return heard


def handed(call: AgentCall) -> dict[str, Any]:
    """By the titles that people read."""
    told = {"The intent": call.intent}
    told |= {f"Input {name}": value for name, value in call.inputs.items()}
    if call.item is not None:
        told["The item"] = call.item
    if call.memory is not None:
        told["What it had kept"] = call.memory
    if call.answers:
        told["What became of what it asked for"] = list(call.answers)
    memory: Any = told.get("Input memory")
    if memory is not None and not memory["observations"]:
        # Nothing to show, and nothing that the log names.
        del told["Input memory"]
    return told


def shown(run: Run) -> list[dict[str, Any]]:
    found = trace_queries.trace_of(run)
    texts = [
        trace_queries.texts_of(found, span) for span in found.trace.spans if span.kind == "agent"
    ]
    return [
        {one.title: json.loads(one.text) for one in of_span if not one.title.startswith("What it said")}
        for of_span in texts
    ]  # fmt: skip


def alike(found: list[dict[str, Any]]) -> list[str]:
    return sorted(map(canonical, found))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_it_is_what_the_agent_was_handed(overheard: Overheard, pattern: str) -> None:
    runs.save("support")
    intent = INTENTS.get(pattern, {"order": "A-1"})
    run = runs.start("one", definition=PATTERNS[pattern], intent=intent)
    told = [
        {name: text for name, text in one.items() if name != "What it asked for"}
        for one in shown(run)
    ]
    calls = [handed(call) for call in overheard.calls if call.run == run.pk]
    assert len(calls) > 1
    assert alike(told) == alike(calls)


def test_what_was_sent_back_is_shown_with_the_reasons(overheard: Overheard) -> None:
    unsure = {"action": "refund.create", "args": {"amount_minor": 100}, "confidence": 0.7}
    stage = runs.stage("refund", unsure, proposes=True, attempts=2)
    run = runs.start("one", definition=memories.pipeline(stage))
    Command.objects.filter(status="pending").update(not_before=timezone.now())
    work_all()
    _, again = shown(run)
    assert "score 0.7" in canonical(again["Input sent_back"]["reasons"])
    assert alike(shown(run)) == alike([handed(call) for call in overheard.calls])


def test_what_it_asked_for_is_shown(overheard: Overheard) -> None:
    run = runs.start("one", definition=PATTERNS["asking"])
    first, second = shown(run)
    assert [one["tool"] for one in first["What it asked for"]] == ["no.such.tool"]
    assert "What it asked for" not in second
