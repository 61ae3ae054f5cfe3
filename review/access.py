"""Who may open what: every view carries `@public` or `@requires(...)`; a test looks for views that do not."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, cast

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_cache_control

from orchestrator import audit_queries
from orchestrator.actions import factors
from orchestrator.actions.actor import Actor, capabilities_of
from review.htmx import separate_fragments
from review.views.errors import ask_for_factor, ask_to_sign_in, lead_to_audit, refuse_role

type View[**P] = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def person_of(request: HttpRequest) -> User:
    """Of a view that only opens to people who are signed in."""
    return cast(User, request.user)


def actor_of(request: HttpRequest) -> Actor:
    return Actor(person_of(request))


def public[**P](view: View[P]) -> View[P]:
    """Open to everybody, signed in or not."""
    view.policy = "public"  # type: ignore[attr-defined]
    return view


def signed_in[**P](view: View[P]) -> View[P]:
    """Open to everybody who is signed in, for what is theirs; also to those who still need a factor."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return ask_to_sign_in(request)
        response = view(request, *args, **kwargs)
        patch_cache_control(response, private=True, no_cache=True)
        return response

    guarded.policy = "signed in"  # type: ignore[attr-defined]
    return guarded


def requires[**P](capability: str) -> Callable[[View[P]], View[P]]:
    """Open to people one of whose roles has the capability."""

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return ask_to_sign_in(request)
            if must_add_factor(request.user):
                return ask_for_factor(request)
            if not may(request.user, capability):
                return refuse_role(request, capability)
            if audit := audit_over(request.user, kwargs.get("pk")):
                return lead_to_audit(request, audit)
            response = view(request, *args, **kwargs)
            patch_cache_control(response, private=True, no_cache=True)
            separate_fragments(response)
            return response

        guarded.policy = capability  # type: ignore[attr-defined]
        return guarded

    return decorate


def closed_to_auditors[**P](view: View[P]) -> View[P]:
    """What is counted there, narrowed enough, would tell somebody of the very proposal they judge blind."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if held := audit_queries.held_by(request.user):
            return lead_to_audit(request, held.pk)
        return view(request, *args, **kwargs)

    return guarded


def may(user: Any, capability: str) -> bool:
    """Every page and its navigation ask this several times, so the answer lives with the request's user."""
    if not user.is_authenticated:
        return False
    if not hasattr(user, "known_capabilities"):
        user.known_capabilities = capabilities_of(user)
    return capability in user.known_capabilities


def audit_over(user: Any, key: object) -> str | None:
    """The audit that this person holds about what an address names, which stays shut until they have judged.

    What an address names is called `pk`; the pages of audits call theirs otherwise.
    """
    if not isinstance(key, str) or not may(user, "audits.decide"):
        return None
    return audit_queries.held_about(user, key)


def role_names(user: Any) -> list[str]:
    """For the menu and for refusals; what the roles allow is asked of `may`."""
    return sorted(user.groups.values_list("name", flat=True)) if user.is_authenticated else []


def must_add_factor(user: Any) -> bool:
    """Has a role that REQUIRE_MFA names, and no second factor. Asked each time, where it is set at all."""
    if not settings.REQUIRE_MFA or not user.is_authenticated:
        return False
    return bool(set(role_names(user)) & set(settings.REQUIRE_MFA)) and not factors.has_factor(user)
