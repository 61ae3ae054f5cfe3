"""Every refusal of Countersign, as a tree. An error carries attributes; its sentence is made from them.

CountersignError
├── BadJson                 outside data that cannot be stored and read back
├── BadInput                a field of a request is wrong
├── NotJson                 the body says it is something else
├── NotAllowed              this person or token may not do this
├── NotFound
├── RuleInvalid             a condition that does not compile
├── QueueFull               too much is waiting; ask again later
├── IllegalTransition       the state does not allow this event
├── Conflict
│   ├── AlreadyDecided      somebody else was first
│   ├── ItemChanged         the reviewer looked at an older version
│   ├── KeyReused           same idempotency key, another body
│   └── KeyInFlight         same idempotency key, still being answered
└── EffectError
    ├── EffectRefused       the target said no; trying again would not help
    ├── EffectInterrupted   the call ended without an answer; it may have happened
    └── EffectUnavailable   the target could not be reached; trying again may help
"""

from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(eq=False)
class CountersignError(Exception):
    """Something was refused."""

    code: ClassVar[str] = "refused"

    def __post_init__(self) -> None:
        super().__init__(str(self))

    def __str__(self) -> str:
        return (self.__doc__ or "").strip().format_map(vars(self))


@dataclass(eq=False)
class BadJson(CountersignError):
    """The data was refused and nothing was stored: {reason}"""

    code: ClassVar[str] = "bad-json"
    reason: str
    too_large: bool = False


@dataclass(eq=False)
class BadInput(CountersignError):
    """{field}: {reason}"""

    code: ClassVar[str] = "bad-input"
    field: str
    reason: str


@dataclass(eq=False)
class NotJson(CountersignError):
    """The body is {content_type!r}. Send it as application/json."""

    code: ClassVar[str] = "not-json"
    content_type: str


@dataclass(eq=False)
class NotAllowed(CountersignError):
    """{who} may not {what}. {advice}"""

    code: ClassVar[str] = "not-allowed"
    who: str
    what: str
    advice: str = ""

    def __str__(self) -> str:
        return super().__str__().strip()


@dataclass(eq=False)
class NotFound(CountersignError):
    """There is no {kind} {key} that you can see."""

    code: ClassVar[str] = "not-found"
    kind: str
    key: str


@dataclass(eq=False)
class RuleInvalid(CountersignError):
    """The condition does not compile: {reason} (line {line}, column {column})"""

    code: ClassVar[str] = "rule-invalid"
    reason: str
    line: int = 1
    column: int = 1


@dataclass(eq=False)
class QueueFull(CountersignError):
    """The queue {queue} holds {pending} commands, its limit. Nothing was stored; send it again in {retry_after_s} s."""

    code: ClassVar[str] = "queue-full"
    queue: str
    pending: int
    retry_after_s: int = 5


@dataclass(eq=False)
class IllegalTransition(CountersignError):
    """{subject} is {status}; {event} cannot happen to it now."""

    code: ClassVar[str] = "illegal-transition"
    subject: str
    status: str
    event: str


@dataclass(eq=False)
class Conflict(CountersignError):
    """Somebody else was faster."""

    code: ClassVar[str] = "conflict"


@dataclass(eq=False)
class AlreadyDecided(Conflict):
    """{winner} was first: {verdict} at {at}. Your decision was not recorded."""

    code: ClassVar[str] = "already-decided"
    winner: str
    verdict: str
    at: str


@dataclass(eq=False)
class ItemChanged(Conflict):
    """This item changed while you looked at it (you saw version {seen}, it is now {current}). Your decision was not recorded; look again."""

    code: ClassVar[str] = "item-changed"
    seen: int
    current: int


@dataclass(eq=False)
class KeyReused(Conflict):
    """The idempotency key {key!r} was used before with another request. Nothing was done; use a new key."""

    code: ClassVar[str] = "idempotency-key-reused"
    key: str


@dataclass(eq=False)
class KeyInFlight(Conflict):
    """A request with the idempotency key {key!r} is being answered right now. Ask again in a moment."""

    code: ClassVar[str] = "idempotency-key-in-flight"
    key: str


@dataclass(eq=False)
class EffectError(CountersignError):
    """The effect failed: {reason}"""

    code: ClassVar[str] = "effect-failed"
    reason: str
    retryable: ClassVar[bool] = False


@dataclass(eq=False)
class EffectRefused(EffectError):
    """The target refused the effect: {reason}"""

    code: ClassVar[str] = "effect-refused"


@dataclass(eq=False)
class EffectInterrupted(EffectError):
    """The call ended without an answer, so it may have happened: {reason}"""

    code: ClassVar[str] = "effect-interrupted"
    retryable: ClassVar[bool] = True


@dataclass(eq=False)
class EffectUnavailable(EffectError):
    """The target could not be reached: {reason}"""

    code: ClassVar[str] = "effect-unavailable"
    retryable: ClassVar[bool] = True
    retry_after_s: float | None = field(default=None)
