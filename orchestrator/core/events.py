"""What can happen, in the past tense. Events are stored for ever: add fields, never change one."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar

from orchestrator.core.codec import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    kind: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """`intent` is what was wanted; every agent of the run is handed it, word for word."""

    kind: ClassVar[str] = "run_started"
    workflow: str
    version: int
    pattern: str
    # The hash of the definition that the run follows to its end, whatever is saved later.
    definition: str = ""
    intent: Json = None
    by: str = ""
    # The run and the work that wait for this one, and the workflows on the way down to it.
    parent: str = ""
    parent_work: str = ""
    lineage: tuple[str, ...] = ()
    # The span of the caller's own trace that asked for it, as W3C Trace Context writes it.
    traceparent: str = ""
    # Which part of that work, where it has several.
    parent_index: int = 0
    # How many supervisors may stand below those above; -1 when there is none above.
    delegations: int = -1
    # Whatever chance the pattern needs comes from here.
    seed: int = 0
    # Runs that it started and waits for no longer are cancelled. Those of earlier runs ran on.
    cancels_below: bool = False
    # What it asked for and waits for no longer is withdrawn. In earlier runs people could still approve it.
    withdraws: bool = False
    # What tools had said to the run that started it, or that it is too much to follow.
    untrusted: tuple[Json, ...] = ()
    taints_all: bool = False
    # The classes of data of the run that started it.
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkFinished(Event):
    """An agent answered, and its answer fits its schema."""

    kind: ClassVar[str] = "work_finished"
    work: str
    attempt: int
    index: int = 0
    output: Json = None
    tokens_in: int = 0
    tokens_out: int = 0
    money_micros: int = 0
    # Nobody knows what it cost; what the sum lacks is not nothing.
    unpriced: bool = False
    took_ms: int = 0
    # Whatever chance the agent needed came from here.
    seed: int = 0
    # What answered: name, version, model, prompt hash.
    agent: Mapping[str, str] = field(default_factory=dict)
    # Which coming to the work it answers; a machine may have come to it again since.
    visit: int = 0
    turn: int = 1
    # The version of the agent that is asked the same beside it, without consequence; 0 is none.
    shadow: int = 0
    # What tools said to it, as with what is asked for.
    untrusted: tuple[Json, ...] = ()
    taints_all: bool = False
    # Shared memory: what it was handed, as pairs of an id and a digest; what it wants remembered; and
    # what of that was left out, in words.
    recalled: tuple[Sequence[str], ...] = ()
    remembered: tuple[dict[str, Json], ...] = ()
    memory_notes: tuple[str, ...] = ()
    # What it was not handed, in words: more than its budget of tokens, or closed to its classes of data.
    notes: tuple[str, ...] = ()
    # The classes of what it was handed of it that nobody had said of this work.
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkFailed(Event):
    """One attempt came to nothing. `error` says who, where, why, and whether to try again."""

    kind: ClassVar[str] = "work_failed"
    work: str
    attempt: int
    error: dict[str, Json]
    index: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    money_micros: int = 0
    # Nobody knows what it cost; what the sum lacks is not nothing.
    unpriced: bool = False
    took_ms: int = 0
    agent: Mapping[str, str] = field(default_factory=dict)
    visit: int = 0
    turn: int = 1
    # What of shared memory it was handed, and the classes of it that nobody had said of this work.
    recalled: tuple[Sequence[str], ...] = ()
    classes: tuple[str, ...] = ()
    # What it was not handed, in words.
    notes: tuple[str, ...] = ()
    # The reason itself, which may quote what tools had said: it is handed to whoever goes on.
    untrusted: tuple[Json, ...] = ()
    taints_all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkAsked(Event):
    """An agent asks for what would change something. Each ask becomes a proposal of its own, and the
    call goes on in another turn once all of them are settled."""

    kind: ClassVar[str] = "work_asked"
    work: str
    attempt: int
    # Each with its key, tool, action, target and args; one with an `error` is refused already.
    asks: tuple[dict[str, Json], ...]
    index: int = 0
    turn: int = 1
    # What the agent wants back in its next turn.
    memory: Json = None
    # What tools said to it so far, each with its origin in words: followed into what it asks for.
    untrusted: tuple[Json, ...] = ()
    # That was too much to follow: whatever it asks for counts as tainted.
    taints_all: bool = False
    tokens_in: int = 0
    tokens_out: int = 0
    money_micros: int = 0
    # Nobody knows what it cost; what the sum lacks is not nothing.
    unpriced: bool = False
    took_ms: int = 0
    seed: int = 0
    agent: Mapping[str, str] = field(default_factory=dict)
    visit: int = 0
    # What of shared memory it was handed, and the classes of it that nobody had said of this work.
    recalled: tuple[Sequence[str], ...] = ()
    classes: tuple[str, ...] = ()
    # What it was not handed, in words.
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AskRefused(Event):
    """What was asked for could not even be proposed. The agent hears why."""

    kind: ClassVar[str] = "ask_refused"
    work: str
    # The event that asked, and which of its asks, counted from 1.
    asked: int
    ask: int
    error: dict[str, Json]
    visit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonAsked(Event):
    """A review item waits for people before the run goes on."""

    kind: ClassVar[str] = "person_asked"
    work: str
    item: str
    visit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonAnswered(Event):
    kind: ClassVar[str] = "person_answered"
    work: str
    item: str
    decision: str
    by: str
    verdict: str
    reason: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalReceived(Event):
    """Somebody outside told the run something it may be waiting for."""

    kind: ClassVar[str] = "signal_received"
    name: str
    by: str
    data: Json = None
    # The data itself, where whoever sent it said that it is somebody else's words.
    untrusted: tuple[Json, ...] = ()
    taints_all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildStarted(Event):
    kind: ClassVar[str] = "child_started"
    work: str
    run: str
    visit: int = 0
    index: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEnded(Event):
    kind: ClassVar[str] = "child_ended"
    work: str
    run: str
    status: str
    output: Json = None
    error: dict[str, Json] | None = None
    index: int = 0
    # What it spent, with all runs below it.
    tokens: int = 0
    money_micros: int = 0
    # Of some of that nobody knows what it cost; what the sum lacks is not nothing.
    unpriced: bool = False
    # What tools said to it and to all runs below it, or that it is too much to follow.
    untrusted: tuple[Json, ...] = ()
    taints_all: bool = False
    # Its classes of data: what its definition says, and what came into it.
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpent(Event):
    """A run that nobody waits for any more ended. It decides nothing; what it spent, it spent for this one."""

    kind: ClassVar[str] = "child_spent"
    work: str
    run: str
    status: str
    tokens: int = 0
    money_micros: int = 0
    unpriced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(Event):
    """A message went to every run that waited for its topic, in the transaction of this event."""

    kind: ClassVar[str] = "published"
    work: str
    topic: str
    # How many waited when it was sent.
    reached: int = 0
    visit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived(Event):
    """Another run published something that this one waits for."""

    kind: ClassVar[str] = "message_received"
    topic: str
    run: str
    data: Json = None
    # The message itself, when tools had said something to its sender.
    untrusted: tuple[Json, ...] = ()
    taints_all: bool = False
    # The classes of data of its sender.
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeReached(Event):
    """The database's clock passed the earliest time the run was waiting for."""

    kind: ClassVar[str] = "time_reached"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCancelled(Event):
    kind: ClassVar[str] = "run_cancelled"
    by: str
    reason: str
    # With it goes what was proposed and nobody has decided about; before, that stayed to be looked at.
    withdraws: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalReceived(Event):
    """An agent suggested an action. Nothing has been checked yet."""

    kind: ClassVar[str] = "proposal_received"
    proposal: str
    action: str
    digest: str
    agent: str
    agent_version: str
    model: str
    # The work of this run whose output it is; empty for a proposal from outside.
    work: str = ""
    visit: int = 0
    # The proposal in whose place it stands.
    revises: str = ""
    # The person who wrote this revision; empty when an agent did.
    edited_by: str = ""
    # The event in which an agent asked for it, and which of its asks it is, counted from 1.
    asked: int = 0
    ask: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationRequested(Event):
    """The policy wants to hear validators first. What they have not said within `due_s` is not waited for."""

    kind: ClassVar[str] = "validation_requested"
    proposal: str
    policy_version: int
    validators: tuple[str, ...]
    due_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationFinished(Event):
    """A validator said what it thinks, in the form that is asked for."""

    kind: ClassVar[str] = "validation_finished"
    proposal: str
    validator: str
    policy_version: int
    score: float
    verdict: str
    reasons: tuple[str, ...] = ()
    # Over the rubric and what it was shown.
    inputs: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    money_micros: int = 0
    # Nobody knows what it cost; what the sum lacks is not nothing.
    unpriced: bool = False
    took_ms: int = 0
    # Whatever chance the agent needed came from here.
    seed: int = 0
    # What answered: name, version, model, prompt hash.
    agent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationFailed(Event):
    """A validator gave no answer that counts. That is a doubt, and never a yes."""

    kind: ClassVar[str] = "validation_failed"
    proposal: str
    validator: str
    policy_version: int
    error: dict[str, Json]
    inputs: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    money_micros: int = 0
    # Nobody knows what it cost; what the sum lacks is not nothing.
    unpriced: bool = False
    took_ms: int = 0
    seed: int = 0
    agent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalWithdrawn(Event):
    """Nobody says any more what becomes of it, so nothing does."""

    kind: ClassVar[str] = "proposal_withdrawn"
    proposal: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalDisposed(Event):
    """Guardrails and evaluation have spoken. `rules` names every version that had a say."""

    kind: ClassVar[str] = "proposal_disposed"
    proposal: str
    disposition: str
    score: float | None
    policy_version: int
    rules: tuple[dict[str, Json], ...]
    approvals_needed: int = 0
    item: str | None = None
    effect: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalReopened(Event):
    """Somebody asks people to look at what a rule blocked. It takes as many as `approvals_needed`."""

    kind: ClassVar[str] = "proposal_reopened"
    proposal: str
    item: str
    by: str
    note: str
    approvals_needed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalGiven(Event):
    """One of several people needed has approved; it is not yet enough."""

    kind: ClassVar[str] = "approval_given"
    proposal: str
    item: str
    decision: str
    by: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalApproved(Event):
    kind: ClassVar[str] = "proposal_approved"
    proposal: str
    item: str
    decision: str
    by: str
    digest: str
    effect: str
    # For so long it can be taken back, and does not run.
    undo_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionUndone(Event):
    """Whoever decided took it back in time. The item is open again, as if they had not spoken."""

    kind: ClassVar[str] = "decision_undone"
    proposal: str
    item: str
    decision: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionRequested(Event):
    """A person sent it back to its agent, in words."""

    kind: ClassVar[str] = "revision_requested"
    proposal: str
    item: str
    decision: str
    by: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalSuperseded(Event):
    """Another proposal is about to stand in its place. Every approval it had is void."""

    kind: ClassVar[str] = "proposal_superseded"
    proposal: str
    revision: str
    by: str
    item: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalRejected(Event):
    kind: ClassVar[str] = "proposal_rejected"
    proposal: str
    item: str
    decision: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalExpired(Event):
    """Nobody answered in time. What expires does not run."""

    kind: ClassVar[str] = "proposal_expired"
    proposal: str
    item: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectStarted(Event):
    """The intent, written before the call, so that a crash in between leaves a trace."""

    kind: ClassVar[str] = "effect_started"
    proposal: str
    effect: str
    digest: str
    executor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectSucceeded(Event):
    kind: ClassVar[str] = "effect_succeeded"
    proposal: str
    effect: str
    receipt: dict[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectFailed(Event):
    kind: ClassVar[str] = "effect_failed"
    proposal: str
    effect: str
    error: dict[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectLost(Event):
    """It was called and nobody knows whether it happened. Only a person can find out."""

    kind: ClassVar[str] = "effect_lost"
    proposal: str
    effect: str
    error: dict[str, Json]
    # Where people are asked about it: only that settles it.
    item: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectSettled(Event):
    """A person found out what became of a lost effect: `happened`, `not_happened`, or `retry`."""

    kind: ClassVar[str] = "effect_settled"
    proposal: str
    effect: str
    item: str
    decision: str
    by: str
    verdict: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackRequested(Event):
    """A person wants undone what was done. Its executor declares how."""

    kind: ClassVar[str] = "rollback_requested"
    proposal: str
    effect: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackDone(Event):
    kind: ClassVar[str] = "rollback_done"
    proposal: str
    effect: str
    receipt: dict[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackFailed(Event):
    """What was done still stands, and a person is told."""

    kind: ClassVar[str] = "rollback_failed"
    proposal: str
    effect: str
    error: dict[str, Json]
    # Where people are asked about it: only that settles it.
    item: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackSettled(Event):
    """A person said what becomes of a failed rollback: `retry`, `happened` (undone by hand), `give_up`."""

    kind: ClassVar[str] = "rollback_settled"
    proposal: str
    effect: str
    item: str
    decision: str
    by: str
    verdict: str
    note: str = ""


KINDS: dict[str, type[Event]] = {
    event.kind: event
    for event in (
        RunStarted,
        WorkFinished,
        WorkFailed,
        WorkAsked,
        AskRefused,
        PersonAsked,
        PersonAnswered,
        SignalReceived,
        ChildStarted,
        ChildEnded,
        ChildSpent,
        Published,
        MessageReceived,
        TimeReached,
        RunCancelled,
        ProposalReceived,
        ValidationRequested,
        ValidationFinished,
        ValidationFailed,
        ProposalWithdrawn,
        ProposalDisposed,
        ProposalReopened,
        ApprovalGiven,
        ProposalApproved,
        DecisionUndone,
        RevisionRequested,
        ProposalSuperseded,
        ProposalRejected,
        ProposalExpired,
        EffectStarted,
        EffectSucceeded,
        EffectFailed,
        EffectLost,
        EffectSettled,
        RollbackRequested,
        RollbackDone,
        RollbackFailed,
        RollbackSettled,
    )
}


def to_json(event: Event) -> dict[str, Json]:
    """Fields that are as they are by default are left out; reading puts them back."""
    data: dict[str, Json] = {}
    for name, default, _ in _SHAPES[event.kind]:
        value = getattr(event, name)
        if default is MISSING or value != default:
            data[name] = value
    return data


def from_json(kind: str, data: dict[str, Any]) -> Event:
    """Fields this version does not know are left out; a missing one with a default takes it."""
    return KINDS[kind](
        **{
            name: tuple(data[name]) if is_tuple else data[name]
            for name, _, is_tuple in _SHAPES[kind]
            if name in data
        }
    )


def value_of(event: Event) -> Json:
    """What an event brought that later works may be handed."""
    if isinstance(event, PersonAnswered):
        return {"by": event.by, "note": event.note, "verdict": event.verdict}
    if isinstance(event, ChildStarted):
        return {"run": event.run}
    if isinstance(event, Published):
        return {"reached": event.reached}
    for name in ("output", "data", "intent"):
        found: Json = getattr(event, name, None)
        if found is not None:
            return found
    return None


def _default(found: Field[Any]) -> Any:
    made = found.default_factory
    return made() if made is not MISSING else found.default


# Of each kind its fields: the name, the default, and whether it is a tuple.
_SHAPES: dict[str, tuple[tuple[str, Any, bool], ...]] = {
    kind: tuple(
        (found.name, _default(found), str(found.type).startswith("tuple"))
        for found in fields(event)
    )
    for kind, event in KINDS.items()
}
