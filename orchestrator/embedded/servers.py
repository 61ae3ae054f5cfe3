"""PostgreSQL and Valkey as a pair, for `manage.py up`, for tests and for fault injection.

with EmbeddedServers(folder, durable=False):
    ...  # reachable at locations.database_url(folder) and locations.redis_url(folder)
"""

import os
import stat
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from orchestrator.embedded.errors import CannotStart
from orchestrator.embedded.locations import socket_dir
from orchestrator.embedded.lock import FolderLock
from orchestrator.embedded.postgres import Postgres
from orchestrator.embedded.supervisor import Supervisor
from orchestrator.embedded.valkey import Valkey

# Crash recovery of a large database may take a while; giving up early would only begin it again.
READY_WITHIN_S = 120


class EmbeddedServers:
    """Start and stop it from one thread that stays alive: the servers end with that thread.

    `durable=False` trades safety in a power cut for speed. A killed process loses nothing.
    """

    def __init__(
        self,
        var_dir: Path,
        *,
        postgres: bool = True,
        valkey: bool = True,
        durable: bool = True,
        postgres_settings: Mapping[str, str] | None = None,
        supervisor: Supervisor | None = None,
    ) -> None:
        self.var_dir = var_dir
        self.postgres = Postgres(var_dir, durable, postgres_settings or {}) if postgres else None
        self.valkey = Valkey(var_dir, durable) if valkey else None
        self.supervisor = supervisor or Supervisor()
        self._lock = FolderLock(var_dir / "servers.lock")
        self._initdb: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start both and return at once, so that the caller can do something useful meanwhile."""
        self._lock.take(f"process {os.getpid()}")
        if self.postgres or self.valkey:
            self._make_socket_dir()
        if self.valkey:
            self.supervisor.start(self.valkey.program())
        if self.postgres and not self.postgres.exists:
            self._initdb = self.postgres.begin_making()
        elif self.postgres:
            self.supervisor.start(self.postgres.program())

    def finish(self) -> None:
        """Wait until both answer."""
        if self.postgres:
            self._finish_postgres(self.postgres)
        if self.valkey:
            self.supervisor.wait_until(
                self.valkey.is_ready, READY_WITHIN_S, self._too_slow("Valkey")
            )

    def start(self) -> None:
        self.begin()
        self.finish()

    def stop(self) -> None:
        self.supervisor.stop()
        self.release()

    def release(self) -> None:
        """Give the folder back, when the supervisor was stopped by its owner."""
        sockets = socket_dir(self.var_dir)
        if self._lock.is_held and not sockets.is_relative_to(self.var_dir):
            # In /tmp it would stay for ever. Not empty means that something still listens there.
            with suppress(OSError):
                sockets.rmdir()
        self._lock.release()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _finish_postgres(self, postgres: Postgres) -> None:
        if self._initdb:
            postgres.finish_making(self._initdb)
            self._initdb = None
            self.supervisor.start(postgres.program())
        self.supervisor.wait_until(postgres.is_ready, READY_WITHIN_S, self._too_slow("PostgreSQL"))
        postgres.ensure_database()

    def _make_socket_dir(self) -> None:
        folder = socket_dir(self.var_dir)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.postgres:
            self.postgres.identity.own(folder)
        found = folder.lstat()
        ours = {os.geteuid(), self.postgres.identity.uid if self.postgres else None}
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in ours or found.st_mode & 0o077:
            # Whoever can open the sockets is let in without a password.
            raise CannotStart(
                f"{folder} is meant to be a private folder for sockets, and somebody else owns or "
                "can open it. Nothing was started. Remove it, then start again."
            )

    def _too_slow(self, name: str) -> str:
        return (
            f"{name} did not answer within {READY_WITHIN_S} seconds. Your data is kept. "
            f"Its log is in {self.var_dir / 'log'}."
        )
