"""Agents behind the tools of another: asked inside its call, with what the engine settled before it.

Which version is asked and through which endpoint stands in `behind` of the asking agent's config, by name:
a thread touches no database. What is asked here only reads. What it asks for all the same comes to nothing,
since nobody waits for a proposal in the middle of somebody else's call.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.agents import registry
from orchestrator.agents.base import AgentAnswer, AgentCall, Piece, Usage
from orchestrator.core import schemas
from orchestrator.core.codec import Json, canonical, digest, storable
from orchestrator.core.errors import AgentError, AgentRefused, AgentUnknown, OutputInvalid
from orchestrator.tools.base import Question, Use


@dataclass
class Behind:
    """One use of a tool. What the agent behind it did and cost is kept, whatever becomes of its answer."""

    call: AgentCall
    # What the asking agent may still spend, and with it the one behind the tool; None is without end.
    money_left: int | None = None
    usage: Usage = field(default_factory=Usage)
    pieces: tuple[Piece, ...] = ()
    untrusted: tuple[Json, ...] = ()
    # Who was asked, in words; empty when nobody was.
    asked: str = ""
    began: float = field(default_factory=time.monotonic)

    @property
    def use(self) -> Use:
        return Use(agents=chain_of(self.call.config), ask=self._ask)

    def _ask(self, question: Question) -> Json:
        known = self.call.config.get("behind", {}).get(question.agent)
        if known is None:
            raise AgentUnknown(f"no version of {question.agent} was found before the call began.")
        call = inner_call(self.call, question, known, money_left=self.money_left)
        self.asked = in_words(known["told"])
        began_ms = int((time.monotonic() - self.began) * 1000)
        try:
            answer = registry.find(call.config).call(call)
        except AgentError as error:
            self._keep(error.usage or Usage(), error.pieces, began_ms)
            raise
        self._keep(answer.usage, answer.pieces, began_ms)
        self.untrusted = answer.untrusted
        self.asked = "; ".join(filter(None, (self.asked, answer.agent.get("asked"))))
        return _taken(answer, known["output"])

    def _keep(self, usage: Usage, pieces: Sequence[Piece], began_ms: int) -> None:
        """Of a thread that is given up here nothing is known, as of any call that is."""
        self.usage = usage
        self.pieces = tuple(replace(one, began_ms=one.began_ms + began_ms) for one in pieces)


def chain_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Who asks whom, the first one first, down to the agent of this config."""
    return (*config.get("asked_by", ()), str(config.get("name", "")))


def inner_call(
    outer: AgentCall,
    question: Question,
    known: Mapping[str, Any],
    *,
    money_left: int | None = None,
) -> AgentCall:
    """The same question within the same work has the same key, whichever attempt asks it."""
    asked = digest(canonical(dict(question.args))).rpartition(":")[2][:16]
    key = f"{outer.key}/{outer.turn}/{question.agent}/{asked}"
    config = {
        **_bounded(known["config"], money_left),
        "behind": outer.config.get("behind", {}),
        "asked_by": question.asked_by,
    }
    return replace(
        outer,
        key=key,
        intent=dict(question.args),
        inputs={},
        item=None,
        seed=int.from_bytes(hashlib.sha256(key.encode()).digest()[:6]),
        timeout_s=question.timeout_s,
        config=config,
        output=known["output"],
        tools=config["tools"],
        turn=1,
        memory=None,
        answers=(),
    )


def _bounded(config: Mapping[str, Any], money_left: int | None) -> Mapping[str, Any]:
    """Only models have limits; what others spend is not ours to bound."""
    if money_left is None or config.get("kind") != "llm":
        return config
    limits = config.get("limits") or {}
    own = limits.get("money_micros") or money_left
    return {**config, "limits": {**limits, "money_micros": min(own, money_left)}}


def in_words(told: Mapping[str, str]) -> str:
    version = f" v{told['version']}" if "version" in told else ""
    through = f" through {told['endpoint']}" if "endpoint" in told else ""
    without = f" (without {told['tools_left_out']})" if "tools_left_out" in told else ""
    return f"{told.get('name', '')}{version}{through}{without}"


def _taken(answer: AgentAnswer, schema: Mapping[str, Json] | None) -> Json:
    if answer.asks:
        wanted = ", ".join(sorted({ask.tool for ask in answer.asks}))
        raise AgentRefused(
            f"it asked for {wanted}, and an agent behind a tool only reads: nothing was proposed."
        )
    if not storable(answer.output):
        raise OutputInvalid("it holds text or numbers that cannot be stored", pointer="")
    problems = schemas.check(schema, answer.output) if schema is not None else []
    if problems:
        raise OutputInvalid(problems[0].reason, pointer=problems[0].pointer)
    return answer.output
