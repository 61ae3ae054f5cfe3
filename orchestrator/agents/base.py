"""The port every agent fills: one call, one answer, and errors that say who failed and where."""

import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from orchestrator.core.codec import Json
from orchestrator.core.errors import AgentError

logger = logging.getLogger(__name__)

REASON_LENGTH_MAX = 500


@dataclass(frozen=True, slots=True)
class AgentCall:
    """What an agent is asked. A second call with the same key asks for the same work again."""

    key: str
    run: str
    work: str
    index: int
    attempt: int
    intent: Json
    inputs: dict[str, Json]
    item: Json
    seed: int
    timeout_s: float
    config: dict[str, Any]
    # What the output has to look like, as JSON Schema; None when it may say anything.
    output: dict[str, Json] | None = None
    # The tools it may use, each as `tools/base.py` describes it.
    tools: Sequence[dict[str, Json]] = ()
    # After a turn that ended in asks, the next one is handed what the agent wanted kept, and what
    # became of each ask.
    turn: int = 1
    memory: Json = None
    answers: Sequence[dict[str, Json]] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call cost. Money is in millionths of the currency's unit; None says that nobody knows."""

    tokens_in: int = 0
    tokens_out: int = 0
    money_micros: int | None = 0

    def as_told(self) -> dict[str, Any]:
        """As events say it."""
        known = self.money_micros is not None
        told = {"money_micros": self.money_micros or 0, "unpriced": not known}
        return {"tokens_in": self.tokens_in, "tokens_out": self.tokens_out, **told}

    def __add__(self, other: "Usage") -> "Usage":
        """A sum that lacks the price of one part is not known."""
        known = self.money_micros is not None and other.money_micros is not None
        return Usage(
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            (self.money_micros or 0) + (other.money_micros or 0) if known else None,
        )


@dataclass(frozen=True, slots=True)
class Piece:
    """One timed piece of work inside a call: a request to a model, a tool that was used."""

    kind: str  # model, tool
    name: str
    # After the call began.
    began_ms: int
    took_ms: int
    usage: Usage = Usage()
    error: str = ""
    # What it was handed and what it said, as far as that is kept; and what was cut, in words.
    given: str = ""
    said: str = ""
    notes: tuple[str, ...] = ()
    # How far below those of the call itself: what an agent behind a tool did stands right after that tool,
    # whose figures have its figures in them.
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """A tool that would change something: it becomes a proposal, and the call goes on in another turn."""

    key: str
    tool: str
    args: dict[str, Json]
    # Why, in the agent's own words, and how sure it is, where it says so.
    rationale: str = ""
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class AgentAnswer:
    """What an agent says. `agent` holds what is known of it: name, version, model, prompt_hash.

    One that asks has not finished: its output does not count, and `memory` is handed back to it.
    """

    output: Json
    usage: Usage = Usage()
    agent: dict[str, str] = field(default_factory=dict)
    pieces: tuple[Piece, ...] = ()
    asks: tuple[Ask, ...] = ()
    memory: Json = None
    # What tools said in this turn: followed into what it asks for now and later.
    untrusted: tuple[Json, ...] = ()
    # What it was not handed, in words.
    notes: tuple[str, ...] = ()


class Agent(Protocol):
    """Answers within `call.timeout_s`, or raises an AgentError; whoever asks gives up after it."""

    def call(self, call: AgentCall) -> AgentAnswer: ...


def describe(config: Mapping[str, Any]) -> dict[str, str]:
    """An agent as its definition knows it."""
    return {name: str(config[name]) for name in ("kind", "name") if name in config}


@contextmanager
def accountable(config: dict[str, Any]) -> Iterator[None]:
    """Every error that leaves is an AgentError and says which agent failed in which process."""
    who = " ".join(describe(config).values())
    where = f"{socket.gethostname()}:{os.getpid()}"
    try:
        yield
    except AgentError as error:
        error.reason = shorten(error.reason)
        error.who, error.where = error.who or who, error.where or where
        raise
    except (Exception, SystemExit) as error:
        # SystemExit too: it would end a thread of the worker without a word.
        logger.exception("the agent %s failed", who)
        reason = shorten(f"{type(error).__name__}: {error}")
        raise AgentError(reason, who=who, where=where) from error


def shorten(text: str, most: int = REASON_LENGTH_MAX) -> str:
    return text if len(text) <= most else text[: max(0, most - 1)] + "…"


def cost_of(error: BaseException) -> dict[str, Any]:
    """What a call that failed had cost, as events say it; nothing when nobody knows of any."""
    usage = error.usage if isinstance(error, AgentError) else None
    return usage.as_told() if isinstance(usage, Usage) else {}
