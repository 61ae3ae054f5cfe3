"""A worker process: threads that wait for agents and targets, and one committer that stores for all.

The committer takes whatever the threads have finished, moves all those runs in one short transaction,
and hands the commands that follow straight back to the threads: a run that goes on here costs a share
of one commit a step, and no bell. A thread never touches the database on the way.

Each command is held under a lease that the committer renews. What a thread says after its deadline,
or after its lease was lost, is thrown away.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connections

from orchestrator import queue as doorbell
from orchestrator.agents.isolated import ISOLATION
from orchestrator.core.codec import Json
from orchestrator.core.commands import (
    Dispose,
    RollBack,
    RunAgent,
    RunEffect,
    RunShadow,
    Validate,
)
from orchestrator.core.errors import CountersignError, IllegalTransition, LeaseLost
from orchestrator.engine import beside, inputs, perform, roll_back, validate
from orchestrator.engine.advance import Advanced, Ending, Taking, advance
from orchestrator.engine.claim import Claimed, claim, renew
from orchestrator.engine.memory import Memory
from orchestrator.failpoints import failpoint
from orchestrator.models import Effect

logger = logging.getLogger(__name__)

# Endings stored in one transaction; more of them wait for the next.
BATCH_MAX = 256
# A deadlock or a lock that took too long may pass; what fails this often alone will not.
STORE_TRIES_MAX = 3
PAUSE_FIRST_S = 0.1
PAUSE_MAX_S = 2.0
# How long the committer sleeps when nothing happens: deadlines and leases are looked at this often.
LOOK_EVERY_S = 0.5
# How often a worker that has its hands full tells the others that there is more.
RING_MORE_EVERY_S = 0.5
# How long a thread that has nothing to do may take to close its connection and go.
GONE_WITHIN_S = 2.0
# An agent says itself that its time is up; whoever does not is given up on after this.
GRACE_S = 5.0

# Takes a claimed command through a transaction of its own.
type Desk = Mapping[str, Callable[[Claimed], None]]


@dataclass(eq=False, slots=True)
class Job:
    """A command in a thread's hands."""

    claimed: Claimed
    run: Callable[[perform.Record], Ending | None]
    overdue: Callable[[], Ending]
    timeout_s: float
    # Set by the thread that takes it up: until then nobody is late.
    began: float = math.inf
    # Given up on, or somebody else's: the thread's answer is not wanted any more.
    is_void: bool = False


@dataclass(eq=False, slots=True)
class Told:
    """What a thread hands to the committer; nothing to store means that its own transaction did."""

    job: Job
    ending: Ending | None
    # Set for an intent, whose thread waits to hear whether it was stored.
    answer: SimpleQueue[bool] | None = None

    @property
    def is_final(self) -> bool:
        return self.ending is None or self.ending.status != "running"


# Nothing means: go home.
type Inbox = SimpleQueue[Job | None]


