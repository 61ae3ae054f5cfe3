"""RQ, the doorbell. The only module that imports rq or django_rq.

PostgreSQL holds the work; a job says "command 17 is ready" and nothing else. Whoever hears it looks
for everything that is ready: a job is the start of a shift, not a step. It may be lost,
doubled or late without harm. What RQ offers beyond ringing is not used, because it was seen to lose
or double work: scheduling, retries, callbacks, more than one queue a worker, results, its pages.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import django_rq
from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue, SimpleWorker
from rq.exceptions import DeserializationError, StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty

from orchestrator.models.ids import new_id

logger = logging.getLogger(__name__)

# The one function a job may name, as text: nothing that arrives through Redis is ever imported.
JOB = "ready"
# However many commands are ready: each ring wakes one process, and each of those takes what it can.
RINGS_MAX = 4
JOB_TIMEOUT_S = 3_600


# A ring is a hundred bytes; RQ would inflate whatever it finds.
DATA_BYTES_MAX = 1_000
# A web request waits for the bell no longer than this, and after a failure not at all for a while.
RING_TIMEOUT_S = 0.3
RING_PAUSE_S = 2.0
LISTEN_AGAIN_AFTER_S = 1.0


class JobRefused(Exception):
    """Somebody other than us wrote into Redis."""


class DoorbellJob(Job):
    """One integer under the one allowed name; anything else in Redis is refused and logged."""

    def restore(self, raw_data: dict[Any, Any]) -> Any:
        """Believe the data and nothing else: RQ would import callbacks, call webhooks and obey timeouts."""
        data = raw_data.get(b"data", b"")
        if len(data) > DATA_BYTES_MAX:
            data = b"too large"
        return super().restore({b"data": data, b"result_ttl": b"0", b"failure_ttl": b"60"})

    def check(self) -> None:
        """Raises JobRefused unless one of us wrote it."""
        try:
            name, args, kwargs = self.func_name, self.args, self.kwargs
        except DeserializationError as error:
            raise JobRefused("a job that cannot be read as JSON was refused") from error
        if name != JOB or kwargs or len(args) != 1 or type(args[0]) is not int:
            raise JobRefused(f"a job naming {str(name)[:80]!r} was refused")


class NoDeadline(BaseDeathPenalty):
    """A shift has no deadline of RQ's: its signal would hit whichever command is running. Leases do that."""

    def setup_death_penalty(self) -> None: ...

    def cancel_death_penalty(self) -> None: ...


def _waking(wake: Callable[[], None]) -> type[Queue]:
    """A queue that wakes somebody the moment something is taken from it, whatever it turns out to be."""

    class Bell(Queue):
        @classmethod
        def lmove(cls, *args: Any) -> Any:
            heard = super().lmove(*args)
            if heard is not None:
                wake()
            return heard

    return Bell


class DoorbellWorker(SimpleWorker):
    """One queue, JSON only, in one process: RQ's own fork per job costs 20 ms and outlives a kill."""

    death_penalty_class = NoDeadline
    max_connection_wait_time = 2.0

    def __init__(self, queue: str, wake: Callable[[], None], stop: threading.Event) -> None:
        bell = _queue(queue)
        self._stop = stop
        super().__init__(
            [bell],
            name=f"{queue}-{new_id('wrk')}",
            connection=bell.connection,
            job_class=DoorbellJob,
            serializer=JSONSerializer,
            log_job_description=False,
            default_result_ttl=0,
        )
        self.queue_class = _waking(wake)

    def execute_job(self, job: Any, queue: Queue) -> None:
        """There is nothing to execute: the ring was heard as it came. Sweep it up, and look who wrote it.

        RQ's own way keeps books of each job, which takes 4 ms of the interpreter just when the
        committer needs it.
        """
        try:
            job.check()
        except JobRefused as error:
            logger.error("%s", error)
        with self.connection.pipeline(transaction=False) as pipeline:
            pipeline.lrem(queue.intermediate_queue_key, 1, job.id)
            pipeline.unlink(job.key)
            pipeline.execute()

    def request_stop(self, signum: Any, frame: Any) -> None:
        self._stop.set()
        super().request_stop(signum, frame)

    def subscribe(self) -> None:
        """Never: whoever can publish in Redis could stop workers."""

    def unsubscribe(self) -> None: ...


def serve(queue: str, wake: Callable[[], None], stop: threading.Event) -> None:
    """Answer the bell until told to stop, through any absence of Redis."""
    try:
        while not stop.is_set():
            _listen(queue, wake, stop)
            stop.wait(LISTEN_AGAIN_AFTER_S)
    except StopRequested:
        # The signal came between two attempts to listen.
        return


def _listen(queue: str, wake: Callable[[], None], stop: threading.Event) -> None:
    try:
        DoorbellWorker(queue, wake, stop).work(logging_level="WARNING")
    except (RedisError, OSError) as error:
        logger.warning("the doorbell of %s is out of order: %s", queue, error)


def ring(queue: str, commands: Iterable[int]) -> None:
    """Tell workers that commands are ready. Failing is allowed: workers look by themselves as well."""
    if time.monotonic() < _silence.until:
        return
    ids = list(commands)[:RINGS_MAX]
    try:
        bell = _queue(queue, _ringing())
        jobs = [
            Queue.prepare_data(
                JOB,
                args=(command,),
                timeout=JOB_TIMEOUT_S,
                result_ttl=0,
                failure_ttl=60,
                description=f"command {command}",
            )
            for command in ids
        ]
        bell.enqueue_many(jobs)
    except (RedisError, OSError) as error:
        _silence.until = time.monotonic() + RING_PAUSE_S
        logger.warning("the doorbell of %s is out of order: %s; workers will look", queue, error)


def is_answering() -> bool:
    try:
        return bool(_ringing().ping())
    except (RedisError, OSError):
        return False


@dataclass
class _Silence:
    """Until when nobody rings, since the last attempt failed: a Redis that hangs must not slow requests."""

    until: float = 0.0


_silence = _Silence()


def _ringing() -> Redis:
    return _client(settings.REDIS_URL)


@lru_cache
def _client(url: str) -> Redis:
    """One impatient client a process: it keeps its connections, and makes new ones after a fork."""
    return Redis.from_url(
        url,
        socket_timeout=RING_TIMEOUT_S,
        socket_connect_timeout=RING_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )


def _queue(name: str, connection: Redis | None = None) -> Any:
    return django_rq.get_queue(
        name,
        commit_mode="auto",
        connection=connection,
        job_class=DoorbellJob,
        serializer=JSONSerializer,
    )
