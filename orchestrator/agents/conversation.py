"""One isolated call, as the thread of the worker sees it that waits for the answer.

Three lines lead to the other side: one for the call and its answer, one for what the function
prints, and the watch, on which the fork server says how the process ended. The first two end in
the function's hands, so what comes through them is believed no more than any outside data.
"""

import io
import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self

from django.conf import settings

from orchestrator.agents.base import AgentCall
from orchestrator.agents.envelope import write_call
from orchestrator.agents.frames import CHUNK_BYTES, FrameReader, frame
from orchestrator.agents.output import Output
from orchestrator.core.errors import AgentCrashed, AgentTimedOut, AgentUnavailable

logger = logging.getLogger(__name__)

KILLED_WITHIN_S = 2.0
DRAINED_PIECES_MAX = 64
SIGNALS = {one.value: one.name for one in signal.Signals}
SERVER_GONE = "the fork server of this worker has ended; the worker has to be started again."


class Conversation:
    def __init__(self, call: AgentCall) -> None:
        self._call = call
        self._answer = FrameReader(settings.JSON_BYTES_MAX)
        prefix = f"{call.run} {call.work}[{call.index}] {call.config.get('name')}"
        self._output = Output(lambda line: logger.info("%s: %s", prefix, line))
        self._pid = 0
        self._status: int | None = None
        self._near, self._far = ExitStack(), ExitStack()
        self.far_ends: list[int] = []
        self.lost_server = False

    def __enter__(self) -> Self:
        try:
            self._open()
        except OSError as error:
            self._close()
            raise AgentUnavailable(
                f"the worker could not open what a call needs ({error.strerror})."
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closing the watch ends the process and whatever it left behind."""
        self._drain(self._hear_output)
        self._output.end()
        self._close()

    def ask(self, deadline: float) -> None:
        self._line.settimeout(max(deadline - time.monotonic(), 0.001))
        # What became of a process that does not listen is found out by listening.
        with suppress(ConnectionError, TimeoutError):
            self._line.sendall(frame(write_call(self._call)))
        self._line.setblocking(False)

    def listen(self, deadline: float) -> bytes:
        """The answer as it was sent; an error when there is none, or none in time."""
        with selectors.PollSelector() as selector:
            selector.register(self._line, selectors.EVENT_READ, self._hear_answer)
            selector.register(self._printed, selectors.EVENT_READ, self._hear_output)
            selector.register(self._watch, selectors.EVENT_READ, self._hear_watch)
            while self._answer.body is None and self._status is None:
                remaining_s = deadline - time.monotonic()
                if remaining_s <= 0:
                    raise self._end_late_process()
                for key, _ in selector.select(remaining_s):
                    if not key.data():
                        selector.unregister(key.fileobj)
        self._drain(self._hear_answer)
        if self._answer.body is None:
            raise AgentCrashed(self._describe_end())
        return self._answer.body

    def close_far_ends(self) -> None:
        self._far.close()

    def _open(self) -> None:
        self._line, line = self._keep(*socket.socketpair())
        self._watch, watch = self._keep(*socket.socketpair())
        here, there = os.pipe()
        self._printed, printed = self._keep(
            io.FileIO(here, "r", closefd=True), io.FileIO(there, "w", closefd=True)
        )
        os.set_blocking(self._printed.fileno(), False)
        self.far_ends = [line.fileno(), printed.fileno(), watch.fileno()]

    def _keep[End: (socket.socket, io.FileIO)](self, near: End, far: End) -> tuple[End, End]:
        self._near.callback(near.close)
        self._far.callback(far.close)
        return near, far

    def _close(self) -> None:
        self._far.close()
        self._near.close()

    def _hear_answer(self) -> bool:
        with suppress(ConnectionError):
            piece = self._line.recv(CHUNK_BYTES)
            self._answer.feed(piece)
            return bool(piece)
        return False

    def _hear_output(self) -> bool:
        piece = self._printed.read(CHUNK_BYTES)
        self._output.feed(piece or b"")
        return bool(piece)

    def _hear_watch(self) -> bool:
        said = self._watch.recv(CHUNK_BYTES).decode()
        if not said:
            raise self._lose_server()
        for line in said.splitlines():
            word, _, rest = line.partition(" ")
            if word == "refused":
                raise AgentUnavailable(f"no process could be made for the call ({rest}).")
            if word == "began":
                self._pid = int(rest)
            else:
                self._status = int(rest)
        return True

    def _drain(self, hear: Callable[[], bool]) -> None:
        """What was sent before the end is still on its way when the end is heard of."""
        with suppress(BlockingIOError):
            # Bounded, because what outlives the answer may go on writing.
            for _ in range(DRAINED_PIECES_MAX):
                if not hear():
                    return

    def _end_late_process(self) -> AgentTimedOut:
        self._watch.shutdown(socket.SHUT_WR)
        self._watch.settimeout(KILLED_WITHIN_S)
        with suppress(TimeoutError):
            while self._status is None:
                self._hear_watch()
        timeout_s = self._call.timeout_s
        if self._status is None:
            logger.error("process %d was to be killed and is still there", self._pid)
            return AgentTimedOut("its process could not be killed.", timeout_s=timeout_s)
        return AgentTimedOut(f"process {self._pid} was killed.", timeout_s=timeout_s)

    def _lose_server(self) -> AgentUnavailable:
        """The process ended with the fork server; what it had started itself is ended here."""
        self.lost_server = True
        if self._pid:
            with suppress(OSError):
                os.killpg(self._pid, signal.SIGKILL)
        return AgentUnavailable(SERVER_GONE)

    def _describe_end(self) -> str:
        code = os.waitstatus_to_exitcode(self._status or 0)
        if code < 0:
            return f"process {self._pid} was killed by {SIGNALS.get(-code, -code)}."
        return f"process {self._pid} left with exit code {code}."