class Crew:
    """Of one queue. `work` is the committer's own life; call `wake` from any thread."""

    def __init__(self, queue: str, *, threads: int, desk: Desk) -> None:
        self.queue = queue
        self.threads = threads
        self._desk = desk
        self._me = perform.here()
        self._memory = Memory()
        self._inbox: Inbox = SimpleQueue()
        # Few threads have connections of their own: a hundred waiting for agents need none.
        self._desk_inbox: Inbox = SimpleQueue()
        self._desk_started = 0
        self._gone = threading.Semaphore(0)
        self._outbox: SimpleQueue[Told | None] = SimpleQueue()
        # By lease: a command that was taken from us may come back while its first thread still runs.
        self._held: dict[tuple[int, int], Job] = {}
        self._started = 0
        self._stuck = 0
        self._stopping = False
        self._look_at = 0.0
        self._renew_at = 0.0
        self._ring_at = 0.0
        self._more_waits = False

    @property
    def is_worn_out(self) -> bool:
        """Too many threads hang in calls that never end, or nobody is left to fork: replace the process."""
        if self.queue == "isolated" and ISOLATION.pid and not ISOLATION.is_alive:
            return True
        return self._stuck >= settings.WORKER_STUCK_MAX

    def wake(self) -> None:
        self._outbox.put(None)

    def stop(self) -> None:
        """Claim nothing more; `work` returns when what is held is done."""
        self._stopping = True
        self.wake()

    def work(self) -> None:
        while not (self._stopping and not self._held):
            told, was_woken = self._listen()
            self._turn(told, was_woken)
            if self.is_worn_out and not self._stopping:
                logger.warning("this process is worn out (%d calls never ended)", self._stuck)
                self._stopping = True
        self._dismiss()
        connections.close_all()

    def drain(self, at_most: int = 1_000_000) -> int:
        """Everything that is ready, in the caller's own thread. Says how many commands were run."""
        for done in range(at_most):
            claims = claim(self.queue, worker=self._me, at_most=1)
            if not claims:
                return done
            self.run(claims[0])
        return at_most

    def run(self, claimed: Claimed) -> None:
        """One command to its end. A lost lease ends it quietly: whoever took over will finish it."""
        job = self._job(claimed, self._load_each([claimed]))
        ending = job.run(lambda intent: not advance(endings=[intent]).lost) if job else None
        if ending is not None:
            advance(endings=[ending])

    # The committer ------------------------------------------------------------------------

    def _listen(self) -> tuple[list[Told], bool]:
        """Wait for something to happen, then take all that has."""
        found: list[Told | None] = []
        try:
            found.append(self._outbox.get(timeout=self._patience()))
            while len(found) < BATCH_MAX:
                found.append(self._outbox.get_nowait())
        except Empty:
            pass
        return [told for told in found if told is not None], None in found

    def _patience(self) -> float:
        if self._more_waits and self._room() > 0 and not self._stopping:
            return 0.0
        return LOOK_EVERY_S

    def _turn(self, told: Sequence[Told], was_woken: bool) -> None:
        now = time.monotonic()
        told = [*self._drop_void(told), *self._overdue(now)]
        try:
            if told:
                self._store(told)
            if was_woken or self._more_waits or now >= self._look_at:
                self._claim()
            self._renew_if_due(now)
        except DatabaseError as error:
            # Nothing is lost: what was claimed and not begun comes back when its lease ends.
            logger.warning("the database is away: %s", error)
            _reconnect()
            time.sleep(PAUSE_FIRST_S)

    def _drop_void(self, told: Iterable[Told]) -> list[Told]:
        wanted = []
        for one in told:
            if one.job.is_void:
                self._stuck -= 1
                _answer(one, False)
            else:
                wanted.append(one)
        return wanted

    def _overdue(self, now: float) -> list[Told]:
        """Whoever hangs is fenced off; another thread takes its place."""
        late = [job for job in self._held.values() if now > job.began + job.timeout_s + GRACE_S]
        for job in late:
            job.is_void = True
            self._stuck += 1
            if job.claimed.kind in self._desk:
                self._desk_started -= 1
            else:
                self._started -= 1
        return [Told(job, job.overdue()) for job in late]

    def _store(self, told: list[Told]) -> None:
        """Until it is stored, or known to be somebody else's. A database that is away is waited for."""
        endings = [one.ending for one in told if one.ending is not None]
        pause, tries = PAUSE_FIRST_S, 0
        while True:
            try:
                done = self._advance(endings, free=_count_final(told))
                break
            except Exception as error:  # noqa: BLE001  (one command must not end the work of all)
                tries += not _is_away(error)
                if len(told) > 1 and tries:
                    self._store_apart(told)
                    return
                passes = isinstance(error, OperationalError | InterfaceError)
                if tries >= STORE_TRIES_MAX or not passes:
                    self._put_aside(told[0], error)
                    return
                logger.warning("could not store %d endings yet: %s", len(endings), error)
                _reconnect()
                time.sleep(pause)
                pause = min(pause * 2, PAUSE_MAX_S)
        failpoint("committed-not-told")
        self._settle(told, done)
        self._hand_out(done.taken)

    def _store_apart(self, told: Sequence[Told]) -> None:
        """Whatever is wrong with one of them, the others must not suffer for it."""
        for one in told:
            # Each may wait for a lock of its own; what is held meanwhile must not run out.
            self._renew_if_due(time.monotonic())
            self._store([one])

    def _advance(self, endings: Sequence[Ending], *, free: int) -> Advanced:
        if not endings:
            return Advanced()
        room = 0 if self._stopping else self._room() + free
        taking = Taking(self.queue, self._me, room)
        return advance(endings=endings, taking=taking, memory=self._memory)

    def _settle(self, told: Sequence[Told], done: Advanced) -> None:
        for one in told:
            lease = one.job.claimed.lease
            if one.is_final:
                self._held.pop(lease, None)
            _answer(one, lease not in done.lost and lease not in done.refused)

    def _put_aside(self, one: Told, error: Exception) -> None:
        """What the database will not take is tried again later, and put before a person in the end."""
        logger.error("an ending of %s cannot be stored", one.job.claimed, exc_info=error)
        self._held.pop(one.job.claimed.lease, None)
        _answer(one, False)
        crashed = _crashed(one.job.claimed, "not-stored", "its outcome cannot be stored")
        try:
            advance(endings=[crashed])
        except Exception:
            # It is not held any more, so its lease ends and says the same.
            logger.exception("nor can it be put aside")

    def _room(self) -> int:
        """Whoever hangs takes none: another thread has taken its place. `is_worn_out` bounds how many hang."""
        return self.threads - len(self._held)

    def _claim(self) -> None:
        room = self._room()
        if self._stopping or room <= 0:
            return
        claims = claim(self.queue, worker=self._me, at_most=min(room, BATCH_MAX))
        self._more_waits = len(claims) == min(room, BATCH_MAX)
        self._look_at = time.monotonic() + settings.RING_AGAIN_AFTER_S
        if claims:
            failpoint("after-claim")
            self._hand_out(claims)
        if self._more_waits and time.monotonic() >= self._ring_at:
            # More than we can take: somebody else may have room.
            self._ring_at = time.monotonic() + RING_MORE_EVERY_S
            doorbell.ring(self.queue, [claims[-1].id])

    def _renew_if_due(self, now: float) -> None:
        """What did not come back was taken from us, and its thread works for nothing."""
        if not self._held or now < self._renew_at:
            return
        held = [job.claimed for job in self._held.values()]
        still = renew(held)
        self._renew_at = now + settings.COMMAND_LEASE_S / 3
        for claimed in held:
            if claimed.lease not in still:
                logger.warning("the lease of command %d was lost", claimed.id)

    def _hand_out(self, claims: Sequence[Claimed]) -> None:
        given = self._load_each(claims)
        for claimed in claims:
            job = self._job(claimed, given)
            if job is None:
                continue
            self._held[claimed.lease] = job
            if claimed.kind in self._desk:
                self._desk_inbox.put(job)
            else:
                self._inbox.put(job)
        self._hire()

    def _hire(self) -> None:
        """As many threads as there is work for; an idle worker has none."""
        at_desk = sum(job.claimed.kind in self._desk for job in self._held.values())
        while self._started < min(len(self._held) - at_desk, self.threads):
            self._started += 1
            self._start(self._inbox, f"{self.queue}-{self._started}")
        while self._desk_started < min(at_desk, settings.WORKER_DESKS):
            self._desk_started += 1
            self._start(self._desk_inbox, f"{self.queue}-desk-{self._desk_started}")

    def _start(self, inbox: Inbox, name: str) -> None:
        threading.Thread(target=self._serve, args=(inbox,), name=name, daemon=True).start()

    def _dismiss(self) -> None:
        """Those that hang are left behind; they end with the process."""
        for inbox, started in (
            (self._inbox, self._started),
            (self._desk_inbox, self._desk_started),
        ):
            for _ in range(started):
                inbox.put(None)
        for _ in range(self._started + self._desk_started):
            self._gone.acquire(timeout=GONE_WITHIN_S)

    def _load_each(self, claims: Sequence[Claimed]) -> dict[int, Any]:
        """All at once; if one of them cannot be read, the others must not suffer for it."""
        try:
            return self._load(claims)
        except DatabaseError:
            raise
        except Exception as error:
            if len(claims) > 1:
                given: dict[int, Any] = {}
                for claimed in claims:
                    given |= self._load_each([claimed])
                return given
            logger.exception("what %s needs cannot be read", claims[0])
            advance(endings=[_crashed(claims[0], "not-readable", str(error))])
            return {}

    def _load(self, claims: Sequence[Claimed]) -> dict[int, Any]:
        agents = [claimed for claimed in claims if claimed.kind == RunAgent.kind]
        effects = [c for c in claims if c.kind in {RunEffect.kind, RollBack.kind}]
        validations = [claimed for claimed in claims if claimed.kind == Validate.kind]
        shadows = [claimed for claimed in claims if claimed.kind == RunShadow.kind]
        given: dict[int, Any] = {}
        if shadows:
            given |= beside.load(shadows, self._memory)
        if validations:
            given |= validate.load(validations)
        if agents:
            given |= inputs.load_for_agents(agents, self._memory)
        if effects:
            given |= inputs.load_for_effects(effects)
        return given

    def _job(self, claimed: Claimed, given: Mapping[int, Any]) -> Job | None:
        """None when it cannot be begun at all."""
        found: Any = given.get(claimed.id)
        if found is None and claimed.kind not in self._desk:
            return None
        if claimed.kind in {RunAgent.kind, RunShadow.kind, Validate.kind}:
            return _agent_job(claimed, found)
        if claimed.kind in {RunEffect.kind, RollBack.kind}:
            return _effect_job(claimed, found)
        return Job(
            claimed,
            lambda record: self._at_desk(claimed),
            lambda: _crashed(claimed, "overdue", "its transaction never ended"),
            settings.DATABASE_STATEMENT_TIMEOUT_S,
        )

    # The threads --------------------------------------------------------------------------

    def _serve(self, inbox: Inbox) -> None:
        while (job := inbox.get()) is not None:
            _reconnect()
            job.began = time.monotonic()
            try:
                ending = job.run(lambda intent, job=job: self._record(job, intent))  # type: ignore[misc]
            except Exception as error:
                logger.exception("command %d failed in an unforeseen way", job.claimed.id)
                reason = f"{type(error).__name__}: {error}"
                ending = _crashed(job.claimed, "unforeseen", reason)
            was_void = job.is_void
            # It has answered; however long the committer takes to hear it, it is not late any more.
            job.began = math.inf
            self._outbox.put(Told(job, ending))
            if was_void:
                # Another thread has taken this one's place.
                connections.close_all()
                return
        connections.close_all()
        self._gone.release()

    def _record(self, job: Job, intent: Ending) -> bool:
        answer: SimpleQueue[bool] = SimpleQueue()
        self._outbox.put(Told(job, intent, answer))
        return answer.get()

    def _at_desk(self, claimed: Claimed) -> Ending | None:
        """Work that is nothing but a transaction: stored by itself, its lease shown inside."""
        try:
            self._desk[claimed.kind](claimed)
        except LeaseLost:
            return None
        except CountersignError as error:
            if claimed.kind == Dispose.kind and not isinstance(error, IllegalTransition):
                # Nothing may come of it but what guardrails say: a person looks, if it stays like this.
                return _crashed(claimed, error.code, str(error))
            return perform.desk_failed(claimed, error)
        return None


