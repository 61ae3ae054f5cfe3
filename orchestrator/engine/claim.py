"""Claim commands: one conditional statement, the database's clock, a new fencing token each time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from orchestrator.core.codec import read
from orchestrator.engine import sql

# Ready means pending and due. SKIP LOCKED lets workers pass each other; never `id > last seen`,
# which would skip a lower id that commits later. Materialized, since the planner may otherwise run
# the inner query again for each run, and then the limit holds each time and not in all.
_CLAIM = """
    WITH ready AS MATERIALIZED (
        SELECT id FROM orchestrator_command
         WHERE queue = %(queue)s::text AND status = 'pending' AND not_before <= statement_timestamp()
           AND crashes < %(crashes_max)s::integer
         ORDER BY not_before, id LIMIT %(at_most)s::integer FOR UPDATE SKIP LOCKED
    )
    UPDATE orchestrator_command AS c
       SET status = 'running', token = c.token + 1, tries = c.tries + 1, worker = %(worker)s::text,
           lease_until = statement_timestamp() + make_interval(secs => %(lease_s)s::integer)
      FROM ready, orchestrator_run AS r
     WHERE c.id = ready.id AND r.id = c.run_id
    RETURNING c.id, c.run_id, r.workflow_version_id, c.kind, c.payload, c.token, c.tries
"""

# Alive and at work: the lease begins anew. What comes back is still ours.
_RENEW = """
    UPDATE orchestrator_command AS c
       SET lease_until = statement_timestamp() + make_interval(secs => %(lease_s)s::integer)
      FROM unnest(%(ids)s::bigint[], %(tokens)s::integer[]) AS t(id, token)
     WHERE c.id = t.id AND c.token = t.token AND c.status = 'running'
    RETURNING c.id, c.token
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A command that is ours until the lease ends; every write we make for it shows the token."""

    id: int
    run: str
    version: int
    kind: str
    payload: dict[str, Any]
    token: int
    tries: int

    @property
    def lease(self) -> tuple[int, int]:
        """What tells this claim from every other of the same command."""
        return self.id, self.token

    @property
    def once(self) -> str:
        """The key under which its completion is said; the log takes it a single time."""
        return f"cmd:{self.id}"


def claim(queue: str, *, worker: str, at_most: int) -> list[Claimed]:
    """The next ready commands of a queue, the oldest first."""
    values: dict[str, Any] = {
        "queue": queue,
        "worker": worker,
        "lease_s": settings.COMMAND_LEASE_S,
        "at_most": at_most,
        "crashes_max": settings.COMMAND_CRASHES_MAX,
    }
    rows = sql.execute(_CLAIM, values).fetchall()
    return sorted((_claimed(row) for row in rows), key=lambda found: found.id)


def renew(held: Sequence[Claimed]) -> set[tuple[int, int]]:
    """Which of them are still ours, for another lease."""
    values: dict[str, Any] = {
        "ids": [claimed.id for claimed in held],
        "tokens": [claimed.token for claimed in held],
        "lease_s": settings.COMMAND_LEASE_S,
    }
    return set(sql.execute(_RENEW, values).fetchall())


def _claimed(row: Sequence[Any]) -> Claimed:
    command, run, version, kind, text, token, tries = row
    payload = read(text)
    return Claimed(
        command, run, version, kind, payload if isinstance(payload, dict) else {}, token, tries
    )
