"""Routes: immutable versions of the whole table, of which the newest decides."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from django.db import connection, transaction

from orchestrator.actions import workflows
from orchestrator.actions.actor import Actor, audit, require
from orchestrator.core.codec import Json, canonical, digest
from orchestrator.core.errors import (
    BadInput,
    CountersignError,
    Problem,
    RoutesChanged,
    RoutesInvalid,
)
from orchestrator.core.policy.routing import Route, problems_of, read_routes, stored_routes
from orchestrator.models import RouteTable

NOTE_LENGTH_MAX = 1_000
# Only one may add a version at a time; there is no row that all of them could lock.
_LOCK = 0x726F75746573


class Saved(NamedTuple):
    table: RouteTable
    is_new: bool


def save(actor: Actor, raw: Json, *, note: str = "", seen: int | None = None) -> Saved:
    """The version that says this; what the newest one says already makes no other.

    `seen` is the version that the writer began with: whoever saved in between is not overwritten.
    """
    _require_editor(actor)
    if len(note) > NOTE_LENGTH_MAX:
        raise BadInput("note", f"at most {NOTE_LENGTH_MAX:,} characters are taken.")
    routes = check(raw)
    text = canonical([_json(one) for one in routes])
    with transaction.atomic():
        _lock()
        newest = newest_table()
        current = newest.number if newest else 0
        if newest is not None and newest.routes == text:
            return Saved(newest, is_new=False)
        if seen is not None and seen != current:
            raise RoutesChanged(seen, current)
        table = RouteTable.objects.create(
            number=current + 1,
            routes=text,
            content_hash=digest(text),
            note=note.strip(),
            created_by=actor.user,
        )
        audit(actor, "routes.saved", "routes", version=table.number, note=table.note)
        return Saved(table, is_new=True)


def check(raw: Json) -> tuple[Route, ...]:
    """Raises RoutesInvalid with everything that is wrong, workflows without a plan among it."""
    routes = read_routes(raw)
    found = [*problems_of(routes), *_workflow_problems(routes)]
    if found:
        raise RoutesInvalid(found)
    return routes


def newest_table() -> RouteTable | None:
    return RouteTable.objects.order_by("-number").first()


def routes_of(table: RouteTable | None) -> tuple[Route, ...]:
    """Without any table nothing is wanted."""
    return stored_routes(table.routes) if table else ()


def _json(one: Route) -> dict[str, Json]:
    return {"name": one.name, "when": one.when, "workflow": one.workflow}


def _workflow_problems(routes: Sequence[Route]) -> Iterator[Problem]:
    for place, one in enumerate(routes):
        try:
            workflows.newest_plan(one.workflow)
        except CountersignError as error:
            yield Problem(f"/{place}/workflow", str(error))


def _require_editor(actor: Actor) -> None:
    """Nobody in particular is whoever may run commands on this machine."""
    if actor.user is not None or actor.token is not None:
        require(actor, "routing.edit", "change routes")


def _lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
