import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django import Settings

from orchestrator import plugins
from orchestrator.agents.base import AgentAnswer, AgentCall
from orchestrator.agents.isolated import Isolation

CALL: dict[str, Any] = {
    "key": "run_1:read:0",
    "run": "run_1",
    "work": "read",
    "index": 0,
    "attempt": 1,
    "intent": {"invoice": "A-1"},
    "inputs": {"fetch": {"pages": 2}},
    "item": None,
    "seed": 7,
    "timeout_s": 20.0,
}


def make_call(config: dict[str, Any], **changes: Any) -> AgentCall:
    return AgentCall(**{**CALL, **changes, "config": config})


@pytest.fixture
def own_modules(settings: Settings) -> Iterator[Settings]:
    """AGENT_MODULES names the functions beside this file."""
    settings.AGENT_MODULES = ["tests.agents.functions"]
    plugins.load.cache_clear()
    yield settings
    plugins.load.cache_clear()


@pytest.fixture
def line_of_worker() -> Iterator[socket.socket]:
    """The far end of a connection that the worker has open, as to Redis."""
    here, there = socket.socketpair()
    with here, there:
        yield there


@pytest.fixture
def isolation(own_modules: Settings, line_of_worker: socket.socket) -> Iterator[Isolation]:
    isolation = Isolation()
    isolation.start()
    yield isolation
    isolation.stop()


@pytest.fixture
def ask(isolation: Isolation) -> Callable[..., AgentAnswer]:
    def ask_function(name: str, **changes: Any) -> AgentAnswer:
        return isolation.call(make_call({"kind": "function", "name": name}, **changes))

    return ask_function
