"""What a killed supervisor may leave behind: servers still at work on our files."""

import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil

from orchestrator.embedded.errors import CannotStart

GONE_WITHIN_S = 15


def end_leftovers(folder: Path, leader: int | None = None) -> None:
    """Wait for every process that works in `folder` to end, after asking it to.

    The caller holds the folder's lock, so none of them belongs to anybody. Two servers on the same
    files would ruin them, and that is why "the lock file looks old" is never proof enough here.
    """
    found = processes_in(folder)
    leaders = [process for process in found if process.pid == leader]
    for process in leaders or found:
        # To PostgreSQL's first process SIGTERM would mean "when every client has left".
        _send(process, signal.SIGINT if process in leaders else signal.SIGTERM)
    deadline = time.monotonic() + GONE_WITHIN_S
    while found := processes_in(folder):
        if time.monotonic() > deadline:
            numbers = ", ".join(str(process.pid) for process in found)
            raise CannotStart(
                f"Process {numbers} of an earlier start still works in {folder} and does not end. "
                f"Nothing was changed. End it with `kill -9 {numbers.replace(',', '')}`, then "
                "start again."
            )
        time.sleep(0.05)


def processes_in(folder: Path) -> list[psutil.Process]:
    """Living processes whose working folder this is, as it is for each of a server's processes."""
    wanted = str(folder.resolve())
    return [
        process
        for process in psutil.process_iter(["cwd", "status"])
        if process.info["cwd"] == wanted and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


def _send(process: psutil.Process, what: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(what)
