"""The faults: what they are, and when they strike. The same seed gives the same schedule."""

import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import psutil
import psycopg
import redis

from orchestrator.embedded.locations import valkey_socket
from tests.chaos.site import (
    AUDITOR_PROGRAM,
    EDITOR_PROGRAM,
    LEASE_S,
    RESTORER_PROGRAM,
    REVIEWERS,
    Site,
)

WORKERS = ("worker-agents", "worker-effects", "worker-isolated")
BACKGROUND = "worker-background"
PEOPLE = (
    *(f"reviewer-{name}" for name in REVIEWERS),
    *(EDITOR_PROGRAM, RESTORER_PROGRAM, AUDITOR_PROGRAM),
)
# From one fault to the next; about one a second is what two cores survive with work still moving.
PAUSE_S = (0.6, 2.2)
STOPPED_S = LEASE_S + 2.0
# How often each comes, of all. A wiped doorbell is cheap, a killed database is not.
DECK: dict[str, int] = {
    "worker-group-killed": 3,
    "worker-process-killed": 6,
    "worker-stopped": 4,
    "isolated-helper-killed": 2,
    "isolated-job-killed": 4,
    "background-killed": 2,
    "background-stopped": 2,
    "sweeper-killed": 3,
    "web-killed": 2,
    "reviewer-killed": 1,
    "doorbell-killed": 2,
    "doorbell-wiped": 5,
    "doorbell-flushed": 3,
    "doorbell-clients-killed": 3,
    "database-killed": 1,
    "backends-terminated": 4,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What was done to whom. `pids` are processes that died of it."""

    at: float
    kind: str
    what: str
    pids: tuple[int, ...] = ()


@dataclass
class Nemesis:
    site: Site
    seed: int
    struck: list[Fault] = field(default_factory=list)
    _next_at: float = 0.0
    _hand: list[str] = field(default_factory=list)
    _stopped: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._drawer = random.Random(f"{self.seed}/nemesis")

    @property
    def counts(self) -> Counter[str]:
        return Counter(fault.kind for fault in self.struck)

    def tick(self) -> None:
        """Strike when it is time. Called again and again from the thread that started the children."""
        self._wake(time.monotonic())
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + self._drawer.uniform(*PAUSE_S)
        kind = self._deal()
        with suppress(psutil.NoSuchProcess, ProcessLookupError, psycopg.Error, redis.RedisError):
            found = FAULTS[kind](self)
            if found is not None:
                what, pids = found
                self.struck.append(Fault(time.time(), kind, what, pids))

    def rest(self) -> None:
        """The faults are over; who was stopped goes on."""
        self._wake(float("inf"))

    def _deal(self) -> str:
        """Every kind comes up before any comes up more often than its share."""
        if not self._hand:
            self._hand = [kind for kind, share in DECK.items() for _ in range(share)]
            self._drawer.shuffle(self._hand)
        return self._hand.pop()

    def _wake(self, now: float) -> None:
        for pid, until in list(self._stopped.items()):
            if now >= until:
                del self._stopped[pid]
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def choose_name(self, names: tuple[str, ...]) -> str:
        return self._drawer.choice(names)

    def choose_pid(self, pids: list[int]) -> int | None:
        return self._drawer.choice(sorted(pids)) if pids else None

    def choose_process(self, name: str) -> int | None:
        """One of those that a worker leads, or the leader itself when it has none."""
        found = [one.pid for one in self.site.crew.descendants(name) if not _is_job(one)]
        return self.choose_pid(found) or self.site.crew.pid(name)

    def stop_for_a_while(self, pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        self._stopped[pid] = time.monotonic() + STOPPED_S

    def backends(self, connection: psycopg.Connection) -> list[int]:
        """Connections of the product: the harness's own is another user's."""
        query = "SELECT pid FROM pg_stat_activity WHERE usename LIKE 'countersign%' ORDER BY pid"
        found = [pid for (pid,) in connection.execute(query)]
        return self._drawer.sample(found, k=min(len(found), self._drawer.randint(1, 4)))


type Struck = tuple[str, tuple[int, ...]] | None


def kill_worker_group(nemesis: Nemesis) -> Struck:
    """The whole group at once, as a machine that lost its power."""
    return _kill_tree(nemesis, nemesis.choose_name(WORKERS))


def kill_worker_process(nemesis: Nemesis) -> Struck:
    """One process of a worker, without a word to the others."""
    name = nemesis.choose_name(WORKERS[:2])
    return _kill(name, nemesis.choose_process(name))


def stop_worker(nemesis: Nemesis) -> Struck:
    """Frozen until its leases are over; then it wakes and believes that it still has them."""
    return _stop(nemesis, nemesis.choose_name(WORKERS))


def kill_isolated_helper(nemesis: Nemesis) -> Struck:
    """The process that forks one for each call: a child of a worker's process, with no threads."""
    others = [one for one in _isolated(nemesis) if not _is_job(one)]
    leaders = {one.ppid() for one in others}
    helpers = [one.pid for one in others if one.pid not in leaders]
    return _kill("helper", nemesis.choose_pid(helpers))


def kill_isolated_job(nemesis: Nemesis) -> Struck:
    """One call of one function, in a process group of its own."""
    jobs = [one.pid for one in _isolated(nemesis) if _is_job(one)]
    return _kill("job", nemesis.choose_pid(jobs))


def kill_background(nemesis: Nemesis) -> Struck:
    """One of the two who count backtests and keep their place in the database alone."""
    return _kill(BACKGROUND, nemesis.choose_process(BACKGROUND))


def stop_background(nemesis: Nemesis) -> Struck:
    return _stop(nemesis, BACKGROUND)


def kill_sweeper(nemesis: Nemesis) -> Struck:
    name = nemesis.choose_name(("sweep-1", "sweep-2"))
    return _kill(name, nemesis.site.crew.pid(name))


def kill_web(nemesis: Nemesis) -> Struck:
    name = nemesis.choose_name(("web-1", "web-2"))
    return _kill(name, nemesis.site.crew.pid(name))


def kill_reviewer(nemesis: Nemesis) -> Struck:
    """Or an admin, whose rules they decide about or who takes back what was done; or the auditor."""
    name = nemesis.choose_name(PEOPLE)
    return _kill(name, nemesis.site.crew.pid(name))


def kill_doorbell(nemesis: Nemesis) -> Struck:
    """Restarted with what its file still says."""
    return _kill("valkey", nemesis.site.servers.supervisor.pid("valkey"))


def wipe_doorbell(nemesis: Nemesis) -> Struck:
    struck = kill_doorbell(nemesis)
    valkey = nemesis.site.servers.valkey
    if struck and valkey:
        shutil.rmtree(valkey.data, ignore_errors=True)
        # The supervisor starts it in that folder.
        valkey.data.mkdir(parents=True)
    return struck


def flush_doorbell(nemesis: Nemesis) -> Struck:
    with _doorbell(nemesis) as client:
        client.flushall()
    return "all keys", ()


def kill_doorbell_clients(nemesis: Nemesis) -> Struck:
    with _doorbell(nemesis) as client:
        count = client.client_kill_filter(_type="normal", skipme=True)
    return f"{count} connections", ()


def kill_database(nemesis: Nemesis) -> Struck:
    return _kill("postgres", nemesis.site.servers.supervisor.pid("postgres"))


def terminate_backends(nemesis: Nemesis) -> Struck:
    with nemesis.site.connect() as connection:
        found = nemesis.backends(connection)
        connection.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", [found])
    return f"{len(found)} connections", ()


FAULTS: dict[str, Callable[[Nemesis], Struck]] = {
    "worker-group-killed": kill_worker_group,
    "worker-process-killed": kill_worker_process,
    "worker-stopped": stop_worker,
    "isolated-helper-killed": kill_isolated_helper,
    "isolated-job-killed": kill_isolated_job,
    "background-killed": kill_background,
    "background-stopped": stop_background,
    "sweeper-killed": kill_sweeper,
    "web-killed": kill_web,
    "reviewer-killed": kill_reviewer,
    "doorbell-killed": kill_doorbell,
    "doorbell-wiped": wipe_doorbell,
    "doorbell-flushed": flush_doorbell,
    "doorbell-clients-killed": kill_doorbell_clients,
    "database-killed": kill_database,
    "backends-terminated": terminate_backends,
}


def _doorbell(nemesis: Nemesis) -> redis.Redis:
    path = valkey_socket(nemesis.site.folder)
    return redis.Redis(unix_socket_path=str(path), socket_timeout=2)


def _kill(name: str, pid: int | None) -> Struck:
    if pid is None:
        return None
    os.kill(pid, signal.SIGKILL)
    return f"{name} {pid}", (pid,)


def _stop(nemesis: Nemesis, name: str) -> Struck:
    pid = nemesis.choose_process(name)
    if pid is None:
        return None
    nemesis.stop_for_a_while(pid)
    return f"{name} {pid}", ()


def _kill_tree(nemesis: Nemesis, name: str) -> Struck:
    pid = nemesis.site.crew.pid(name)
    if pid is None:
        return None
    pids = (pid, *(process.pid for process in nemesis.site.crew.descendants(name)))
    for one in pids:
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    return f"{name} and {len(pids) - 1} more", pids


def _isolated(nemesis: Nemesis) -> list[psutil.Process]:
    return nemesis.site.crew.descendants("worker-isolated")


def _is_job(process: psutil.Process) -> bool:
    return os.getpgid(process.pid) == process.pid
