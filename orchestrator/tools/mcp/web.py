"""A server over HTTP, reached only where `outside.py` allows, and read only so far.

An answer is not unpacked: a packed one may be far larger than it looks.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
import httpx2
from django.conf import settings
from mcp.client.streamable_http import streamable_http_client

from orchestrator.outside import Refused, Unreachable, address_of, place_of
from orchestrator.tools.mcp.pipe import Ending
from orchestrator.tools.mcp.server import ServerConfig

# Of one request. A stream of events may be silent for longer, until the call's own time is over.
CONNECT_S = 10.0


@asynccontextmanager
async def web(server: ServerConfig, ending: Ending) -> AsyncGenerator[tuple[object, object]]:
    timeout = httpx2.Timeout(CONNECT_S, read=settings.TOOL_TIMEOUT_MAX_S)
    headers = {**server.headers(), "Accept-Encoding": "identity"}
    async with (
        httpx2.AsyncClient(
            transport=Guarded(ending), headers=headers, timeout=timeout, trust_env=False
        ) as client,
        streamable_http_client(
            server.url, http_client=client, max_sse_event_size=settings.TOOL_ANSWER_BYTES_MAX
        ) as streams,
    ):
        yield streams


class Guarded(httpx2.AsyncBaseTransport):
    """Every request, and every one that a redirect leads to, goes to an address that was checked."""

    def __init__(self, ending: Ending) -> None:
        # What is raised in here the SDK keeps to itself.
        self.ending = ending
        self.inner = httpx2.AsyncHTTPTransport(trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        address = await anyio.to_thread.run_sync(_checked, str(request.url))
        checked = httpx2.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": request.url.host},
        )
        response = await self.inner.handle_async_request(checked)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            await response.aclose()
            self.ending.reason = "it packed its answer, which nobody asked it to"
            raise httpx2.ReadError(self.ending.reason, request=request)
        if request.method == "POST" and isinstance(response.stream, httpx2.AsyncByteStream):
            response.stream = _Bounded(response.stream, request)
        return response

    async def aclose(self) -> None:
        await self.inner.aclose()


class _Bounded(httpx2.AsyncByteStream):
    """What answers one question is never larger than answers may be."""

    def __init__(self, inner: httpx2.AsyncByteStream, request: httpx2.Request) -> None:
        self.inner, self.request = inner, request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        heard = 0
        async for part in self.inner:
            heard += len(part)
            if heard > settings.TOOL_ANSWER_BYTES_MAX:
                raise httpx2.ReadError("its answer is too large", request=self.request)
            yield part

    async def aclose(self) -> None:
        await self.inner.aclose()


def _checked(url: str) -> str:
    try:
        place = place_of(url, settings.TOOL_HOSTS_TRUSTED)
        return address_of(place, listed_in="TOOL_HOSTS_TRUSTED")
    except (Refused, Unreachable) as error:
        raise httpx2.ConnectError(str(error)) from error
