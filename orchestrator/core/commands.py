"""What to do next, in the imperative. A command is stored with the event that caused it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar

from orchestrator.core.codec import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    kind: ClassVar[str]
    # Not before this long after the event; the database's clock decides.
    delay_ms: int = 0

    @property
    def queue(self) -> str:
        """Which workers may take it."""
        return "agents"

    @property
    def key(self) -> str:
        """Equal for every attempt to say the same thing: within its run, the second is refused."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEffect(Command):
    kind: ClassVar[str] = "run_effect"
    proposal: str
    effect: str
    digest: str
    # Counts how often a person said "it did not happen, run it again".
    again: int = 0

    @property
    def queue(self) -> str:
        return "effects"

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.effect}" + (f":{self.again}" if self.again else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBack(Command):
    """Undo an effect that was done, by the means its executor declares."""

    kind: ClassVar[str] = "roll_back"
    proposal: str
    effect: str
    digest: str
    # Counts how often it was asked for, first by whoever wants it undone, then by whoever retries.
    again: int = 0

    @property
    def queue(self) -> str:
        return "effects"

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.effect}:{self.again}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAgent(Command):
    """One call of one agent. What it is handed is named by sequence number; the log has the bytes."""

    kind: ClassVar[str] = "run_agent"
    work: str
    attempt: int
    # The number of the event that came to this work: a machine may come to it twice.
    visit: int
    index: int = 0
    isolated: bool = False
    inputs: Mapping[str, Json] = field(default_factory=dict)
    # Of a call that goes on: which turn it is, the event that asked, and where each answer stands.
    turn: int = 0
    asked: int = 0
    answers: tuple[int, ...] = ()
    # Which of the members is asked, and where the task stands that this call is about.
    who: str = ""
    item: Mapping[str, Json] = field(default_factory=dict)
    # The classes of the data that came into the run from outside.
    classes: tuple[str, ...] = ()

    @property
    def queue(self) -> str:
        return "isolated" if self.isolated else "agents"

    @property
    def key(self) -> str:
        turn = f":{self.turn}" if self.turn else ""
        return f"{self.kind}:{self.work}:{self.visit}:{self.index}:{self.attempt}{turn}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunShadow(Command):
    """Ask another version of an agent what one was asked that answered, and keep both. Nothing follows."""

    kind: ClassVar[str] = "run_shadow"
    work: str
    attempt: int
    visit: int
    shadow: int
    # The version that answered.
    beside: str
    # Where the answer that counts stands in the log.
    answer: int
    index: int = 0
    inputs: Mapping[str, Json] = field(default_factory=dict)
    who: str = ""
    item: Mapping[str, Json] = field(default_factory=dict)
    classes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.work}:{self.visit}:{self.index}:{self.attempt}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Propose(Command):
    """Put an agent's output, or what it asks for, before guardrails and, where they say so, people."""

    kind: ClassVar[str] = "propose"
    work: str
    # The event that has it.
    output: int
    visit: int = 0
    # Which of its asks, counted from 1.
    ask: int = 0

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.output}" + (f":{self.ask}" if self.ask else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Validate(Command):
    """Ask one validator what it thinks of a proposal. The policy of that number has its rubric."""

    kind: ClassVar[str] = "validate"
    proposal: str
    validator: str
    policy: int

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.proposal}:{self.validator}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispose(Command):
    """All validators were heard: ask guardrails and bands what becomes of the proposal."""

    kind: ClassVar[str] = "dispose"
    proposal: str

    @property
    def queue(self) -> str:
        # Not behind the agents: however slow these are, what they did not say in time goes to people.
        return "effects"

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.proposal}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AskPerson(Command):
    kind: ClassVar[str] = "ask_person"
    work: str
    visit: int

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.work}:{self.visit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartChild(Command):
    kind: ClassVar[str] = "start_child"
    work: str
    workflow: str
    visit: int
    inputs: Mapping[str, Json] = field(default_factory=dict)
    # For one part of the work: which, at which attempt, and where its task stands.
    index: int = 0
    attempt: int = 0
    who: str = ""
    item: Mapping[str, Json] = field(default_factory=dict)

    @property
    def key(self) -> str:
        part = f":{self.index}:{self.attempt}" if self.attempt else ""
        return f"{self.kind}:{self.work}:{self.visit}{part}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRun(Command):
    """End a run that this one started and waits for no longer."""

    kind: ClassVar[str] = "cancel_run"
    run: str

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.run}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish(Command):
    """Tell every run that waits for the topic what the work before it said."""

    kind: ClassVar[str] = "publish"
    work: str
    topic: str
    visit: int
    inputs: Mapping[str, Json] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.work}:{self.visit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TellParent(Command):
    kind: ClassVar[str] = "tell_parent"
    parent: str
    work: str
    index: int = 0

    @property
    def key(self) -> str:
        return self.kind


def to_json(command: Command) -> dict[str, Json]:
    """Without what is as it always is: a delay of 0, a first round."""
    return {
        name: value
        for name in _NAMES[type(command)]
        if (value := getattr(command, name)) not in (0, {}, "", ())
    }


_NAMES: dict[type[Command], tuple[str, ...]] = {
    kind: tuple(found.name for found in fields(kind))
    for kind in (
        RunEffect,
        RollBack,
        RunAgent,
        RunShadow,
        Propose,
        Validate,
        Dispose,
        AskPerson,
        StartChild,
        CancelRun,
        Publish,
        TellParent,
    )
}
