"""One thread, a virtual clock, and processes that can be stopped at every point where they wait.

A process is a few tasks that live and die together. A task is a generator; each `yield` is a moment in
which anything else may happen: it says for how many milliseconds it waits, or nothing for a moment.
"""

import heapq
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from random import Random

type Waiting = Generator[float | None, None, None]

# A run that takes this long stands still.
FOREVER_MS = 10**10


@dataclass(eq=False, slots=True)
class Task:
    process: "Process"
    steps: Waiting
    name: str
    # Counts how often it was put in line; older places in the line are void.
    place: int = 0
    is_over: bool = False


@dataclass(eq=False, slots=True)
class Process:
    name: str
    begin: Callable[["Process"], Waiting]
    # Only what runs on machines dies and freezes; people and the outside do not.
    is_mortal: bool = True
    # Its own clock, against the true one.
    skew: float = 1.0
    tasks: list[Task] = field(default_factory=list)
    frozen_until: float = 0.0
    is_alive: bool = True
    lives: int = 0


class Schedule:
    def __init__(self, chance: Random) -> None:
        self.now = 0.0
        self.steps = 0
        self.chance = chance
        self._line: list[tuple[float, int, Task, int]] = []
        self._count = 0

    def begin(self, process: Process, after_ms: float = 0.0) -> None:
        """A new life of it: everything that it knew is gone."""
        process.is_alive, process.frozen_until = True, 0.0
        process.lives += 1
        process.tasks = []
        self.spawn(process, process.begin(process), process.name, after_ms)

    def spawn(self, process: Process, steps: Waiting, name: str, after_ms: float = 0.0) -> Task:
        task = Task(process, steps, name)
        process.tasks.append(task)
        self._put(task, after_ms)
        return task

    def wake(self, task: Task) -> None:
        if not task.is_over:
            self._put(task, 0.0)

    def kill(self, process: Process) -> None:
        process.is_alive = False
        for task in process.tasks:
            task.is_over = True
            task.steps.close()
        process.tasks = []

    def next(self) -> Task | None:
        """The next task whose time has come; the clock goes there."""
        while self._line:
            at, _, task, place = heapq.heappop(self._line)
            if task.is_over or place != task.place:
                continue
            if task.process.frozen_until > at:
                task.place += 1
                self._push(task, task.process.frozen_until)
                continue
            self.now = max(self.now, at)
            return task
        return None

    def step(self, task: Task) -> None:
        """Up to its next wait."""
        self.steps += 1
        try:
            wait = next(task.steps)
        except StopIteration:
            task.is_over = True
            task.process.tasks.remove(task)
            return
        self._put(task, wait if wait is not None else self._moment())

    def _moment(self) -> float:
        """Mostly short, now and then long: whatever can overtake, some time will."""
        return self.chance.expovariate(0.5) if self.chance.random() < 0.95 else 100.0

    def _put(self, task: Task, after_ms: float) -> None:
        task.place += 1
        self._push(task, self.now + after_ms)

    def _push(self, task: Task, at: float) -> None:
        self._count += 1
        heapq.heappush(self._line, (at, self._count, task, task.place))
