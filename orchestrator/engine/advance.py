"""Move runs: events, states, commands and their projections in one short transaction.

Takes a batch; a batch of one is the ordinary case. Nothing slow happens in here.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from django.conf import settings
from django.db import transaction

from orchestrator import journal, queue
from orchestrator.core import commands as core_commands
from orchestrator.core import controller
from orchestrator.core import events as core_events
from orchestrator.core import state as core_state
from orchestrator.core.codec import Json, canonical, read
from orchestrator.core.errors import IllegalTransition, LeaseLost, NotFound
from orchestrator.engine import hear, project, store
from orchestrator.engine.claim import Claimed
from orchestrator.engine.memory import STATE_LENGTH_MAX, VALUE_LENGTH_MAX, Memory
from orchestrator.engine.pieces import Kept
from orchestrator.engine.plans import plan_of
from orchestrator.failpoints import failpoint
from orchestrator.models import AgentTrial


@dataclass(frozen=True, slots=True)
class Step:
    """One event for one run. A `key` may be said only once in the whole log."""

    run: str
    event: core_events.Event
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of a claimed command, with what that means for its run.

    It counts only while the command is still ours. `running` records an intent and goes on;
    `pending` puts the command back.
    """

    claimed: Claimed
    status: str
    steps: Sequence[Step] = ()
    error: Json = None
    after_s: float = 0
    # It cost its worker something unforeseen; after a few of these a person is asked.
    crashed: bool = False
    # An effect whose call reached nobody, so that it cannot have happened.
    rests: str = ""
    # What its run's trace shows of the call besides its event.
    pieces: Sequence[Kept] = ()
    # What a shadow version said, which no run hears of.
    trial: AgentTrial | None = None


@dataclass(frozen=True, slots=True)
class Taking:
    """How many of the commands that follow the caller takes for itself, and of which queue."""

    queue: str
    worker: str
    room: int


@dataclass(slots=True)
class Advanced:
    # Claims that were taken over; nothing was stored for them.
    lost: set[tuple[int, int]] = field(default_factory=set)
    # Claims whose outcome did not fit their run any more, and runs that took no step.
    refused: dict[tuple[int, int], IllegalTransition] = field(default_factory=dict)
    refused_steps: dict[str, IllegalTransition] = field(default_factory=dict)
    taken: list[Claimed] = field(default_factory=list)


@dataclass(slots=True)
class _Moving:
    """A run while its events are applied."""

    row: store.Locked
    state: core_state.RunState
    seq: int
    # Of its state as it is stored.
    length: int = 0
    lines: list[store.Line] = field(default_factory=list)
    commands: list[tuple[int, core_commands.Command]] = field(default_factory=list)


def advance(
    steps: Sequence[Step] = (),
    endings: Sequence[Ending] = (),
    *,
    each: Sequence[Step] = (),
    taking: Taking | None = None,
    memory: Memory | None = None,
) -> Advanced:
    """Apply `steps`, all or none; `endings` and the steps of `each`, every one on its own.

    1. Lock the runs in id order, then the commands that end; whose token is old is left out.
    2. Let the controller decide each event; it raises when the state does not allow one.
    3. Append events and states, project them, end commands, store the commands that follow.
    4. Ring the workers after the commit; if that is lost, the sweeper rings.
    """
    # No savepoint: a refused event undoes whatever its caller did, too.
    with transaction.atomic(savepoint=False):
        batch = _Batch(memory if memory is not None else Memory())
        ours = batch.lock([*steps, *each], endings)
        for step in steps:
            batch.apply(step.run, [step])
        for step in each:
            batch.attempt(step)
        outcomes = [batch.end(ending) for ending in ours]
        batch.write(outcomes, taking)
        failpoint("in-transaction-before-commit")
    batch.remember()
    return batch.done


