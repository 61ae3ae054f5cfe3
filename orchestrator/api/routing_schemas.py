"""What the API takes and gives about events, dead letters and routes."""

from datetime import datetime
from typing import Annotated, Any

from ninja import Schema
from pydantic import ConfigDict, Field

from orchestrator.api.schemas import DefinitionErrorOut, ProblemOut, Strict, Word

Note = Annotated[str, Field(max_length=1_000, pattern=r"^[^\x00]*$")]


class TakenOut(Schema):
    """What became of an event when it was first taken in."""

    id: str
    status: str = Field(description="`routed` or `dead`")
    reason: str = Field(description="of a dead letter, why; else empty")
    detail: str
    route: str = Field(description="the name of the route that took it")
    routes: int | None = Field(description="the version of the routes that decided")
    workflow: str | None
    run: str | None
    contract_version: int | None
    duplicate: bool = Field(description="it came before, and this time had no effect")
    differs: bool = Field(description="it came before with another type, subject or data")


class RefusedOut(Schema):
    """Of a batch: what is no event."""

    refused: str


class TakenBatchOut(Schema):
    events: list[TakenOut | RefusedOut] = Field(description="one answer each, in the order sent")


class DeadLettersIn(Schema):
    """Which dead letters to list."""

    reason: Word = ""
    type: Word = ""
    status: Word = Field("dead", description="`dead`, `redriven` or `discarded`")
    before: str = Field("", description="`next` of the page before")
    limit: int = Field(50, ge=1, le=200)


class DeadLetterLineOut(Schema):
    id: str
    type: str
    source: str
    source_id: str
    status: str
    reason: str
    detail: str
    occurred_at: datetime | None
    created_at: datetime


class DeadLetterOut(DeadLetterLineOut):
    contract_version: int | None
    route: str
    run: str | None = Field(description="of an attempt that was routed")
    envelope: dict[str, Any]
    replaces: str | None = Field(description="the attempt before this one")
    replaced_by: str | None = Field(description="the attempt that took its place")
    handled_by: str | None


class DeadLetterPageOut(Schema):
    dead_letters: list[DeadLetterLineOut]
    next: str | None = Field(
        description="pass it as `before` to get the next page; null at the end"
    )


class RedriveIn(Strict):
    """As it came, unless something is said here."""

    data: Any = Field(None, description="takes the place of the data; left out: as it came")
    attributes: dict[str, Any] = Field(
        default_factory=dict,
        description="take the place of those of the envelope; null removes one. `id` and `source` stay",
    )
    note: Note = ""


class DiscardIn(Strict):
    note: Annotated[str, Field(min_length=1, max_length=1_000, pattern=r"^[^\x00]*$")]


class BulkIn(Strict):
    """All of one type and reason, the oldest first."""

    type: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
    reason: Word
    dry_run: bool = Field(True, description="count, and change nothing")
    at_most: int = Field(500, ge=1, le=500)
    note: Note = ""


class BulkOut(Schema):
    matching: int = Field(description="before; counting stops at 10,000")
    routed: int
    dead: int = Field(description="of those sent again, how many are dead letters again")
    stopped: bool = Field(description="too much is waiting, so the rest was left as it is")


ROUTES_EXAMPLE: dict[str, Any] = {
    "routes": [
        {"name": "damaged", "when": "event.type == 'order.damaged'", "workflow": "refund"},
    ],
    "note": "damaged orders are refunded",
    "seen": 3,
}


class RoutesIn(Strict):
    """The whole table, in order."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [ROUTES_EXAMPLE]}
    )

    routes: list[dict[str, Any]] = Field(description="each has `name`, `when` (CEL) and `workflow`")
    note: Note = ""
    seen: int | None = Field(
        None, ge=0, le=2**31 - 1, description="refused when this is not the newest version any more"
    )


class RouteOut(Schema):
    name: str
    when: str
    workflow: str


class RoutesOut(Schema):
    version: int = Field(description="0 when nothing was saved yet")
    routes: list[RouteOut]
    content_hash: str
    note: str
    created_at: datetime | None
    created_by: str | None


class RoutesProblemOut(ProblemOut):
    errors: list[DefinitionErrorOut] = Field(
        default_factory=list, description="everything that is wrong with the routes"
    )
