"""One lasting connection for each server and process, in an event loop of its own thread.

A connection is kept by one task, which opens and closes it: the SDK wants both in the same one. When it
breaks, whoever waits hears so, and the next call opens another.
"""

import asyncio
import atexit
import concurrent.futures
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, cast

import httpx2
from django.conf import settings
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT, CallToolResult, RequestParamsMeta
from mcp_types import Tool as Told

from orchestrator.core.codec import JsonLimits, storable
from orchestrator.core.errors import (
    CountersignError,
    ToolError,
    ToolRefused,
    ToolTimedOut,
    ToolUnavailable,
)
from orchestrator.tools.base import Offer
from orchestrator.tools.mcp.pipe import Ending, end_groups, pipe
from orchestrator.tools.mcp.server import ServerConfig
from orchestrator.tools.mcp.web import web

CONNECT_S = 20.0
PAGES_MAX = 20
KEY = "countersign.dev/idempotency-key"
# How much later than the SDK the loop gives up, and then the thread that waits for it.
_GRACE_S = 0.5
# Calls in a row without an answer, after which another connection is tried.
SILENT_MAX = 3

type Left = Callable[[], float]


class Line:
    """To one server. Everything here is called from threads; what is `async` runs in the loop."""

    def __init__(self, server: ServerConfig, loop: asyncio.AbstractEventLoop) -> None:
        self.server, self.loop = server, loop
        self.opening = asyncio.Lock()
        self.client: Client | None = None
        self.keeper: asyncio.Task[None] | None = None
        self.ending = Ending()
        self.known: dict[str, Offer] = {}
        self.known_at = float("-inf")
        self.silent = 0

    @contextmanager
    def within(self, tool: str, timeout_s: float) -> Iterator[Left]:
        """One deadline for all that a call takes; every error is a ToolError of that tool."""
        deadline = time.monotonic() + timeout_s

        def left() -> float:
            found = deadline - time.monotonic()
            if found <= 0:
                raise ToolTimedOut(tool, f"nothing within {timeout_s:g} s.")
            return found

        try:
            yield left
        except ToolError as error:
            error.tool = tool
            raise
        except TimeoutError as error:
            raise ToolTimedOut(tool, f"nothing within {timeout_s:g} s.") from error
        except MCPError as error:
            raise self._told(tool, error) from error

    def _told(self, tool: str, error: MCPError) -> ToolError:
        if error.code == REQUEST_TIMEOUT:
            return ToolTimedOut(tool, "its server did not answer in time.")
        if error.code == CONNECTION_CLOSED:
            return ToolError(tool, f"its server went away: {self.ending}", retryable=True)
        return ToolRefused(tool, f"its server refused the call: {error.message}")

    def offers(self, timeout_s: float, *, fresh: bool = False) -> Mapping[str, Offer]:
        return self._run(self._offers(timeout_s, fresh), timeout_s)

    def call(
        self, name: str, args: dict[str, Any], key: str, timeout_s: float, *, again: bool
    ) -> CallToolResult:
        """`again` when a call that broke may simply be made once more."""
        meta = cast(RequestParamsMeta, {KEY: key}) if key else None
        try:
            return self._run(self._call(name, args, meta, timeout_s), timeout_s)
        except MCPError as error:
            if not (again and error.code == CONNECTION_CLOSED):
                raise
        return self._run(self._call(name, args, meta, timeout_s), timeout_s)

    def _run[Found](self, work: Coroutine[Any, Any, Found], timeout_s: float) -> Found:
        bounded = asyncio.wait_for(work, timeout_s + _GRACE_S)
        future = asyncio.run_coroutine_threadsafe(bounded, self.loop)
        try:
            return future.result(timeout_s + 2 * _GRACE_S)
        except (concurrent.futures.CancelledError, TimeoutError):
            future.cancel()
            raise TimeoutError from None

    async def _call(
        self, name: str, args: dict[str, Any], meta: RequestParamsMeta | None, timeout_s: float
    ) -> CallToolResult:
        client = await self._open()
        try:
            said = await client.call_tool(name, args, read_timeout_seconds=timeout_s, meta=meta)
        except MCPError as error:
            await self._after(error)
            raise
        self.silent = 0
        return said

    async def _after(self, error: MCPError) -> None:
        """What goes on with the connection that this came over."""
        self.silent += error.code == REQUEST_TIMEOUT
        if error.code == CONNECTION_CLOSED or self.silent >= SILENT_MAX:
            self.silent = 0
            await self.close()

    async def _offers(self, timeout_s: float, fresh: bool) -> Mapping[str, Offer]:
        is_old = time.monotonic() - self.known_at > settings.TOOL_LISTING_S
        if fresh or is_old or self.client is None:
            self.known = await self._listed(timeout_s)
            self.known_at = time.monotonic()
        return self.known

    async def _listed(self, timeout_s: float) -> dict[str, Offer]:
        try:
            return await self._pages()
        except MCPError as error:
            if error.code != CONNECTION_CLOSED:
                raise
        # It went away since it was last asked; asking what it offers changes nothing.
        await self.close()
        return await self._pages()

    async def _pages(self) -> dict[str, Offer]:
        client = await self._open()
        found: dict[str, Offer] = {}
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            page = await client.list_tools(cursor=cursor, cache_mode="refresh")
            found |= {told.name: _offer(told) for told in page.tools}
            if len(found) > settings.TOOLS_MAX:
                raise ToolRefused(self.server.slug, "it offers more than TOOLS_MAX tools.")
            cursor = page.next_cursor
            if cursor is None:
                return found
        raise ToolRefused(self.server.slug, f"the list of its tools has over {PAGES_MAX} pages.")

    async def _open(self) -> Client:
        async with self.opening:
            if self.client is not None:
                return self.client
            ready: asyncio.Future[Client] = self.loop.create_future()
            is_stdio = self.server.transport == "stdio"
            self.ending = Ending() if is_stdio else Ending("the connection broke")
            self.keeper = self.loop.create_task(self._keep(ready))
            try:
                self.client = await asyncio.wait_for(asyncio.shield(ready), CONNECT_S)
            except TimeoutError:
                await self._end_keeper()
                raise ToolUnavailable(
                    self.server.slug, f"its server was not ready within {CONNECT_S:g} s."
                ) from None
            except asyncio.CancelledError:
                await self._end_keeper()
                raise
            return self.client

    async def _keep(self, ready: asyncio.Future[Client]) -> None:
        """Opens the connection and holds it until somebody ends this task."""
        try:
            async with Client(self._transport()) as client:
                # The session is the SDK's own, which has no other way to leave this out.
                client.session.validate_tool_result = _unchecked  # type: ignore[method-assign]
                if not ready.done():
                    ready.set_result(client)
                await asyncio.Event().wait()
        except BaseException as error:  # noqa: BLE001  (whoever waits is told; the task ends)
            if not ready.done():
                ready.set_exception(self._unopened(error))
                ready.exception()
        finally:
            self.client = None

    def _transport(self) -> AbstractAsyncContextManager[Any]:
        if self.server.transport == "stdio":
            return pipe(self.server, self.ending)
        return web(self.server, self.ending)

    def _unopened(self, error: BaseException) -> ToolError:
        cause = _cause(error)
        if isinstance(cause, ToolError):
            return cause
        why = f"{type(cause).__name__}: {cause}"
        if isinstance(cause, MCPError) and cause.code == CONNECTION_CLOSED:
            why = str(self.ending)
        return ToolUnavailable(self.server.slug, f"its server cannot be spoken to: {why}")

    @property
    def is_open(self) -> bool:
        return self.client is not None

    def leave(self) -> None:
        self._run(self.close(), CONNECT_S)

    async def close(self) -> None:
        async with self.opening:
            await self._end_keeper()

    async def _end_keeper(self) -> None:
        keeper, self.keeper, self.client = self.keeper, None, None
        self.known_at = float("-inf")
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper], timeout=CONNECT_S)


