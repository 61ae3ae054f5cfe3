"""The process of one isolated call: it limits itself, asks the function, answers and is gone."""

import ctypes
import faulthandler
import os
import resource
import signal
import socket
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from django.conf import settings

from orchestrator.agents.base import AgentCall, describe
from orchestrator.agents.envelope import read_call, write_answer, write_error
from orchestrator.agents.frames import frame, receive
from orchestrator.agents.function import ask
from orchestrator.core.errors import AgentError

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
STOPPED_BEFORE_ANSWER = 70
# Calls come from our own database; this only keeps a mistake from filling the memory.
CALL_BYTES_MAX = 1_000_000_000
# The worker ends a call in time. When it cannot, being frozen or cut off, the kernel does.
ALARM_AFTER_S = 10.0


def answer_and_exit(line: int, output: int, parent: int) -> NoReturn:
    """Never returns, whatever the function does: what follows belongs to the fork server."""
    code = STOPPED_BEFORE_ANSWER
    try:
        become_a_child(parent)
        print_into(output)
        _answer(socket.socket(fileno=line))
        code = 0
    except BaseException:  # noqa: BLE001 - it is printed, and then the process ends
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            sys.stderr.flush()
        os._exit(code)


def become_a_child(parent: int) -> None:
    """A group of its own, which ends with its parent."""
    os.setpgid(0, 0)
    take_default_signals()
    die_with_parent(parent, signal.SIGKILL)
    adopt_orphans()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_memory(mapped_bytes() + settings.ISOLATED_MEMORY_MB * 1_048_576)


def take_default_signals() -> None:
    ignored_by_python = {signal.SIGPIPE, signal.SIGXFSZ}
    for number in signal.valid_signals() - ignored_by_python:
        if signal.getsignal(number) not in {signal.SIG_DFL, None}:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def die_with_parent(parent: int, how: signal.Signals) -> None:
    """Linux only. Elsewhere the fork server ends its children when its worker is gone."""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, how, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(STOPPED_BEFORE_ANSWER)


def adopt_orphans() -> None:
    """What somebody below starts and forgets comes to us and not to the system's first process."""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def mapped_bytes() -> int:
    """What was mapped before the function was asked; modules of the worker are not its to pay for."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[0]) * resource.getpagesize() if statm.exists() else 0


def let_go_of_all_but(kept: int) -> None:
    """What the worker had open leads nowhere from here on: functions are not to write to its servers.

    Not closed: objects of the worker still know the numbers, and would close what comes after.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in open_descriptors():
        if descriptor > 2 and descriptor not in {kept, nothing}:
            os.dup2(nothing, descriptor, inheritable=False)
    os.close(nothing)


def open_descriptors() -> list[int]:
    folder = Path("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")
    return [number for number in map(int, os.listdir(folder)) if _is_open(number)]


def _is_open(descriptor: int) -> bool:
    """The one that the folder itself was read through is not."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def limit_memory(at_most: int) -> None:
    """Softly, so that the limit can be lifted again to say that it was reached."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    # macOS knows the limit and refuses to set it.
    with suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (at_most, hard))


def print_into(output: int) -> None:
    """Into the worker's log, with a traceback should the process crash."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for here, there in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(here, there)
    os.close(nothing)
    os.close(output)
    sys.stdout = open(1, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    faulthandler.enable(sys.stderr)


def _answer(line: socket.socket) -> None:
    call = read_call(receive(line, CALL_BYTES_MAX))
    signal.setitimer(signal.ITIMER_REAL, call.timeout_s + ALARM_AFTER_S)
    answer = frame(_ask(call))
    sys.stdout.flush()
    line.sendall(answer)


def _ask(call: AgentCall) -> bytes:
    try:
        return write_answer(ask(call))
    except (AgentError, MemoryError) as error:
        limit_memory(resource.RLIM_INFINITY)
        return write_error(_explain(error, call))


def _explain(error: AgentError | MemoryError, call: AgentCall) -> AgentError:
    """A MemoryError has no words of its own."""
    if isinstance(error, AgentError) and not isinstance(error.__cause__, MemoryError):
        return error
    who = " ".join(describe(call.config).values())
    return AgentError(
        f"MemoryError: it may take {settings.ISOLATED_MEMORY_MB} MB (ISOLATED_MEMORY_MB).", who=who
    )
