"""Somebody who waits for what this transaction holds."""

import time

from django.db import connection

WAITS_S = 20
# pg_stat_activity would say the same thing throughout a transaction.
_WAITING = """
    SELECT count(*) FROM pg_locks
     WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))
"""


def wait_until_blocked() -> None:
    ends = time.monotonic() + WAITS_S
    while time.monotonic() < ends:
        with connection.cursor() as cursor:
            cursor.execute(_WAITING)
            if cursor.fetchone()[0]:
                return
        time.sleep(0.02)
    raise AssertionError(f"nobody was blocked within {WAITS_S} s")
