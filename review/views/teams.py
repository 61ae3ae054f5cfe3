from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from orchestrator import team_queries
from orchestrator.actions import teams as actions
from orchestrator.actions.actor import Actor
from orchestrator.actions.teams import create as create_team
from orchestrator.core.errors import BadInput, CountersignError, StillNeeded
from orchestrator.models import Team
from review.access import actor_of, requires
from review.forms import show_error
from review.team_forms import (
    AddForm,
    AssignForm,
    EscalationForm,
    NameForm,
    NewTeamForm,
    RemoveForm,
    RetireForm,
    UnassignForm,
)
from review.team_page import offer, team_page, teams_page


@require_http_methods(["GET", "HEAD", "POST"])
@requires("teams.edit")
def teams(request: HttpRequest) -> HttpResponse:
    form = NewTeamForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            team = create_team(actor_of(request), form.cleaned_data["name"])
        except BadInput as error:
            form.add_error("name", error.reason)
        else:
            messages.success(request, f"{team.name} is there. Next, say who is in it.")
            return redirect("team", team.slug)
    facts = teams_page(timezone.now()) | {"form": form}
    return render(request, "settings/teams.html", facts, status=_status(form))


@require_safe
@requires("teams.edit")
def team(request: HttpRequest, slug: str) -> HttpResponse:
    return render(request, "settings/team.html", _facts(team_or_404(slug)))


@require_POST
@requires("teams.edit")
def change_team(request: HttpRequest, slug: str) -> HttpResponse:
    """One step of those below; what is refused stays in its form."""
    team = team_or_404(slug)
    step = STEPS.get(request.POST.get("step", ""))
    if step is None:
        raise Http404
    form = step.form(request.POST, auto_id=f"{request.POST['step']}-%s")
    if form.is_valid():
        try:
            messages.success(request, step.act(actor_of(request), team, form.cleaned_data))
        except CountersignError as error:
            return _refuse(request, team, form, error)
        return redirect("team", slug)
    return _show_refused(request, team, form, HTTPStatus.UNPROCESSABLE_ENTITY)


def _refuse(
    request: HttpRequest, team: Team, form: forms.Form, error: CountersignError
) -> HttpResponse:
    show_error(form, error)
    is_needed = isinstance(error, StillNeeded)
    status = HTTPStatus.CONFLICT if is_needed else HTTPStatus.UNPROCESSABLE_ENTITY
    return _show_refused(request, team, form, status)


def _show_refused(
    request: HttpRequest, team: Team, form: forms.Form, status: HTTPStatus
) -> HttpResponse:
    step = request.POST["step"]
    sent = {step: offer(step, form, team)}
    return render(request, "settings/team.html", _facts(team, sent), status=status)


def _facts(team: Team, sent: dict[str, forms.Form] | None = None) -> dict[str, Any]:
    return team_page(team, timezone.now(), sent or {})


# The steps ------------------------------------------------------------------------------------


def _rename(actor: Actor, team: Team, sent: dict[str, Any]) -> str:
    return f"It is called {actions.rename(actor, team.slug, sent['name']).name} now."


def _add(actor: Actor, team: Team, sent: dict[str, Any]) -> str:
    actions.set_members(actor, team.slug, add=[sent["add"]])
    return f"{sent['add']} is in it now."


def _remove(actor: Actor, team: Team, sent: dict[str, Any]) -> str:
    actions.set_members(actor, team.slug, remove=[sent["remove"]])
    return f"{sent['remove']} is not in it any more, and decides nothing of it from now on."


def _assign(actor: Actor, team: Team, sent: dict[str, Any]) -> str:
    actions.assign_to_team(actor, sent["kind"], sent["name"], team.slug)
    return f"From now on it decides the {sent['kind']} {sent['name']}. What waits already stays."


def _unassign(actor: Actor, team: Team, sent: dict[str, Any]) -> str:
    actions.unassign(actor, sent["kind"], sent["name"])
    return f"It does not decide the {sent['kind']} {sent['name']} any more. What waits stays."


def _escalate(actor: Actor, team: Team, sent: dict[str, Any]) -> str:
    above = actions.set_escalation(actor, team.slug, sent["escalates_to"]).escalates_to
    return f"What it hands on goes to {above.name}." if above else "What it hands on stays with it."


def _retire(actor: Actor, team: Team, sent: dict[str, Any]) -> str:
    return f"{actions.retire(actor, team.slug).name} is retired."


class Step(NamedTuple):
    form: type[forms.Form]
    act: Callable[[Actor, Team, dict[str, Any]], str]


STEPS = {
    "rename": Step(NameForm, _rename),
    "add": Step(AddForm, _add),
    "remove": Step(RemoveForm, _remove),
    "assign": Step(AssignForm, _assign),
    "unassign": Step(UnassignForm, _unassign),
    "escalate": Step(EscalationForm, _escalate),
    "retire": Step(RetireForm, _retire),
}


def team_or_404(slug: str) -> Team:
    found = team_queries.team(slug)
    if found is None:
        raise Http404
    return found


def _status(form: forms.Form) -> HTTPStatus:
    return HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
