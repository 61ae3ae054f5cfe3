"""A server on this machine, spoken to over its standard input and output.

The SDK has a transport for that. This one bounds what a server may say: a line, and all that it says
between two questions; and it keeps the end of what the server wrote to its standard error, which is
where a server says why it stopped. When it is left, the process and its whole group are ended.
"""

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from django.conf import settings
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from orchestrator.tools.mcp.server import ServerConfig

type Heard = SessionMessage | Exception

END_S = 1.0
LAST_WORDS_BYTES = 2_000
# Between two questions, in answers of the largest size.
ANSWERS_MAX = 4


@dataclass(slots=True)
class Ending:
    """Why a server is no longer there, as far as it said so."""

    reason: str = "its process ended"
    words: deque[bytes] = field(default_factory=lambda: deque(maxlen=20))

    def __str__(self) -> str:
        words = b"".join(self.words)[-LAST_WORDS_BYTES:].decode(errors="replace").strip()
        return f"{self.reason}: {words}" if words else self.reason


@asynccontextmanager
async def pipe(
    server: ServerConfig, ending: Ending
) -> AsyncGenerator[
    tuple[MemoryObjectReceiveStream[Heard], MemoryObjectSendStream[SessionMessage]]
]:
    process = await asyncio.create_subprocess_exec(
        *server.command_line(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=get_default_environment() | server.environment(),
        start_new_session=True,
        limit=settings.TOOL_ANSWER_BYTES_MAX,
    )
    GROUPS[process.pid] = os.getpid()
    talk = _Talk(process, ending)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(talk.hear)
            tasks.start_soon(talk.say)
            tasks.start_soon(talk.keep_last_words)
            try:
                yield talk.heard, talk.to_say
            finally:
                tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await talk.close()
            await _end(process)
        GROUPS.pop(process.pid, None)


# Process groups that are to be ended with the process that started them, which no fork of it is.
GROUPS: dict[int, int] = {}


def end_groups() -> None:
    for group, starter in tuple(GROUPS.items()):
        if starter == os.getpid():
            _signal(group, signal.SIGKILL)


class _Talk:
    def __init__(self, process: asyncio.subprocess.Process, ending: Ending) -> None:
        self.process, self.ending = process, ending
        self.hears, self.heard = anyio.create_memory_object_stream[Heard](0)
        self.to_say, self.says = anyio.create_memory_object_stream[SessionMessage](0)
        self.bytes_heard = 0

    async def hear(self) -> None:
        """Ends with the server; whoever waits for an answer then hears that there is none."""
        async with self.hears:
            with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                while line := await self._line():
                    await self.hears.send(_message(line))
        # A server that only closed its output is as good as gone.
        _signal(self.process.pid, signal.SIGTERM)

    async def _line(self) -> bytes:
        assert self.process.stdout is not None  # noqa: S101  (it was asked for as a pipe)
        most = settings.TOOL_ANSWER_BYTES_MAX
        try:
            line = await self.process.stdout.readline()
        except ValueError:
            self.ending.reason = f"it said more than {most:,} bytes in one line"
            return b""
        self.bytes_heard += len(line)
        if self.bytes_heard > most * ANSWERS_MAX:
            self.ending.reason = f"it said more than {most * ANSWERS_MAX:,} bytes unasked"
            return b""
        return line

    async def say(self) -> None:
        assert self.process.stdin is not None  # noqa: S101
        with contextlib.suppress(OSError, anyio.ClosedResourceError):
            async for message in self.says:
                self.bytes_heard = 0
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                self.process.stdin.write(text.encode() + b"\n")
                await self.process.stdin.drain()

    async def keep_last_words(self) -> None:
        assert self.process.stderr is not None  # noqa: S101
        while words := await self.process.stderr.read(1_000):
            self.ending.words.append(words)

    async def close(self) -> None:
        for stream in (self.hears, self.heard, self.to_say, self.says):
            await stream.aclose()


def _message(line: bytes) -> Heard:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        return error


async def _end(process: asyncio.subprocess.Process) -> None:
    """First asked, by the end of its input and a signal; then made to, with all that it started."""
    if process.stdin is not None:
        process.stdin.close()
    _signal(process.pid, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), END_S)
    _signal(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), END_S)
    # Somebody who left the group may still hold the other end. asyncio shows this to nobody otherwise.
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
