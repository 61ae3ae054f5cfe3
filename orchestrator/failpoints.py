"""Failpoints: named places at which `make chaos` may strike a process down, or hold it up.

In production nothing happens: without CHAOS_FAILPOINTS in the environment `failpoint` is an empty
function. With it, the value is a JSON object, or the path of a file that holds one and may change
while the process runs:

    {"seed": 7, "sleep_s": 6, "sleep_share": 0.25, "names": {"after-claim": 0.04}}

Each number in `names` is the share of arrivals at which the process is hit: killed by SIGKILL, or
put to sleep for longer than any lease. Inside a transaction the database may fail instead. Each hit
is first appended to the file named by CHAOS_LOG: name, process, action, time.
"""

import json
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from django.db import OperationalError

NAMES = (
    # A worker has claimed a command and has not begun it.
    "after-claim",
    # Events, states and commands are written, and the transaction is still open.
    "in-transaction-before-commit",
    # The transaction is committed, and whoever waits for it was not told.
    "committed-not-told",
    # The intent of an effect is stored, and its target was not called.
    "intent-written",
    # The target has answered, and nothing of it is stored.
    "effect-called-not-recorded",
    # An agent has answered, and nothing of it is stored.
    "agent-answered-not-recorded",
    # A run and its first commands are committed, and no bell was rung.
    "started-not-rung",
    # Commands that follow from an event are committed, and no bell was rung.
    "stored-not-rung",
    # A sweeper holds a batch of rows it is working on.
    "sweeper-mid-batch",
    # A lease was ended for a dead worker, and no bell was rung.
    "lease-ended-not-rung",
    # A timer has moved its run, and the transaction is still open.
    "timer-fired-in-transaction",
    # A proposal is stored and judged, and the transaction is still open.
    "proposed-in-transaction",
    # A person is asked, and the transaction is still open.
    "asked-in-transaction",
    # A person's decision is stored, and the transaction is still open.
    "decided-in-transaction",
    # A decision is taken back, and the transaction is still open.
    "undone-in-transaction",
    # A revision stands in the place of a proposal, and the transaction is still open.
    "revised-in-transaction",
    # An effect is to be rolled back, and the transaction is still open.
    "rollback-asked-in-transaction",
    # The target has undone an effect, and nothing of it is stored.
    "rolled-back-not-recorded",
    # A request is committed, and its answer is not sent.
    "web-committed-not-answered",
    # A checkpoint of the log is signed, and it is not stored.
    "checkpoint-signed-not-stored",
    # A day of the reports is counted, and the transaction is still open.
    "day-counted-in-transaction",
    # The run that another run waits for is stored, and the waiting one was not told.
    "child-started-not-told",
    # An event and its run are stored, and the transaction is still open.
    "event-taken-in-transaction",
    # A rule was changed, and the transaction is still open.
    "change-made-in-transaction",
    # A change of a rule is committed, and its receipt is not stored.
    "change-made-not-recorded",
    # A batch of a backtest is counted, and nothing of it is stored.
    "batch-counted-not-stored",
    # A batch of a backtest is stored, and the transaction is still open.
    "batch-stored-in-transaction",
    # A worker has claimed a message and has not sent it.
    "delivery-claimed",
    # A message was sent, and nothing of it is stored.
    "delivered-not-recorded",
)

KILL, SLEEP, FAIL = "kill", "sleep", "fail"
# What psycopg says when the server ends a connection, sees a deadlock, or cannot serialize.
FAILURES = (
    "server closed the connection unexpectedly",
    "deadlock detected",
    "could not serialize access due to concurrent update",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """How often each place is hit, and how."""

    seed: int = 0
    sleep_s: float = 6.0
    sleep_share: float = 0.25
    names: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = sorted(self.names.keys() - set(NAMES))
        if unknown:
            raise ValueError(f"CHAOS_FAILPOINTS names {unknown[0]!r}, which is no failpoint.")


class Striker:
    """Draws at each arrival, by a seed that differs between processes: else each would die alike."""

    def __init__(self, source: str, log: str) -> None:
        self._source = source
        self._log = log
        self._stamp = -1
        self._spec = Spec()
        self._drawer = random.Random()  # noqa: S311 - chance that can be repeated is the point
        self._pid = 0

    def arrive(self, name: str) -> None:
        spec = self._read()
        share = spec.names.get(name, 0.0)
        if not share or self._draw(spec) >= share:
            return
        action = self._choose(name, spec)
        self._note(name, action)
        self._act(action, spec)

    def _read(self) -> Spec:
        """A file is replaced as a whole by whoever steers; its time says when."""
        stamp = 0 if self._source.startswith("{") else os.stat(self._source).st_mtime_ns
        if stamp != self._stamp:
            self._spec = Spec(**json.loads(self._text()))
            self._stamp = stamp
        return self._spec

    def _text(self) -> str:
        if self._source.startswith("{"):
            return self._source
        with open(self._source) as file:
            return file.read()

    def _draw(self, spec: Spec) -> float:
        if self._pid != os.getpid():
            # A forked child must not repeat its parent's luck.
            self._pid = os.getpid()
            self._drawer.seed(f"{spec.seed}/{self._pid}")
        return self._drawer.random()

    def _choose(self, name: str, spec: Spec) -> str:
        if self._draw(spec) < spec.sleep_share:
            return SLEEP
        return FAIL if "in-transaction" in name and self._draw(spec) < 0.5 else KILL

    def _note(self, name: str, action: str) -> None:
        line = f"{name} {os.getpid()} {action} {time.time():.3f}\n"
        file = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(file, line.encode())
        os.close(file)

    def _act(self, action: str, spec: Spec) -> None:
        if action == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        if action == FAIL:
            raise OperationalError(self._drawer.choice(FAILURES))
        time.sleep(spec.sleep_s)


def _nothing(name: str) -> None:
    """In production."""


def bind(source: str, log: str) -> Callable[[str], None]:
    return Striker(source, log).arrive if source else _nothing


failpoint = bind(os.environ.get("CHAOS_FAILPOINTS", ""), os.environ.get("CHAOS_LOG", os.devnull))
