"""What the API takes and gives about evaluation policies."""

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from orchestrator.api.rule_schemas import Note, Number, Text
from orchestrator.api.schemas import PolicyScopeOut, Strict, Word
from orchestrator.core.policy.evaluation import Bands
from orchestrator.core.policy.terms import Scope, Terms, Validator

Share = Annotated[float, Field(ge=0, le=1)]

EXAMPLE: dict[str, Any] = {
    "scope": {"agent": "refund-agent", "action": "refund.create"},
    "accept_above": 0.95,
    "escalate_at_or_below": 0.7,
    "note": "Of 400 audited refunds over 0.95 two were wrong.",
}


class ScopeIn(Strict):
    """What is left out is everything. Of policies whose scope fits, the most specific one decides."""

    agent: Word = ""
    agent_version: Word = ""
    action: Word = ""
    tier: Word = Field(
        "", description="`low`, `normal` or `high`, as the contract of the action says"
    )


class ValidatorIn(Strict):
    """An agent that is asked what it thinks of a proposal. Of all scores the lowest counts."""

    name: Text
    agent: Text = Field(description="of your own, by its name in AGENT_MODULES")
    rubric: Text = Field(description="by what it judges")
    timeout_s: int = Field(ge=1)
    money_micros_max: int | None = Field(None, ge=0, description="millionths; null for no limit")


class PolicyIn(Strict):
    """What a version says, and why it is written."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [EXAMPLE]}
    )

    scope: ScopeIn = Field(default_factory=lambda: ScopeIn.model_validate({}))
    accept_above: Share
    escalate_at_or_below: Share
    score: Literal["stated", "calibrated"] = "stated"
    target_error: Share | None = Field(
        None, description="accept only what a certified threshold for this error covers"
    )
    validators: list[ValidatorIn] = Field(default_factory=list)
    note: Note = ""
    base: int | None = Field(
        None,
        ge=0,
        description="the newest version of the scope that you know of, 0 for none; 409 when there is a newer",
    )

    @property
    def wanted_scope(self) -> Scope:
        return Scope(**self.scope.model_dump())

    @property
    def terms(self) -> Terms:
        return Terms(
            bands=Bands(self.accept_above, self.escalate_at_or_below),
            score=self.score,
            target_error=self.target_error,
            validators=tuple(Validator(**one.model_dump()) for one in self.validators),
        )


class PoliciesIn(Schema):
    """Where to go on."""

    after: Number | None = Field(None, description="`next` of the page before")
    limit: int = Field(50, ge=1, le=200)


class ValidatorOut(Schema):
    name: str
    agent: str
    rubric: str
    timeout_s: int
    money_micros_max: int | None


class PolicyOut(Schema):
    number: int = Field(description="counts the versions of all scopes")
    scope: PolicyScopeOut
    stage: str
    accept_above: float
    escalate_at_or_below: float
    score: str
    target_error: float | None
    validators: list[ValidatorOut]
    content_hash: str
    note: str
    created_at: datetime
    created_by: str | None
    activated_at: datetime | None = Field(description="since when it last decides")


class PolicyPageOut(Schema):
    policies: list[PolicyOut]
    next: int | None = Field(description="pass it as `after` to get the next page; null at the end")
