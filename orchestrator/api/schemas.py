"""What the API takes and gives. Unknown fields and wrong types are refused, never guessed."""

from datetime import datetime
from typing import Annotated, Any

from ninja import Schema
from pydantic import ConfigDict, Field

Name = Annotated[
    str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$")
]
Slug = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]


Word = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]


class Strict(Schema):
    model_config = ConfigDict(extra="forbid", strict=True)


class TraceIn(Strict):
    tokens_in: int | None = Field(None, ge=0)
    tokens_out: int | None = Field(None, ge=0)
    cost_usd: float | None = Field(None, ge=0, description="left out when unknown, never zero")


EXAMPLE: dict[str, Any] = {
    "agent": "refund-agent",
    "agent_version": "14",
    "action": "refund.create",
    "target": "order/A-20931",
    "args": {"amount_minor": 184000, "currency": "EUR", "reason": "damaged_item"},
    "confidence": 0.95,
    "rationale": "The photo shows damage to the frame.",
}


class ProposalIn(Strict):
    """A suggested action. It is checked and evaluated before the answer; it runs only if accepted."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [EXAMPLE]}
    )

    agent: Name
    action: Name = Field(description="what should be done, such as refund.create")
    target: str = Field("", max_length=500, description="what it is done to, such as order/A-20931")
    args: dict[str, Any] = Field(default_factory=dict)
    workflow: Slug = "default"
    agent_version: str = Field("", max_length=100)
    model: str = Field("", max_length=200)
    external_id: str = Field("", max_length=200, description="your own name for this proposal")
    confidence: float | None = Field(
        None, ge=0, le=1, description="left out or null: a person decides"
    )
    rationale: str = Field("", max_length=20_000)
    context: dict[str, Any] = Field(
        default_factory=dict, description="facts that rules may ask for"
    )
    tainted: list[Annotated[str, Field(max_length=500)]] = Field(
        default_factory=list,
        max_length=200,
        description="JSON pointers to values that came from untrusted text",
    )
    trace: TraceIn | None = None


class BrowseIn(Schema):
    """Which proposals to list."""

    status: Word = ""
    disposition: Word = ""
    agent: Word = ""
    action: Word = ""
    before: str = Field("", description="`next` of the page before")
    limit: int = Field(50, ge=1, le=200)


class WaitIn(Schema):
    wait: float = Field(0, ge=0, description="seconds to wait for an outcome, at most 25")


class SuggestedOut(Schema):
    action: str
    target: str
    args: dict[str, Any]
    digest: str


class PolicyCheckOut(Schema):
    name: str
    version: int
    effect: str
    result: str
    reason: str
    explain: list[dict[str, Any]]


class ValidationOut(Schema):
    """What a validator said, by which policy's rubric, and what asking it cost."""

    policy: int
    verdict: str = Field("", description="`pass` or `fail`; empty when it gave no answer")
    reasons: list[str] = Field(default_factory=list)
    error: str = Field("", description="why there is no answer that counts")
    agent: dict[str, str] = Field(default_factory=dict)
    inputs: str = Field("", description="the digest of the rubric and what it was shown")
    tokens_in: int = 0
    tokens_out: int = 0
    money_micros: int = 0
    took_ms: int = 0


class EvaluationPartOut(Schema):
    evaluator: str
    name: str = Field("", description="which validator")
    version: str
    score: float | None
    validation: ValidationOut | None = None


class ValidatorAskedOut(Schema):
    name: str
    heard: bool


class PolicyScopeOut(Schema):
    agent: str
    agent_version: str
    action: str
    tier: str


class EvaluationOut(Schema):
    score: float | None
    band: str
    policy_version: int
    policy_scope: PolicyScopeOut = Field(description="what that policy is for; empty is everything")
    reasons: list[str]
    parts: list[EvaluationPartOut]


class ReviewItemOut(Schema):
    id: str
    kind: str
    status: str
    opened_because: list[str]
    closed_because: str
    approvals_needed: int
    due_at: datetime


class EffectOut(Schema):
    id: str
    status: str
    executor: str
    receipt: dict[str, Any] | None
    error: dict[str, Any] | None
    finished_at: datetime | None