class _Batch:
    """One transaction's worth of moves."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.done = Advanced()
        self.moving: dict[str, _Moving] = {}
        self.at = datetime.now(UTC)
        self.seen = project.Projection()
        self.values: dict[tuple[str, int], Json] = {}
        self.pieces: list[store.PieceRow] = []
        self.trials: list[AgentTrial] = []

    def lock(self, steps: Sequence[Step], endings: Sequence[Ending]) -> list[Ending]:
        """Hold everything that is about to change. Returns the endings whose command is still ours."""
        wanted = {step.run for step in steps} | {ending.claimed.run for ending in endings}
        runs = sorted(wanted)
        known = [self.memory.known_seq(run) for run in runs]
        fences = [ending.claimed.lease for ending in endings]
        rows, ours = store.lock(runs, known, fences)
        missing = wanted - {row.id for row in rows}
        if missing:
            raise NotFound("run", min(missing))
        self.moving = {row.id: _Moving(row, self._state(row), row.seq) for row in rows}
        self.at = max((row.at for row in rows), default=self.at)
        self.done.lost = set(fences) - ours
        return [ending for ending in endings if ending.claimed.lease in ours]

    def _state(self, row: store.Locked) -> core_state.RunState:
        if row.state is None:
            return self.memory.states[row.id][1]
        data = read(row.state) if row.state else None
        return core_state.from_json(data) if isinstance(data, dict) else core_state.RunState()

    def attempt(self, step: Step) -> None:
        try:
            self.apply(step.run, [step])
        except IllegalTransition as refusal:
            self.done.refused_steps[step.run] = refusal

    def end(self, ending: Ending) -> store.Outcome:
        """An outcome that its run has no place for any more ends the command and nothing else."""
        claimed = ending.claimed
        status, error = ending.status, ending.error
        try:
            self.apply(claimed.run, ending.steps)
            seq = self.moving[claimed.run].seq
            self.pieces += [store.PieceRow(claimed.run, seq, piece) for piece in ending.pieces]
        except IllegalTransition as refusal:
            self.done.refused[claimed.lease] = refusal
            status, error = "failed", {"code": refusal.code, "reason": str(refusal)}
        if ending.rests:
            self.seen.rest(ending.rests)
        if ending.trial:
            self.trials.append(ending.trial)
        text = canonical(error) if error is not None else None
        after_ms = int(ending.after_s * 1000)
        return store.Outcome(claimed.id, status, text, after_ms, ending.crashed)

    def apply(self, name: str, steps: Sequence[Step]) -> None:
        """All steps or none of them."""
        run = self.moving[name]
        plan, state, seq = plan_of(run.row.version), run.state, run.seq
        lines, commands, changes = [], [], []
        values: dict[tuple[str, int], Json] = {}
        for step in steps:
            seq += 1
            moment = journal.moment_of(seq, self.at)
            after, wanted = controller.step(state, step.event, plan=plan, moment=moment)
            payload = canonical(core_events.to_json(step.event))
            lines.append(store.Line(name, step.event.kind, step.key, payload))
            commands += [(seq, command) for command in wanted]
            changes.append((seq, state, after, step.event))
            state = after
            if len(payload) <= VALUE_LENGTH_MAX:
                values[name, seq] = core_events.value_of(step.event)
        for number, before, after, event in changes:
            self.seen.see(name, number, before, after, event)
        run.state, run.seq = state, seq
        run.lines += lines
        run.commands += commands
        self.values |= values

    def write(self, outcomes: Sequence[store.Outcome], taking: Taking | None) -> None:
        moved = [run for _, run in sorted(self.moving.items()) if run.lines]
        wanted = _want(moved, taking)
        self.seen.write(self.at)
        if self.trials:
            AgentTrial.objects.bulk_create(self.trials, ignore_conflicts=True)
        lease_s = settings.COMMAND_LEASE_S
        with store.at_once():
            if moved:
                lines = [line for run in moved for line in run.lines]
                store.append(lines, [_move(run) for run in moved], self.at)
            if outcomes:
                store.end(outcomes, lease_s=lease_s)
            if self.pieces:
                store.keep(self.pieces, self.at)
            worker = taking.worker if taking else ""
            stored = store.want(wanted.rows, worker=worker, lease_s=lease_s) if wanted.rows else ()
            if waiting := wanted.waiting():
                hear.tell(waiting)
        ids = [row[0] for row in stored]
        self.done.taken = wanted.taken(ids)
        _ring_for(wanted.rows, ids)

    def remember(self) -> None:
        """Only what is committed may be remembered."""
        for name, run in self.moving.items():
            if run.length <= STATE_LENGTH_MAX:
                self.memory.states[name] = (run.seq, run.state)
            else:
                self.memory.forget(name)
        for place, value in self.values.items():
            self.memory.values[place] = value


def _move(run: _Moving) -> store.Move:
    wakes = run.state.wakes_at_ms
    text = canonical(core_state.to_json(run.state))
    run.length = len(text)
    return store.Move(
        run.row.id,
        text,
        run.state.status,
        datetime.fromtimestamp(wakes / 1000, UTC) if wakes else None,
    )


@dataclass(slots=True)
class _Wanted:
    """Commands about to be stored, each with its version and its payload."""

    rows: list[store.Wanted] = field(default_factory=list)
    sources: list[tuple[int, dict[str, Json]]] = field(default_factory=list)

    def waiting(self) -> list[str]:
        """Queues with commands that are ready and that nobody has taken."""
        return sorted({row.queue for row in self.rows if not row.taken and not row.delay_ms})

    def taken(self, ids: Sequence[int]) -> list[Claimed]:
        return [
            Claimed(key, row.run, version, row.kind, payload, 1, 1)
            for key, row, (version, payload) in zip(ids, self.rows, self.sources, strict=True)
            if row.taken
        ]


def _want(moved: Sequence[_Moving], taking: Taking | None) -> _Wanted:
    """What has to be done next; part of it may be taken at once, the rest is rung for."""
    room = taking.room if taking else 0
    wanted = _Wanted()
    for run in moved:
        for seq, command in run.commands:
            taken = bool(
                taking and room > 0 and command.queue == taking.queue and not command.delay_ms
            )
            room -= taken
            payload = core_commands.to_json(command)
            wanted.rows.append(_row(run.row.id, seq, command, payload, taken))
            wanted.sources.append((run.row.version, payload))
    return wanted


def complete(claimed: Claimed, *events: core_events.Event) -> None:
    """End a command in the caller's transaction; what the caller stored is undone if it is not ours any more."""
    steps = [
        Step(claimed.run, event, claimed.once if number == 0 else None)
        for number, event in enumerate(events)
    ]
    done = advance(endings=[Ending(claimed, "done", steps)])
    if claimed.lease in done.lost:
        raise LeaseLost(claimed.id)
    if claimed.lease in done.refused:
        raise done.refused[claimed.lease]


def _row(
    run: str, seq: int, command: core_commands.Command, payload: dict[str, Json], taken: bool
) -> store.Wanted:
    return store.Wanted(
        run,
        seq,
        command.kind,
        command.queue,
        canonical(payload),
        command.key,
        command.delay_ms,
        taken,
    )


def _ring_for(wanted: Sequence[store.Wanted], ids: Sequence[int]) -> None:
    by_queue: dict[str, list[int]] = defaultdict(list)
    for row, key in zip(wanted, ids, strict=True):
        if not row.taken and not row.delay_ms:
            by_queue[row.queue].append(key)
    for name, waiting in by_queue.items():
        transaction.on_commit(partial(_ring, name, waiting), robust=True)


def _ring(name: str, commands: list[int]) -> None:
    failpoint("stored-not-rung")
    queue.ring(name, commands)
