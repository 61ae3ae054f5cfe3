"""Fixtures of tests that ask models: nobody beyond this machine is asked, and nothing is left of it."""

from collections.abc import Iterator

import httpx2
import pytest

from orchestrator.agents.llm import transport
from tests.agents.models import leave_nothing


@pytest.fixture(autouse=True)
def stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reaches anything but this machine, whatever it gets wrong."""

    async def only_here(self: transport.OneHost, request: httpx2.Request) -> httpx2.Response:
        assert request.url.host in {"127.0.0.1", "localhost"}, request.url
        return await there(self, request)

    there = transport.OneHost.handle_async_request
    monkeypatch.setattr(transport.OneHost, "handle_async_request", only_here)


@pytest.fixture(autouse=True, scope="module")
def nothing_is_left() -> Iterator[None]:
    yield
    leave_nothing()
