from typing import Any

import pytest

from orchestrator.agents.base import AgentAnswer, Usage
from orchestrator.agents.registry import find
from orchestrator.core.errors import AgentError, AgentTimedOut, AgentUnavailable
from tests.agents.conftest import make_call


def ask(script: dict[str, Any], **changes: Any) -> AgentAnswer:
    config = {"kind": "scripted", "name": "clerk", **script}
    return find(config).call(make_call(config, **changes))


def test_it_says_what_its_script_says() -> None:
    answer = ask({"says": {"total": 7}, "usage": {"tokens_in": 10}})
    assert answer == AgentAnswer(
        {"total": 7}, Usage(tokens_in=10), {"kind": "scripted", "name": "clerk"}
    )


@pytest.mark.parametrize(
    ("what", "heard"),
    [("intent", {"invoice": "A-1"}), ("inputs", {"fetch": {"pages": 2}}), ("item", "page 2")],
)
def test_it_echoes(what: str, heard: object) -> None:
    assert ask({"says": {"echo": what}}, item="page 2").output == heard


def test_it_fails_when_its_script_says_so_and_not_again() -> None:
    script = {"says": 1, "fails": [{"attempt": 1, "code": "agent-unavailable", "reason": "away"}]}
    with pytest.raises(AgentUnavailable, match="could not be reached: away") as failure:
        ask(script)
    assert failure.value.who == "scripted clerk"
    assert ask(script, attempt=2).output == 1


def test_it_takes_its_time_but_not_more_than_there_is() -> None:
    assert ask({"says": 1, "takes_ms": 5}).output == 1
    with pytest.raises(AgentTimedOut, match=r"within 0\.01 s"):
        ask({"says": 1, "takes_ms": 60_000}, timeout_s=0.01)


def test_a_script_that_makes_no_sense_is_an_error_of_the_agent() -> None:
    with pytest.raises(AgentError, match="TypeError"):
        ask({"usage": {"coffee": 1}})
