"""Servers that run elsewhere: wait a little for them, and say plainly when they do not come."""

import time
from collections.abc import Callable
from urllib.parse import urlsplit

import psycopg
import redis
from django.conf import settings
from django.db import connection

from orchestrator.embedded.binaries import POSTGRES_MAJOR_MIN
from orchestrator.embedded.errors import CannotStart

ANSWER_WITHIN_S = 15


def wait_for_database() -> None:
    place = f"PostgreSQL at {describe_place(settings.DATABASE_URL)}"
    _wait_for(_ask_database, "DATABASE_URL", place, psycopg.OperationalError)


def wait_for_redis() -> None:
    place = f"Redis at {describe_place(settings.REDIS_URL)}"
    _wait_for(_ask_redis, "REDIS_URL", place, redis.RedisError)


def describe_place(url: str) -> str:
    """Where it is, without who we are there."""
    parts = urlsplit(url)
    where = f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
    return where + (f"?{parts.query}" if parts.query and not parts.hostname else "")


def _ask_database() -> None:
    with psycopg.connect(**{**connection.get_connection_params(), "connect_timeout": 3}) as asked:
        major = asked.info.server_version // 10_000
    if major < POSTGRES_MAJOR_MIN:
        raise CannotStart(
            f"DATABASE_URL leads to PostgreSQL {major}; Countersign needs {POSTGRES_MAJOR_MIN} or "
            "newer. Nothing was changed there."
        )


def _ask_redis() -> None:
    with redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=3) as client:
        client.ping()


def _wait_for(ask: Callable[[], None], setting: str, place: str, refusal: type[Exception]) -> None:
    deadline = time.monotonic() + ANSWER_WITHIN_S
    while True:
        try:
            return ask()
        except (refusal, OSError) as error:
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"{place} did not let us in within {ANSWER_WITHIN_S} seconds, so nothing was "
                    f"started. Check {setting} and that the server runs, or unset it to use the "
                    f"embedded one. It said: {' '.join(str(error).split())}"
                ) from error
            time.sleep(0.5)
