"""Replay: a recorded history must give the same commands and the same state with today's controller."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.core import commands as cm
from orchestrator.core import controller
from orchestrator.core import events as ev
from orchestrator.core.codec import Json, canonical, read
from orchestrator.core.errors import BadInput, IllegalTransition
from orchestrator.core.plan import DIRECT, Plan, read_plan
from orchestrator.core.state import Moment, RunState, to_json

# Format 1 had neither times nor a definition; every run of its day only carried proposals.
FORMAT = 2
FORMATS = (1, FORMAT)


class Step(Protocol):
    def __call__(
        self, state: RunState, event: ev.Event, /, *, plan: Plan, moment: Moment
    ) -> tuple[RunState, list[cm.Command]]: ...


@dataclass(frozen=True, slots=True)
class History:
    """One run as it was recorded: its events, what each of them caused, and the state at the end."""

    run: str
    events: tuple[ev.Event, ...]
    # By the sequence number of the event that caused them, in the stored form.
    commands: Mapping[int, tuple[str, ...]]
    state: str
    # When each event was written, in milliseconds since 1970.
    times: tuple[int, ...] = ()
    # The definition that the run follows, in the stored form.
    definition: str = ""

    @property
    def plan(self) -> Plan:
        found = read(self.definition) if self.definition else None
        return read_plan(found) if isinstance(found, dict) else DIRECT

    def moment_of(self, seq: int) -> Moment:
        return Moment(seq, self.times[seq - 1] if seq <= len(self.times) else 0)


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first place where today's controller does not do what was recorded."""

    run: str
    seq: int
    expected: str
    emitted: str

    def __str__(self) -> str:
        return (
            f"{self.run}: diverges at event {self.seq}\n"
            f"  recorded: {self.expected or 'nothing'}\n"
            f"  today:    {self.emitted or 'nothing'}"
        )


def first_divergence(history: History, step: Step = controller.step) -> Divergence | None:
    state, plan = RunState(), history.plan
    for seq, event in enumerate(history.events, start=1):
        expected = "; ".join(history.commands.get(seq, ()))
        try:
            state, commands = step(state, event, plan=plan, moment=history.moment_of(seq))
        except IllegalTransition as error:
            taken = expected or f"{event.kind} was taken"
            return Divergence(history.run, seq, taken, f"refused: {error}")
        emitted = "; ".join(stored_form(command) for command in commands)
        if emitted != expected:
            return Divergence(history.run, seq, expected, emitted)
    folded = canonical(to_json(state))
    if folded != history.state:
        return Divergence(history.run, len(history.events), history.state, folded)
    return None


def stored_form(command: cm.Command) -> str:
    return form_of(command.kind, command.key, canonical(cm.to_json(command)))


def form_of(kind: str, key: str, payload: str) -> str:
    return f"{kind} {key} {payload}"


def to_file(history: History) -> dict[str, Json]:
    """As a file that people can read and a later version can replay."""
    commands: dict[str, Json] = {str(seq): list(said) for seq, said in history.commands.items()}
    return {
        "format": FORMAT,
        "run": history.run,
        "events": [{"kind": event.kind, **ev.to_json(event)} for event in history.events],
        "times": list(history.times),
        "definition": read(history.definition) if history.definition else None,
        "commands": commands,
        "state": history.state,
    }


def from_file(data: Any) -> History:
    if not isinstance(data, dict) or data.get("format") not in FORMATS:
        raise BadInput("format", f"this is not a history of format {FORMAT} or older.")
    try:
        return History(
            run=data["run"],
            events=tuple(ev.from_json(event["kind"], event) for event in data["events"]),
            commands={int(seq): tuple(said) for seq, said in data["commands"].items()},
            state=data["state"],
            times=tuple(data.get("times", ())),
            definition=canonical(data["definition"]) if data.get("definition") else "",
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput("history", f"it is incomplete or of another kind ({error!r}).") from error
