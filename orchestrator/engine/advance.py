"""Move runs: events, states, commands and their projections in one short transaction.

Takes a batch; a batch of one is the ordinary case. Nothing slow happens in here.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models.functions import Now

from orchestrator import journal, queue
from orchestrator.core import commands as core_commands
from orchestrator.core import controller
from orchestrator.core import events as core_events
from orchestrator.core import state as core_state
from orchestrator.core.codec import canonical
from orchestrator.models import Command, Event, Proposal, Run


@dataclass(frozen=True, slots=True)
class Step:
    """One event for one run. A `key` may be said only once in the whole log."""

    run: str
    event: core_events.Event
    key: str | None = None


@dataclass
class _Moving:
    """A run while its events are applied."""

    row: Run
    state: core_state.RunState
    statuses: dict[str, str]


def advance(steps: Sequence[Step]) -> None:
    """Apply events in the order given, all or none.

    1. Lock the runs in id order, so that two batches cannot wait for each other.
    2. Let the controller decide each event; it raises when the state does not allow one.
    3. Append events, store states, project proposal statuses, store commands.
    4. Ring the workers after the commit; if that is lost, the sweeper rings.
    """
    # No savepoint: a refused event undoes whatever its caller did, too.
    with transaction.atomic(savepoint=False):
        moving, at = _lock({step.run for step in steps})
        entries: list[Event] = []
        commands: list[Command] = []
        for step in steps:
            run = moving[step.run]
            entry, caused = _apply(run, step, at)
            entries.append(entry)
            commands.extend(_row(entry, command) for command in caused)
        journal.append(entries)
        _store_states(moving)
        _project_statuses(moving)
        _store_commands(commands)


def _lock(runs: set[str]) -> tuple[dict[str, _Moving], datetime]:
    rows = list(
        Run.objects.select_for_update(of=("self",))
        .filter(pk__in=runs)
        .order_by("pk")
        .annotate(locked_at=Now())
    )
    moving = {row.pk: _Moving(row, row.canonical_state, {}) for row in rows}
    missing = runs - moving.keys()
    if missing:
        raise Run.DoesNotExist(f"no run {sorted(missing)[0]}")
    return moving, rows[0].locked_at


def _apply(run: _Moving, step: Step, at: datetime) -> tuple[Event, list[core_commands.Command]]:
    before = run.state
    run.state, commands = controller.step(before, step.event)
    payload = canonical(core_events.to_json(step.event))
    line = journal.Line(run.row.pk, run.row.seq + 1, step.event.kind, step.key, at, payload)
    entry = journal.entry(line, run.row.head)
    run.row.seq, run.row.head = entry.seq, entry.hash
    for key, proposal in run.state.proposals.items():
        known = before.proposals.get(key)
        if known is None or known.status != proposal.status:
            run.statuses[key] = proposal.status
    return entry, commands


def _row(entry: Event, command: core_commands.Command) -> Command:
    return Command(
        run_id=entry.run_id,
        seq=entry.seq,
        kind=command.kind,
        queue=command.queue,
        payload=canonical(core_commands.to_json(command)),
        key=command.key,
    )


def _store_states(moving: dict[str, _Moving]) -> None:
    for run in moving.values():
        run.row.state = canonical(core_state.to_json(run.state))
        run.row.status = run.state.status
    rows = [run.row for run in moving.values()]
    Run.objects.bulk_update(rows, ["state", "status", "seq", "head", "updated_at"])


def _project_statuses(moving: dict[str, _Moving]) -> None:
    """`Proposal.status` follows the state; it exists so that lists can filter by it."""
    by_status: dict[str, list[str]] = defaultdict(list)
    for run in moving.values():
        for key, status in run.statuses.items():
            by_status[status].append(key)
    for status, keys in by_status.items():
        Proposal.objects.filter(pk__in=keys).update(status=status)


def _store_commands(commands: list[Command]) -> None:
    by_queue: dict[str, list[int]] = defaultdict(list)
    for row in Command.objects.bulk_create(commands):
        by_queue[row.queue].append(row.pk)
    for name, ids in by_queue.items():
        transaction.on_commit(partial(queue.ring, name, ids), robust=True)
