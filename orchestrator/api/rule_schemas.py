"""What the API takes and gives about rules and backtests."""

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import AwareDatetime, ConfigDict, Field

from orchestrator.api.schemas import ProblemOut, Slug, Strict, Word

Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
Note = Annotated[str, Field(max_length=5_000, pattern=r"^[^\x00]*$")]
Reason = Annotated[Note, Field(min_length=1, description="why, for whoever approves it")]
Patterns = Annotated[list[Annotated[Word, Field(min_length=1)]], Field(min_length=1)]
Effect = Literal["block", "hold", "two_person", "flag"]

EXAMPLE: dict[str, Any] = {
    "title": "Refunds over the limit need a person",
    "applies_to": {"actions": ["refund.create"]},
    "effect": "hold",
    "require": "proposal.args.amount_minor <= 50000",
    "message": "Refund of {proposal.args.amount_minor} is over 50000",
    "owner": "payments",
}


class ScopeIn(Strict):
    """Names, families such as refund.*, or * for all; what is left out means all."""

    actions: Patterns | None = None
    agents: Patterns | None = None
    workflows: Patterns | None = None
    tiers: Patterns | None = None


class RuleIn(Strict):
    """What a version says: the fields of the file, and why it is written."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [EXAMPLE]}
    )

    title: Annotated[Text, Field(min_length=1, max_length=200)]
    effect: Effect = Field(description="what a failure does")
    require: Annotated[Text, Field(min_length=1)] = Field(description="CEL; true passes")
    message: Text = Field("", description="shown to people; {proposal.args.x} shows a value")
    owner: Annotated[Text, Field(max_length=100)] = ""
    applies_to: ScopeIn = Field(default_factory=ScopeIn)
    history: dict[str, Any] = Field(
        default_factory=dict, description="windows over the recent past"
    )
    slug: Slug | None = Field(None, description="may be left out; the address says it")
    note: Note = ""
    base: int | None = Field(
        None,
        ge=0,
        description="the newest version you know of, 0 for none; 409 when there is a newer",
    )


class RulesIn(Schema):
    """Which rules to list."""

    stage: Word = ""
    after: str = Field("", max_length=100, description="`next` of the page before")
    limit: int = Field(50, ge=1, le=200)


class RuleLineOut(Schema):
    slug: str
    version: int
    stage: str
    title: str
    effect: str
    owner: str
    content_hash: str
    created_at: datetime
    created_by: str | None


class RulePageOut(Schema):
    rules: list[RuleLineOut]
    next: str | None = Field(description="pass it as `after` to get the next page; null at the end")


class RuleVersionOut(RuleLineOut):
    applies_to: dict[str, Any]
    require: str
    message: str
    history: dict[str, Any]
    note: str
    shadowed_at: datetime | None
    activated_at: datetime | None


class RuleOut(RuleVersionOut):
    newest: int = Field(description="send it as `base`, or its ETag as If-Match, with a change")


class ConditionProblemOut(ProblemOut):
    line: int | None = Field(None, description="of a condition that does not compile")
    column: int | None = None
    errors: list[dict[str, Any]] = Field(default_factory=list)


class TestIn(Strict):
    """What to try the version on: what the rules saw of a proposal, or inputs of your own."""

    proposal: Word | None = None
    inputs: dict[str, Any] | None = Field(
        None,
        description="`proposal`, `agent`, `run`, `context`, `history` (the numbers of its windows), `now`",
    )


class TestOut(Schema):
    result: str = Field(
        description="`pass`, `fail`, `error`, or `unseen` when what it asks about was masked"
    )
    message: str
    explain: list[dict[str, Any]] = Field(description="each part of the condition with its value")


class ChangeIn(Strict):
    note: Reason


class RollBackIn(Strict):
    to: Number = Field(description="the version that shall decide again")
    note: Reason


class ProposedOut(Schema):
    """A change of what is in force waits for another admin, in the queue."""

    proposal: str
    status: str


# Backtests --------------------------------------------------------------------------------------


class BacktestIn(Strict):
    """Which recorded proposals to look at; what is left out is the last 30 days."""

    since: AwareDatetime | None = Field(None, strict=False, description="earlier than `until`")
    until: AwareDatetime | None = Field(
        None, strict=False, description="not in the future; by default the end of this minute"
    )
    proposals_max: int | None = Field(None, ge=1, description="the newest of them")


class CountsOut(Schema):
    """What one version says about the proposals in its scope."""

    in_scope: int
    hits: int = Field(description="what it would block, hold or flag; of a policy, not accept")
    caught: int = Field(description="hits that a person rejected")
    needless: int = Field(description="hits that a person approved")
    missed: int = Field(description="no hits, and a person rejected")
    passed_approved: int
    unknown: int = Field(description="nobody decided")
    not_evaluable: int


class ReasonOut(Schema):
    reason: str
    count: int


class VerdictsOut(Schema):
    """Of a policy: what became of how many, where both are known."""

    then: dict[str, int]
    tested: dict[str, int]
    days: float
    audits_a_day_then: float = Field(description="drawn to be judged blind, on average")
    audits_a_day_tested: float


class BacktestOut(Schema):
    id: str
    slug: str | None = Field(description="of the rule; null when it tests a policy")
    version: int | None = Field(description="of the rule")
    policy: int | None = Field(description="the number of the policy; null when it tests a rule")
    content_hash: str = Field(description="of the version, as it was tested")
    against: int | None = Field(description="the version that was in force when it began")
    status: str
    since: datetime
    until: datetime
    oldest: datetime | None = Field(description="the oldest proposal it looked at so far")
    proposals_max: int
    done: int
    total: int | None
    error: str
    tested: CountsOut
    in_force: CountsOut | None = Field(
        description="of a policy, what was decided then, whichever was in force"
    )
    verdicts: VerdictsOut | None = None
    flips: dict[str, int] = Field(description="how many proposals the two versions disagree about")
    reasons: list[ReasonOut] = Field(description="why it could not be evaluated")
    created_at: datetime
    ended_at: datetime | None
