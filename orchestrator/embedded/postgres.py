"""A private PostgreSQL: made once, started in the foreground, reached through a socket alone."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import psycopg

from orchestrator.embedded.binaries import find_postgres, postgres_major
from orchestrator.embedded.errors import CannotStart
from orchestrator.embedded.identity import Identity, choose_identity, name_of
from orchestrator.embedded.leftovers import end_leftovers
from orchestrator.embedded.locations import (
    POSTGRES_APPLICATION,
    POSTGRES_DATABASE,
    POSTGRES_OWNER,
    POSTGRES_PORT,
    socket_dir,
)
from orchestrator.embedded.process import Program, spawn

SUPERUSER = "postgres"
BUILTIN_LOCALE_SINCE = 17
SETTINGS = {
    "listen_addresses": "",
    "port": str(POSTGRES_PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}
# For tests: kill -9 is still survived, a power cut is not.
FAST_SETTINGS = {"fsync": "off", "full_page_writes": "off"}


@dataclass
class Postgres:
    var_dir: Path
    durable: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def binaries(self) -> Path:
        return find_postgres()

    @cached_property
    def identity(self) -> Identity:
        return choose_identity([self.binaries / "postgres", self.var_dir])

    @property
    def data(self) -> Path:
        return self.var_dir / "postgres"

    @property
    def unfinished(self) -> Path:
        return self.var_dir / "postgres.tmp"

    @property
    def log(self) -> Path:
        return self.var_dir / "log" / "postgres.log"

    @property
    def exists(self) -> bool:
        return self.data.is_dir()

    def begin_making(self) -> subprocess.Popen[bytes]:
        """Start initdb, in a folder that gets its real name only when it is complete."""
        shutil.rmtree(self.unfinished, ignore_errors=True)
        self.unfinished.mkdir(mode=0o700, parents=True)
        self.identity.own(self.unfinished)
        return spawn(
            Program(
                name="initdb",
                command=(
                    str(self.binaries / "initdb"),
                    f"--pgdata={self.unfinished}",
                    f"--username={SUPERUSER}",
                    "--auth=trust",
                    "--encoding=UTF8",
                    "--data-checksums",
                    "--no-instructions",
                    *self._locale(),
                    *(() if self.durable else ("--no-sync",)),
                ),
                log=self.log,
                identity=self.identity,
            )
        )

    def finish_making(self, initdb: subprocess.Popen[bytes]) -> None:
        if initdb.wait() != 0:
            raise CannotStart(
                f"PostgreSQL could not make its data folder in {self.var_dir}. Nothing was kept. "
                f"Its own words are at the end of {self.log}."
            )
        self.unfinished.rename(self.data)

    def program(self) -> Program:
        self._refuse_other_owner()
        self._refuse_other_major()
        settings = {**SETTINGS, **({} if self.durable else FAST_SETTINGS), **self.settings}
        return Program(
            name="postgres",
            command=(
                str(self.binaries / "postgres"),
                "-D",
                str(self.data),
                "-k",
                str(socket_dir(self.var_dir)),
                *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
            ),
            log=self.log,
            # SIGTERM would wait for every client to leave by itself.
            stop_signals=(signal.SIGINT, signal.SIGQUIT, signal.SIGKILL),
            patience_s=30,
            stop_order=2,
            orphan_signal=signal.SIGINT,
            identity=self.identity,
            before_start=self._clear_leftovers,
        )

    def is_ready(self) -> bool:
        try:
            with self._connect() as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def ensure_database(self) -> None:
        """The two roles and the database, whatever of them is missing."""
        with self._connect() as connection:
            _ensure_role(connection, POSTGRES_OWNER, "CREATEDB")
            if _ensure_role(connection, POSTGRES_APPLICATION):
                # To act as the application and find what it may not do, which is how tests run.
                connection.execute(f"GRANT {POSTGRES_APPLICATION} TO {POSTGRES_OWNER}")
            database = "SELECT FROM pg_database WHERE datname = %s"
            if not connection.execute(database, [POSTGRES_DATABASE]).rowcount:
                connection.execute(f"CREATE DATABASE {POSTGRES_DATABASE} OWNER {POSTGRES_OWNER}")

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=str(socket_dir(self.var_dir)),
            port=POSTGRES_PORT,
            user=SUPERUSER,
            dbname=SUPERUSER,
            autocommit=True,
            connect_timeout=5,
        )

    def _locale(self) -> tuple[str, ...]:
        # Plain --no-locale would leave upper('é') and ILIKE without letters beyond ASCII.
        if postgres_major(self.binaries) >= BUILTIN_LOCALE_SINCE:
            return ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
        return ("--locale=C.UTF-8",)

    def _refuse_other_owner(self) -> None:
        owner = self.data.stat().st_uid
        if owner not in {os.geteuid(), self.identity.uid}:
            raise CannotStart(
                f"The data in {self.data} belongs to user {name_of(owner) or owner}. Nothing was changed. "
                "Run `make up` as that user, or set VAR_DIR to a folder of your own."
            )

    def _refuse_other_major(self) -> None:
        written_by = (self.data / "PG_VERSION").read_text().strip()
        ours = postgres_major(self.binaries)
        if written_by != str(ours):
            raise CannotStart(
                f"The data in {self.data} was written by PostgreSQL {written_by}, and this is "
                f"PostgreSQL {ours}, which cannot read it. Nothing was changed. Go back to the "
                "version of Countersign that wrote it, save the data with pg_dump, move the "
                "folder away, start this version, and load the dump."
            )

    def _clear_leftovers(self) -> None:
        pid_file = self.data / "postmaster.pid"
        if not pid_file.exists():
            return
        end_leftovers(self.data, leader=_first_number(pid_file))
        # Nobody is at work here any more, and the number in the file may belong to a stranger now.
        pid_file.unlink(missing_ok=True)


def _ensure_role(connection: psycopg.Connection, role: str, rights: str = "") -> bool:
    """Whether it had to be made."""
    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).rowcount:
        return False
    connection.execute(f"CREATE ROLE {role} LOGIN {rights}")
    return True


def _first_number(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
