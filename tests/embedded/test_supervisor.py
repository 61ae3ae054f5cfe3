"""Children are restarted, given up, and stopped in order."""

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from orchestrator.embedded.errors import CannotStart
from orchestrator.embedded.process import LOG_BYTES_MAX, Program, rotate_log
from orchestrator.embedded.supervisor import QUICK_ENDS_MAX, Supervisor
from tests.embedded.product import wait_until_gone

SAY_AND_WAIT = """
import signal, sys, time
def leave(number, frame):
    print("left", time.monotonic(), flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("ready", flush=True)
time.sleep(60)
"""
IGNORE_SIGTERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""

START_ANOTHER = """
import subprocess, time
print(subprocess.Popen(["sleep", "60"]).pid, "ready", flush=True)
time.sleep(60)
"""


def program(folder: Path, name: str, code: str, **wishes: object) -> Program:
    return Program(
        name=name,
        command=(sys.executable, "-c", code),
        log=folder / f"{name}.log",
        **wishes,  # type: ignore[arg-type]
    )


def start(supervisor: Supervisor, what: Program) -> None:
    supervisor.start(what)
    supervisor.wait_until(lambda: "ready" in what.log.read_text(), 10, "the child never got ready")


def test_a_child_that_ends_is_started_again(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(said.append)
    runs = tmp_path / "again.log"
    supervisor.start(program(tmp_path, "again", "print('run', flush=True)"))
    supervisor.wait_until(lambda: runs.read_text().count("run") >= 2, 10, "it ran only once")
    supervisor.stop()
    assert said[0].startswith("again ended (exit code 0); starting it again in 0.2 s.")


def test_a_child_that_cannot_start_stops_all_and_shows_its_last_words(tmp_path: Path) -> None:
    supervisor = Supervisor()
    supervisor.start(program(tmp_path, "broken", "raise SystemExit('no such table')"))
    with pytest.raises(CannotStart, match="no such table") as failure:
        supervisor.wait_until(lambda: False, 20, "it was never given up")
    supervisor.stop()
    assert f"broken ended {QUICK_ENDS_MAX} times within" in str(failure.value)


def test_what_serves_people_stops_before_what_keeps_the_data(tmp_path: Path) -> None:
    supervisor = Supervisor()
    for name, order in (("data", 2), ("bell", 1), ("web", 0)):
        start(supervisor, program(tmp_path, name, SAY_AND_WAIT, stop_order=order))
    supervisor.stop()
    left = {
        name: float((tmp_path / f"{name}.log").read_text().split()[-1])
        for name in ("web", "bell", "data")
    }
    assert sorted(left, key=left.__getitem__) == ["web", "bell", "data"]


def test_a_child_that_does_not_listen_is_killed_when_its_time_is_over(tmp_path: Path) -> None:
    supervisor = Supervisor()
    start(supervisor, program(tmp_path, "deaf", IGNORE_SIGTERM, patience_s=0.3))
    began = time.monotonic()
    supervisor.stop()
    assert 0.3 <= time.monotonic() - began < 3


def test_asking_again_does_not_wait_for_the_patient(tmp_path: Path) -> None:
    supervisor = Supervisor()
    start(supervisor, program(tmp_path, "deaf", IGNORE_SIGTERM, patience_s=30))
    asked = iter(range(1, 1000))
    began = time.monotonic()
    supervisor.stop(hurries=lambda: next(asked))
    assert time.monotonic() - began < 3


def test_what_a_child_started_ends_with_it(tmp_path: Path) -> None:
    supervisor = Supervisor()
    parent = program(tmp_path, "parent", START_ANOTHER)
    start(supervisor, parent)
    grandchild = psutil.Process(int(parent.log.read_text().split()[0]))
    supervisor.stop()
    assert wait_until_gone([grandchild], seconds=2) == []


def test_a_long_log_makes_room_while_the_child_goes_on_writing(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with log.open("ab") as child:
        child.write(b"x" * (LOG_BYTES_MAX + 1))
        child.flush()
        rotate_log(log)
        child.write(b"later")
    assert log.read_bytes() == b"later"
    assert (tmp_path / "web.log.1").stat().st_size == LOG_BYTES_MAX + 1


def test_signals_have_names_in_what_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(said.append)
    start(supervisor, program(tmp_path, "shot", SAY_AND_WAIT))
    os.kill(supervisor.pid("shot"), signal.SIGKILL)
    supervisor.wait_until(lambda: bool(said), 10, "nothing was said")
    supervisor.stop()
    assert "killed by SIGKILL" in said[0]