class RevisionReasonOut(Schema):
    """Who objects (`code`: `person`, `rule`, `validator` or `band`), which one, and in which words."""

    code: str
    rule: str | None = None
    validator: str | None = None
    band: str | None = None
    text: str


class RevisionWantedOut(Schema):
    """What its agent is asked to change, and until when an answer counts."""

    reasons: list[RevisionReasonOut]
    asked: str = Field(description="a person's words; empty when the score sent it back")
    round: int = Field(description="which proposal of its line this one is")
    rounds_left: int = Field(
        description="how often another may stand in its place; then people decide"
    )
    due_at: datetime | None


class ProposalOut(Schema):
    id: str
    external_id: str
    run: str
    workflow: str
    agent: str
    agent_version: str
    model: str
    status: str
    disposition: str
    requires_human: bool
    confidence: float | None
    created_at: datetime
    proposal: SuggestedOut
    policy_checks: list[PolicyCheckOut]
    evaluation: EvaluationOut | None
    validators: list[ValidatorAskedOut] = Field(
        default_factory=list,
        description="who is asked before it is disposed of, while `evaluating`",
    )
    revision: int
    revises: str | None = Field(description="the proposal in whose place it stands")
    revised_by: str | None = Field(description="the proposal that stands in its place")
    edited_by_person: bool = False
    revision_wanted: RevisionWantedOut | None = None
    review_item: ReviewItemOut | None
    effect: EffectOut | None


class ProposalLineOut(Schema):
    id: str
    external_id: str
    agent: str
    agent_version: str
    action: str
    target: str
    status: str
    disposition: str
    created_at: datetime


class ProposalPageOut(Schema):
    proposals: list[ProposalLineOut]
    next: str | None = Field(
        description="pass it as `before` to get the next page; null at the end"
    )


class ProblemOut(Schema):
    type: str
    title: str
    status: int


class WorkflowsIn(Schema):
    """Which workflows to list."""

    after: Word = Field("", description="`next` of the page before")
    limit: int = Field(50, ge=1, le=200)


class WorkflowLineOut(Schema):
    workflow: str
    version: int
    pattern: str
    title: str
    content_hash: str
    created_at: datetime
    created_by: str | None


class CallCostOut(Schema):
    who: str
    agent: str
    micros: int | None = Field(description="millionths; null when nobody knows")
    basis: str = Field(description="past: the mean of past calls; limits: the most it may; unknown")


class EstimateOut(Schema):
    """What one run is going to cost: each member once, and the judge."""

    calls: list[CallCostOut]
    known_micros: int = Field(description="of all calls whose cost is known")
    unknown: int = Field(description="calls that the sum lacks")
    at_most_micros: int = Field(description="the budget; no run may cost more")
    workflow: str = Field(description="whose run, where it is one inside; else empty")


class WorkflowCheckOut(Schema):
    definition: dict[str, Any] = Field(description="as it is stored, with every default filled in")
    estimate: EstimateOut | None = Field(None, description="of a consensus what a run costs")
    estimates_inside: list[EstimateOut] = Field(
        description="of each consensus that its runs start, what one run of that costs"
    )


class WorkflowVersionOut(WorkflowLineOut, WorkflowCheckOut):
    pass


class WorkflowPageOut(Schema):
    workflows: list[WorkflowLineOut]
    next: str | None = Field(description="pass it as `after` to get the next page; null at the end")


class DefinitionErrorOut(Schema):
    pointer: str = Field(description="a JSON pointer into what was sent")
    reason: str


class DefinitionProblemOut(ProblemOut):
    errors: list[DefinitionErrorOut] = Field(
        default_factory=list, description="everything that is wrong with a definition"
    )


RUN_EXAMPLE: dict[str, Any] = {
    "workflow": "refunds",
    "intent": {"order": "A-20931", "complaint": "The frame arrived damaged."},
    "external_id": "case-881",
}


