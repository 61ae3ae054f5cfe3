"""One child process: what it is, how it wants to be treated, how it is started."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from orchestrator.embedded.identity import OURSELVES, Identity, command_as

LOG_BYTES_MAX = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run, and how it wants to be treated."""

    name: str
    command: tuple[str, ...]
    log: Path
    # One after the other, each given `patience_s`; the last should be one nobody can refuse.
    stop_signals: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGKILL)
    patience_s: float = 10
    # Lower stops earlier: what serves people before what keeps the data.
    stop_order: int = 0
    # What the kernel sends it when we die without stopping it.
    orphan_signal: signal.Signals = signal.SIGKILL
    folder: Path = Path("/")
    identity: Identity = OURSELVES
    # Runs before every start, the first and those after a crash.
    before_start: Callable[[], None] | None = None


def spawn(program: Program) -> subprocess.Popen[bytes]:
    """Start it in a session of its own, so that Ctrl-C reaches us alone and we choose the order.

    Call this from a thread that lives as long as the child shall: Linux counts the end of the
    thread that forked as the end of the parent.
    """
    if program.before_start:
        program.before_start()
    with open_log(program.log) as log:
        return subprocess.Popen(
            command_as(program.identity, program.command, program.orphan_signal),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=program.folder,
        )


def open_log(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab")


def rotate_log(path: Path) -> None:
    """Keep the last part and begin anew. Emptied, not renamed: a running child goes on appending to it."""
    if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
        shutil.copyfile(path, path.with_suffix(path.suffix + ".1"))
        os.truncate(path, 0)
