"""The example of docs/agents.md works as it stands there."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pytest_django import Settings

from orchestrator import plugins
from orchestrator.agents.isolated import Isolation
from orchestrator.agents.registry import SCHEMAS, find
from orchestrator.core.errors import AgentRefused
from orchestrator.core.plan import queue_of
from tests.agents.conftest import make_call

PAGE = Path(__file__).resolve().parents[2] / "docs" / "agents.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> Iterator[Isolation]:
    (tmp_path / "own_agents.py").write_text(blocks("python")[0])
    monkeypatch.syspath_prepend(tmp_path)
    settings.AGENT_MODULES = ["own_agents"]
    plugins.load.cache_clear()
    isolation = Isolation()
    isolation.start()
    yield isolation
    isolation.stop()
    plugins.load.cache_clear()


def test_the_definitions_are_valid() -> None:
    """All but what goes over the wire, which says no kind."""
    shown = [json.loads(block) for block in blocks("json")]
    stages = [stage for one in shown for stage in one.get("stages", [one])]
    agents = [found for stage in stages if "kind" in (found := stage.get("agent", stage))]
    assert [found["kind"] for found in agents] == [
        *["function", "function", "scripted", "scripted", "recorded", "agent"]
    ]
    for found in agents:
        jsonschema_rs.validate(SCHEMAS[found["kind"]], found)


def test_the_module_answers(example: Isolation) -> None:
    stages: list[dict[str, Any]] = json.loads(blocks("json")[0])["stages"]
    read, check = (stage["agent"] for stage in stages)
    assert (queue_of(read), queue_of(check)) == ("isolated", "agents")
    answer = example.call(make_call(read, intent={"text": "Invoice 1 over 240 EUR"}))
    assert answer.output == {"total": 240, "currency": "EUR"}
    assert (answer.agent["module"], answer.agent["version"]) == ("own_agents", "3")
    inputs = {"read": answer.output}
    assert find(check).call(make_call(check, inputs=inputs)).output == {"plausible": True}
    with pytest.raises(AgentRefused, match="not an invoice"):
        example.call(make_call(read, intent={"text": "hello"}))
