"""Operations on workflows."""

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Body, Query, Router, Status
from pydantic import Field

from orchestrator import queries
from orchestrator.actions import workflows
from orchestrator.actions.workflows import save as save_workflow
from orchestrator.api.auth import Bearer, actor_of
from orchestrator.api.schemas import (
    DefinitionProblemOut,
    EstimateOut,
    ProblemOut,
    Slug,
    WorkflowCheckOut,
    WorkflowLineOut,
    WorkflowPageOut,
    WorkflowsIn,
    WorkflowVersionOut,
)
from orchestrator.core.codec import read as read_json
from orchestrator.core.errors import NotFound
from orchestrator.cost_queries import estimates_of
from orchestrator.models import WorkflowVersion

Number = Annotated[int, Field(ge=1, le=2**31 - 1)]

router = Router(tags=["workflows"])
_READERS = Bearer("read", "runs", "admin")
_READ_PROBLEMS: dict[Any, Any] = {frozenset({401, 403, 404, 422}): ProblemOut}


@router.get("/workflows/schema", auth=None, response=dict[str, Any], summary="The format")
def schema(request: HttpRequest) -> dict[str, Any]:
    """The JSON Schema of definitions, with the agents and limits of this instance."""
    return workflows.schema()


@router.put(
    "/workflows/{slug}",
    auth=Bearer("admin"),
    response={
        frozenset({200, 201}): WorkflowVersionOut,
        422: DefinitionProblemOut,
        frozenset({400, 401, 403, 413, 415}): ProblemOut,
    },
    summary="Save a workflow",
)
def put(request: HttpRequest, slug: Slug, definition: Body[dict[str, Any]]) -> Status[Any]:
    """201 for a new version; 200 with the newest one when that says the same already."""
    saved = save_workflow(actor_of(request), slug, definition)
    return Status(201 if saved.is_new else 200, _render(saved.version))


@router.post(
    "/workflows/{slug}/check",
    auth=Bearer("admin"),
    response={
        200: WorkflowCheckOut,
        422: DefinitionProblemOut,
        frozenset({400, 401, 403, 413, 415}): ProblemOut,
    },
    summary="Check a workflow",
)
def check(request: HttpRequest, slug: Slug, definition: Body[dict[str, Any]]) -> WorkflowCheckOut:
    """What saving it would store, and what a run of it is going to cost. Nothing is saved."""
    content: Any = read_json(workflows.to_save(actor_of(request), slug, definition))
    return WorkflowCheckOut(**_checked(slug, content))


@router.get(
    "/workflows",
    auth=_READERS,
    response={200: WorkflowPageOut, **_READ_PROBLEMS},
    summary="List workflows",
)
def browse(request: HttpRequest, query: Query[WorkflowsIn]) -> WorkflowPageOut:
    """By name, each with its newest version."""
    found = queries.workflow_lines(after=query.after, at_most=query.limit + 1)
    shown = found[: query.limit]
    following = shown[-1].workflow.slug if len(found) > query.limit else None
    return WorkflowPageOut(workflows=[_line(version) for version in shown], next=following)


@router.get(
    "/workflows/{slug}",
    auth=_READERS,
    response={200: WorkflowVersionOut, **_READ_PROBLEMS},
    summary="Read the newest version",
)
def read(request: HttpRequest, slug: Slug) -> WorkflowVersionOut:
    return _render(_known(queries.workflow_version(slug), slug))


@router.get(
    "/workflows/{slug}/versions/{number}",
    auth=_READERS,
    response={200: WorkflowVersionOut, **_READ_PROBLEMS},
    summary="Read one version",
)
def read_version(request: HttpRequest, slug: Slug, number: Number) -> WorkflowVersionOut:
    return _render(_known(queries.workflow_version(slug, number), f"{slug} v{number}"))


def _known(version: WorkflowVersion | None, key: str) -> WorkflowVersion:
    if version is None:
        raise NotFound("workflow", key[:100])
    return version


def _line(version: WorkflowVersion) -> WorkflowLineOut:
    content = queries.content_of(version)
    return WorkflowLineOut(
        workflow=version.workflow.slug,
        version=version.number,
        pattern=content["pattern"],
        title=content.get("title", ""),
        content_hash=version.content_hash,
        created_at=version.created_at,
        created_by=version.created_by.get_username() if version.created_by else None,
    )


def _render(version: WorkflowVersion) -> WorkflowVersionOut:
    said = _checked(version.workflow.slug, queries.content_of(version))
    return WorkflowVersionOut(**_line(version).model_dump(), **said)


def _checked(slug: str, content: dict[str, Any]) -> dict[str, Any]:
    found = [EstimateOut.from_orm(one) for one in estimates_of(slug, content)]
    return {
        "definition": content,
        "estimate": next((one for one in found if not one.workflow), None),
        "estimates_inside": [one for one in found if one.workflow],
    }