class RunIn(Strict):
    """What is wanted of a workflow. Every agent of the run is handed the intent, word for word."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [RUN_EXAMPLE]}
    )

    workflow: Slug
    intent: Any = Field(None, description="fits the schema that the workflow has for it")
    external_id: str = Field("", max_length=200, description="your own name for this run")


class SignalIn(Strict):
    """Something that the run waits for has happened outside."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    data: Any = None
    untrusted: bool = Field(
        False, description="`data` is somebody else's words, such as a mail that came in"
    )


class CancelIn(Strict):
    reason: str = Field(min_length=1, max_length=1_000)


class RunsIn(Schema):
    """Which runs to list."""

    status: Word = ""
    workflow: Word = ""
    before: str = Field("", description="`next` of the page before")
    limit: int = Field(50, ge=1, le=200)


class RunWaitIn(Schema):
    wait: float = Field(
        0, ge=0, description="seconds to wait until it has ended or waits itself, at most 25"
    )


class EventsIn(Schema):
    after: int = Field(0, ge=0, le=2**31 - 1, description="`next` of the page before")
    limit: int = Field(50, ge=1, le=200)


class SpentOut(Schema):
    steps: int
    agent_calls: int
    tokens: int
    money_micros: int = Field(description="what is known of it")
    unpriced: bool = Field(description="whether nobody knows the price of some of it")


class WorkOut(Schema):
    """A stage of a pipeline, the work of a machine's state, or what a pattern asks for."""

    name: str
    status: str
    attempt: int
    calls: int
    tokens: int
    money_micros: int = Field(description="what is known of it")
    unpriced: bool = Field(description="whether nobody knows the price of some of it")
    review_item: str
    proposal: str
    child: str


class PartOut(Schema):
    """A task of a supervisor's round, or a member of a consensus."""

    who: str
    status: str = Field(description="queued, running, done, skipped, given_up")
    why: str = Field(description="why it is a gap")
    seq: int = Field(description="the event of its answer; 0 without one")
    child: str


class RoundOut(Schema):
    plan: int = Field(description="the event in which the supervisor says what is to be done")
    parts: list[PartOut]


class RouteOut(Schema):
    """Whom a router gave the request, and what that was decided by."""

    by: str = Field(description="rule, model or fallback")
    workers: list[str] = Field(description="one after the other; the first was chosen")
    rule: str
    cause: str = Field(description="why it came to the fallback worker")
    why: str
    confidence: float | None
    features: dict[str, Any] = Field(description="what the rules looked at")
    claims: dict[str, Any] = Field(description="what the model says that it went by")
    errors: dict[str, Any] = Field(description="rules that could not be evaluated, and why")
    suggested: str = Field(description="whom the model named where it was not followed")
    failed: str = Field(description="the worker that the fallback worker took over from")


class RunOut(Schema):
    id: str
    external_id: str
    workflow: str
    version: int
    status: str
    position: str = Field(description="the stage or state it is at")
    parent: str | None
    started_by: str | None
    created_at: datetime
    ended_at: datetime | None
    wakes_at: datetime | None = Field(description="the earliest time it waits for")
    events: int
    spent: SpentOut
    works: list[WorkOut]
    rounds: list[RoundOut] = Field(description="that are over: of a supervisor, or of a consensus")
    notes: list[str] = Field(description="what has to be said about how it went")
    proposals: list[str]
    error: dict[str, Any] | None = Field(
        description="who, where, why, whether to retry, and the `cause` it came from"
    )
    route: RouteOut | None = Field(None, description="of a router that has decided")
    output: Any = Field(None, description="of a run that completed: what it came to")


class RunLineOut(Schema):
    id: str
    external_id: str
    workflow: str
    version: int
    status: str
    parent: str | None
    created_at: datetime
    ended_at: datetime | None


class RunPageOut(Schema):
    runs: list[RunLineOut]
    next: str | None = Field(
        description="pass it as `before` to get the next page; null at the end"
    )


class EventOut(Schema):
    seq: int
    kind: str
    at: datetime
    key: str | None
    payload: dict[str, Any]
    left_out: list[str] = Field(
        description="what of the payload only a token with the scope `read` is told: what agents were handed"
        " and keep to themselves"
    )
    prev_hash: str
    hash: str


class EventPageOut(Schema):
    events: list[EventOut]
    next: int | None = Field(description="pass it as `after` to get what follows; null at the end")
