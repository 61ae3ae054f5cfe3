"""A whole installation of its own in a temporary folder: servers, web, workers, sweepers, people."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Collection, Iterator
from pathlib import Path

import psycopg

from orchestrator.embedded.locations import (
    POSTGRES_DATABASE,
    POSTGRES_PORT,
    redis_url,
    socket_dir,
)
from orchestrator.embedded.postgres import SUPERUSER
from orchestrator.embedded.process import Program
from orchestrator.embedded.servers import EmbeddedServers
from tests.chaos.crew import Crew
from tests.embedded.product import find_free_port

ROOT = Path(__file__).resolve().parents[2]
LEASE_S = 4
# What these release goes to the target that must not be called twice.
FORGETFUL = ("web-2", "reviewer-rolf")
# Two of them may decide about rules as well.
REVIEWERS = {"rita": "reviewer", "rolf": "admin", "remy": "admin"}
EDITOR, RESTORER, AUDITOR = "ada", "otto", "aude"
EDITOR_PROGRAM, RESTORER_PROGRAM = f"editor-{EDITOR}", f"restorer-{RESTORER}"
AUDITOR_PROGRAM = f"auditor-{AUDITOR}"
# Queue, processes, threads.
WORKERS = (("agents", 2, 8), ("effects", 2, 8), ("isolated", 1, 4), ("background", 2, 1))
READY_WITHIN_S = 60
WITH_DJANGO = ("-m", "tests.chaos.with_django")
# A killed process loses nothing that the kernel holds, so no disk has to be waited for.
POSTGRES_SETTINGS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "on"}
# Of the harness's own, not of the machine's: another instance's address must not leak in.
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR")


class Site:
    def __init__(self, folder: Path, *, recorder: str, mutants: Collection[str]) -> None:
        self.folder = folder
        # Two web servers, as behind a proxy: whoever finds one down asks the other.
        self.ports = (find_free_port(), find_free_port())
        self.failpoints = folder / "failpoints.json"
        self.hits = folder / "failpoints.log"
        self.decisions = folder / "decisions.log"
        self.asked = folder / "asked.log"
        self.environment = self._environment(recorder, mutants)
        self.servers = EmbeddedServers(folder, postgres_settings=POSTGRES_SETTINGS)
        self.crew = Crew()

    def start_servers(self) -> None:
        self.servers.start()
        command = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
        subprocess.run(command, cwd=ROOT, env=self.environment, check=True)

    def start_crew(self) -> None:
        for program in self._programs():
            self.crew.start(program)
        deadline = time.monotonic() + READY_WITHIN_S
        while not self.is_answering():
            self.tend()
            if time.monotonic() > deadline:
                raise TimeoutError(f"the web server never answered; see {self.folder / 'log'}")
            time.sleep(0.1)

    def tend(self) -> None:
        self.servers.supervisor.tend()
        self.crew.tend()

    def stop(self) -> None:
        self.servers.stop()

    def is_answering(self) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.ports[0]}/readyz", timeout=2
            ) as page:
                return bool(page.status == 200)
        except OSError:
            return False

    def connect(self) -> psycopg.Connection:
        """As the superuser, who stands above every rule of the product."""
        return psycopg.connect(
            host=str(socket_dir(self.folder)),
            port=POSTGRES_PORT,
            user=SUPERUSER,
            dbname=POSTGRES_DATABASE,
            autocommit=True,
            connect_timeout=5,
        )

    def _environment(self, recorder: str, mutants: Collection[str]) -> dict[str, str]:
        passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return {
            **passed_on,
            "DJANGO_SETTINGS_MODULE": "orchestrator.settings",
            "VAR_DIR": str(self.folder),
            "REDIS_URL": redis_url(self.folder),
            "PORT": str(self.ports[0]),
            "DEMO": "0",
            "LOG_LEVEL": "WARNING",
            "DATABASE_POOL_MAX": "0",
            # So that people are asked about commands that cost their workers their lives.
            "COMMAND_CRASHES_MAX": "2",
            "COMMAND_LEASE_S": str(LEASE_S),
            "SWEEP_INTERVAL_MS": "200",
            "RING_AGAIN_AFTER_S": "1",
            "CHECKPOINT_EVERY_S": "1",
            "EFFECT_RETRY_MINUTES": "10",
            "CLAIM_MINUTES": "1",
            "UNDO_S": "1",
            "AUDIT_SHARE": "0.5",
            "REPORTS_REFRESH_S": "1",
            "WEBHOOK_HOSTS_TRUSTED": "127.0.0.1",
            "AGENT_MODULES": "tests.chaos.plugin",
            "EXECUTOR_DEFAULT": "mindful",
            "CHAOS_FAILPOINTS": str(self.failpoints),
            "CHAOS_LOG": str(self.hits),
            "CHAOS_DECISIONS": str(self.decisions),
            "CHAOS_ASKED": str(self.asked),
            "CHAOS_RECORDER": recorder,
            "CHAOS_MUTANTS": " ".join(mutants),
        }

    def _programs(self) -> Iterator[Program]:
        for number, port in enumerate(self.ports, start=1):
            yield self._program(f"web-{number}", *_web(port))
        for queue, processes, threads in WORKERS:
            words = ("--queue", queue, "--processes", str(processes), "--threads", str(threads))
            yield self._program(f"worker-{queue}", "manage.py", "worker", *words)
        for number in (1, 2):
            yield self._program(f"sweep-{number}", "manage.py", "sweep")
        for name in REVIEWERS:
            yield self._program(f"reviewer-{name}", *WITH_DJANGO, "tests.chaos.reviewer", name)
        yield self._program(EDITOR_PROGRAM, *WITH_DJANGO, "tests.chaos.editor", EDITOR)
        yield self._program(RESTORER_PROGRAM, *WITH_DJANGO, "tests.chaos.restorer", RESTORER)
        yield self._program(AUDITOR_PROGRAM, *WITH_DJANGO, "tests.chaos.auditor", AUDITOR)

    def _program(self, name: str, *words: str) -> Program:
        changed = {"EXECUTOR_DEFAULT": "forgetful"} if name in FORGETFUL else {}
        values = {**self.environment, **changed}
        environment = (f"{key}={value}" for key, value in values.items())
        return Program(
            name=name,
            command=("/usr/bin/env", "-i", *environment, sys.executable, *words),
            log=self.folder / "log" / f"{name}.log",
            folder=ROOT,
        )


def _web(port: int) -> tuple[str, ...]:
    return (
        *("-m", "uvicorn", "orchestrator.asgi:application"),
        *("--host", "127.0.0.1", "--port", str(port), "--no-access-log"),
    )
