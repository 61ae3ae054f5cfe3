"""The event log, read back. It is written by the database's function `journal_append` alone.

Each event's hash covers the hash before it and the stored bytes, so a change anywhere breaks the
chain from there on. The time is the database's, and part of the hash.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from orchestrator.core import events as core_events
from orchestrator.core.codec import canonical, read
from orchestrator.core.controller import fold
from orchestrator.core.plan import DIRECT, Plan, read_plan
from orchestrator.core.replay import History, form_of
from orchestrator.core.state import Moment, RunState
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


def moment_of(seq: int, at: datetime) -> Moment:
    return Moment(seq, int(at.timestamp() * 1_000))


def load(run: str) -> Iterator[tuple[core_events.Event, Moment]]:
    for event in Event.objects.filter(run_id=run).order_by("seq"):
        data = read(event.payload)
        found = core_events.from_json(event.kind, data if isinstance(data, dict) else {})
        yield found, moment_of(event.seq, event.at)


def replay(run: Run) -> RunState:
    return fold(load(run.pk), _plan(run.workflow_version.definition))


def history(run: Run) -> History:
    """Everything that a replay compares itself with."""
    commands: dict[int, tuple[str, ...]] = {}
    for command in Command.objects.filter(run=run).order_by("pk"):
        form = form_of(command.kind, command.key, command.payload)
        commands[command.seq] = (*commands.get(command.seq, ()), form)
    events = list(load(run.pk))
    return History(
        run.pk,
        tuple(event for event, _ in events),
        commands,
        run.state,
        tuple(moment.at_ms for _, moment in events),
        run.workflow_version.definition,
    )


def _plan(definition: str) -> Plan:
    found = read(definition)
    return read_plan(found) if isinstance(found, dict) else DIRECT


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