async def _unchecked(name: str, result: CallToolResult) -> None:
    """The SDK would hold an answer against a schema of the server's own, in this process and without end.

    A pattern in it could stop the whole worker, and nobody approved it. An answer is data, whatever form it
    has.
    """


def _cause(error: BaseException) -> BaseException:
    """What is inside the groups that tasks wrap errors in."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        known = [
            one for one in error.exceptions if isinstance(one, CountersignError | httpx2.HTTPError)
        ]
        error = (known or error.exceptions)[0]
    return error


def _offer(told: Told) -> Offer:
    """What cannot be stored, or is too long to be read by a person, is not offered at all."""
    limits = JsonLimits(settings.TOOL_TEXT_BYTES_MAX)
    description, parameters = told.description or "", told.input_schema
    if not storable([told.name, description, parameters], limits):
        description = (
            f"Its description has more than {limits.bytes_max:,} bytes or cannot be stored."
        )
        parameters = {"not": {}}
    return Offer(told.name, description, parameters)


class _Lines:
    """Of one process. A process that was forked has none of its parent's."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.loop = asyncio.new_event_loop()
        self.lines: dict[ServerConfig, Line] = {}
        self.thread = threading.Thread(target=self._work, name="mcp", daemon=True)
        self.thread.start()

    def _work(self) -> None:
        self.loop.run_forever()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def to(self, server: ServerConfig) -> Line:
        if server not in self.lines:
            self.lines[server] = Line(server, self.loop)
        return self.lines[server]

    def stop(self) -> None:
        for line in self.lines.values():
            line.leave()
        self.lines.clear()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(CONNECT_S)


_LOCK = threading.Lock()
_OF_PROCESS: list[_Lines] = []


def to(server: ServerConfig) -> Line:
    with _LOCK:
        if not _OF_PROCESS or _OF_PROCESS[0].pid != os.getpid():
            _OF_PROCESS[:] = [_Lines()]
        return _OF_PROCESS[0].to(server)


def stop_all() -> None:
    """Leave every server, and end those that were started here. No thread stays, so that one may fork."""
    with _LOCK:
        if _OF_PROCESS and _OF_PROCESS[0].pid == os.getpid():
            _OF_PROCESS.pop().stop()


atexit.register(end_groups)
