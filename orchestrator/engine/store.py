"""The statements of the hot path, each set-based: a batch of runs costs as many as a single one.

They go past the ORM because one transaction of it costs nine times a round trip (docs/performance.md).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from django.db import connection

from orchestrator.engine import sql
from orchestrator.engine.pieces import Kept


@dataclass(frozen=True, slots=True)
class Locked:
    """A run's row, ours until the transaction ends. No state means: as you know it."""

    id: str
    version: int
    seq: int
    state: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """An event about to be appended."""

    run: str
    kind: str
    key: str | None
    payload: str


@dataclass(frozen=True, slots=True)
class Move:
    """Where a run stands after its events."""

    run: str
    state: str
    status: str
    wakes_at: datetime | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A command about to be stored; one that is taken starts out as ours."""

    run: str
    seq: int
    kind: str
    queue: str
    payload: str
    key: str
    delay_ms: int
    taken: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a claimed command."""

    command: int
    status: str
    error: str | None
    after_ms: int
    crashed: bool


@dataclass(frozen=True, slots=True)
class PieceRow:
    """A piece of the call that this event ended."""

    run: str
    seq: int
    piece: Kept


# Runs first, in the order of their ids, then commands: whoever locks both does it in this order, so that
# nobody waits in a circle. The newest reading of the clock is one at which every row was ours.
_LOCK_RUNS = """
    WITH held AS MATERIALIZED (
        SELECT r.id, r.workflow_version_id, r.seq, r.state, k.seq AS known
          FROM orchestrator_run r
          JOIN unnest(%(runs)s::text[], %(known)s::integer[]) AS k(id, seq) ON r.id = k.id
         ORDER BY r.id FOR UPDATE OF r
    )
    SELECT id, workflow_version_id, seq, CASE WHEN seq = known THEN NULL ELSE state END, clock_timestamp()
      FROM held
"""

# The fence: a command that was taken over since has another token, or is not running.
_LOCK_COMMANDS = """
    SELECT c.id, c.token FROM orchestrator_command c
      JOIN unnest(%(ids)s::bigint[], %(tokens)s::integer[]) AS t(id, token)
        ON c.id = t.id AND c.token = t.token
     WHERE c.status = 'running' ORDER BY c.id FOR UPDATE OF c
"""

_APPEND = """
    SELECT journal_append(
        %(runs)s::text[], %(kinds)s::text[], %(keys)s::text[], %(payloads)s::text[],
        %(at)s::timestamptz, %(moved)s::text[], %(states)s::text[], %(statuses)s::text[],
        %(wakes)s::timestamptz[])
"""

# Still running means that only its intent was stored, and begins the lease anew; pending, that it is put back for later.
_END = """
    UPDATE orchestrator_command AS c
       SET status = t.status, error = t.error::jsonb,
           lease_until = CASE WHEN t.status = 'running'
                              THEN statement_timestamp() + make_interval(secs => %(lease_s)s::integer) END,
           finished_at = CASE WHEN t.status IN ('done', 'failed') THEN statement_timestamp() END,
           not_before = CASE WHEN t.status = 'pending'
                             THEN statement_timestamp() + make_interval(secs => t.after_ms / 1000.0)
                             ELSE c.not_before END,
           rung_at = CASE WHEN t.status = 'pending' THEN to_timestamp(0) ELSE c.rung_at END,
           crashes = c.crashes + t.crashed::integer
      FROM unnest(%(ids)s::bigint[], %(statuses)s::text[], %(errors)s::text[], %(afters)s::integer[],
                  %(crashed)s::boolean[]) AS t(id, status, error, after_ms, crashed)
     WHERE c.id = t.id
"""

# What is to wait was never rung, so that the sweeper rings as soon as its time has come.
_WANT = """
    INSERT INTO orchestrator_command
        (run_id, seq, kind, queue, payload, key, status, token, tries, crashes, worker, lease_until,
         not_before, rung_at)
    SELECT t.run, t.seq, t.kind, t.queue, t.payload, t.key,
           CASE WHEN t.taken THEN 'running' ELSE 'pending' END, t.taken::integer, t.taken::integer, 0,
           CASE WHEN t.taken THEN %(worker)s ELSE '' END,
           CASE WHEN t.taken THEN statement_timestamp() + make_interval(secs => %(lease_s)s) END,
           statement_timestamp() + make_interval(secs => t.delay / 1000.0),
           CASE WHEN t.delay > 0 THEN to_timestamp(0) ELSE statement_timestamp() END
      FROM unnest(%(runs)s::text[], %(seqs)s::integer[], %(kinds)s::text[], %(queues)s::text[],
                  %(payloads)s::text[], %(keys)s::text[], %(delays)s::integer[], %(taken)s::boolean[])
           WITH ORDINALITY AS t(run, seq, kind, queue, payload, key, delay, taken, n)
     ORDER BY t.n
    RETURNING id
"""

