"""The port every agent fills: one call, one answer, and errors that say who failed and where."""

import logging
import os
import socket
from collections.abc import Iterator
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


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call cost. Money is in millionths of the currency's unit."""

    tokens_in: int = 0
    tokens_out: int = 0
    money_micros: int = 0


@dataclass(frozen=True, slots=True)
class AgentAnswer:
    """What an agent says. `agent` holds what is known of it: name, version, model, prompt_hash."""

    output: Json
    usage: Usage = Usage()
    agent: dict[str, str] = field(default_factory=dict)


class Agent(Protocol):
    """Answers within `call.timeout_s`, or raises an AgentError; whoever asks gives up after it."""

    def call(self, call: AgentCall) -> AgentAnswer: ...


def describe(config: dict[str, Any]) -> dict[str, str]:
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


def shorten(text: str) -> str:
    return text if len(text) <= REASON_LENGTH_MAX else text[: REASON_LENGTH_MAX - 1] + "…"