def _agent_job(claimed: Claimed, found: Any) -> Job:
    if claimed.kind == RunShadow.kind:
        return Job(
            claimed,
            lambda record: beside.call(claimed, found),
            lambda: beside.overdue(claimed, found),
            beside.timeout_s(claimed, found),
        )
    if claimed.kind == Validate.kind:
        return Job(
            claimed,
            lambda record: validate.call(claimed, found),
            lambda: validate.overdue(claimed, found),
            found.validator.timeout_s,
        )
    timeout = perform.agent_timeout_s(claimed, found)
    return Job(
        claimed,
        lambda record: perform.call_agent(claimed, found, record),
        lambda: perform.agent_overdue(claimed, timeout, found),
        timeout,
    )


def _effect_job(claimed: Claimed, found: Effect) -> Job:
    timeout = perform.effect_timeout_s(found)
    if claimed.kind == RollBack.kind:
        return Job(
            claimed,
            lambda record: roll_back.roll_back(claimed, found, record),
            lambda: roll_back.overdue(claimed, found, timeout),
            timeout,
        )
    return Job(
        claimed,
        lambda record: perform.run_effect(claimed, found, record),
        lambda: perform.effect_overdue(claimed, found, timeout),
        timeout,
    )


def _answer(told: Told, stored: bool) -> None:
    if told.answer is not None:
        told.answer.put(stored)


def _count_final(told: Sequence[Told]) -> int:
    """How many threads are free once this is stored."""
    return sum(one.is_final for one in told)


def _crashed(claimed: Claimed, code: str, reason: str) -> Ending:
    """Counts like a lease that ran out: after a few of them a person is asked."""
    error: dict[str, Json] = {
        "code": code,
        "reason": perform.legible(reason),
        "where": perform.here(),
        "tries": claimed.tries,
    }
    return Ending(claimed, "pending", error=error, after_s=PAUSE_MAX_S, crashed=True)


def _is_away(error: Exception) -> bool:
    """Nobody there, which is waited for; not a lock that took too long, or a statement that cannot end."""
    if isinstance(error, InterfaceError):
        return True
    if not isinstance(error, OperationalError):
        return False
    raw = connections["default"].connection
    return raw is None or raw.broken or raw.closed


def _reconnect() -> None:
    """A connection that broke is replaced, not tried again."""
    for found in connections.all(initialized_only=True):
        if found.connection is not None and found.connection.closed:
            found.close()
