"""Verify the log: read what is stored, in the database and in the files, and ask `core.proof`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max, QuerySet

from orchestrator.core.proof.compare import Compared, Seen, compare
from orchestrator.core.proof.findings import Findings
from orchestrator.core.proof.follow import Link, RunEnd, follow
from orchestrator.core.proof.statement import Signed
from orchestrator.core.proof.trust import Trust, Unreadable
from orchestrator.engine.checkpoint_files import Extent, extents, read_lines
from orchestrator.engine.signing import PublicKeys, public_path, read_public_keys
from orchestrator.journal import Line
from orchestrator.models import Checkpoint, Event, Run

# Payloads may be large, so few of them are held at a time.
PAYLOADS_AT_ONCE = 200
ROWS_AT_ONCE = 2_000
LINES_AT_ONCE = 5
# A sweeper that is alive has copied a checkpoint long before that.
COPIED_WITHIN = timedelta(minutes=10)

type Say = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Sources:
    """What the log is compared with. Taken before the database is read: copies follow it."""

    folder: Path
    extents: list[Extent]
    keys: PublicKeys | None
    # A copy that an auditor brought may be older; the one that is kept here may not.
    is_kept_here: bool


@dataclass(slots=True)
class Verified:
    findings: Findings
    runs: int = 0
    events: int = 0
    since: datetime | None = None
    compared: Compared = field(default_factory=Compared)
    checkpoints: int = 0
    copied: int = 0


def find_sources(folder: Path | None, key: Path | None) -> Sources:
    path = key or public_path(settings.CHECKPOINT_KEY)
    where = folder or settings.CHECKPOINT_DIR
    lines = extents(where)
    is_needed = key or path.exists() or lines or Checkpoint.objects.exists()
    return Sources(where, lines, read_public_keys(path) if is_needed else None, folder is None)


@contextmanager
def one_moment() -> Iterator[None]:
    """Everything is read as it was at one moment, while others go on writing."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # The whole log is read by one statement, which takes as long as it takes.
        cursor.execute("SET LOCAL statement_timeout = 0")
        yield


def verify(
    sources: Sources, only: frozenset[str] | None, say: Say = lambda events: None
) -> Verified:
    """Call it within `one_moment`."""
    findings = Findings()
    result = Verified(findings)
    trust = Trust(lambda signed: is_signed(sources, signed), findings)
    result.compared = compare(
        _seen(only, result),
        trust.believed(_stored(sources, findings), read_lines(sources.extents)),
        findings,
        now=_now(),
        only=only,
    )
    follow(
        _ends(only, result),
        _links(only, result, say),
        findings,
        vouched_up_to=result.compared.vouched_up_to,
    )
    findings.explain_missing(_last_seq)
    result.checkpoints, result.copied = trust.stored, trust.copied
    _look_at_copies(sources, trust, result)
    return result


def is_signed(sources: Sources, signed: Signed) -> bool:
    return sources.keys is not None and sources.keys.signed(signed.text, signed.signature)


def _look_at_copies(sources: Sources, trust: Trust, result: Verified) -> None:
    findings = result.findings
    if sources.keys and not trust.last and result.events:
        findings.doubt("every checkpoint is gone: there is a key, and nothing that it signed")
    if sources.is_kept_here and trust.copied:
        for statement in trust.not_copied:
            if datetime.fromisoformat(statement.at) < _now() - COPIED_WITHIN:
                findings.doubt(
                    f"checkpoint {statement.number} and all after it were cut off the files"
                )
                return


def _seen(only: frozenset[str] | None, result: Verified) -> Iterator[Seen]:
    rows = _of(Event.objects.all(), "run", only).order_by("pk")
    for row in rows.values_list("pk", "run_id", "seq", "kind", "at", "hash").iterator(ROWS_AT_ONCE):
        seen = Seen(*row)
        result.since = min(seen.at, result.since or seen.at)
        yield seen


def _ends(only: frozenset[str] | None, result: Verified) -> Iterator[RunEnd]:
    rows = _of(Run.objects.all(), "pk", only).order_by("pk")
    for row in rows.values_list("pk", "seq", "head").iterator(ROWS_AT_ONCE):
        result.runs += 1
        yield RunEnd(*row)


def _links(only: frozenset[str] | None, result: Verified, say: Say) -> Iterator[Link]:
    rows = _of(Event.objects.all(), "run", only).order_by("run_id", "seq")
    columns = ("pk", "run_id", "seq", "kind", "key", "at", "payload", "prev_hash", "hash")
    for row in rows.values_list(*columns).iterator(PAYLOADS_AT_ONCE):
        pk, run, seq, kind, key, at, payload, prev_hash, stored = row
        computed = Line(run, seq, kind, key, at, payload).hash_after(prev_hash)
        result.events += 1
        say(result.events)
        yield Link(pk, run, seq, kind, prev_hash, stored, computed)


def _of(rows: QuerySet[Any], column: str, only: frozenset[str] | None) -> QuerySet[Any]:
    return rows if only is None else rows.filter(**{f"{column}__in": only})


def _stored(sources: Sources, findings: Findings) -> Iterator[Signed | Unreadable]:
    for row in Checkpoint.objects.order_by("pk").iterator(LINES_AT_ONCE):
        try:
            signed = Signed.read(row.line, row.signature)
        except ValueError as error:
            yield Unreadable(f"checkpoint {row.number} in the database", str(error))
            continue
        if is_signed(sources, signed) and not repeats(row, signed):
            findings.doubt(f"checkpoint {row.number} has columns that differ from what was signed")
        yield signed


def repeats(row: Checkpoint, signed: Signed) -> bool:
    statement = signed.statement
    shown = (row.number, row.at, row.up_to_event, row.events, row.root, row.previous)
    said = (
        statement.number,
        datetime.fromisoformat(statement.at),
        statement.up_to_event,
        statement.events,
        statement.root,
        statement.previous,
    )
    return shown == said


def _last_seq(run: str) -> int | None:
    """None for a run that is gone."""
    if not Run.objects.filter(pk=run).exists():
        return None
    last: int | None = Event.objects.filter(run=run).aggregate(last=Max("seq"))["last"]
    return last or 0


def _now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    return now  # type: ignore[no-any-return]


# The rights that would do, held by the role itself, as a member of another, or by being the owner.
_COULD_REWRITE = """
    SELECT rolsuper OR pg_has_role(current_user, relowner, 'MEMBER')
        OR has_table_privilege(current_user, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')
        OR has_any_column_privilege(current_user, c.oid, 'INSERT, UPDATE')
        OR has_column_privilege(current_user, 'orchestrator_run', 'head', 'UPDATE')
        OR has_schema_privilege(current_user, relnamespace, 'CREATE')
      FROM pg_class c, pg_roles r
     WHERE c.oid = 'orchestrator_event'::regclass AND rolname = current_user
"""


def could_rewrite() -> bool:
    """Whether the role that the application uses could change events, with nothing but SQL."""
    with connection.cursor() as cursor:
        cursor.execute(_COULD_REWRITE)
        (could,) = cursor.fetchone()
    return bool(could)
