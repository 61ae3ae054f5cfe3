"""A private Valkey: append-only file on, never evicting, reached through a socket alone."""

import signal
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import redis

from orchestrator.embedded.binaries import find_valkey
from orchestrator.embedded.leftovers import end_leftovers
from orchestrator.embedded.locations import valkey_socket
from orchestrator.embedded.process import Program


@dataclass
class Valkey:
    var_dir: Path
    durable: bool = True

    @cached_property
    def binary(self) -> Path:
        return find_valkey()

    @property
    def data(self) -> Path:
        return self.var_dir / "valkey"

    def program(self) -> Program:
        self.data.mkdir(parents=True, exist_ok=True)
        return Program(
            name="valkey",
            command=(
                str(self.binary),
                *("--port", "0"),
                *("--unixsocket", str(valkey_socket(self.var_dir))),
                *("--unixsocketperm", "700"),
                *("--dir", str(self.data)),
                *("--appendonly", "yes" if self.durable else "no"),
                *("--appendfsync", "everysec"),
                *("--save", ""),
                *("--maxmemory-policy", "noeviction"),
                *("--daemonize", "no"),
            ),
            log=self.var_dir / "log" / "valkey.log",
            stop_order=1,
            orphan_signal=signal.SIGTERM,
            before_start=self._clear_leftovers,
        )

    def is_ready(self) -> bool:
        client = redis.Redis(unix_socket_path=str(valkey_socket(self.var_dir)), socket_timeout=2)
        try:
            return bool(client.ping())
        except (redis.RedisError, OSError):
            return False
        finally:
            client.close()

    def _clear_leftovers(self) -> None:
        if not valkey_socket(self.var_dir).exists():
            return
        # Valkey takes a socket's path over without asking whether somebody still listens there.
        end_leftovers(self.data)
        valkey_socket(self.var_dir).unlink(missing_ok=True)
