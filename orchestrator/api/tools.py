"""Operations on tools. Nobody approves or brings back here: a person does, in the browser."""

from datetime import datetime
from typing import Annotated, Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import ConfigDict, Field

from orchestrator import tool_queries
from orchestrator.actions.tool_retirements import WHY_LENGTH_MAX, retire
from orchestrator.actions.tools import Wording, save
from orchestrator.api.auth import Bearer, actor_of
from orchestrator.api.parameters import refuse_unknown
from orchestrator.api.schemas import DefinitionProblemOut, ProblemOut, Strict, Word
from orchestrator.core.errors import NotFound
from orchestrator.models import Tool

router = Router(tags=["tools"])
_READERS = Bearer("read", "admin")
_READ_PROBLEMS: dict[Any, Any] = {frozenset({401, 403, 404, 422}): ProblemOut}

ToolName = Annotated[str, Field(max_length=50, pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]
EXAMPLE: dict[str, Any] = {
    "description": "Finds an order by its number.",
    "parameters": {
        "type": "object",
        "required": ["order"],
        "properties": {"order": {"type": "string"}},
        "additionalProperties": False,
    },
    "kind": "read",
    "backend": {"kind": "http", "method": "GET", "url": "https://shop.example/orders/{order}"},
    "owner": "support",
}


class ToolIn(Strict):
    """What a version says. What is left out gets its default, not what the version before said."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [EXAMPLE]}
    )

    description: str = Field(description="as a model is told it")
    parameters: dict[str, Any] = Field(description="JSON Schema 2020-12 of its arguments")
    backend: dict[str, Any] = Field(description="what is behind it: function, http, mcp or agent")
    kind: Literal["read", "write"] = "write"
    timeout_s: float = 30.0
    action: str = Field("", description="what a use of a writing tool proposes; tool:NAME if empty")
    is_repeatable: bool = Field(False, description="a second call with the same key does no harm")
    owner: str = ""


class RetireIn(Strict):
    why: str = Field(min_length=1, max_length=WHY_LENGTH_MAX, description="shown on its page")


class ToolsIn(Schema):
    after: Word = Field("", description="`next` of the page before")
    limit: int = Field(50, ge=1, le=200)


class ToolOut(Schema):
    name: str
    version: int
    kind: str
    description: str
    parameters: dict[str, Any]
    backend: dict[str, Any]
    timeout_s: float
    action: str
    is_repeatable: bool
    owner: str
    server: str | None
    digest: str = Field(description="over its name, description and parameters")
    offered: bool
    not_offered_because: str
    retired_at: datetime | None
    retired_why: str
    created_at: datetime
    created_by: str | None
    approved_at: datetime | None
    approved_by: str | None


class ToolPageOut(Schema):
    tools: list[ToolOut]
    next: str | None = Field(description="pass it as `after` to get the next page; null at the end")


@router.get(
    "/tools", auth=_READERS, response={200: ToolPageOut, **_READ_PROBLEMS}, summary="List tools"
)
def browse(request: HttpRequest, query: Query[ToolsIn]) -> ToolPageOut:
    """By name, each with its current version and what keeps agents from it."""
    refuse_unknown(request, ToolsIn)
    found = tool_queries.tools(query.after, query.limit + 1)
    shown = found[: query.limit]
    following = shown[-1].name if len(found) > query.limit else None
    return ToolPageOut(tools=[_render(tool) for tool in shown], next=following)


@router.get(
    "/tools/{name}",
    auth=_READERS,
    response={200: ToolOut, **_READ_PROBLEMS},
    summary="Read one tool",
)
def read(request: HttpRequest, name: ToolName) -> ToolOut:
    return _known(name)


@router.put(
    "/tools/{name}",
    auth=Bearer("admin"),
    response={
        frozenset({200, 201}): ToolOut,
        422: DefinitionProblemOut,
        frozenset({400, 401, 403, 413, 415}): ProblemOut,
    },
    summary="Save a tool",
)
def put(request: HttpRequest, name: ToolName, wish: ToolIn) -> Status[Any]:
    """201 for a new version, which waits for approval; 200 where the current one says so."""
    wording = Wording(**wish.model_dump(exclude={"owner"}))
    saved = save(actor_of(request), name, wording, owner=wish.owner)
    return Status(201 if saved.is_new else 200, _known(name))


@router.post(
    "/tools/{name}/retire",
    auth=Bearer("admin"),
    response={
        200: ToolOut,
        422: DefinitionProblemOut,
        frozenset({400, 401, 403, 404, 413, 415}): ProblemOut,
    },
    summary="Retire a tool",
)
def retire_tool(request: HttpRequest, name: ToolName, wish: RetireIn) -> ToolOut:
    """From now on agents are not offered it, and what was accepted of it comes to nothing."""
    retire(actor_of(request), name, wish.why)
    return _known(name)


def _known(name: str) -> ToolOut:
    found = tool_queries.tool(name)
    if found is None or found.current is None:
        raise NotFound("tool", name)
    return _render(found)


def _render(tool: Tool) -> ToolOut:
    version = tool.current
    if version is None:
        raise NotFound("tool", tool.name)
    why_not = tool_queries.why_not(tool)
    return ToolOut(
        name=tool.name,
        version=version.number,
        kind=version.kind,
        description=version.description,
        parameters=version.schema,
        backend=version.backend,
        timeout_s=version.timeout_s,
        action=tool_queries.action_of(tool),
        is_repeatable=version.is_repeatable,
        owner=tool.owner,
        server=tool.server.slug if tool.server else None,
        digest=version.digest,
        offered=not why_not,
        not_offered_because=why_not,
        retired_at=tool.retired_at,
        retired_why=tool.retired_why,
        created_at=version.created_at,
        created_by=version.created_by.get_username() if version.created_by else None,
        approved_at=version.approved_at,
        approved_by=version.approved_by.get_username() if version.approved_by else None,
    )
