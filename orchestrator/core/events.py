"""What can happen, in the past tense. Events are stored for ever: add fields, never change one."""

from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from orchestrator.core.codec import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    kind: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    kind: ClassVar[str] = "run_started"
    workflow: str
    version: int
    pattern: str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalDisposed(Event):
    """Guardrails and evaluation have spoken. `rules` names every version that was asked."""

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


KINDS: dict[str, type[Event]] = {
    event.kind: event
    for event in (
        RunStarted,
        ProposalReceived,
        ProposalDisposed,
        ApprovalGiven,
        ProposalApproved,
        ProposalRejected,
        ProposalExpired,
        EffectStarted,
        EffectSucceeded,
        EffectFailed,
        EffectLost,
    )
}


def to_json(event: Event) -> dict[str, Json]:
    return {name: _plain(value) for name, value in asdict(event).items()}


def from_json(kind: str, data: dict[str, Any]) -> Event:
    """Fields this version does not know are left out; a missing one with a default takes it."""
    event = KINDS[kind]
    known = {field.name for field in fields(event)}
    return event(**{name: _frozen(value) for name, value in data.items() if name in known})


def _plain(value: Any) -> Json:
    plain: Json = list(value) if isinstance(value, tuple) else value
    return plain


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
