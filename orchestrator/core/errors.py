"""Every refusal of Countersign, as a tree. An error carries attributes; its sentence is made from them.

CountersignError
├── BadJson                 outside data that cannot be stored and read back
├── BadInput                a field of a request is wrong
├── NotJson                 the body says it is something else
│   └── NotCloudEvent       likewise, where an event is expected
├── NotAllowed              this person or token may not do this
├── NotFound
├── StageWrong              a rule version is not where that could be done to it
├── StillNeeded             a team or a reason that something else rests on
├── RuleInvalid             a condition that does not compile
│   └── HistoryInvalid      a window over the past that cannot be read
├── DefinitionInvalid       a workflow that could not run as it is written
│   ├── RoutesInvalid       routes that could not decide as they are written
│   ├── ContractInvalid     a contract that nobody could keep
│   └── ArgumentsInvalid    arguments that do not fit the contract of their action
├── ContractIncompatible    a version that would break what the one before promised
├── QueueFull               too much is waiting; ask again later
├── IllegalTransition       the state does not allow this event
├── LeaseLost               a worker was too slow, and another one has its command
├── CheckpointRefused       the log, or a copy of its checkpoints, is not what was signed before
├── EvaluationSetBroken     a file of labelled examples that is not as it was written
├── KeyUnusable             the key of the checkpoints cannot be read or made
├── SecretUnreadable        a stored secret was sealed with another SECRET_KEY
├── TooManyTries            too many guesses at a password or code; try again later
├── Conflict
│   ├── AlreadyDecided      somebody else was first
│   ├── ItemChanged         the reviewer looked at an older version
│   ├── BatchChanged        likewise, of several items at once
│   ├── RuleChanged         somebody else wrote a version of the rule in between
│   ├── SuggestionChanged   people judged more meanwhile, and something else is suggested
│   ├── ChangeWaiting       somebody already asked for a change of the rule
│   ├── RoutesChanged       somebody else saved routes in between
│   ├── ContractChanged     likewise, a version of the contract
│   ├── AgentChanged        likewise, a version of the agent
│   ├── EndpointChanged     somebody changed the endpoint in between
│   ├── StandDownLifted     somebody allowed automatic accepting already
│   ├── KeyReused           same idempotency key, another body
│   └── KeyInFlight         same idempotency key, still being answered
├── EffectError
│   ├── EffectRefused       the target said no; trying again would not help
│   ├── EffectInterrupted   the call ended without an answer; it may have happened
│   └── EffectUnavailable   the target could not be reached; trying again may help
├── ToolError               a tool failed, and nobody knows what it did before
│   ├── ToolRefused         it said no, or was not called; nothing was done
│   │   └── ToolChanged     what it says of itself is not what was approved
│   ├── ToolUnavailable     nothing reached it; asking again may help
│   └── ToolTimedOut        no answer in time
└── AgentError              what an agent did not foresee; the others say what it was
    ├── AgentRefused        the agent said no; asking again would not help
    ├── AgentUnknown        this worker has no such agent
    ├── NoEndpoint          none may see the data of the run; nothing was sent
    ├── AgentMayNot         its tier does not allow what the workflow asks of it
    ├── AgentUnavailable    the agent could not be reached; asking again may help
    ├── AgentTimedOut       no answer in time
    ├── AgentCrashed        its process ended without an answer
    └── OutputInvalid       it answered, and not with what was agreed
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple


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
class NotCloudEvent(NotJson):
    """The body is {content_type!r}. Send a CloudEvent as application/cloudevents+json, or a list of them as application/cloudevents-batch+json."""


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
class StageWrong(CountersignError):
    """{what} is {stage}: you cannot {wish}. {advice}"""

    code: ClassVar[str] = "stage-wrong"
    what: str
    stage: str
    wish: str
    advice: str


@dataclass(eq=False)
class StillNeeded(CountersignError):
    """{what} is still needed: {why}. Nothing was changed. {advice}"""

    code: ClassVar[str] = "still-needed"
    what: str
    why: str
    advice: str


@dataclass(eq=False)
class RuleInvalid(CountersignError):
    """The condition does not compile: {reason} (line {line}, column {column})"""

    code: ClassVar[str] = "rule-invalid"
    reason: str
    line: int = 1
    column: int = 1


class Problem(NamedTuple):
    """One thing that is wrong with a document: where, as a JSON pointer, and what."""

    pointer: str
    reason: str

    def __str__(self) -> str:
        return f"{self.pointer or 'the whole'}: {self.reason}"


@dataclass(eq=False)
class HistoryInvalid(RuleInvalid):
    """The history of the rule cannot be read: {reason}"""

    code: ClassVar[str] = "history-invalid"
    # Every one of them; `reason` is the first.
    problems: Sequence[Problem] = ()


@dataclass(eq=False)
class DefinitionInvalid(CountersignError):
    """The workflow was not saved: {first}"""

    code: ClassVar[str] = "definition-invalid"
    # Every one of them, so that one round of corrections is enough.
    problems: Sequence[Problem]

    def __str__(self) -> str:
        first, more = self.problems[0], len(self.problems) - 1
        counted = f" (and {more} more)" if more else ""
        return (self.__doc__ or "").format_map({**vars(self), "first": first}) + counted


@dataclass(eq=False)
class RoutesInvalid(DefinitionInvalid):
    """The routes were not saved: {first}"""

    code: ClassVar[str] = "routes-invalid"


@dataclass(eq=False)
class ContractInvalid(DefinitionInvalid):
    """The contract was not saved: {first}"""

    code: ClassVar[str] = "contract-invalid"


@dataclass(eq=False)
class ArgumentsInvalid(DefinitionInvalid):
    """Nothing was proposed, because the arguments do not fit the contract {contract}: {first}"""

    code: ClassVar[str] = "arguments-invalid"
    contract: str


@dataclass(eq=False)
class ContractIncompatible(CountersignError):
    """The contract was not saved: {reason} Save it under another name, or change less."""

    code: ClassVar[str] = "contract-incompatible"
    reason: str
    # Where and why the counterexample is refused; without any there is none to show.
    problems: Sequence[Problem] = ()
    counterexample: object = None


@dataclass(eq=False)
class QueueFull(CountersignError):
    """Too much is waiting already ({queue}: {pending}, its limit). Nothing was stored; send it again in {retry_after_s} s."""

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
class LeaseLost(CountersignError):
    """The command {command} is somebody else's by now; nothing of this attempt was stored."""

    code: ClassVar[str] = "lease-lost"
    command: int


