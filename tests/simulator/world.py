"""Everything that one seed brings together, and the faults that strike it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from tests.simulator.auditor import Auditor
from tests.simulator.bell import Bell
from tests.simulator.engine import Engine
from tests.simulator.options import Options
from tests.simulator.schedule import Process, Schedule
from tests.simulator.tables import Committed, DatabaseError, Tables
from tests.simulator.target import Target


class KilledError(Exception):
    """Whoever ran this is dead."""


class World:
    def __init__(self, options: Options, *, traced: bool = False) -> None:
        self.options = options
        self.chance = Random(options.seed)  # noqa: S311  (it has to be repeatable, not secret)
        self.schedule = Schedule(self.chance)
        self.tables = Tables()
        self.hits: Counter[str] = Counter()
        self.bell = Bell(self.chance, self.strikes)
        self.target = Target(options.target)
        self.engine = Engine(options, self.tables, self.bell, lambda: self.schedule.now)
        self.auditor = Auditor(self.tables, self.target)
        self.is_calm = False
        self.is_all_submitted = False
        self.trace: list[str] | None = [] if traced else None
        self.tables.before_commit = self._abort
        self.tables.after_commit = self._committed
        self.processes: list[Process] = []

    def strikes(self, fault: str, rate: float) -> bool:
        if self.is_calm or fault not in self.options.faults or self.chance.random() >= rate:
            return False
        self.hits[fault] += 1
        return True

    def is_mutant(self, name: str) -> bool:
        return name in self.options.mutants

    def note(self, text: str) -> None:
        if self.trace is not None:
            self.trace.append(f"{self.schedule.now:10.0f} ms  {text}")

    @contextmanager
    def transaction(self, who: Process) -> Iterator[None]:
        try:
            with self.tables.transaction():
                yield
        except Exception as error:
            self.note(f"{who.name}: {type(error).__name__} {error}")
            raise

    def _abort(self) -> None:
        if self.strikes("abort", self.options.error_rate):
            raise DatabaseError("could not serialize access")

    def _committed(self, changed: Committed) -> None:
        self.auditor.audit(changed)
        if self.trace is not None:
            for line in self.auditor.news:
                self.note(line)
        self.auditor.news.clear()
        if self.strikes("committed, then an error", self.options.error_rate):
            raise DatabaseError("the connection was lost")

    # Dying and freezing --------------------------------------------------------------------

    def harass(self, process: Process) -> bool:
        """Whether it died of it."""
        if not process.is_mortal:
            return False
        if self.strikes("crash", self.options.crash_rate):
            self.crash(process)
            return True
        if self.strikes("pause", self.options.crash_rate):
            process.frozen_until = self.schedule.now + self.chance.uniform(100, 5_000)
            self.note(f"{process.name} freezes until {process.frozen_until:.0f}")
        return False

    def crash(self, process: Process) -> None:
        self.note(f"{process.name} dies")
        self.schedule.kill(process)
        self.schedule.begin(process, self.chance.uniform(50, 1_500))
