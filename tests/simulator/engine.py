"""The protocol under test, transaction by transaction, on simulated tables.

It follows orchestrator/engine statement for statement; the controller is the real one. A mutant is this
protocol with one line taken out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from orchestrator.core import commands as cm
from orchestrator.core import controller
from orchestrator.core import events as ev
from orchestrator.core.codec import canonical, read
from orchestrator.core.errors import IllegalTransition
from orchestrator.core.state import Moment, RunState, from_json, to_json
from tests.simulator.bell import Bell
from tests.simulator.options import CRASHES_MAX, LEASE_MS, Options
from tests.simulator.project import Projection
from tests.simulator.tables import CommandRow, EventRow, Tables

RING_AGAIN_AFTER_MS = 2_000


class LeaseLostError(Exception):
    """Somebody else has the command by now."""


@dataclass(frozen=True, slots=True)
class Step:
    run: str
    event: ev.Event
    key: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Claimed:
    id: int
    run: str
    kind: str
    payload: dict[str, Any]
    token: int
    tries: int


@dataclass(frozen=True, slots=True)
class Ending:
    claimed: Claimed
    status: str
    steps: tuple[Step, ...] = ()
    after_ms: float = 0.0
    crashed: bool = False
    # An effect whose call reached nobody.
    rests: str = ""


@dataclass(slots=True)
class Advanced:
    # Claims: a command that was taken over may have two in one batch.
    lost: set[Claimed] = field(default_factory=set)
    refused: set[Claimed] = field(default_factory=set)
    taken: list[Claimed] = field(default_factory=list)


@dataclass(slots=True)
class Moving:
    """A run as it was read. A lock holds from here to the commit."""

    state: RunState
    commands: list[tuple[int, cm.Command]] = field(default_factory=list)


class Engine:
    def __init__(
        self, options: Options, tables: Tables, bell: Bell, clock: Callable[[], float]
    ) -> None:
        self.options = options
        self.tables = tables
        self.bell = bell
        self._clock = clock
        self._projection = Projection(options, tables, clock)

    @property
    def now(self) -> float:
        """The database's clock, the only one that counts."""
        return self._clock()

    def is_mutant(self, name: str) -> bool:
        return name in self.options.mutants

    # Moving runs ---------------------------------------------------------------------------

    def advance(
        self,
        steps: Sequence[Step] = (),
        endings: Sequence[Ending] = (),
        *,
        room: int = 0,
        queue: str = "",
    ) -> Advanced:
        """Inside a transaction: steps all or none, endings each on its own."""
        batch = self.look_up({step.run for step in steps} | {end.claimed.run for end in endings})
        return self.write(batch, steps, endings, room=room, queue=queue)

    def look_up(self, runs: Iterable[str]) -> dict[str, Moving]:
        return {run: Moving(self.state_of(run)) for run in sorted(runs)}

    def write(
        self,
        batch: dict[str, Moving],
        steps: Sequence[Step],
        endings: Sequence[Ending],
        *,
        room: int = 0,
        queue: str = "",
    ) -> Advanced:
        done = Advanced()
        for step in steps:
            self._apply(batch, [step])
        for ending in endings:
            self._end(batch, ending, done)
        for run, moving in batch.items():
            for seq, command in moving.commands:
                takes = bool(room and command.queue == queue and not command.delay_ms)
                row = self.want(run, seq, command, takes)
                if takes:
                    room -= 1
                    done.taken.append(_claimed(row))
        return done

    def state_of(self, run: str) -> RunState:
        text = self.tables.runs[run].state
        return _state(text) if text else RunState()

    def _apply(self, batch: dict[str, Moving], steps: Sequence[Step]) -> None:
        """All steps or none. The log gives the number, as journal_append does."""
        if not steps:
            return
        moving, row = batch[steps[0].run], self.tables.runs[steps[0].run]
        state, seq = moving.state, row.seq
        lines, commands, changes = [], [], []
        for step in steps:
            seq += 1
            moment = Moment(seq, int(self.now))
            before = state
            state, wanted = controller.step(
                state, step.event, plan=row.workflow.plan, moment=moment
            )
            payload = canonical(ev.to_json(step.event))
            lines.append(EventRow(row.id, seq, step.event.kind, moment.at_ms, payload, step.key))
            commands += [(seq, command) for command in wanted if not self._forgets(command)]
            changes.append((before, state, step.event))
        for before, after, event in changes:
            self._projection.see(row, before, after, event)
        for line in lines:
            if line.key is not None:
                self.tables.event_keys.insert(line.key, True)
            self.tables.events.insert((row.id, line.seq), line)
        moving.state = state
        moving.commands += commands
        self.tables.changed.runs.setdefault(row.id, row.seq)
        self.tables.runs[row.id] = replace(
            row,
            seq=seq,
            state=canonical(to_json(state)),
            status=state.status,
            wakes_at=state.wakes_at_ms,
        )

    def _forgets(self, command: cm.Command) -> bool:
        return command.kind == "tell_parent" and self.is_mutant("parents are not told")

    def _end(self, batch: dict[str, Moving], ending: Ending, done: Advanced) -> None:
        """Only while the command is ours; what its run has no place for ends it and nothing else."""
        claimed = ending.claimed
        row = self.tables.commands[claimed.id]
        is_ours = row.status == "running" and row.token == claimed.token
        if not is_ours and not self.is_mutant("no fence"):
            done.lost.add(claimed)
            return
        status = ending.status
        try:
            if self.is_of_an_earlier_visit(batch[claimed.run].state, claimed.payload):
                raise IllegalTransition(
                    f"command {claimed.id}", "of an earlier visit", claimed.kind
                )
            self._apply(batch, ending.steps)
        except IllegalTransition:
            done.refused.add(claimed)
            status = "failed"
        if ending.rests and self.tables.effects[ending.rests].status == "calling":
            effect = self.tables.effects[ending.rests]
            self.tables.effects[ending.rests] = replace(effect, status="pending")
        self._store_ending(row, ending, status)

    def is_of_an_earlier_visit(self, state: RunState, payload: Mapping[str, Any]) -> bool:
        """A machine may come back to a work while its last call is still out."""
        visit = payload.get("visit")
        if visit is None or self.is_mutant("answers of any visit count"):
            return False
        known = state.works.get(payload["work"])
        return known is not None and known.visit != visit

    def _store_ending(self, row: CommandRow, ending: Ending, status: str) -> None:
        row = self.tables.commands[row.id]
        back = status == "pending"
        self.tables.changed.ended.append(row.id)
        self.tables.commands[row.id] = replace(
            row,
            status=status,
            ended_by=None if status == "running" else ending.claimed.token,
            lease_until=row.lease_until if status == "running" else None,
            not_before=self.now + ending.after_ms if back else row.not_before,
            rung_at=-RING_AGAIN_AFTER_MS if back else row.rung_at,
            crashes=row.crashes + ending.crashed,
        )

    def want(self, run: str, seq: int, command: cm.Command, takes: bool) -> CommandRow:
        key = len(self.tables.commands) + 1
        row = CommandRow(
            id=key,
            run=run,
            seq=seq,
            kind=command.kind,
            queue=command.queue,
            key=command.key,
            payload=canonical(cm.to_json(command)),
            status="running" if takes else "pending",
            not_before=self.now + self._delay_ms(command),
            rung_at=-RING_AGAIN_AFTER_MS if command.delay_ms else self.now,
            token=int(takes),
            tries=int(takes),
            lease_until=self.now + LEASE_MS if takes else None,
        )
        self.tables.command_keys.insert((run, command.key), key)
        self.tables.commands.insert(key, row)
        if not takes and not command.delay_ms:
            self.tables.on_commit(lambda: self.bell.ring(row.queue, [key]))
        return row

    def _delay_ms(self, command: cm.Command) -> int:
        is_hasty = self.is_mutant("what can be taken back runs at once")
        return 0 if is_hasty and command.kind == "run_effect" else command.delay_ms

    def open_item(self, run: str, kind: str, **values: Any) -> str:
        return self._projection.open_item(run, kind, **values)

    # Commands ------------------------------------------------------------------------------

    def claim(self, queue: str, at_most: int) -> list[Claimed]:
        """Ready means pending and due, by the database's clock; a new token each time."""
        ready = [
            row
            for row in self.tables.commands.values()
            if row.queue == queue
            and row.status == "pending"
            and row.not_before <= self.now
            and row.crashes < CRASHES_MAX
        ]
        claims = []
        until = self.now + LEASE_MS
        for row in sorted(ready, key=lambda row: (row.not_before, row.id))[:at_most]:
            taken = replace(
                row, status="running", token=row.token + 1, tries=row.tries + 1, lease_until=until
            )
            self.tables.commands[row.id] = taken
            claims.append(_claimed(taken))
        return claims

    def renew(self, held: Sequence[Claimed]) -> set[int]:
        still = set()
        for claimed in held:
            row = self.tables.commands[claimed.id]
            if row.status == "running" and row.token == claimed.token:
                self.tables.commands[row.id] = replace(row, lease_until=self.now + LEASE_MS)
                still.add(row.id)
        return still

    def complete(self, claimed: Claimed, *events: ev.Event) -> None:
        """End a command in the caller's transaction, or undo what the caller did."""
        key = f"cmd:{claimed.id}"
        steps = tuple(
            Step(claimed.run, event, key if number == 0 else None)
            for number, event in enumerate(events)
        )
        done = self.advance(endings=[Ending(claimed, "done", steps)])
        if claimed in done.lost:
            raise LeaseLostError
        if claimed in done.refused:
            raise IllegalTransition(f"command {claimed.id}", "outdated", claimed.kind)


def _claimed(row: CommandRow) -> Claimed:
    payload = read(row.payload)
    assert isinstance(payload, dict)
    return Claimed(row.id, row.run, row.kind, payload, row.token, row.tries)


@lru_cache(maxsize=512)
def _state(text: str) -> RunState:
    """Reading is most of the work, and nobody changes a state that was read."""
    data = read(text)
    assert isinstance(data, dict)
    return from_json(data)
