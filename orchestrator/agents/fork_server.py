"""The fork server: a process without threads that forks one child for each isolated call.

A process with threads must not fork: the child would inherit locks that nobody releases. So each
worker forks this one before it starts any thread. Each message on the control socket is one byte
with three file descriptors: the socket of call and answer, the pipe of what the function prints,
and the watch, through which the worker hears how the child ended, and which it closes to end it.
When the control socket closes the worker is gone, and everything here ends.
"""

import gc
import os
import selectors
import signal
import socket
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

from orchestrator.agents import child

READY = b"r"
DESCRIPTORS = 3
GONE_WITHIN_S = 5.0


def serve_and_exit(control: socket.socket, worker: int) -> NoReturn:
    """Never returns: what follows belongs to the worker."""
    code = 1
    try:
        child.let_go_of_all_but(control.fileno())
        ForkServer(control).serve(worker)
        code = 0
    except BaseException:  # noqa: BLE001 - it is printed, and then the process ends
        traceback.print_exc()
    finally:
        os._exit(code)


class ForkServer:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._watches: dict[int, socket.socket] = {}
        # Not epoll: a fork shares it, and closing a descriptor would not take it off the list.
        self._selector = selectors.PollSelector()
        self._wake, self._wake_there = socket.socketpair()
        self._is_over = False

    def serve(self, worker: int) -> None:
        # Children share our memory as long as their collector leaves it alone.
        gc.freeze()
        self._listen_to_signals()
        child.die_with_parent(worker, signal.SIGUSR1)
        child.adopt_orphans()
        self._selector.register(self._control, selectors.EVENT_READ, self._accept)
        self._selector.register(self._wake, selectors.EVENT_READ, self._reap)
        self._control.send(READY)
        while not self._is_over:
            for key, _ in self._selector.select():
                key.data()
        self._end_all()

    def _listen_to_signals(self) -> None:
        """Not to Ctrl-C or SIGTERM, which may reach a whole group: the worker finishes its calls first."""
        self._wake.setblocking(False)
        self._wake_there.setblocking(False)
        signal.set_wakeup_fd(self._wake_there.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGUSR1, self._leave)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    def _leave(self, *_: object) -> None:
        self._is_over = True

    def _accept(self) -> None:
        byte, descriptors, _, _ = socket.recv_fds(self._control, 1, DESCRIPTORS)
        if not byte:
            self._is_over = True
        elif len(descriptors) == DESCRIPTORS:
            self._fork(*descriptors)
        else:
            # Out of descriptors. The worker hears of it when these close.
            close(*descriptors)

    def _fork(self, line: int, output: int, watch_there: int) -> None:
        parent = os.getpid()
        for descriptor in (line, output, watch_there):
            os.set_inheritable(descriptor, False)
        watch = socket.socket(fileno=watch_there)
        try:
            pid = os.fork()
        except OSError as error:
            tell(watch, f"refused {error.strerror}")
            watch.close()
            close(line, output)
            return
        if pid == 0:
            self._forget(watch)
            child.answer_and_exit(line, output, parent)
        # The child does so too; whoever is first, it is done before either goes on.
        with suppress(OSError):
            os.setpgid(pid, pid)
        close(line, output)
        tell(watch, f"began {pid}")
        self._watches[pid] = watch
        self._selector.register(watch, selectors.EVENT_READ, partial(self._end, pid))

    def _forget(self, watch: socket.socket) -> None:
        """In the child: what belongs to the fork server and to other calls."""
        signal.set_wakeup_fd(-1)
        for one in (self._control, self._wake, self._wake_there, watch, *self._watches.values()):
            one.close()

    def _end(self, pid: int) -> None:
        """The worker does not wait any longer. In the same moment the process may have ended itself."""
        if pid in self._watches:
            self._selector.unregister(self._watches[pid])
            kill_group(pid)

    def _reap(self) -> None:
        with suppress(BlockingIOError):
            while self._wake.recv(4_096):
                pass
        ended = list(ended_children())
        for pid, _ in ended:
            if pid in self._watches:
                # Numbers are given out in turn, so nobody else has this one yet.
                kill_group(pid)
        self._end_strays()
        for pid, status in ended:
            if pid in self._watches:
                self._report(pid, status)

    def _report(self, pid: int, status: int) -> None:
        watch = self._watches.pop(pid)
        with suppress(KeyError):
            self._selector.unregister(watch)
        tell(watch, f"ended {status}")
        watch.close()

    def _end_strays(self) -> None:
        """Children that we did not fork were left behind by a call that is over."""
        for pid in set(list_children()) - set(self._watches):
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def _end_all(self) -> None:
        for pid in self._watches:
            kill_group(pid)
        self._watches.clear()
        deadline = time.monotonic() + GONE_WITHIN_S
        while self._has_children() and time.monotonic() < deadline:
            time.sleep(0.005)

    def _has_children(self) -> bool:
        self._end_strays()
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        return True


def ended_children() -> Iterator[tuple[int, int]]:
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            yield pid, status


def list_children() -> list[int]:
    """Linux only; where the kernel does not tell, the group of a call has to be all of it."""
    pid = os.getpid()
    with suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def kill_group(leader: int) -> None:
    with suppress(OSError):
        os.killpg(leader, signal.SIGKILL)


def tell(watch: socket.socket, sentence: str) -> None:
    """A worker that left before has no use for it."""
    with suppress(OSError):
        watch.send(f"{sentence}\n".encode(), socket.MSG_DONTWAIT)


def close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
