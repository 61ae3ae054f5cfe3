"""The doorbell against a real Valkey: what it takes, and above all what it refuses."""

import pickle
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import django_rq
import pytest
from django.conf import settings
from redis import Redis
from rq import Queue
from rq.serializers import DefaultSerializer, JSONSerializer

from orchestrator import queue
from orchestrator.core.errors import CountersignError


@pytest.fixture
def redis() -> Iterator[Redis]:
    connection = django_rq.get_connection("effects")
    connection.flushdb()
    yield connection
    connection.flushdb()
    connection.close()


@pytest.fixture
def work(redis: Redis) -> Callable[[], int]:
    """Listen until the queue is empty; how often the worker was woken."""

    def until_empty() -> int:
        heard: list[None] = []
        stop = threading.Event()
        worker = queue.DoorbellWorker("effects", lambda: heard.append(None), stop)
        worker.work(burst=True, logging_level="ERROR")
        return len(heard)

    return until_empty


def test_a_ring_arrives(work: Callable[[], int]) -> None:
    queue.ring("effects", [17, 18])
    assert work() == 2


def test_nothing_is_left_behind(redis: Redis, work: Callable[[], int]) -> None:
    queue.ring("effects", [17])
    work()
    assert redis.keys("rq:job:*") == []


def test_a_batch_rings_a_bounded_number_of_times(work: Callable[[], int]) -> None:
    queue.ring("effects", range(10_000))
    assert work() == queue.RINGS_MAX


def put(redis: Redis, func: str, *args: Any, serializer: Any = JSONSerializer, **more: Any) -> None:
    Queue("effects", connection=redis, serializer=serializer).enqueue_call(func, args=args, **more)


@pytest.mark.parametrize(
    ("func", "args"),
    [
        ("os.system", ("touch /tmp/countersign-was-here",)),
        ("ready", ("17",)),
        ("ready", (17, 18)),
        ("ready", (True,)),
        ("ready", ()),
        ("orchestrator.jobs.settings", (1,)),
    ],
)
def test_it_refuses_any_other_job(
    redis: Redis,
    work: Callable[[], int],
    func: str,
    args: tuple[Any, ...],
    caplog: pytest.LogCaptureFixture,
) -> None:
    put(redis, func, *args)
    work()
    assert "was refused" in caplog.text


class Bomb:
    exploded = False

    def __reduce__(self) -> Any:
        return (setattr, (Bomb, "exploded", True))


def test_pickle_is_refused_and_never_loaded(redis: Redis, work: Callable[[], int]) -> None:
    put(redis, "ready", Bomb(), serializer=DefaultSerializer)
    work()
    assert not Bomb.exploded
    pickle.loads(pickle.dumps(Bomb()))  # noqa: S301  (this is the proof that it would explode)
    assert Bomb.exploded, "the bomb itself works, so the test above means something"


def test_callbacks_and_webhooks_in_redis_are_not_believed(
    redis: Redis, work: Callable[[], int]
) -> None:
    queue.ring("effects", [17])
    (key,) = redis.keys("rq:job:*")
    redis.hset(key, "success_callback_name", "tests.engine.test_queue.explode")
    redis.hset(key, "failure_callback_name", "tests.engine.test_queue.explode")
    redis.hset(key, "timeout", "abc")
    redis.hset(key, "created_at", "garbage")
    redis.hset(key, "webhooks", '[{"url": "http://127.0.0.1:9/", "job_status": "finished"}]')
    assert work() == 1
    assert EXPLODED == []


EXPLODED: list[int] = []


def explode(*_: Any) -> None:
    EXPLODED.append(1)


def test_a_dead_doorbell_stops_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(queue._silence, "until", 0.0)
    queue.ring("effects", [1])
    assert caplog.text.count("out of order") == 1
    queue.ring("effects", [1])
    assert caplog.text.count("out of order") == 1, "it does not try again at once"
    assert not queue.is_answering()


def test_a_hanging_doorbell_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the call and never answers, as a stopped process does."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setattr(settings, "REDIS_URL", f"redis://127.0.0.1:{port}/0")
        monkeypatch.setattr(queue._silence, "until", 0.0)
        began = time.monotonic()
        for _ in range(20):
            queue.ring("effects", [1])
        assert time.monotonic() - began < 5 * queue.RING_TIMEOUT_S
    queue._client.cache_clear()


def test_without_redis_it_goes_on_listening_until_it_is_stopped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(settings, "RQ_QUEUES", {"effects": {"URL": "redis://127.0.0.1:1/0"}})
    monkeypatch.setattr(queue, "LISTEN_AGAIN_AFTER_S", 0.01)
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    queue.serve("effects", lambda: None, stop)
    assert caplog.text.count("out of order") > 1


def test_an_oversized_job_is_refused_without_inflating(
    redis: Redis, work: Callable[[], int], caplog: pytest.LogCaptureFixture
) -> None:
    queue.ring("effects", [17])
    (key,) = redis.keys("rq:job:*")
    redis.hset(key, "data", zlib.compress(b"0" * 50_000_000))
    work()
    assert "cannot be read as JSON" in caplog.text


def test_refusals_are_not_our_own_errors() -> None:
    assert not issubclass(queue.JobRefused, CountersignError)
