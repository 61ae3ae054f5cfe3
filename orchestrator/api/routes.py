"""Operations on the routes."""

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import Field

from orchestrator import routing_queries
from orchestrator.actions.routing import routes_of
from orchestrator.actions.routing import save as save_routes
from orchestrator.api.auth import Bearer, actor_of
from orchestrator.api.routing_schemas import RouteOut, RoutesIn, RoutesOut, RoutesProblemOut
from orchestrator.api.schemas import ProblemOut
from orchestrator.core.errors import NotFound
from orchestrator.models import RouteTable

Number = Annotated[int, Field(ge=1, le=2**31 - 1)]

router = Router(tags=["routes"])
_READERS = Bearer("read", "admin")
_READ_PROBLEMS: dict[Any, Any] = {frozenset({401, 403, 404, 422}): ProblemOut}


@router.get(
    "/routes", auth=_READERS, response={200: RoutesOut, **_READ_PROBLEMS}, summary="Read the routes"
)
def read(request: HttpRequest) -> RoutesOut:
    """The version that decides now."""
    return _render(routing_queries.table())


@router.put(
    "/routes",
    auth=Bearer("admin"),
    response={
        frozenset({200, 201}): RoutesOut,
        422: RoutesProblemOut,
        frozenset({400, 401, 403, 409, 413, 415}): ProblemOut,
    },
    summary="Save the routes",
)
def put(request: HttpRequest, wish: RoutesIn) -> Status[Any]:
    """201 for a new version; 200 with the newest one when that says the same already."""
    routes: list[Any] = wish.routes
    saved = save_routes(actor_of(request), routes, note=wish.note, seen=wish.seen)
    return Status(201 if saved.is_new else 200, _render(saved.table))


@router.get(
    "/routes/versions/{number}",
    auth=_READERS,
    response={200: RoutesOut, **_READ_PROBLEMS},
    summary="Read one version",
)
def read_version(request: HttpRequest, number: Number) -> RoutesOut:
    found = routing_queries.table(number)
    if found is None:
        raise NotFound("version of the routes", str(number))
    return _render(found)


def _render(table: RouteTable | None) -> RoutesOut:
    if table is None:
        return RoutesOut(
            version=0, routes=[], content_hash="", note="", created_at=None, created_by=None
        )
    return RoutesOut(
        version=table.number,
        routes=[
            RouteOut(name=one.name, when=one.when, workflow=one.workflow)
            for one in routes_of(table)
        ],
        content_hash=table.content_hash,
        note=table.note,
        created_at=table.created_at,
        created_by=table.created_by.get_username() if table.created_by else None,
    )
