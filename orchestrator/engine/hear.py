"""The quick bell: PostgreSQL tells workers at the very commit that stores a command.

It saves the way through Redis, a millisecond or two, and is no more to be relied upon: who is not
listening at that moment hears nothing. RQ rings as well, and workers look by themselves.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from django.db import connection
from psycopg import sql as names

from orchestrator.engine import sql

logger = logging.getLogger(__name__)

LISTEN_AGAIN_AFTER_S = 1.0
# How soon a listener notices that it is to stop.
STOP_WITHIN_S = 0.5

_TELL = "SELECT pg_notify(channel, '') FROM unnest(%(channels)s::text[]) AS t(channel)"


def tell(queues: Sequence[str]) -> None:
    """In the transaction that stores the commands; heard when it commits, and never if it does not."""
    sql.execute(_TELL, {"channels": [_channel(queue) for queue in queues]})


def listen(queue: str, wake: Callable[[], None], stop: threading.Event) -> None:
    """Until told to stop, through any absence of the database. On a connection of its own."""
    params = connection.get_connection_params()
    wanted: dict[str, Any] = {name: params[name] for name in _PARAMS if params.get(name)}
    while not stop.is_set():
        try:
            _listen(wanted, _channel(queue), wake, stop)
        except psycopg.OperationalError as error:
            logger.info("not listening on %s for a moment: %s", queue, error)
            stop.wait(LISTEN_AGAIN_AFTER_S)


_PARAMS = ("host", "port", "user", "password", "dbname", "sslmode", "sslrootcert")


def _listen(
    params: dict[str, Any], channel: str, wake: Callable[[], None], stop: threading.Event
) -> None:
    with psycopg.connect(**params, autocommit=True) as own:
        own.execute(names.SQL("LISTEN {}").format(names.Identifier(channel)))
        # Whatever was stored while nobody listened.
        wake()
        while not stop.is_set():
            for _ in own.notifies(timeout=STOP_WITHIN_S, stop_after=1):
                wake()


def _channel(queue: str) -> str:
    return f"countersign_{queue}"
