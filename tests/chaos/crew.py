"""The product's processes as children of the harness, which starts each again a moment after it ends."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from orchestrator.embedded.process import Program, spawn

AGAIN_AFTER_S = 0.2
PATIENCE_S = 30


@dataclass
class Member:
    program: Program
    process: subprocess.Popen[bytes]
    ended_at: float | None = None


@dataclass
class Crew:
    """Call it from one thread that stays alive: children end with the thread that started them."""

    members: dict[str, Member] = field(default_factory=dict)
    starts: int = 0
    # Sessions whose first process is dead. What still runs in one of them is an orphan.
    sessions: set[int] = field(default_factory=set)

    def start(self, program: Program) -> None:
        self.members[program.name] = Member(program, spawn(program))

    def dismiss(self, name: str) -> None:
        """Whoever has nothing to do any more; nobody takes their place."""
        process = self.members.pop(name).process
        process.kill()
        process.wait()

    def tend(self) -> None:
        for member in self.members.values():
            if member.ended_at is None and member.process.poll() is not None:
                member.ended_at = time.monotonic()
                self.sessions.add(member.process.pid)
            if member.ended_at and time.monotonic() > member.ended_at + AGAIN_AFTER_S:
                member.process, member.ended_at = spawn(member.program), None
                self.starts += 1

    def names(self, prefix: str) -> list[str]:
        return [name for name in sorted(self.members) if name.startswith(prefix)]

    def pid(self, name: str) -> int | None:
        """None while it is down."""
        member = self.members[name]
        return member.process.pid if member.process.poll() is None else None

    def descendants(self, name: str) -> list[psutil.Process]:
        pid = self.pid(name)
        try:
            return psutil.Process(pid).children(recursive=True) if pid else []
        except psutil.NoSuchProcess:
            return []

    def orphans(self) -> list[int]:
        """Processes that outlived the worker they belonged to."""
        return [pid for pid in psutil.pids() if _session_of(pid) in self.sessions]

    def stop(self) -> None:
        """In order, as an operator would; whoever does not end in time is named by the caller."""
        for member in self.members.values():
            if member.process.poll() is None:
                member.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE_S
        for member in self.members.values():
            with suppress(subprocess.TimeoutExpired):
                member.process.wait(max(0.1, deadline - time.monotonic()))

    def kill(self) -> list[str]:
        """The end of whoever did not stop when asked to."""
        stubborn = [name for name in self.members if self.pid(name)]
        for name in stubborn:
            self.members[name].process.kill()
            self.members[name].process.wait()
        return stubborn


def _session_of(pid: int) -> int | None:
    try:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return None
        return os.getsid(pid)
    except (ProcessLookupError, psutil.NoSuchProcess):
        return None
