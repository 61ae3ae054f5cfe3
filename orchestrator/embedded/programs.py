"""The application's own processes, as children of the supervisor."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from orchestrator.embedded.process import Program

WEB_PATIENCE_S = 3
# A worker told to stop finishes the command in its hands; one that is killed is caught up by lease.
WORKER_PATIENCE_S = 20


def list_programs() -> Iterator[Program]:
    yield _program("web", _web_command(), patience_s=WEB_PATIENCE_S + 2)
    for queue in settings.QUEUES:
        copies = str(settings.WORKERS_PER_QUEUE)
        yield _program(
            f"worker-{queue}",
            _manage("worker", "--queue", queue, "--processes", copies),
            patience_s=WORKER_PATIENCE_S,
        )
    yield _program("sweep", _manage("sweep"), patience_s=WORKER_PATIENCE_S)


def _web_command() -> tuple[str, ...]:
    proxy = "--proxy-headers" if settings.WEB_PROXY_TRUSTED else "--no-proxy-headers"
    return (
        *(sys.executable, "-m", "uvicorn", "orchestrator.asgi:application"),
        *("--host", settings.HOST, "--port", str(settings.PORT)),
        *("--timeout-graceful-shutdown", str(WEB_PATIENCE_S)),
        *("--no-access-log", "--no-server-header", proxy),
    )


def _manage(*words: str) -> tuple[str, ...]:
    return (sys.executable, str(settings.BASE_DIR / "manage.py"), *words)


def _program(name: str, command: tuple[str, ...], patience_s: float) -> Program:
    return Program(
        name=name,
        command=command,
        log=Path(settings.VAR_DIR) / "log" / f"{name}.log",
        folder=settings.BASE_DIR,
        stop_signals=(signal.SIGTERM, signal.SIGKILL),
        patience_s=patience_s,
    )
