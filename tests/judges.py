"""Validators as people write them, and as nobody should: a module of AGENT_MODULES."""

import time
from typing import Any

from orchestrator.agents.base import AgentAnswer, AgentCall, Usage
from orchestrator.core.errors import AgentUnavailable
from orchestrator.models import EvaluationPolicy

FIRST = 2
# What the validators of this process were asked, the newest last.
ASKED: list[AgentCall] = []


def _says(verdict: str, score: float, *reasons: str) -> dict[str, Any]:
    return {"score": score, "verdict": verdict, "reasons": list(reasons)}


def calm(call: AgentCall) -> AgentAnswer:
    ASKED.append(call)
    usage = Usage(tokens_in=900, tokens_out=40, money_micros=1_300)
    known = {"name": "calm", "version": "7", "model": "small-1", "prompt_hash": "sha256:ab"}
    return AgentAnswer(_says("pass", 0.95, "It is polite."), usage, known)


def lukewarm(call: AgentCall) -> Any:
    return _says("pass", 0.7, "The tone is curt.", "<b>Greet them.</b>")


def stern(call: AgentCall) -> Any:
    return _says("fail", 0.95, "It promises what the shop does not offer.")


def babbling(call: AgentCall) -> Any:
    return {"score": 2, "verdict": "pass", "reasons": []}


def broken(call: AgentCall) -> Any:
    raise ZeroDivisionError("by zero")


def away(call: AgentCall) -> Any:
    raise AgentUnavailable("no line")


def costly(call: AgentCall) -> AgentAnswer:
    return AgentAnswer(_says("pass", 0.99), Usage(money_micros=90_000))


def slow(call: AgentCall) -> Any:
    time.sleep(1.1)
    return _says("pass", 0.99)


def pondering(call: AgentCall) -> Any:
    """So long that a page can be looked at meanwhile."""
    time.sleep(20)
    return _says("pass", 0.99)


AGENTS = {
    f"judge.{function.__name__}": function
    for function in (calm, lukewarm, stern, babbling, broken, away, costly, slow, pondering)
}


def validator(name: str, **changes: Any) -> dict[str, Any]:
    known = {
        "name": name,
        "agent": f"judge.{name}",
        "rubric": "Is it polite?",
        "timeout_s": 1,
        "money_micros_max": 5_000,
    }
    return known | changes


def put_in_force(*names: str, number: int = FIRST, **changes: Any) -> EvaluationPolicy:
    """A policy for refunds that wants to hear these validators. The next one is more specific, so it wins."""
    values = {
        "number": number,
        "action": "refund.create",
        "agent": "refund-agent" if number > FIRST else "",
        "stage": "active",
        "accept_above": 0.9,
        "escalate_at_or_below": 0.6,
        "validators": [validator(name) for name in names],
    }
    return EvaluationPolicy.objects.create(**values | changes)
