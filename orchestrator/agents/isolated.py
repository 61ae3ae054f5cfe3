"""Functions that may crash, leak or spin: each call runs in a process of its own that can be killed.

Not a prison: the process has the rights of the worker. It protects the worker from accidents.
"""

import os
import select
import signal
import socket
import sys
import threading
import time
from contextlib import suppress

from django.db import connections

from orchestrator.agents.base import AgentAnswer, AgentCall, accountable
from orchestrator.agents.conversation import SERVER_GONE, Conversation
from orchestrator.agents.envelope import read_answer
from orchestrator.agents.fork_server import READY, serve_and_exit
from orchestrator.core.errors import AgentUnavailable
from orchestrator.plugins import load

HAND_OVER_WITHIN_S = 5.0
STOPPED_WITHIN_S = 10.0


class Isolation:
    """An agent, and the fork server that its calls run on.

    Start it in the process that will call, before that process has threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._is_lost = False
        self.pid = 0

    def start(self) -> None:
        if threading.active_count() > 1:
            raise RuntimeError(
                "Isolated calls need a process that was forked before any thread was started. "
                f"There are {threading.active_count()} threads, perhaps from a module of "
                "AGENT_MODULES that starts one when it is imported."
            )
        load()
        # The child must not talk on a connection that is ours, nor say again what waits in a buffer.
        connections.close_all()
        sys.stdout.flush()
        sys.stderr.flush()
        worker = os.getpid()
        self._control, theirs = socket.socketpair()
        self._control.settimeout(HAND_OVER_WITHIN_S)
        self.pid = os.fork()
        if self.pid == 0:
            self._control.close()
            serve_and_exit(theirs, worker)
        theirs.close()
        # Not before it listens: until then a signal meant for the whole group would end it.
        if self._control.recv(1) != READY:
            raise RuntimeError(
                "The fork server ended as it started. Its last words are in the log."
            )

    @property
    def is_alive(self) -> bool:
        """When it is not, the worker should end: with its threads it can never fork another one."""
        with self._lock:
            return self._control is not None and not self._is_lost and not is_left(self._control)

    def stop(self) -> None:
        """End what is still running, and wait until it is gone."""
        with self._lock:
            if self._control is None:
                return
            self._control.close()
            self._control = None
        deadline = time.monotonic() + STOPPED_WITHIN_S
        with suppress(ChildProcessError):
            while os.waitpid(self.pid, os.WNOHANG) == (0, 0):
                if time.monotonic() > deadline:
                    os.kill(self.pid, signal.SIGKILL)
                time.sleep(0.005)

    def call(self, call: AgentCall) -> AgentAnswer:
        deadline = time.monotonic() + call.timeout_s
        with accountable(call.config), Conversation(call) as conversation:
            self.hand_over(conversation)
            conversation.ask(deadline)
            try:
                return read_answer(conversation.listen(deadline))
            finally:
                # Now, since the kernel closes the lines of a dead process one after the other.
                self._is_lost |= conversation.lost_server

    def hand_over(self, conversation: Conversation) -> None:
        with self._lock:
            if self._control is None:
                raise AgentUnavailable("this process runs without a fork server.")
            try:
                socket.send_fds(self._control, [b"c"], conversation.far_ends)
            except OSError as error:
                self._is_lost = True
                raise AgentUnavailable(SERVER_GONE) from error
        conversation.close_far_ends()


def is_left(line: socket.socket) -> bool:
    """Whether the other end was closed; asks without reading."""
    poll = select.poll()
    poll.register(line, 0)
    return any(event & select.POLLHUP for _, event in poll.poll(0))


# Of this process; the worker starts it, and registry.find answers it.
ISOLATION = Isolation()
