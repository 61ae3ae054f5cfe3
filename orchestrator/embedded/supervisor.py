"""Keeps children running: starts them again when they die, and stops them in order."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from orchestrator.embedded.errors import CannotStart
from orchestrator.embedded.process import Program, rotate_log, spawn

QUICK_S = 10
QUICK_ENDS_MAX = 5
WAIT_FIRST_S = 0.2
WAIT_MAX_S = 10
LOG_LINES_SHOWN = 15
PAUSE_S = 0.05


@dataclass
class Child:
    program: Program
    process: subprocess.Popen[bytes]
    started_at: float
    quick_ends: int = 0
    # It lived long enough once: from then on it is restarted for ever, because what ails it
    # (a database that is away) may pass, and stopping everything else would not help.
    proved: bool = False
    start_again_at: float | None = None

    @property
    def stop_order(self) -> int:
        return self.program.stop_order


class Supervisor:
    def __init__(self, say: Callable[[str], None] = lambda line: None) -> None:
        self._say = say
        self._children: dict[str, Child] = {}

    def start(self, program: Program) -> None:
        self._children[program.name] = Child(program, spawn(program), time.monotonic())

    def pid(self, name: str) -> int:
        return self._children[name].process.pid

    def tend(self) -> None:
        """One look at every child. Call it again and again, from the thread that started them."""
        for child in self._children.values():
            if child.start_again_at is None:
                self._look_at(child)
            elif time.monotonic() >= child.start_again_at:
                self._start_again(child)

    def wait_until(self, is_so: Callable[[], bool], seconds: float, otherwise: str) -> None:
        """Tend the children until something is so."""
        deadline = time.monotonic() + seconds
        while not is_so():
            self.tend()
            if time.monotonic() > deadline:
                raise CannotStart(otherwise)
            time.sleep(PAUSE_S)

    def stop(self, hurries: Callable[[], int] = lambda: 0) -> None:
        """Stop all, those with the lowest order first.

        `hurries` counts how often somebody asked: each new time, the waiting goes on to the next,
        harsher signal.
        """
        children = sorted(self._children.values(), key=attrgetter("stop_order"))
        for _, group in groupby(children, key=attrgetter("stop_order")):
            _stop_together(list(group), hurries)
        self._children.clear()

    def _look_at(self, child: Child) -> None:
        rotate_log(child.program.log)
        lived_s = time.monotonic() - child.started_at
        if lived_s > QUICK_S:
            child.proved, child.quick_ends = True, 0
        code = child.process.poll()
        if code is None:
            return
        child.quick_ends += 1
        _end_group(child)
        if child.quick_ends >= QUICK_ENDS_MAX and not child.proved:
            raise CannotStart(_explain_failure(child, code))
        wait_s = min(WAIT_FIRST_S * 2 ** (child.quick_ends - 1), WAIT_MAX_S)
        child.start_again_at = time.monotonic() + wait_s
        self._say(
            f"{child.program.name} ended ({describe_end(code)}); starting it again in "
            f"{wait_s:.1f} s. Log: {child.program.log}"
        )

    def _start_again(self, child: Child) -> None:
        child.process = spawn(child.program)
        child.started_at = time.monotonic()
        child.start_again_at = None


def describe_end(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def last_lines(log: Path, count: int = LOG_LINES_SHOWN) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 20_000))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in lines[-count:])


def _explain_failure(child: Child, code: int) -> str:
    return (
        f"{child.program.name} ended {child.quick_ends} times within {QUICK_S} seconds of its "
        f"start (last: {describe_end(code)}), so everything was stopped. Your data is kept. "
        f"The last lines of {child.program.log}:\n{last_lines(child.program.log)}"
    )


def _stop_together(children: list[Child], hurries: Callable[[], int]) -> None:
    steps = max(len(child.program.stop_signals) for child in children)
    for step in range(steps):
        living = [child for child in children if child.process.poll() is None]
        for child in living:
            child.process.send_signal(_signal_at(child.program, step))
        # After the last signal there is nothing harsher to hurry to.
        _wait_for(living, hurries if step + 1 < steps else lambda: 0)
    for child in children:
        _end_group(child)


def _signal_at(program: Program, step: int) -> signal.Signals:
    return program.stop_signals[min(step, len(program.stop_signals) - 1)]


def _wait_for(children: list[Child], hurries: Callable[[], int]) -> None:
    deadline = time.monotonic() + max((child.program.patience_s for child in children), default=0)
    asked_before = hurries()
    while any(child.process.poll() is None for child in children):
        if time.monotonic() > deadline or hurries() > asked_before:
            return
        time.sleep(PAUSE_S)


def _end_group(child: Child) -> None:
    """What the child itself started goes with it: nothing of a worker may run on unseen."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, signal.SIGKILL)
