"""A worker process: threads at work and one committer that stores for all of them."""

from orchestrator.core import events as ev
from orchestrator.core.codec import Json, read
from orchestrator.core.errors import IllegalTransition
from tests.simulator import desk, perform, proposals, validators
from tests.simulator.agents import TIMEOUT_MS, Agent
from tests.simulator.decisions import ask_refused
from tests.simulator.engine import Advanced, Claimed, Ending, Engine, LeaseLostError
from tests.simulator.jobs import Job, Told, ended
from tests.simulator.options import LEASE_MS
from tests.simulator.schedule import Process, Waiting
from tests.simulator.tables import DatabaseError, UniqueError
from tests.simulator.validators import Validator
from tests.simulator.world import World

LOOK_EVERY_MS = 1_000
# With work in hand it looks often enough to renew in time, be its clock half as fast as it should.
LOOK_BUSY_MS = LEASE_MS / 4


class Crew:
    """One life of a process; what it holds dies with it."""

    def __init__(self, world: World, process: Process, queue: str) -> None:
        self.world = world
        self.engine: Engine = world.engine
        self.process = process
        self.queue = queue
        self.held: dict[Claimed, Job] = {}
        self.outbox: list[Told] = []
        self.look_at = 0.0
        self.renew_at = 0.0
        self.more_waits = False

    @property
    def clock(self) -> float:
        """The machine's own clock, which may run fast or slow."""
        return self.world.schedule.now * self.process.skew

    # The committer -------------------------------------------------------------------------

    def work(self) -> Waiting:
        while True:
            told, self.outbox = [*self.outbox, *self._overdue()], []
            told = [one for one in told if not one.job.is_void or one.ending]
            if told:
                yield from self._store(told)
            was_rung = self.world.bell.answer(self.queue)
            if was_rung or self.more_waits or self._looks():
                yield from self._claim()
            if self.held and self.clock >= self.renew_at:
                yield from self._renew()
            if not self.outbox and not self.more_waits:
                yield LOOK_BUSY_MS if self.held else LOOK_EVERY_MS

    def _looks(self) -> bool:
        return self.clock >= self.look_at and not self.world.is_mutant("workers do not look")

    def _overdue(self) -> list[Told]:
        """Whoever hangs is fenced off."""
        late = [
            job
            for job in self.held.values()
            if not job.is_void and self.clock > job.began + 2 * TIMEOUT_MS
        ]
        for job in late:
            job.is_void = True
        return [Told(job, job.overdue()) for job in late]

    def _store(self, told: list[Told]) -> Waiting:
        """Until it is stored, or known to be somebody else's."""
        endings = [one.ending for one in told if one.ending is not None]
        while True:
            yield None
            try:
                done = yield from self._advance(endings)
                break
            except DatabaseError:
                yield 100
            except UniqueError:
                if len(told) > 1:
                    for one in told:
                        yield from self._store([one])
                    return
                # What cannot be stored is put aside, and its thread hears that it was not.
                done = Advanced(lost={told[0].job.claimed})
                yield from self._put_aside(told[0])
        self.world.hits["fenced off"] += len(done.lost)
        self.world.hits["refused"] += len(done.refused)
        for one in told:
            self._settle(one, done)
        self._hand_out(done.taken)

    def _advance(self, endings: list[Ending]):  # type: ignore[no-untyped-def]
        room = self._room() + len(endings)
        batch = None
        if self.world.is_mutant("runs are not locked"):
            batch = self.engine.look_up({ending.claimed.run for ending in endings})
            yield 10
        with self.world.transaction(self.process):
            if batch is not None:
                return self.engine.write(batch, (), endings, room=room, queue=self.queue)
            return self.engine.advance(endings=endings, room=room, queue=self.queue)

    def _put_aside(self, one: Told) -> Waiting:
        yield None
        ending = Ending(one.job.claimed, "pending", after_ms=2_000, crashed=True)
        try:
            with self.world.transaction(self.process):
                self.engine.advance(endings=[ending])
        except DatabaseError:
            return

    def _settle(self, one: Told, done: Advanced) -> None:
        claimed = one.job.claimed
        if one.is_final:
            self.held.pop(claimed, None)
        else:
            one.job.stored = claimed not in done.lost and claimed not in done.refused
        if one.job.task is not None:
            self.world.schedule.wake(one.job.task)

    def _room(self) -> int:
        return max(0, self.world.options.room - len(self.held))

    def _claim(self) -> Waiting:
        room = self._room()
        self.more_waits = False
        if not room:
            return
        yield None
        self.look_at = self.clock + LOOK_EVERY_MS
        try:
            with self.world.transaction(self.process):
                claims = self.engine.claim(self.queue, room)
        except DatabaseError:
            return
        yield None
        self.more_waits = len(claims) == room
        self._hand_out(claims)

    def _renew(self) -> Waiting:
        yield None
        self.renew_at = self.clock + LEASE_MS / 3
        try:
            with self.world.transaction(self.process):
                self.engine.renew([job.claimed for job in self.held.values()])
        except DatabaseError:
            return

    def _hand_out(self, claims: list[Claimed]) -> None:
        for claimed in claims:
            self.world.note(f"{self.process.name} has {claimed.id} {claimed.kind} of {claimed.run}")
            job = Job(claimed, self.clock, lambda claimed=claimed: self._late(claimed))  # type: ignore[misc]
            self.held[claimed] = job
            steps = self._perform(job)
            job.task = self.world.schedule.spawn(self.process, steps, f"job {claimed.id}")

    def _late(self, claimed: Claimed) -> Ending:
        if claimed.kind == "run_agent":
            return ended(claimed, "failed", Agent(self.world, claimed).overdue())
        if claimed.kind == "validate":
            return ended(claimed, "failed", validators.failed(claimed.payload, "timed-out"))
        if claimed.kind == "roll_back":
            return perform.rollback_interrupted(self.world, claimed)
        if claimed.kind == "run_shadow":
            return Ending(claimed, "failed")
        return Ending(claimed, "pending", after_ms=2_000, crashed=True)

    # The threads ---------------------------------------------------------------------------

    def _perform(self, job: Job) -> Waiting:
        if job.claimed.kind == "run_agent":
            yield from self._call_agent(job)
        elif job.claimed.kind == "validate":
            yield from self._validate(job)
        elif job.claimed.kind == "run_shadow":
            yield from self._call_shadow(job)
        elif job.claimed.kind == "run_effect":
            yield from perform.run_effect(self.world, job, self._tell)
        elif job.claimed.kind == "roll_back":
            yield from perform.roll_back(self.world, job, self._tell)
        else:
            yield from self._sit_at_desk(job)

    def _tell(self, job: Job, ending: Ending | None) -> None:
        if not job.is_void:
            self.outbox.append(Told(job, ending))
            self.world.schedule.wake(self.process.tasks[0])

    def _call_agent(self, job: Job) -> Waiting:
        agent = Agent(self.world, job.claimed)
        yield agent.takes_ms()
        event = agent.answer()
        yield None
        status = "failed" if isinstance(event, ev.WorkFailed) else "done"
        self._tell(job, ended(job.claimed, status, event))

    def _call_shadow(self, job: Job) -> Waiting:
        """Whatever it says, its run hears nothing of it."""
        agent = Agent(self.world, job.claimed)
        yield agent.takes_ms()
        event = agent.answer()
        yield None
        status = "done" if isinstance(event, ev.WorkFinished) else "failed"
        self._tell(job, Ending(job.claimed, status))

    def _validate(self, job: Job) -> Waiting:
        validator = Validator(self.world, job.claimed)
        yield validator.takes_ms()
        event = validator.answer()
        yield None
        status = "done" if isinstance(event, ev.ValidationFinished) else "failed"
        self._tell(job, ended(job.claimed, status, event))

    def _sit_at_desk(self, job: Job) -> Waiting:
        """Work that is nothing but a transaction."""
        claimed, ending = job.claimed, None
        yield None
        try:
            with self.world.transaction(self.process):
                self._at_desk(claimed)
        except LeaseLostError:
            pass
        except IllegalTransition as refusal:
            ending = self._refused(claimed, refusal)
        except (DatabaseError, UniqueError):
            ending = Ending(claimed, "pending", after_ms=500, crashed=True)
        self._tell(job, ending)

    def _at_desk(self, claimed: Claimed) -> None:
        if claimed.kind == "propose":
            self._propose(claimed)
        elif claimed.kind == "dispose":
            if self.world.strikes("disposing stops its worker", 0.7):
                raise DatabaseError("it takes too long")
            proposals.dispose(self.engine, claimed, self.world.chance)
        elif claimed.kind == "ask_person":
            desk.ask_person(self.engine, claimed)
        elif claimed.kind == "start_child":
            desk.start_child(self.engine, claimed)
        elif claimed.kind == "cancel_run":
            desk.cancel_child(self.engine, claimed)
        elif claimed.kind == "publish":
            desk.publish(self.engine, claimed)
        else:
            desk.tell_parent(self.engine, claimed)

    def _propose(self, claimed: Claimed) -> None:
        said = self.world.tables.events[claimed.run, claimed.payload["output"]]
        data = read(said.payload)
        output = data.get("output") if isinstance(data, dict) else None
        if ask := claimed.payload.get("ask", 0):
            asks = data.get("asks") if isinstance(data, dict) else None
            output = asks[ask - 1] if isinstance(asks, list) else None
        if isinstance(output, dict) and isinstance(output.get("action"), str):
            proposals.propose(self.engine, claimed, self.world.chance)
            return
        self.engine.complete(claimed, _not_proposed(claimed))

    def _refused(self, claimed: Claimed, refusal: IllegalTransition) -> Ending:
        """The run has no place for it any more, and that is no failure of the work."""
        if self.world.is_mutant("what is refused fails its work") and "work" in claimed.payload:
            return ended(claimed, "failed", _not_proposed(claimed))
        return Ending(claimed, "failed")


def _not_proposed(claimed: Claimed) -> ev.Event:
    error: dict[str, Json] = {"code": "bad-input", "reason": "no action", "retryable": False}
    if claimed.payload.get("ask"):
        return ask_refused(claimed.payload, error)
    return ev.WorkFailed(work=claimed.payload["work"], attempt=1, error=error)
