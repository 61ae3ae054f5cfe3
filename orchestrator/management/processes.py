"""Several copies of a worker under one parent, which does nothing but replace those that end."""

import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

logger = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1
ASKED_TO_STOP = (signal.SIGTERM, signal.SIGINT)
# A copy that ends as soon as it starts must not keep the machine busy.
AGAIN_AFTER_S = 1.0


def keep_running(copies: int, work: Callable[[], int]) -> int:
    """Fork, wait, replace; SIGTERM asks every copy to finish what it holds. Returns an exit code."""
    keeper = _Keeper(copies, work)
    for number in ASKED_TO_STOP:
        signal.signal(number, keeper.stop)
    return keeper.keep()


class _Keeper:
    def __init__(self, copies: int, work: Callable[[], int]) -> None:
        self._copies = copies
        self._work = work
        self._living: set[int] = set()
        self._stopping = False

    def stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        for pid in self._living:
            # It may just have ended by itself.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def keep(self) -> int:
        while not self._stopping and len(self._living) < self._copies:
            self._fork()
        while self._living:
            pid, status = os.wait()
            self._living.discard(pid)
            if not self._stopping:
                code = os.waitstatus_to_exitcode(status)
                logger.warning("worker process %d ended with %d and is replaced", pid, code)
                time.sleep(AGAIN_AFTER_S)
                self._replace()
        return 0

    def _replace(self) -> None:
        if not self._stopping:
            self._fork()

    def _fork(self) -> None:
        parent = os.getpid()
        # A signal between the fork and the child's own handlers must find neither ours nor nobody.
        signal.pthread_sigmask(signal.SIG_BLOCK, ASKED_TO_STOP)
        pid = os.fork()
        if pid == 0:
            for number in ASKED_TO_STOP:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKED_TO_STOP)
        if pid:
            self._living.add(pid)
            if self._stopping:
                # The signal came between the fork and the line before.
                os.kill(pid, signal.SIGTERM)
            return
        code = 1
        try:
            _die_with(parent)
            code = self._work()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            logger.exception("the worker process failed")
        finally:
            # Never back into the parent's code, whatever happened.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


def _die_with(parent: int) -> None:
    """Killed with the parent, so that nothing goes on working unseen."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
