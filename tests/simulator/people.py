"""Who acts on the system from outside: clients, reviewers, whoever cancels and signals."""

from contextlib import suppress

from orchestrator.core import events as ev
from orchestrator.core.errors import IllegalTransition
from tests.simulator import decisions, desk
from tests.simulator.engine import Step
from tests.simulator.schedule import Process, Waiting
from tests.simulator.tables import DatabaseError, ItemRow, ProposalRow, UniqueError
from tests.simulator.workflows import STARTED, WORKFLOWS
from tests.simulator.world import World


def submit_all(world: World, process: Process) -> Waiting:
    """A client: asks again with the same id until it has an answer, and for each only then is content."""
    for number in range(world.options.workflows):
        name = f"request-{number}"
        if name in world.auditor.acknowledged:
            continue
        slug = STARTED[int(world.chance.random() * len(STARTED))]
        yield world.chance.uniform(0, 250)
        while name not in world.auditor.acknowledged:
            if world.is_mutant("accepted before it is stored"):
                world.auditor.acknowledged[name] = ""
            try:
                with world.transaction(process):
                    run = desk.submit(
                        world.engine, name, WORKFLOWS[slug], {"n": number}, world.chance
                    )
            except DatabaseError:
                yield 200
                continue
            yield None
            world.auditor.acknowledged[name] = run
    world.is_all_submitted = True


def review(world: World, process: Process) -> Waiting:
    """Reads an item, thinks, decides about what was read."""
    while True:
        yield world.chance.uniform(100, 3_000 if world.is_calm else 6_000)
        waiting = [item for item in world.tables.items.values() if item.status == "waiting"]
        waiting = [item for item in waiting if process.name not in item.approvals]
        if not waiting:
            continue
        item = world.chance.choice(waiting)
        yield world.chance.uniform(0, 25_000 if world.strikes("people late", 0.3) else 500)
        verdict = _verdict(world, item)
        yield None
        for _ in range(2):
            try:
                with world.transaction(process):
                    decisions.decide(world.engine, item, process.name, verdict)
                break
            except DatabaseError:
                yield 100
            except (IllegalTransition, UniqueError):
                break


def _verdict(world: World, item: ItemRow) -> str:
    chance = world.chance.random()
    if item.kind == "unknown_effect":
        effect = world.engine.state_of(item.run).proposals[item.proposal].effect
        if world.target.executed[effect or ""]:
            return "happened"
        return "not_happened" if chance < 0.5 else "retry"
    if item.kind == "stuck_command":
        kind = world.tables.commands[item.command].kind
        # Nobody gives up telling a parent: it would wait for ever.
        return "retry" if chance < 0.6 or world.is_calm or kind == "tell_parent" else "give_up"
    return "approve" if chance < 0.8 else "reject"


def reopen(world: World, process: Process) -> Waiting:
    """Has people look at what was blocked; of two who ask at once, one does."""
    while True:
        yield world.chance.uniform(500, 4_000)
        if world.is_calm:
            continue
        rows = list(world.tables.proposals.values())
        blocked = [row for row in rows if _status_of(world, row) == "blocked"]
        if blocked:
            row = world.chance.choice(blocked)
            yield None
            with suppress(DatabaseError, IllegalTransition), world.transaction(process):
                decisions.reopen(world.engine, row)


def _status_of(world: World, row: ProposalRow) -> str:
    return world.engine.state_of(row.run).proposals[row.id].status


def cancel(world: World, process: Process) -> Waiting:
    while True:
        yield world.chance.uniform(500, 4_000)
        runs = [
            run.id for run in world.tables.runs.values() if run.status in {"running", "waiting"}
        ]
        if runs and world.strikes("cancel", 0.5):
            _try(world, process, world.chance.choice(runs), ev.RunCancelled(by="ada", reason="no"))


def signal(world: World, process: Process) -> Waiting:
    while True:
        yield world.chance.uniform(200, 4_000)
        runs = [
            run.id for run in world.tables.runs.values() if run.status in {"running", "waiting"}
        ]
        names = ["paid", "stop", "else", "done"] if world.strikes("signals wrong", 1) else ["paid"]
        if runs:
            event = ev.SignalReceived(name=world.chance.choice(names), by="shop", data={"n": 1})
            _try(world, process, world.chance.choice(runs), event)


def wipe_redis(world: World, process: Process) -> Waiting:
    while True:
        yield world.chance.uniform(500, 5_000)
        if world.strikes("redis wiped", 1):
            world.bell.wipe()


def _try(world: World, process: Process, run: str, event: ev.Event) -> None:
    try:
        with world.transaction(process):
            world.engine.advance([Step(run, event)])
    except (DatabaseError, IllegalTransition):
        return
