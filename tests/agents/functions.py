"""Functions as people write them, and as nobody should: a module of AGENT_MODULES."""

import ctypes
import logging
import math
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator.agents.base import AgentAnswer, AgentCall, Usage
from orchestrator.core.errors import AgentRefused, AgentTimedOut, AgentUnavailable, OutputInvalid
from orchestrator.effects.ledger import Ledger
from orchestrator.models import Run


def repeat(call: AgentCall) -> Any:
    return call.item


def cost(call: AgentCall) -> AgentAnswer:
    return AgentAnswer(
        {"seen": call.inputs, "seed": call.seed},
        Usage(tokens_in=12, tokens_out=3, money_micros=450),
        {"model": "abacus-1", "version": "2"},
    )


def count_pages(call: AgentCall) -> int:
    return len(call.inputs["pages"])  # type: ignore[arg-type]


def miscount(call: AgentCall) -> AgentAnswer:
    return AgentAnswer(None, Usage(tokens_in=-1))


def stumble(call: AgentCall) -> None:
    raise KeyError("vat_rate" + "!" * 1_000)


def refuse(call: AgentCall) -> None:
    raise AgentRefused("the invoice is not ours")


def give_up(call: AgentCall) -> None:
    raise AgentTimedOut("the model is slow", timeout_s=2.5)


def doubt(call: AgentCall) -> None:
    raise OutputInvalid("it is not a date.", pointer="/due")


def leave(call: AgentCall) -> None:
    sys.exit("done here")


def exit_at_once(call: AgentCall) -> None:
    os._exit(3)


def crash(call: AgentCall) -> None:
    ctypes.string_at(0)


def spin(call: AgentCall) -> None:
    while True:
        pass


def sleep_deaf(call: AgentCall) -> None:
    """Listens to no signal that can be refused."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    time.sleep(600)


def hoard(call: AgentCall) -> int:
    kept = []
    while True:
        kept.append(bytearray(1_000_000))


def run_program_and_wait(call: AgentCall) -> None:
    """A child that hangs, and one of its own that has left the group and the parent."""
    inside = subprocess.Popen(["/bin/sleep", "600"])
    outside = subprocess.Popen(
        ["/bin/sh", "-c", "sleep 600 & echo $!"], stdout=-1, start_new_session=True
    )
    assert outside.stdout
    _write_pids(call, inside.pid, int(outside.stdout.readline()))
    time.sleep(600)


def leave_program_behind(call: AgentCall) -> str:
    inside = subprocess.Popen(["/bin/sleep", "600"])
    outside = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)
    threading.Thread(target=time.sleep, args=(600,)).start()
    _write_pids(call, inside.pid, outside.pid)
    return "answered"


def send_garbage(call: AgentCall) -> None:
    """Into every socket it finds, and then it waits to see what happens."""
    for descriptor in range(3, 100):
        if _is_socket(descriptor):
            os.write(descriptor, str(call.item).encode())
    time.sleep(600)


def hang_up(call: AgentCall) -> None:
    os.closerange(3, 100)
    time.sleep(600)


def answer_at_length(call: AgentCall) -> str:
    return "x" * call.item  # type: ignore[operator]


def answer_oddly(call: AgentCall) -> Any:
    nest: list[Any] = []
    nest.append(nest)
    odd = {
        "a set": {1, 2},
        "not a number": math.nan,
        "infinity": math.inf,
        "bytes": b"x",
        "half a pair": "\ud800",
        "nul": "\x00",
        "a key twice": {1: "a", "1": "b"},
        "too deep": _nest(100),
        "endless": nest,
        "huge": 10**30,
    }
    return odd[str(call.item)]


def talk(call: AgentCall) -> str:
    print("hello from below")  # noqa: T201
    print("a warning\x1b[31m in red", file=sys.stderr)  # noqa: T201
    logging.getLogger("invoices").warning("a line of its own log")
    print("no new line", end="")  # noqa: T201
    return "said"


def babble(call: AgentCall) -> str:
    for _ in range(10_000):
        print("blah" * 20)  # noqa: T201
    return "said"


def look_around(call: AgentCall) -> dict[str, Any]:
    """What a function finds of its worker: one socket, which is its own."""
    return {
        "pid": os.getpid(),
        "group": os.getpgid(0),
        "sockets": sum(_is_socket(descriptor) for descriptor in range(3, 256)),
        "refuses_sigterm": signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL,
        "stdin": os.readlink("/proc/self/fd/0"),
    }


def _write_pids(call: AgentCall, *pids: int) -> None:
    note = Path(str(call.item))
    draft = note.with_suffix(".draft")
    draft.write_text(" ".join(str(pid) for pid in (os.getpid(), *pids)))
    draft.rename(note)


def count_runs(call: AgentCall) -> int:
    return Run.objects.count()


def _is_socket(descriptor: int) -> bool:
    with suppress(OSError):
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    return False


def fail_at_a_price(call: AgentCall) -> Any:
    raise AgentUnavailable("away", retry_after_s=2.5, usage=Usage(9, 1, None))


def _nest(depth: int) -> Any:
    return [_nest(depth - 1)] if depth else []


AGENTS = {
    function.__name__: function
    for function in (
        *(
            repeat,
            cost,
            count_pages,
            miscount,
            stumble,
            refuse,
            fail_at_a_price,
            give_up,
            doubt,
            leave,
            exit_at_once,
            crash,
            spin,
        ),
        *(sleep_deaf, hoard, run_program_and_wait, leave_program_behind, send_garbage, hang_up),
        *(answer_at_length, answer_oddly, talk, babble, look_around, count_runs),
    )
}
EXECUTORS = {"second-ledger": Ledger()}