@dataclass(eq=False)
class CheckpointRefused(CountersignError):
    """{reason} Nothing was signed. {advice}"""

    code: ClassVar[str] = "checkpoint-refused"
    reason: str
    advice: str


@dataclass(eq=False)
class EvaluationSetBroken(CountersignError):
    """Line {line}: {reason} Nothing of the set should be used; export it again."""

    code: ClassVar[str] = "evaluation-set-broken"
    line: int
    reason: str


@dataclass(eq=False)
class KeyUnusable(CountersignError):
    """The key {path} cannot be used: {reason}. Nothing was signed or verified with it."""

    code: ClassVar[str] = "key-unusable"
    path: str
    reason: str


@dataclass(eq=False)
class SecretUnreadable(CountersignError):
    """A stored secret cannot be read, because it was sealed with another SECRET_KEY. Set the old one again, or have an admin reset the sign-in of whom it belongs to."""

    code: ClassVar[str] = "secret-unreadable"


@dataclass(eq=False)
class TooManyTries(CountersignError):
    """Too many tries. Nothing was checked; try again in {minutes} min."""

    code: ClassVar[str] = "too-many-tries"
    wait_s: int

    @property
    def minutes(self) -> int:
        return -(-self.wait_s // 60)

    def __str__(self) -> str:
        return (self.__doc__ or "").format(minutes=self.minutes)


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
class HeldByOther(Conflict):
    """{holder} holds this item until {until}. Yours was not recorded; what you wrote is kept."""

    code: ClassVar[str] = "held-by-other"
    holder: str
    until: str


@dataclass(eq=False)
class HoldLost(Conflict):
    """You do not hold this item any more. Nothing was recorded; take it again, what you wrote is kept."""

    code: ClassVar[str] = "hold-lost"
    item: str


@dataclass(eq=False)
class TargetChanged(Conflict):
    """The target changed since you looked at it. Nothing was recorded; look at its state and decide again."""

    code: ClassVar[str] = "target-changed"
    item: str


@dataclass(eq=False)
class NotWaitingForRevision(Conflict):
    """{proposal} is {status}, so no revision of it is wanted. Nothing was stored; submit a new proposal."""

    code: ClassVar[str] = "no-revision-wanted"
    proposal: str
    status: str


@dataclass(eq=False)
class BatchChanged(Conflict):
    """It is not what it was: {seen} would have been decided, now it is {current}. Nothing was decided; look at the list again."""

    code: ClassVar[str] = "batch-changed"
    seen: int
    current: int


@dataclass(eq=False)
class TooLateToUndo(Conflict):
    """It is too late to take this back: {reason} Nothing was changed."""

    code: ClassVar[str] = "too-late-to-undo"
    reason: str


@dataclass(eq=False)
class RevisionBlocked(CountersignError):
    """As edited, a rule blocks it: {reasons}. Nothing was stored; change it, or reject it."""

    code: ClassVar[str] = "revision-blocked"
    reasons: str


@dataclass(eq=False)
class RuleChanged(Conflict):
    """Somebody wrote version {current} of {slug} while you wrote yours (you began with version {seen}). Yours was not saved; look at theirs first."""

    code: ClassVar[str] = "rule-changed"
    slug: str
    seen: int
    current: int


@dataclass(eq=False)
class SuggestionChanged(Conflict):
    """People judged more proposals of {action} meanwhile, and what is suggested is something else now, or nothing. No rule was written; look at it again."""

    code: ClassVar[str] = "suggestion-changed"
    action: str


@dataclass(eq=False)
class PolicyChanged(Conflict):
    """Somebody wrote version {current} for {scope} while you wrote yours (you began with version {seen}). Yours was not saved; look at theirs first."""

    code: ClassVar[str] = "policy-changed"
    scope: str
    seen: int
    current: int


@dataclass(eq=False)
class ChangeWaiting(Conflict):
    """A change of {subject} already waits for another admin ({item}). Yours was not asked for; have that one decided first."""

    code: ClassVar[str] = "change-waiting"
    subject: str
    item: str


@dataclass(eq=False)
class RoutesChanged(Conflict):
    """Somebody saved routes while you wrote yours (you began with version {seen}, it is now {current}). Yours were not saved; look at theirs first."""

    code: ClassVar[str] = "routes-changed"
    seen: int
    current: int


@dataclass(eq=False)
class ContractChanged(Conflict):
    """Somebody saved version {current} while you wrote yours (you began with {seen}). Yours was not saved; look at theirs first."""

    code: ClassVar[str] = "contract-changed"
    seen: int
    current: int


@dataclass(eq=False)
class AgentChanged(Conflict):
    """Somebody wrote version {current} of {slug} while you wrote yours (you began with {seen}). Yours was not saved; look at theirs first."""

    code: ClassVar[str] = "agent-changed"
    slug: str
    seen: int
    current: int


@dataclass(eq=False)
class EndpointChanged(Conflict):
    """Somebody changed {slug} while you wrote (you began with revision {seen}, it is now {current}). Yours was not saved; look at it again."""

    code: ClassVar[str] = "endpoint-changed"
    slug: str
    seen: int
    current: int


@dataclass(eq=False)
class StandDownGrew(Conflict):
    """Auditors have overturned {count} by now; the page that you had before you said {seen}. It still stands; look at it again."""

    code: ClassVar[str] = "stand-down-grew"
    seen: int
    count: int


@dataclass(eq=False)
class StandDownLifted(Conflict):
    """It stands no longer. {winner} allowed automatic accepting again at {at}; nothing was changed."""

    code: ClassVar[str] = "stand-down-lifted"
    winner: str
    at: str


@dataclass(eq=False)
class ObservationRevoked(Conflict):
    """{winner} revoked it already at {at}. Nothing was changed."""

    code: ClassVar[str] = "observation-revoked"
    winner: str
    at: str


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
class EffectLeftOpen(EffectInterrupted):
    """The target cannot be called twice, and nobody knows whether it was: {reason}"""

    code: ClassVar[str] = "effect-left-open"
    retryable: ClassVar[bool] = False


@dataclass(eq=False)
class EffectUnavailable(EffectError):
    """The target could not be reached: {reason}"""

    code: ClassVar[str] = "effect-unavailable"
    retryable: ClassVar[bool] = True
    retry_after_s: float | None = field(default=None)


@dataclass(eq=False)
class AgentError(CountersignError):
    """The agent failed: {reason}"""

    code: ClassVar[str] = "agent-failed"
    retryable: ClassVar[bool] = False
    reason: str
    # Which agent, and in which process: filled in by whoever called it.
    who: str = ""
    where: str = ""
    # What was spent and done before it failed, as far as that is known: a `Usage` and each `Piece` of
    # agents/base.py. And what it was not handed, in words.
    usage: Any = field(default=None, kw_only=True)
    pieces: Sequence[Any] = field(default=(), kw_only=True)
    notes: tuple[str, ...] = field(default=(), kw_only=True)


@dataclass(eq=False)
class AgentRefused(AgentError):
    """The agent refused: {reason}"""

    code: ClassVar[str] = "agent-refused"


@dataclass(eq=False)
class AgentUnknown(AgentError):
    """This worker does not know the agent: {reason}"""

    code: ClassVar[str] = "agent-unknown"


@dataclass(eq=False)
class NoEndpoint(AgentError):
    """The agent was not asked, and nothing was sent to it: {reason}"""

    code: ClassVar[str] = "no-endpoint"
    # What the run has, and what was looked at in vain.
    data: Sequence[str] = ()
    endpoints: Sequence[str] = ()


@dataclass(eq=False)
class AgentMayNot(AgentError):
    """The agent was not asked, because its tier does not allow it: {reason}"""

    code: ClassVar[str] = "agent-may-not"


@dataclass(eq=False)
class AgentUnavailable(AgentError):
    """The agent could not be reached: {reason}"""

    code: ClassVar[str] = "agent-unavailable"
    retryable: ClassVar[bool] = True
    # When it wants to be asked again, if it said so.
    retry_after_s: float | None = field(default=None, kw_only=True)


@dataclass(eq=False)
class AgentTimedOut(AgentError):
    """The agent did not answer within {timeout_s:g} s: {reason}"""

    code: ClassVar[str] = "agent-timed-out"
    retryable: ClassVar[bool] = True
    timeout_s: float = 0.0


@dataclass(eq=False)
class AgentCrashed(AgentError):
    """The agent ended without an answer: {reason}"""

    code: ClassVar[str] = "agent-crashed"
    retryable: ClassVar[bool] = True


@dataclass(eq=False)
class ToolError(CountersignError):
    """The tool {tool} failed: {reason}"""

    code: ClassVar[str] = "tool-failed"
    tool: str
    reason: str
    retryable: bool = False


@dataclass(eq=False)
class ToolRefused(ToolError):
    """The tool {tool} refused: {reason}"""

    code: ClassVar[str] = "tool-refused"


@dataclass(eq=False)
class ToolChanged(ToolRefused):
    """The tool {tool} is not what was approved: {reason} Nothing was called. An admin can look at it and approve it anew."""

    code: ClassVar[str] = "tool-changed"


@dataclass(eq=False)
class ToolUnavailable(ToolError):
    """The tool {tool} could not be reached: {reason}"""

    code: ClassVar[str] = "tool-unavailable"
    retryable: bool = True


@dataclass(eq=False)
class ToolTimedOut(ToolError):
    """The tool {tool} did not answer in time: {reason}"""

    code: ClassVar[str] = "tool-timed-out"
    retryable: bool = True


@dataclass(eq=False)
class ValidatorTooCostly(AgentError):
    """The validator cost {cost:,} millionths, and may cost {most:,}; its answer does not count."""

    code: ClassVar[str] = "validator-too-costly"
    cost: int = 0
    most: int = 0


@dataclass(eq=False)
class OutputInvalid(AgentError):
    """The agent's output was not taken{place}: {reason}"""

    code: ClassVar[str] = "output-invalid"
    retryable: ClassVar[bool] = True
    # A JSON pointer into the output; empty when it is about the whole.
    pointer: str = ""

    def __str__(self) -> str:
        place = f" at {self.pointer}" if self.pointer else ""
        return (self.__doc__ or "").format_map({**vars(self), "place": place})
