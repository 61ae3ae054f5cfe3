import gzip
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from orchestrator.agents.base import AgentAnswer, Ask, Piece, Usage
from orchestrator.agents.recorded import SCHEMA
from orchestrator.agents.registry import find
from orchestrator.core.errors import AgentError, AgentTimedOut, AgentUnavailable
from tests.agents.conftest import make_call

WHOWHEN = Path(__file__).resolve().parents[3] / "shared" / "data" / "whowhen.jsonl.gz"


def ask(
    *steps: dict[str, Any], options: dict[str, Any] | None = None, **changes: Any
) -> AgentAnswer:
    config = {"kind": "recorded", "name": "clerk", "trajectory": list(steps), **(options or {})}
    jsonschema_rs.validate(SCHEMA, config)
    return find(config).call(make_call(config, **changes))


def test_it_says_what_it_said_with_what_it_cost_and_did() -> None:
    piece = {"kind": "model", "name": "m", "began_ms": 1, "took_ms": 9, "said": "7"}
    step = {
        "output": {"total": 7},
        "usage": {"tokens_in": 10, "tokens_out": 2, "money_micros": 5},
        "agent": {"model": "m", "name": "somebody else"},
        "pieces": [piece],
    }
    assert ask(step) == AgentAnswer(
        {"total": 7},
        Usage(10, 2, 5),
        {"model": "m", "name": "clerk", "kind": "recorded"},
        (Piece("model", "m", 1, 9, Usage(money_micros=None), said="7"),),
    )


def test_each_call_gets_the_first_step_that_fits_it() -> None:
    steps = [
        {"attempt": 1, "index": 0, "fails": {"code": "agent-unavailable", "reason": "away"}},
        {"turn": 2, "output": "second turn"},
        {"index": 1, "output": "second part"},
        {"work": "other", "output": "elsewhere"},
        {"output": "else"},
    ]
    with pytest.raises(AgentUnavailable, match="away"):
        ask(*steps)
    assert ask(*steps, attempt=2, turn=2).output == "second turn"
    assert ask(*steps, index=1).output == "second part"
    assert ask(*steps, attempt=2, work="other").output == "elsewhere"
    assert [ask(*steps, attempt=3).output for _ in range(2)] == ["else", "else"]


def test_failures_say_what_they_had_cost() -> None:
    fails = {"fails": {"code": "output-invalid"}, "usage": {"tokens_in": 9, "money_micros": 3}}
    with pytest.raises(AgentError) as failure:
        ask(fails)
    assert failure.value.usage == Usage(9, 0, 3)


def test_what_it_asked_for_it_asks_again() -> None:
    asked = {"key": "1", "tool": "refund.create", "args": {"order": "A-1"}}
    answer = ask({"asks": [asked], "memory": {"seen": 1}})
    assert answer.asks == (Ask("1", "refund.create", {"order": "A-1"}),)
    assert answer.memory == {"seen": 1}


def test_it_takes_its_time_only_when_told_to() -> None:
    step = {"output": 1, "took_ms": 60_000}
    assert ask(step).output == 1
    with pytest.raises(AgentTimedOut):
        ask(step, options={"in_time": True}, timeout_s=0.01)


def test_a_call_that_was_not_recorded_is_an_error() -> None:
    with pytest.raises(AgentError, match="none of its 1 recorded steps is for attempt 1, turn 1"):
        ask({"attempt": 2, "output": 1})


@pytest.mark.skipif(not WHOWHEN.exists(), reason="the recordings are not here")
def test_logs_of_agents_that_failed_can_be_replayed() -> None:
    with gzip.open(WHOWHEN, "rt") as file:
        case = json.loads(next(iter(file)))
    steps = [
        {"index": step["n"], "output": step["text"], "agent": {"role": step["agent"]}}
        for step in case["steps"]
    ]
    for step in case["steps"]:
        answer = ask(*steps, index=step["n"])
        assert (answer.output, answer.agent["role"]) == (step["text"], step["agent"])
        assert answer.usage.money_micros is None