_KEEP = """
    INSERT INTO orchestrator_callpiece
        (run_id, seq, kind, name, began_ms, took_ms, tokens_in, tokens_out, money_micros, error, notes,
         given, said, depth, at)
    SELECT t.run, t.seq, t.kind, t.name, t.began, t.took, t.tokens_in, t.tokens_out, t.money, t.error,
           t.notes::jsonb, t.given, t.said, t.depth, %(at)s::timestamptz
      FROM unnest(%(runs)s::text[], %(seqs)s::integer[], %(kinds)s::text[], %(names)s::text[],
                  %(began)s::integer[], %(took)s::integer[], %(tokens_in)s::bigint[],
                  %(tokens_out)s::bigint[], %(money)s::bigint[], %(errors)s::text[], %(notes)s::text[],
                  %(given)s::text[], %(said)s::text[], %(depths)s::integer[])
           WITH ORDINALITY AS t(run, seq, kind, name, began, took, tokens_in, tokens_out, money, error,
                                notes, given, said, depth, n)
     ORDER BY t.n
"""

# Of runs that ended before their time. What was accepted still runs, a parent is still told, and runs below still end.
_CANCEL = """
    UPDATE orchestrator_command SET status = 'cancelled', finished_at = statement_timestamp()
     WHERE run_id = ANY(%(runs)s::text[]) AND status IN ('pending', 'quarantined')
       AND kind NOT IN ('run_effect', 'roll_back', 'tell_parent', 'cancel_run')
"""


def lock(
    runs: Sequence[str], known: Sequence[int], fences: Sequence[tuple[int, int]]
) -> tuple[list[Locked], set[tuple[int, int]]]:
    """The runs' rows, and which of the commands, with their tokens, are still ours.

    `known` is the number up to which the caller knows each state already.
    """
    values = {
        "ids": _plain(command for command, _ in fences),
        "tokens": _plain(token for _, token in fences),
    }
    with at_once():
        rows = sql.execute(_LOCK_RUNS, {"runs": _texts(runs), "known": _plain(known)})
        ours = sql.execute(_LOCK_COMMANDS, values) if fences else None
    return [Locked(*row) for row in rows.fetchall()], set(ours or ())


@contextmanager
def at_once() -> Iterator[None]:
    """Send statements without waiting for each one's answer: one round trip for all of them."""
    connection.ensure_connection()
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield


def append(lines: Sequence[Line], moves: Sequence[Move], at: datetime) -> None:
    sql.execute(
        _APPEND,
        {
            "runs": _texts(line.run for line in lines),
            "kinds": _texts(line.kind for line in lines),
            "keys": _texts(line.key for line in lines),
            "payloads": _texts(line.payload for line in lines),
            "at": at,
            "moved": _texts(move.run for move in moves),
            "states": _texts(move.state for move in moves),
            "statuses": _texts(move.status for move in moves),
            "wakes": _texts(move.wakes_at.isoformat() if move.wakes_at else None for move in moves),
        },
    )


def end(outcomes: Sequence[Outcome], *, lease_s: int) -> None:
    sql.execute(
        _END,
        {
            "lease_s": lease_s,
            "ids": _plain(outcome.command for outcome in outcomes),
            "statuses": _texts(outcome.status for outcome in outcomes),
            "errors": _texts(outcome.error for outcome in outcomes),
            "afters": _plain(outcome.after_ms for outcome in outcomes),
            "crashed": _plain(outcome.crashed for outcome in outcomes),
        },
    )


def want(commands: Sequence[Wanted], *, worker: str, lease_s: int) -> psycopg.Cursor[Any]:
    """Gives their ids, in the same order."""
    return sql.execute(
        _WANT,
        {
            "runs": _texts(command.run for command in commands),
            "seqs": _plain(command.seq for command in commands),
            "kinds": _texts(command.kind for command in commands),
            "queues": _texts(command.queue for command in commands),
            "payloads": _texts(command.payload for command in commands),
            "keys": _texts(command.key for command in commands),
            "delays": _plain(command.delay_ms for command in commands),
            "taken": _plain(command.taken for command in commands),
            "worker": worker,
            "lease_s": lease_s,
        },
    )


def keep(rows: Sequence[PieceRow], at: datetime) -> None:
    pieces = [row.piece for row in rows]
    sql.execute(
        _KEEP,
        {
            "at": at,
            "runs": _texts(row.run for row in rows),
            "seqs": _plain(row.seq for row in rows),
            "kinds": _texts(piece.kind for piece in pieces),
            "names": _texts(piece.name for piece in pieces),
            "began": _plain(piece.began_ms for piece in pieces),
            "took": _plain(piece.took_ms for piece in pieces),
            "tokens_in": _plain(piece.tokens_in for piece in pieces),
            "tokens_out": _plain(piece.tokens_out for piece in pieces),
            "money": _plain(piece.money_micros for piece in pieces),
            "errors": _texts(piece.error for piece in pieces),
            "notes": _texts(piece.notes for piece in pieces),
            "given": _texts(piece.given for piece in pieces),
            "said": _texts(piece.said for piece in pieces),
            "depths": _plain(piece.depth for piece in pieces),
        },
    )


def cancel(runs: Sequence[str]) -> None:
    sql.execute(_CANCEL, {"runs": _texts(runs)})


def _texts(values: Iterable[str | None]) -> str:
    """A text[] as PostgreSQL reads it. The driver's own way takes three times as long."""
    return "{" + ",".join(map(_quoted, values)) + "}"


def _quoted(value: str | None) -> str:
    if value is None:
        return "NULL"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _plain(values: Iterable[object]) -> str:
    """An array of numbers, truth values or times."""
    return "{" + ",".join("NULL" if value is None else str(value) for value in values) + "}"
