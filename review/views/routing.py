from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from orchestrator import routing_queries
from orchestrator.actions.routing import check as check_routes
from orchestrator.actions.routing import save as save_routes
from orchestrator.core.codec import Json
from orchestrator.core.errors import CountersignError, RoutesChanged, RoutesInvalid
from review import routing_page as pages
from review import run_reads
from review.access import actor_of, may, requires
from review.reads import number_or_none
from review.routing_forms import RouteRows, point_at, routes_in

NUMBER_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody is writing, and the version that they began with."""

    rows: Any
    seen: int
    note: str = ""


@require_safe
@requires("routing.view")
def routing(request: HttpRequest) -> HttpResponse:
    return render(request, "review/routing.html", pages.overview(timezone.now()) | _may(request))


@require_safe
@requires("routing.view")
def routes(request: HttpRequest, number: int | None = None) -> HttpResponse:
    table = routing_queries.table(number) if number is None or number <= NUMBER_MAX else None
    if table is None and number is not None:
        raise Http404
    before = number_or_none(request.GET.get("against", ""))
    if before is None and table is not None:
        before = table.number - 1
    against = routing_queries.table(before) if before and before <= NUMBER_MAX else None
    return render(request, "review/routes.html", pages.routes_page(table, against) | _may(request))


@require_http_methods(["GET", "HEAD", "POST"])
@requires("routing.edit")
def edit_routes(request: HttpRequest) -> HttpResponse:
    """Checking shows where recent events would go; saving saves."""
    if request.method != "POST":
        return _editor(request, _newest())
    draft = _sent(request)
    if not draft.rows.is_valid():
        return _editor(request, draft, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        return _save(request, draft) if "save" in request.POST else _preview(request, draft)
    except CountersignError as error:
        return _refuse(request, draft, error)


def _newest() -> Draft:
    table = routing_queries.table()
    initial = [
        {"name": one.name, "when": one.when, "workflow": one.workflow}
        for one in pages.routes_of(table)
    ]
    return Draft(RouteRows(initial=initial), seen=table.number if table else 0)


def _sent(request: HttpRequest) -> Draft:
    return Draft(
        RouteRows(request.POST),
        seen=number_or_none(request.POST.get("seen", "")) or 0,
        note=request.POST.get("note", "").replace("\x00", ""),
    )


def _preview(request: HttpRequest, draft: Draft) -> HttpResponse:
    wanted, _ = routes_in(draft.rows)
    tried, moved = pages.moved(check_routes(cast(Json, wanted)))
    facts = {"tried": tried, "moved": moved[: pages.MOVED_SHOWN_MAX], "count": len(moved)}
    return _editor(request, draft, preview=facts)


def _save(request: HttpRequest, draft: Draft) -> HttpResponse:
    wanted, _ = routes_in(draft.rows)
    actor = actor_of(request)
    saved = save_routes(actor, cast(Json, wanted), note=draft.note, seen=draft.seen)
    number = saved.table.number
    if saved.is_new:
        messages.success(request, f"Saved as version {number}. It decides from now on.")
    else:
        messages.success(request, f"Version {number} says the same already.")
    return redirect("routes")


def _refuse(request: HttpRequest, draft: Draft, error: CountersignError) -> HttpResponse:
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    if isinstance(error, RoutesInvalid):
        point_at(error, routes_in(draft.rows)[1])
    if isinstance(error, RoutesChanged):
        # Whoever saves again has been told.
        draft, status = replace(draft, seen=error.current), HTTPStatus.CONFLICT
    return _editor(request, draft, status=status, error=error)


def _editor(
    request: HttpRequest, draft: Draft, *, status: int = HTTPStatus.OK, **facts: Any
) -> HttpResponse:
    facts = {"draft": draft, "workflows": run_reads.workflow_slugs(), **facts}
    return render(request, "review/routes_edit.html", facts, status=status)


def _may(request: HttpRequest) -> dict[str, bool]:
    return {"may_edit": may(request.user, "routing.edit")}
