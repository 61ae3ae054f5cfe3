"""The event log: the only code that appends to it or reads it back.

Each event's hash covers the hash before it and the stored bytes, so a change anywhere breaks the
chain from there on. The time is the database's, and part of the hash.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from orchestrator.core import events as core_events
from orchestrator.core.codec import canonical, read
from orchestrator.core.controller import fold
from orchestrator.core.replay import History, form_of
from orchestrator.core.state import RunState
from orchestrator.models import Command, Event, Run

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Line:
    """What of an event is hashed, beside the hash before it."""

    run: str
    seq: int
    kind: str
    key: str | None
    at: datetime
    payload: str

    def hash_after(self, prev_hash: str) -> str:
        stamp = self.at.astimezone(UTC).isoformat(timespec="microseconds")
        header = canonical([prev_hash, self.run, self.seq, self.kind, self.key, stamp])
        return hashlib.sha256(f"{header}\n{self.payload}".encode()).hexdigest()


def entry(line: Line, head: str) -> Event:
    """The row that follows `head`; its own hash is the new head."""
    prev_hash = head or GENESIS
    return Event(
        run_id=line.run,
        seq=line.seq,
        kind=line.kind,
        payload=line.payload,
        key=line.key,
        at=line.at,
        prev_hash=prev_hash,
        hash=line.hash_after(prev_hash),
    )


def append(entries: Sequence[Event]) -> None:
    """Set-wise: one statement for a whole batch of runs. The caller holds the runs' rows."""
    Event.objects.bulk_create(entries)


def load(run: str) -> Iterator[core_events.Event]:
    for event in Event.objects.filter(run_id=run).order_by("seq"):
        data = read(event.payload)
        yield core_events.from_json(event.kind, data if isinstance(data, dict) else {})


def replay(run: str) -> RunState:
    return fold(load(run))


def history(run: Run) -> History:
    """Everything that a replay compares itself with."""
    commands: dict[int, tuple[str, ...]] = {}
    for command in Command.objects.filter(run=run).order_by("pk"):
        form = form_of(command.kind, command.key, command.payload)
        commands[command.seq] = (*commands.get(command.seq, ()), form)
    return History(run.pk, tuple(load(run.pk)), commands, run.state)


def first_broken(run: Run) -> int | None:
    """The first sequence number at which the chain does not hold, a cut end included, or None."""
    expected, head = 1, GENESIS
    for event in Event.objects.filter(run=run).order_by("seq"):
        line = Line(event.run_id, event.seq, event.kind, event.key, event.at, event.payload)
        link = line.hash_after(head)
        if event.seq != expected or event.prev_hash != head or event.hash != link:
            return expected
        expected, head = expected + 1, event.hash
    return expected if (run.seq, run.head or GENESIS) != (expected - 1, head) else None
