"""One seed from its first request until nothing is open any more."""

from collections import Counter
from dataclasses import dataclass
from functools import partial

from tests.simulator import people
from tests.simulator.crew import Crew
from tests.simulator.options import Options, derive
from tests.simulator.schedule import Process, Task, Waiting
from tests.simulator.sweep import sweep_up
from tests.simulator.violation import ViolationError
from tests.simulator.world import KilledError, World

QUEUES = ("agents", "effects", "isolated")
# After the last request the faults go on for a while; then everything has to come to its end.
TROUBLE_MS = 15_000
CALM_STEPS_MAX = 8_000
LOOK_EVERY_STEPS = 50


@dataclass(frozen=True, slots=True)
class Report:
    options: Options
    steps: int
    runs: int
    events: int
    effects: int
    hits: Counter[str]
    violation: str = ""
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        again = f"python -m tests.simulator --from {self.options.seed} --seeds 1 --trace"
        return f"{self.violation}\n  {self.options}\n  again: {again}"


def run(seed: int, mutants: frozenset[str] = frozenset(), *, traced: bool = False) -> Report:
    world = World(derive(seed, mutants), traced=traced)
    _populate(world)
    violation = ""
    try:
        _go_on(world)
    except ViolationError as error:
        violation = f"seed {seed}: {error}"
    return Report(
        options=world.options,
        steps=world.schedule.steps,
        runs=len(world.tables.runs),
        events=len(world.tables.events),
        effects=len(world.target.executed),
        hits=world.hits + world.auditor.seen,
        violation=violation,
        trace=tuple(world.trace or ()),
    )


def _populate(world: World) -> None:
    options, chance = world.options, world.chance
    for queue in QUEUES:
        for number in range(options.workers):
            world.hits["clocks differ"] += "clocks differ" in options.faults
            skew = chance.uniform(0.5, 2.0) if "clocks differ" in options.faults else 1.0
            begin = partial(_crew, world, queue)
            world.processes.append(Process(f"{queue}-{number}", begin, skew=skew))
    for number in range(options.sweepers):
        world.processes.append(Process(f"sweeper-{number}", partial(sweep_up, world)))
    world.processes.append(Process("client", partial(people.submit_all, world)))
    for number in range(options.reviewers + 1):
        review = partial(people.review, world)
        world.processes.append(Process(f"reviewer-{number}", review, is_mortal=False))
    for name, act in (
        ("canceller", people.cancel),
        ("signaller", people.signal),
        ("nemesis", people.wipe_redis),
        ("reopener", people.reopen),
        ("outside agent", people.answer),
        ("regretter", people.roll_back),
    ):
        world.processes.append(Process(name, partial(act, world), is_mortal=False))
    world.bell.wake = partial(_wake_one, world)
    for process in world.processes:
        world.schedule.begin(process)


def _crew(world: World, queue: str, process: Process) -> Waiting:
    return Crew(world, process, queue).work()


def _wake_one(world: World, queue: str) -> None:
    listening = [one for one in world.processes if one.name.startswith(queue) and one.tasks]
    if listening:
        world.schedule.wake(world.chance.choice(listening).tasks[0])


def _go_on(world: World) -> None:
    calm_at, calm_steps = None, 0
    while True:
        task = world.schedule.next()
        assert task is not None
        _step(world, task)
        if world.is_all_submitted and calm_at is None:
            calm_at = world.schedule.now + TROUBLE_MS
        if calm_at is not None and not world.is_calm and world.schedule.now >= calm_at:
            world.is_calm = True
            world.note("the faults are over")
        if world.is_calm:
            calm_steps += 1
            if calm_steps % LOOK_EVERY_STEPS == 0 and not world.auditor.what_is_open():
                break
            if calm_steps > CALM_STEPS_MAX:
                raise ViolationError(f"it never ends: {world.auditor.what_is_open()}")
    world.auditor.audit_end()


def _step(world: World, task: Task) -> None:
    if world.harass(task.process):
        return
    try:
        world.schedule.step(task)
    except KilledError:
        world.crash(task.process)
