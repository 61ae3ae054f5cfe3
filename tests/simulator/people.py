"""Who acts on the system from outside: clients, reviewers, whoever cancels and signals."""

from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial

from orchestrator.core import events as ev
from orchestrator.core.errors import IllegalTransition
from tests.simulator import decisions, desk, revisions, rollbacks
from tests.simulator.decisions import RefusedError, TooLateError
from tests.simulator.engine import Step
from tests.simulator.proposals import BlockedError
from tests.simulator.schedule import Process, Waiting
from tests.simulator.tables import DatabaseError, ItemRow, UniqueError
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
    """Reads an item, thinks, decides about what was read, and may have second thoughts."""
    # Of the machine that serves the page, against the database.
    ahead_ms = world.chance.uniform(-300, 1_500) if "clocks differ" in world.options.faults else 0.0
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
        if verdict == "edit":
            edit = partial(revisions.edit, world.engine, item, process.name, world.chance)
            yield from _insist(world, process, edit)
            continue
        decide = partial(decisions.decide, world.engine, item, process.name, verdict)
        said = yield from _insist(world, process, partial(decide, ahead_ms=ahead_ms))
        if said is not None and said.undo_until and world.strikes("second thoughts", 0.8):
            yield _hesitation(world, said.undo_until - world.schedule.now)
            yield from _insist(world, process, partial(decisions.undo, world.engine, said.id))


def _hesitation(world: World, window_ms: float) -> float:
    """Every other time to the last moment, when a worker may have taken the command."""
    earliest = world.chance.choice([0.0, 0.9])
    return max(0.0, window_ms * world.chance.uniform(earliest, 1.0))


def _insist[Said](
    world: World, process: Process, say: Callable[[], Said]
) -> Generator[float | None, None, Said | None]:
    """Once more when the connection was lost, and not when it was refused."""
    for _ in range(2):
        try:
            with world.transaction(process):
                return say()
        except DatabaseError:
            yield 100
        except (IllegalTransition, UniqueError, RefusedError, BlockedError) as refusal:
            world.hits["taken back too late"] += isinstance(refusal, TooLateError)
            return None
    return None


def _verdict(world: World, item: ItemRow) -> str:
    chance, effect = world.chance.random(), f"eff-{item.proposal}"
    if item.kind == "unknown_effect":
        otherwise = "not_happened" if chance < 0.5 else "retry"
        return "happened" if world.target.executed[effect] else otherwise
    if item.kind == "failed_compensation":
        otherwise = "give_up" if chance < 0.4 else "retry"
        return "happened" if world.target.undone[f"{effect}:undo"] else otherwise
    if item.kind == "stuck_command":
        kind = world.tables.commands[item.command].kind
        # Nobody gives up telling a parent: it would wait for ever.
        return "retry" if chance < 0.6 or world.is_calm or kind == "tell_parent" else "give_up"
    if item.kind == "proposal" and world.strikes("people edit", 0.25):
        return "edit"
    if item.kind == "proposal" and world.strikes("people send back", 0.45):
        return "respond"
    return "approve" if chance < 0.8 else "reject"


def answer(world: World, process: Process) -> Waiting:
    """An agent outside that was sent back what it proposed. In the end it answers no more."""
    while True:
        yield world.chance.uniform(100, 1_000)
        if world.is_calm:
            continue
        rows = list(world.tables.proposals.values())
        asked = [row for row in rows if row.status == "revision_requested"]
        # Mostly what stands for itself; an agent of the run is asked about the rest as well.
        asked = [row for row in asked if not row.work or world.chance.random() < 0.3]
        if asked:
            proposal = world.chance.choice(asked).id
            yield world.chance.uniform(500, 4_000)
            say = partial(revisions.answer, world.engine, proposal, world.chance)
            yield from _insist(world, process, say)


def roll_back(world: World, process: Process) -> Waiting:
    """Somebody wants undone what was done."""
    while True:
        yield world.chance.uniform(200, 1_500)
        done = [row.id for row in world.tables.effects.values() if row.status == "done"]
        if done and world.strikes("people roll back", 0.5):
            effect = world.chance.choice(done)
            yield None
            yield from _insist(world, process, partial(_ask_back, world, effect))


def _ask_back(world: World, effect: str) -> None:
    mutant = "careless targets are rolled back"
    can_be_undone = world.target.is_repeatable or world.is_mutant(mutant)
    rollbacks.request(world.engine, effect, can_be_undone=can_be_undone)


def reopen(world: World, process: Process) -> Waiting:
    """Has people look at what was blocked; of two who ask at once, one does."""
    while True:
        yield world.chance.uniform(500, 4_000)
        if world.is_calm:
            continue
        blocked = [row for row in world.tables.proposals.values() if row.status == "blocked"]
        if blocked:
            row = world.chance.choice(blocked)
            yield None
            with suppress(DatabaseError, IllegalTransition), world.transaction(process):
                decisions.reopen(world.engine, row)


def cancel(world: World, process: Process) -> Waiting:
    while True:
        yield world.chance.uniform(500, 4_000)
        runs = [
            run.id for run in world.tables.runs.values() if run.status in {"running", "waiting"}
        ]
        if runs and world.strikes("cancel", 0.5):
            event = ev.RunCancelled(by="ada", reason="no", withdraws=world.chance.random() < 0.7)
            _try(world, process, world.chance.choice(runs), event)


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
