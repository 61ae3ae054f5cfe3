"""RQ, the doorbell. The only module that imports rq or django_rq.

PostgreSQL holds the work; a job says "command 17 is ready" and nothing else. It may be lost,
doubled or late without harm. What RQ offers beyond ringing is not used, because it was seen to lose
or double work: scheduling, retries, callbacks, more than one queue a worker, results, its pages.
"""

import logging
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import django_rq
from django.conf import settings
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.exceptions import DeserializationError
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import as_text

from orchestrator.models.ids import new_id

logger = logging.getLogger(__name__)

# The one function a job may name, as text: nothing that arrives through Redis is ever imported.
JOB = "orchestrator.jobs.run_command"
RINGS_MAX = 32
JOB_TIMEOUT_S = 3_600


# What of a job's hash is believed. Left out are callbacks, webhooks and retries: RQ would import or
# call what they name, and anybody who can write to Redis could name anything.
FIELDS = frozenset(
    {"created_at", "enqueued_at", "started_at", "ended_at", "last_heartbeat", "worker_name"}
    | {"status", "origin", "timeout", "result_ttl", "failure_ttl", "ttl", "description", "data"}
)


class JobRefused(Exception):
    """Somebody other than us wrote into Redis."""


class DoorbellJob(Job):
    """Takes one integer to the one allowed function; anything else in Redis is refused and logged."""

    run: Callable[[int], None]

    def restore(self, raw_data: dict[Any, Any]) -> Any:
        known = {key: value for key, value in raw_data.items() if as_text(key) in FIELDS}
        return super().restore(known)

    def _execute(self) -> None:
        self.run(self._command_id())

    def _command_id(self) -> int:
        try:
            name, args, kwargs = self.func_name, self.args, self.kwargs
        except DeserializationError as error:
            raise JobRefused("a job that is not JSON was refused") from error
        if name != JOB or kwargs or len(args) != 1 or type(args[0]) is not int:
            raise JobRefused(f"a job naming {str(name)[:80]!r} was refused")
        return int(args[0])


class DoorbellWorker(SimpleWorker):
    """One queue, JSON only, in one process: RQ's own fork per job costs 20 ms and outlives a kill."""

    def __init__(self, queue: str, run: Callable[[int], None]) -> None:
        bell = _queue(queue)
        self._run = run
        super().__init__(
            [bell],
            name=f"{queue}-{new_id('wrk')}",
            connection=bell.connection,
            job_class=DoorbellJob,
            serializer=JSONSerializer,
            log_job_description=False,
            default_result_ttl=0,
        )

    def execute_job(self, job: Any, queue: Queue) -> None:
        job.run = self._run
        super().execute_job(job, queue)


def ring(queue: str, commands: Iterable[int]) -> None:
    """Tell workers that commands are ready. Failing is allowed: the sweeper rings again."""
    ids = list(commands)[:RINGS_MAX]
    try:
        bell = _queue(queue)
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
        logger.warning(
            "the doorbell of %s is out of order: %s; the sweeper will ring", queue, error
        )


def is_answering() -> bool:
    try:
        return bool(_queue(settings.QUEUES[0]).connection.ping())
    except (RedisError, OSError):
        return False


def _queue(name: str) -> Any:
    return _open(name, settings.RQ_QUEUES[name]["URL"])


@lru_cache
def _open(name: str, url: str) -> Any:
    """One client a process: it keeps its connections, and makes new ones after a fork."""
    del url  # part of the key only
    return django_rq.get_queue(
        name, commit_mode="auto", job_class=DoorbellJob, serializer=JSONSerializer
    )
