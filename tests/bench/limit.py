"""The bare limit that everything is compared with: one INSERT and COMMIT after another, on so many connections."""

import multiprocessing
import time
from dataclasses import dataclass
from typing import Any

import psutil
import psycopg
from django.db import connection, connections

from orchestrator.grants import owner_alias


@dataclass(frozen=True)
class Limit:
    per_s: float
    # Of the clients and of PostgreSQL together.
    cpu_ms: float


def connection_params() -> dict[str, Any]:
    # The owner: it makes a table of its own.
    params = connections[owner_alias()].get_connection_params()
    names = ("host", "port", "user", "password", "dbname")
    return {name: params[name] for name in names if params.get(name)}


def measure(connections: int, seconds: float) -> Limit:
    """Each connection in a process of its own, so that Python's lock is not what is measured."""
    params = connection_params()
    with psycopg.connect(**params, autocommit=True) as own:
        own.execute("CREATE TABLE IF NOT EXISTS bare (id bigserial PRIMARY KEY, body text)")
    context = multiprocessing.get_context("spawn")
    gate, results = context.Barrier(connections + 1), context.Queue()
    clients = [
        context.Process(target=commit_on, args=(params, seconds, gate, results), daemon=True)
        for _ in range(connections)
    ]
    for client in clients:
        client.start()
    gate.wait()
    server = ServerCpu()
    found = [results.get() for _ in clients]
    on_server = server.spent_s()
    # Only now may they go: what a backend spent is forgotten when it ends.
    gate.wait()
    for client in clients:
        client.join()
    commits = sum(count for count, _ in found)
    cpu = sum(spent for _, spent in found) + on_server
    return Limit(commits / seconds, cpu / commits * 1_000)


def commit_on(params: dict[str, Any], seconds: float, gate: Any, results: Any) -> None:
    with psycopg.connect(**params, autocommit=True) as own:
        own.execute("INSERT INTO bare (body) VALUES ('x')")
        gate.wait()
        began, cpu, count = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - began < seconds:
            own.execute("INSERT INTO bare (body) VALUES ('x')")
            count += 1
        results.put((count, time.process_time() - cpu))
        gate.wait()


class ServerCpu:
    """What the processes of the PostgreSQL at the other end of our connection have spent since now."""

    def __init__(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (backend,) = cursor.fetchone()
        self._server = psutil.Process(backend).parent()
        self._before = self._times()

    def spent_s(self) -> float:
        now = self._times()
        return sum(spent - self._before.get(pid, 0.0) for pid, spent in now.items())

    def _times(self) -> dict[int, float]:
        if self._server is None:
            return {}
        return {pid: cpu_of(pid) for pid in (child.pid for child in self._server.children())}


def cpu_of(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
