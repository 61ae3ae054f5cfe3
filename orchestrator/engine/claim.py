"""Claim commands: one conditional statement, the database's clock, a new fencing token each time."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection, models
from django.db.models.functions import Now

from orchestrator.core.codec import read
from orchestrator.models import Command

# Ready means pending and due. SKIP LOCKED lets workers pass each other; never `id > last seen`,
# which would skip a lower id that commits later.
_CLAIM = """
    UPDATE orchestrator_command
       SET status = 'running', token = token + 1, tries = tries + 1, worker = %(worker)s,
           lease_until = statement_timestamp() + make_interval(secs => %(lease_s)s)
     WHERE id = (SELECT id FROM orchestrator_command
                  WHERE queue = %(queue)s AND status = 'pending' AND not_before <= statement_timestamp()
                  ORDER BY not_before, id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id, run_id, kind, payload, token, tries
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A command that is ours until the lease ends; every write we make for it shows the token."""

    id: int
    run: str
    kind: str
    payload: dict[str, Any]
    token: int
    tries: int


def claim(queue: str, *, worker: str) -> Claimed | None:
    """The next ready command of a queue, or None."""
    values: dict[str, str | int] = {
        "queue": queue,
        "worker": worker,
        "lease_s": settings.COMMAND_LEASE_S,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, values)
        row = cursor.fetchone()
    if row is None:
        return None
    payload = read(row[3])
    return Claimed(row[0], row[1], row[2], payload if isinstance(payload, dict) else {}, *row[4:])


def still_ours(claimed: Claimed) -> models.QuerySet[Command]:
    """The row if nobody took it over since; update through this and look at the count."""
    return Command.objects.filter(pk=claimed.id, token=claimed.token, status="running")


def finish(claimed: Claimed, *, status: str, error: Any = None) -> bool:
    """False: the lease was lost and somebody else has the command; throw the work away."""
    return bool(
        still_ours(claimed).update(status=status, error=error, finished_at=Now(), lease_until=None)
    )


def put_back(claimed: Claimed, *, after_s: float, error: Any) -> bool:
    """Try again later."""
    return bool(
        still_ours(claimed).update(
            status="pending",
            error=error,
            lease_until=None,
            not_before=Now() + timedelta(seconds=after_s),
        )
    )
