from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from orchestrator import team_queries
from orchestrator.actions import team_moves
from orchestrator.core.errors import BadInput
from orchestrator.models import ReviewItem, Team
from review.access import actor_of, requires
from review.forms import show_error
from review.presentation.bars import counted
from review.sent import ids_in
from review.team_forms import MoveForm
from review.views.teams import team_or_404


@require_http_methods(["GET", "HEAD", "POST"])
@requires("queue.assign")
def move_items(request: HttpRequest, slug: str = "") -> HttpResponse:
    """Opened it lists what waits, sent it counts, and sent once more with the count it moves."""
    source = team_or_404(slug) if slug else None
    form = _form(request, source)
    if request.method != "POST":
        return _choose(request, source, form)
    actor, ids = actor_of(request), ids_in(request.POST.getlist("item"))
    if not form.is_valid():
        return _choose(request, source, form, ticked=set(ids))
    wanted: dict[str, Any] = {"source": source, "to": form.cleaned_data["to"]}
    try:
        if "confirmed" not in request.POST:
            return _confirm(request, form, wanted, team_moves.preview(actor, ids, **wanted))
        done = team_moves.move(actor, ids, **wanted)
    except BadInput as error:
        show_error(form, error)
        return _choose(request, source, form, ticked=set(ids))
    _tell(request, done, _name_of(wanted["to"]))
    return redirect("team", slug) if slug else redirect("teams")


def _choose(
    request: HttpRequest, source: Team | None, form: MoveForm, ticked: set[str] | None = None
) -> HttpResponse:
    count = _count(source)
    found = team_queries.waiting_of(source, at_most=settings.BULK_MAX)
    facts = {
        "source": source,
        "form": form,
        "rows": [(item, _is_ticked(item, ticked)) for item in found],
        "count": counted(count),
        "is_more": count > len(found),
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, "settings/team_items.html", facts, status=status)


def _confirm(
    request: HttpRequest, form: MoveForm, wanted: dict[str, Any], found: team_moves.Preview
) -> HttpResponse:
    facts = wanted | {"form": form, "found": found, "name": _name_of(wanted["to"])}
    return render(request, "settings/team_items_confirm.html", facts)


def _count(source: Team | None) -> int:
    load = team_queries.load([source] if source else [], timezone.now())
    return load[source.pk if source else None].waiting


def _form(request: HttpRequest, source: Team | None) -> MoveForm:
    teams = [team for team in team_queries.able_teams() if team != source]
    return MoveForm(request.POST, teams=teams, is_owned=source is not None)


def _is_ticked(item: ReviewItem, ticked: set[str] | None) -> bool:
    """At first everything that nobody is looking at just now."""
    return not item.is_held if ticked is None else item.pk in ticked


def _name_of(slug: str) -> str:
    team = team_queries.team(slug) if slug else None
    return team.name if team else "whoever may decide"


def _tell(request: HttpRequest, done: team_moves.Moved, name: str) -> None:
    said = f"{done.moved:,} item{'s'[: done.moved != 1]} moved to {name}."
    if done.left:
        messages.warning(request, f"{said} {len(done.left):,} stayed: {' '.join(done.left[:3])}")
    else:
        messages.success(request, said)
