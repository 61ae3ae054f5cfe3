"""What the operations on contracts take and give."""

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from orchestrator.api.schemas import DefinitionErrorOut, ProblemOut, Strict, Word

Kind = Literal["event", "action", "output"]
ContractName = Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")]
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]

EXAMPLE: dict[str, Any] = {
    "schema": {
        "type": "object",
        "required": ["amount_minor", "currency"],
        "properties": {
            "amount_minor": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
            "currency": {"enum": ["EUR", "USD"]},
        },
        "additionalProperties": False,
    },
    "timeout_s": 60,
    "owner": "payments",
    "tier": "high",
    "review": {
        "heading": "Refund {amount_minor} for {target}",
        "shows": {"/amount_minor": {"as": "money", "currency": "/currency"}},
        "verbs": ["approve", "edit", "reject"],
        "undo_s": 30,
    },
    "note": "Dollars as well.",
}


class ContractIn(Strict):
    """What a version says. What is left out gets its default, not what the version before said."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [EXAMPLE]}
    )

    # A field named `schema` would hide a method of every model.
    schema_: dict[str, Any] = Field(alias="schema", description="JSON Schema 2020-12")
    timeout_s: int = Field(
        description="how late an event may come, or how long an action's target may take"
    )
    idempotency: Literal["required", "none"] = "required"
    tier: Literal["low", "normal", "high"] = "normal"
    owner: str = ""
    description: str = ""
    masked: list[str] = Field([], description="JSON Pointers to what checks must not store")
    error_budget_bp: int = Field(100, description="of 10,000 events, how many may fail")
    review: dict[str, Any] = Field(
        default_factory=dict,
        description="how people meet an action: `heading`, `shows`, `verbs`, `undo_s`",
    )
    note: str = Field("", description="what changed, and why")
    based_on: int | None = Field(
        None,
        description="the version you began with, 0 for a new name; 409 when it is not the newest",
    )


class ContractsIn(Schema):
    """Which contracts to list."""

    kind: Kind | None = None
    after: Word = Field("", description="`next` of the page before")
    limit: int = Field(50, ge=1, le=200)


class ContractLineOut(Schema):
    kind: str
    name: str
    version: int
    description: str
    owner: str
    tier: str
    timeout_s: int
    idempotency: str
    masked: list[str]
    error_budget_bp: int
    review: dict[str, Any]
    content_hash: str
    note: str
    created_at: datetime
    created_by: str | None


class ContractVersionOut(ContractLineOut):
    schema_: dict[str, Any] = Field(serialization_alias="schema")


class ContractPageOut(Schema):
    contracts: list[ContractLineOut]
    next: str | None = Field(description="pass it as `after` to get the next page; null at the end")


class IncompatibleOut(ProblemOut):
    counterexample: Any = Field(
        None, description="a value that one version accepts and the other refuses"
    )
    errors: list[DefinitionErrorOut] = Field(
        default_factory=list, description="where and why it is refused"
    )
