"""Checkpoints: now and then everything that happened is signed, with a key the database never sees.

The chain shows a change in the middle of a run. Only a signature kept elsewhere shows that the end
of the log was cut off, or that a whole run was written anew.
"""

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

from orchestrator.core.errors import CheckpointRefused, KeyUnusable
from orchestrator.core.proof.statement import (
    FIRST,
    Signed,
    Statement,
    Vouched,
    gather,
    hash_of,
    root_of,
)
from orchestrator.core.proof.trust import Unreadable
from orchestrator.engine import checkpoint_files as files
from orchestrator.engine import signing
from orchestrator.failpoints import failpoint
from orchestrator.models import Checkpoint, Event

logger = logging.getLogger(__name__)

# Any number, as long as every sweeper of the same database uses the same.
SIGNING_LOCK = 7_361_003
# After a long silence: enough to catch up soon, few enough that a sweep does its other work too.
LINES_AT_ONCE = 10


@dataclass
class Pace:
    """When this process looks again. Waiting for a lock is not looking."""

    again_at: float = 0.0

    def is_due(self) -> bool:
        return time.monotonic() >= self.again_at

    def looked(self) -> None:
        self.again_at = time.monotonic() + settings.CHECKPOINT_EVERY_S


_pace = Pace()


def checkpoint() -> int:
    """Called by every sweep; says how many checkpoints were signed, mostly none."""
    return checkpoint_now() if _pace.is_due() else 0


def checkpoint_now() -> int:
    """Copy what other hosts signed, sign what is new, and copy that."""
    made = 0
    try:
        copy_to_files()
        while made < LINES_AT_ONCE and make_checkpoint():
            made += 1
        copy_to_files()
        if made < LINES_AT_ONCE:
            _pace.looked()
    except (CheckpointRefused, KeyUnusable) as error:
        # Said once a minute, and not by an exception that would end the sweep.
        _pace.looked()
        logger.error("%s", error)
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
    return made


def make_checkpoint() -> bool:
    """Sign the events since the last one, at most CHECKPOINT_EVENTS_MAX; False when there are none."""
    last = Checkpoint.objects.order_by("number").last()
    if not Event.objects.filter(pk__gt=last.up_to_event if last else 0).exists():
        return False
    with transaction.atomic():
        up_to, at = _horizon()
    with transaction.atomic():
        if not _are_alone():
            return False
        last = Checkpoint.objects.order_by("number").last()
        _refuse_unknown(last)
        statement = _statement(last, up_to, at)
        if statement is None:
            return False
        _store(statement)
    return True


def copy_to_files() -> int:
    """Every line that this host does not have yet; each is checked before it is kept."""
    stored = Checkpoint.objects.order_by("number")
    if not stored.exists() and files.last_line(settings.CHECKPOINT_DIR) is None:
        return 0
    with files.appending(settings.CHECKPOINT_DIR):
        copied = _last_copied()
        known = copied.statement.number if copied else 0
        _refuse_other_past(copied)
        count = 0
        for row in stored.filter(number__gt=known).iterator(chunk_size=10):
            copied = _checked(row, copied)
            files.append(settings.CHECKPOINT_DIR, copied)
            count += 1
    return count


def _horizon() -> tuple[int, datetime]:
    """An id below which nothing can appear any more, and when that was so.

    Ids are given out before transactions end, so a lower one may come after a higher one. For the
    moment of this question nobody appends.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT newest, at FROM log_horizon(%s)", [settings.CHECKPOINT_LOCK_MS])
        newest, at = cursor.fetchone()
    return newest or 0, at


def _are_alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [SIGNING_LOCK])
        (taken,) = cursor.fetchone()
    return bool(taken)


def _statement(last: Checkpoint | None, up_to: int, at: datetime) -> Statement | None:
    after = last.up_to_event if last else 0
    events = [
        Vouched(*row)
        for row in Event.objects.filter(pk__gt=after, pk__lte=up_to)
        .order_by("pk")
        .values_list("pk", "run_id", "seq", "hash")[: settings.CHECKPOINT_EVENTS_MAX]
    ]
    if not events:
        return None
    return Statement(
        number=last.number + 1 if last else 1,
        at=at.astimezone(UTC).isoformat(timespec="microseconds"),
        after_event=after,
        up_to_event=events[-1].id,
        events=len(events),
        root=root_of(event.hash for event in events),
        previous=hash_of(last.line) if last else FIRST,
        runs=gather(events),
    )


def _store(statement: Statement) -> None:
    if statement.number == 1:
        signing.make_keys(settings.CHECKPOINT_KEY)
    signature = signing.sign(settings.CHECKPOINT_KEY, statement.text)
    failpoint("checkpoint-signed-not-stored")
    Checkpoint.objects.create(
        number=statement.number,
        at=datetime.fromisoformat(statement.at),
        up_to_event=statement.up_to_event,
        events=statement.events,
        root=statement.root,
        previous=statement.previous,
        line=statement.text,
        signature=signature,
    )


def _refuse_unknown(last: Checkpoint | None) -> None:
    """Two keys that sign in turns would prove nothing to whoever has one of them."""
    if last and not _public_keys().signed(last.line, last.signature):
        raise CheckpointRefused(
            reason=f"Checkpoint {last.number} in the database was not signed by the key of this host.",
            advice=f"Copy {settings.CHECKPOINT_KEY} and its .pub from the host that signs.",
        )


def _last_copied() -> Signed | None:
    copied = files.last_line(settings.CHECKPOINT_DIR)
    if isinstance(copied, Unreadable):
        raise _refuse_files(f"A checkpoint cannot be read, {copied.where}: {copied.reason}.")
    return copied


def _refuse_other_past(copied: Signed | None) -> None:
    if copied is None:
        return
    number = copied.statement.number
    line = Checkpoint.objects.filter(number=number).values_list("line", flat=True).first()
    if line is None:
        raise _refuse_files(f"The files have checkpoint {number}, and the database does not.")
    if line != copied.text:
        raise _refuse_files(
            f"Checkpoint {number} is another one in the database than in the files."
        )


def _checked(row: Checkpoint, before: Signed | None) -> Signed:
    try:
        signed = Signed.read(row.line, row.signature)
    except ValueError as error:
        raise _refuse_files(
            f"Checkpoint {row.number} in the database is unreadable: {error}."
        ) from error
    follows = hash_of(before.text) if before else FIRST
    if signed.statement.previous != follows or not _public_keys().signed(row.line, row.signature):
        raise _refuse_files(
            f"Checkpoint {row.number} in the database does not follow the one before it, "
            "or was not signed by the key of this host."
        )
    return signed


def _refuse_files(reason: str) -> CheckpointRefused:
    return CheckpointRefused(
        reason=reason,
        advice=f"Run manage.py verify. Keep {settings.CHECKPOINT_DIR}: it is evidence. After a "
        "restore from an older backup move it aside, and this host begins a new copy.",
    )


def _public_keys() -> signing.PublicKeys:
    return signing.read_public_keys(signing.public_path(settings.CHECKPOINT_KEY))
