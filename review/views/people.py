"""People: who may come in, with which roles, and how they sign in."""

from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from orchestrator import people_queries as queries
from orchestrator.actions import factors, sign_in, users
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import CountersignError, NotFound
from review import step_up
from review.access import actor_of, requires
from review.account_forms import NewPersonForm, RolesForm
from review.forms import show_error

DAY_S = 24 * 3600


@require_safe
@requires("people.edit")
def people(request: HttpRequest) -> HttpResponse:
    search = request.GET.get("name", "").replace("\x00", "").strip()
    facts = {"lines": queries.people(search), "search": search}
    return render(request, "settings/people.html", facts)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires("people.edit")
def add_person(request: HttpRequest) -> HttpResponse:
    if not step_up.is_fresh(request):
        return step_up.ask(request, request.path)
    form = NewPersonForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        given, actor = form.cleaned_data, actor_of(request)
        try:
            added = users.add(actor, username=given["username"], wanted=given["roles"])
            return _show_link(request, *users.invite(actor, added.pk))
        except CountersignError as error:
            show_error(form, error)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, "settings/people_add.html", {"form": form}, status=status)


@require_safe
@requires("people.edit")
def person(request: HttpRequest, pk: int) -> HttpResponse:
    line = queries.person(pk)
    if line is None:
        raise Http404
    facts = {
        "line": line,
        "form": RolesForm(initial={"roles": line.roles}),
        "is_self": line.user == request.user,
        "locked_until": sign_in.locked_until(line.user),
        "follows_groups": line.is_from_provider and settings.OIDC_GROUPS_CLAIM,
    }
    return render(request, "settings/people_person.html", facts)


@require_POST
@requires("people.edit")
def change_roles(request: HttpRequest, pk: int) -> HttpResponse:
    form = RolesForm(request.POST)
    wanted = form.cleaned_data["roles"] if form.is_valid() else None
    if wanted is None:
        messages.error(request, "There is no such role. Nothing was changed.")
        return redirect("person", pk)
    return _act(request, pk, lambda actor: users.set_roles(actor, pk, wanted), _said_roles)


@require_POST
@requires("people.edit")
def switch_person(request: HttpRequest, pk: int) -> HttpResponse:
    if request.POST.get("to") == "on":
        return _act(request, pk, lambda actor: users.activate(actor, pk), _said_on)
    return _act(request, pk, lambda actor: users.deactivate(actor, pk), _said_off)


@require_POST
@requires("people.edit")
def reset_factors(request: HttpRequest, pk: int) -> HttpResponse:
    return _act(request, pk, lambda actor: factors.reset(actor, pk), _said_reset)


@never_cache
@require_POST
@requires("people.edit")
def make_link(request: HttpRequest, pk: int) -> HttpResponse:
    if not step_up.is_fresh(request):
        return step_up.ask(request, reverse("person", args=[pk]))
    try:
        return _show_link(request, *users.invite(actor_of(request), pk))
    except NotFound as error:
        raise Http404 from error
    except CountersignError as error:
        messages.error(request, str(error))
        return redirect("person", pk)


def _act(
    request: HttpRequest, pk: int, act: Callable[[Actor], User], said: Callable[[str], str]
) -> HttpResponse:
    page = reverse("person", args=[pk])
    if not step_up.is_fresh(request):
        return step_up.ask(request, page)
    try:
        changed = act(actor_of(request))
    except NotFound as error:
        raise Http404 from error
    except CountersignError as error:
        messages.error(request, f"{error} Nothing was changed.")
    else:
        messages.success(request, said(changed.get_username()))
    return redirect(page)


def _said_roles(name: str) -> str:
    return (
        f"The roles of {name} are changed. They are signed out and see it when they sign in again."
    )


def _said_on(name: str) -> str:
    return f"{name} can sign in again."


def _said_off(name: str) -> str:
    return f"{name} is signed out and cannot sign in. What they did stays under their name."


def _said_reset(name: str) -> str:
    return f"{name} signs in with the password alone now, and is signed out everywhere."


def _show_link(request: HttpRequest, person: User, secret: str) -> HttpResponse:
    """On this page and never again: only who has the link can use it."""
    facts = {
        "person": person,
        "link": settings.BASE_URL + reverse("welcome", args=[secret]),
        "days": settings.PASSWORD_RESET_TIMEOUT // DAY_S,
    }
    return render(request, "settings/people_link.html", facts)
