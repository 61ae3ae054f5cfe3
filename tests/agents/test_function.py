"""Functions in the worker's own process: the same answers and errors, without the fork."""

import os
from typing import Any

import pytest
from pytest_django import Settings

from orchestrator.agents.base import AgentAnswer, Usage
from orchestrator.agents.registry import find
from orchestrator.core.errors import AgentError, AgentRefused, AgentUnknown, OutputInvalid
from tests.agents.conftest import make_call

pytestmark = pytest.mark.usefixtures("own_modules")


def ask(name: str, **changes: Any) -> AgentAnswer:
    config = {"kind": "function", "name": name, "isolated": False}
    return find(config).call(make_call(config, **changes))


def test_an_answer_comes_with_its_cost() -> None:
    answer = ask("cost")
    assert answer.output == {"seen": {"fetch": {"pages": 2}}, "seed": 7}
    assert answer.usage == Usage(12, 3, 450)
    assert answer.agent["model"] == "abacus-1"


def test_what_is_kept_is_a_copy() -> None:
    item = {"lines": [1, 2]}
    assert ask("repeat", item=item).output == item
    assert ask("repeat", item=item).output is not item


def test_errors_say_who_and_where(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(AgentError, match="KeyError: 'vat_rate!!!") as failure:
        ask("stumble")
    assert failure.value.who == "function stumble"
    assert failure.value.where.endswith(f":{os.getpid()}")
    assert "the agent function stumble failed" in caplog.text
    with pytest.raises(AgentRefused, match="not ours"):
        ask("refuse")
    with pytest.raises(
        AgentUnknown, match="'nobody' is in the AGENTS of none of its AGENT_MODULES"
    ):
        ask("nobody")


def test_leaving_does_not_end_the_worker() -> None:
    with pytest.raises(AgentError, match="SystemExit: done here"):
        ask("leave")


@pytest.mark.parametrize("odd", ["a set", "not a number", "half a pair", "too deep", "endless"])
def test_what_cannot_be_stored_is_no_output(odd: str) -> None:
    with pytest.raises(OutputInvalid):
        ask("answer_oddly", item=odd)


def test_an_answer_has_a_limit(settings: Settings) -> None:
    with pytest.raises(OutputInvalid, match="at most 1,000,000 are taken"):
        ask("answer_at_length", item=settings.JSON_BYTES_MAX)
