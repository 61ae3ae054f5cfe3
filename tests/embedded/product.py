"""`manage.py up` as a person runs it: another process, its own folder, its own port."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

REPOSITORY = Path(__file__).resolve().parents[2]
# The run's own servers must not leak into a product that is to start servers of its own.
OURS = {"VAR_DIR", "DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "PORT", "BASE_URL", "DEMO"}


class Product:
    def __init__(
        self, var_dir: Path, port: int | None = None, settings: dict[str, str] | None = None
    ) -> None:
        self.var_dir = var_dir
        self.port = port or find_free_port()
        environment = {name: value for name, value in os.environ.items() if name not in OURS}
        self.environment = {
            **environment,
            "VAR_DIR": str(var_dir),
            "PORT": str(self.port),
            "DEMO": "0",
            "WORKERS_PER_QUEUE": "1",
            **(settings or {}),
        }
        self.process: subprocess.Popen[str] | None = None

    def run(self) -> subprocess.CompletedProcess[str]:
        """For a start that is expected to fail."""
        return subprocess.run(
            self._command(),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self) -> str:
        """Start it and return what it said until it was ready."""
        self.process = subprocess.Popen(
            self._command(),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout
        said = ""
        for line in self.process.stdout:
            said += line
            if "Ctrl-C stops" in line:
                return said
        raise AssertionError(f"it never became ready:\n{said}")

    def read(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def family(self) -> list[psutil.Process]:
        assert self.process
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, how: signal.Signals) -> int:
        """Send it a signal and return its exit code."""
        assert self.process
        assert self.process.stdout
        self.process.send_signal(how)
        code = self.process.wait(timeout=30)
        self.process.stdout.close()
        self.process = None
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process:
            self.end(signal.SIGTERM)

    def _command(self) -> list[str]:
        return [sys.executable, str(REPOSITORY / "manage.py"), "up"]


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_gone(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """The ones that are still there when the time is over. A zombie is gone."""
    deadline = time.monotonic() + seconds
    while (alive := [one for one in processes if _lives(one)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
