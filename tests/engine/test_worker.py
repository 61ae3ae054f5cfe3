"""`manage.py worker` as processes: copies under a parent that replaces them, and nobody left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from django.conf import settings
from django.core.management import call_command

WITHIN_S = 30.0
COPIES = 2


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "worker.log"


@pytest.fixture(params=["agents", "isolated"])
def worker(request: pytest.FixtureRequest, log: Path) -> Iterator[psutil.Process]:
    command = ["manage.py", "worker", "--queue", request.param, "--processes", str(COPIES)]
    with log.open("wb") as output:
        started = subprocess.Popen(
            [sys.executable, *command],
            cwd=settings.BASE_DIR,
            env={**os.environ, "REDIS_URL": settings.REDIS_URL},
            stdout=output,
            stderr=output,
        )
    process = psutil.Process(started.pid)
    until(lambda: len(living(process)) == COPIES)
    yield process
    if started.poll() is None:
        started.kill()
    started.wait()


def living(process: psutil.Process) -> list[psutil.Process]:
    return [child for child in process.children() if is_alive(child)]


def is_alive(process: psutil.Process) -> bool:
    # Its parent may have collected it since it was listed.
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=0)[1]


def test_a_copy_that_is_killed_is_replaced(worker: psutil.Process, log: Path) -> None:
    first = living(worker)[0]
    first.kill()
    # It dies when it is next given a processor.
    until(lambda: first not in living(worker))
    until(lambda: len(living(worker)) == COPIES)
    assert f"{first.pid} ended with -9 and is replaced" in log.read_text()


def test_nobody_outlives_a_parent_that_is_killed(worker: psutil.Process) -> None:
    everybody = worker.children(recursive=True)
    worker.kill()
    until(lambda: gone(everybody))


def test_it_ends_when_it_is_asked_to(worker: psutil.Process) -> None:
    everybody = worker.children(recursive=True)
    # After it has begun to listen, or the signal ends it on the way there.
    time.sleep(1.0)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(WITHIN_S) == 0
    assert gone(everybody)


def test_an_unknown_queue_is_refused() -> None:
    with pytest.raises(Exception, match="invalid choice"):
        call_command("worker", "--queue", "nowhere")
