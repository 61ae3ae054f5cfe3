"""`manage.py up`: from nothing to a running product, and back."""

import http.client
import io
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command

from orchestrator.embedded.errors import AlreadyRunning, CannotStart
from orchestrator.embedded.external import wait_for_database, wait_for_redis
from orchestrator.embedded.interruptions import Interruptions, StopRequested
from orchestrator.embedded.lock import FolderLock
from orchestrator.embedded.port import refuse_taken_port
from orchestrator.embedded.prepare import (
    apply_migrations,
    collect_static_files,
    let_go_of_database,
)
from orchestrator.embedded.programs import list_programs
from orchestrator.embedded.servers import EmbeddedServers
from orchestrator.embedded.supervisor import Supervisor

WEB_READY_WITHIN_S = 60
LOOK_EVERY_S = 0.2
# Where to ask a server that listens on every address.
ASK_AT = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read here, bound by choice

type Say = Callable[[str], None]


def launch(say: Say, welcome: Callable[[], Iterable[str]]) -> None:
    """Run the product until somebody asks it to stop."""
    # Else each child would compile all its modules again, two seconds every time.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    interruptions = Interruptions()
    interruptions.listen()
    progress = Progress(say)
    with FolderLock(Path(settings.VAR_DIR) / "up.lock") as lock:
        _take(lock)
        refuse_taken_port(settings.HOST, settings.PORT)
        supervisor = Supervisor(say)
        servers = EmbeddedServers(
            Path(settings.VAR_DIR),
            postgres=settings.DATABASE_IS_EMBEDDED,
            valkey=settings.REDIS_IS_EMBEDDED,
            supervisor=supervisor,
        )
        try:
            _start(servers, supervisor, progress)
            for line in welcome():
                say(line)
            let_go_of_database()
            _keep_running(supervisor)
        except StopRequested:
            say("Stopping. Work in hand is finished first; Ctrl-C again is faster.")
        finally:
            interruptions.only_count()
            began = time.monotonic()
            supervisor.stop(hurries=lambda: interruptions.count)
            servers.release()
        say(f"Stopped in {time.monotonic() - began:.1f} s. Your data is in {settings.VAR_DIR}.")


class Progress:
    """One line per finished step, with the seconds since the start."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._began = time.monotonic()

    def __call__(self, text: str) -> None:
        self._say(f"{time.monotonic() - self._began:5.1f} s  {text}")


def _take(lock: FolderLock) -> None:
    try:
        lock.take(f"{settings.BASE_URL} (pid {os.getpid()})")
    except AlreadyRunning as error:
        raise CannotStart(
            f"Countersign is already running at {error.holder}. Nothing was started. "
            "Stop it with Ctrl-C there first."
        ) from error


def _start(servers: EmbeddedServers, supervisor: Supervisor, progress: Progress) -> None:
    servers.begin()
    if collect_static_files():
        progress("static files are collected")
    servers.finish()
    if settings.DATABASE_IS_EMBEDDED or settings.REDIS_IS_EMBEDDED:
        progress(f"{_name_embedded()} answering, data in {settings.VAR_DIR}")
    _wait_for_external(progress)
    applied = apply_migrations()
    progress(f"tables are up to date{f', {applied} migrations applied' if applied else ''}")
    if settings.DEMO:
        call_command("demo", stdout=io.StringIO(), skip_checks=True)
        progress("the demo is loaded (DEMO=0 starts without)")
    let_go_of_database()
    # Each program imports for more than a second. Somebody waits for the first page, and nobody for the
    # others: what is to be done meanwhile waits in the database.
    web, *others = list_programs()
    supervisor.start(web)
    _wait_for_web(supervisor)
    progress("the web server is ready")
    for program in others:
        supervisor.start(program)
    progress("workers and sweeper are started")


def _name_embedded() -> str:
    names = [
        name
        for name, embedded in (
            ("PostgreSQL", settings.DATABASE_IS_EMBEDDED),
            ("Valkey", settings.REDIS_IS_EMBEDDED),
        )
        if embedded
    ]
    return f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'}"


def _wait_for_external(progress: Progress) -> None:
    if not settings.DATABASE_IS_EMBEDDED:
        wait_for_database()
        progress("the database of DATABASE_URL is answering")
    if not settings.REDIS_IS_EMBEDDED:
        wait_for_redis()
        progress("the Redis of REDIS_URL is answering")


def _wait_for_web(supervisor: Supervisor) -> None:
    log = Path(settings.VAR_DIR) / "log" / "web.log"
    supervisor.wait_until(
        _web_is_ready,
        WEB_READY_WITHIN_S,
        f"The web server was not ready within {WEB_READY_WITHIN_S} seconds, so everything was "
        f"stopped. Your data is kept. Its log: {log}",
    )


def _web_is_ready() -> bool:
    host = ASK_AT.get(settings.HOST, settings.HOST)
    asked = http.client.HTTPConnection(host, settings.PORT, timeout=5)
    try:
        asked.request("GET", "/readyz", headers={"Host": urlsplit(settings.BASE_URL).netloc})
        return asked.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asked.close()


def _keep_running(supervisor: Supervisor) -> None:
    while True:
        supervisor.tend()
        time.sleep(LOOK_EVERY_S)
