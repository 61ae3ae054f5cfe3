"""What crashes, silences and deadlines leave behind. It puts back, rings and expires; it never executes."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from orchestrator.core import events as ev
from orchestrator.core.codec import read
from orchestrator.core.errors import IllegalTransition
from tests.simulator import validators
from tests.simulator.engine import RING_AGAIN_AFTER_MS, Engine, Step
from tests.simulator.options import CRASHES_MAX
from tests.simulator.schedule import Process, Waiting
from tests.simulator.tables import CommandRow, DatabaseError
from tests.simulator.world import World


def sweep_up(world: World, process: Process) -> Waiting:
    """Each thing in a transaction of its own, some time after it was found: it may have changed since."""
    while True:
        yield world.chance.uniform(100, 500)
        for left_out, find, handle in BROOMS:
            if world.is_mutant("nobody sweeps") or world.is_mutant(left_out):
                continue
            yield None
            for found in list(find(world.engine)):
                yield world.chance.uniform(0, 2)
                try:
                    with world.transaction(process):
                        handle(world.engine, found)
                except (DatabaseError, IllegalTransition):
                    continue


def _overdue_leases(engine: Engine) -> Iterable[int]:
    return (key for key in engine.tables.commands if _is_overdue(engine, key))


def _is_overdue(engine: Engine, command: int) -> bool:
    row = engine.tables.commands[command]
    return row.status == "running" and (row.lease_until or 0) < engine.now


def _end_lease(engine: Engine, command: int) -> None:
    row = engine.tables.commands[command]
    if _is_overdue(engine, command):
        engine.tables.commands[command] = replace(
            row,
            status="pending",
            crashes=row.crashes + 1,
            lease_until=None,
            rung_at=-RING_AGAIN_AFTER_MS,
        )


def _stuck(engine: Engine) -> Iterable[int]:
    return (key for key in engine.tables.commands if _is_stuck(engine, key))


def _is_stuck(engine: Engine, command: int) -> bool:
    row = engine.tables.commands[command]
    return row.status == "pending" and row.crashes >= CRASHES_MAX


def _set_apart(engine: Engine, command: int) -> None:
    """What costs every worker its lease must not meet them all."""
    row = engine.tables.commands[command]
    if not _is_stuck(engine, command):
        return
    mutant = "validators that stop their workers are set apart"
    if row.kind == "validate" and not engine.is_mutant(mutant):
        _fail_validation(engine, row)
    elif row.kind == "run_shadow":
        engine.tables.commands[command] = replace(row, status="failed")
    else:
        engine.tables.commands[command] = replace(row, status="quarantined")
        engine.open_item(row.run, "stuck_command", command=command)


def _fail_validation(engine: Engine, row: CommandRow) -> None:
    """The proposal itself goes before a person."""
    engine.tables.commands[row.id] = replace(row, status="failed")
    payload = read(row.payload)
    assert isinstance(payload, dict)
    event = validators.failed(payload, "workers-stopped")
    with suppress(IllegalTransition):
        engine.advance([Step(row.run, event, f"cmd:{row.id}")])


def _unheard(engine: Engine) -> Iterable[int]:
    for row in engine.tables.commands.values():
        is_ready = row.status == "pending" and row.not_before <= engine.now
        if is_ready and row.rung_at <= engine.now - RING_AGAIN_AFTER_MS:
            yield row.id


def _ring_again(engine: Engine, command: int) -> None:
    row = engine.tables.commands[command]
    engine.tables.commands[command] = replace(row, rung_at=engine.now)
    engine.tables.on_commit(partial(engine.bell.ring, row.queue, [command]))


def _due_runs(engine: Engine) -> Iterable[str]:
    for run, row in engine.tables.runs.items():
        if row.wakes_at is not None and row.wakes_at <= engine.now:
            yield run


def _reach_time(engine: Engine, run: str) -> None:
    row = engine.tables.runs[run]
    if row.wakes_at is not None and row.wakes_at <= engine.now:
        engine.advance([Step(run, ev.TimeReached())])


def _due_items(engine: Engine) -> Iterable[str]:
    for item, row in engine.tables.items.items():
        if row.status == "waiting" and row.kind == "proposal" and row.due_at <= engine.now:
            yield item


def _expire_item(engine: Engine, item: str) -> None:
    """Deadlines expire to no."""
    row = engine.tables.items[item]
    if row.status == "waiting":
        engine.tables.items[item] = replace(row, status="expired", version=row.version + 1)
        engine.advance([Step(row.run, ev.ProposalExpired(proposal=row.proposal, item=item))])


def _due_revisions(engine: Engine) -> Iterable[str]:
    for proposal, row in engine.tables.proposals.items():
        if row.status == "revision_requested" and row.due_at <= engine.now:
            yield proposal


def _expire_revision(engine: Engine, proposal: str) -> None:
    row = engine.tables.proposals[proposal]
    if row.status == "revision_requested":
        engine.advance([Step(row.run, ev.ProposalExpired(proposal=proposal))])


# What is looked for and what becomes of it, under the name of the mutant that leaves it out.
BROOMS: tuple[tuple[str, Callable[[Engine], Iterable[Any]], Callable[[Engine, Any], None]], ...] = (
    ("leases never end", _overdue_leases, _end_lease),
    ("nothing is set apart", _stuck, _set_apart),
    ("times pass unnoticed", _due_runs, _reach_time),
    ("items never expire", _due_items, _expire_item),
    ("revisions never expire", _due_revisions, _expire_revision),
    ("nobody rings again", _unheard, _ring_again),
)
