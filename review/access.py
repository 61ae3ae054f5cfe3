"""Who may open what: every view carries `@public` or `@requires(...)`; a test looks for views that do not."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate

from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_cache_control

from orchestrator.actions.actor import capabilities_of
from review.htmx import separate_fragments
from review.views.errors import ask_to_sign_in, refuse_role

type View[**P] = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def public[**P](view: View[P]) -> View[P]:
    """Open to everybody, signed in or not."""
    view.policy = "public"  # type: ignore[attr-defined]
    return view


def requires[**P](capability: str) -> Callable[[View[P]], View[P]]:
    """Open to people one of whose roles has the capability."""

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return ask_to_sign_in(request)
            if not may(request.user, capability):
                return refuse_role(request, capability)
            response = view(request, *args, **kwargs)
            patch_cache_control(response, private=True, no_cache=True)
            separate_fragments(response)
            return response

        guarded.policy = capability  # type: ignore[attr-defined]
        return guarded

    return decorate


def may(user: Any, capability: str) -> bool:
    """Every page and its navigation ask this several times, so the answer lives with the request's user."""
    if not user.is_authenticated:
        return False
    if not hasattr(user, "known_capabilities"):
        user.known_capabilities = capabilities_of(user)
    return capability in user.known_capabilities


def role_names(user: Any) -> list[str]:
    """For the menu and for refusals; what the roles allow is asked of `may`."""
    return sorted(user.groups.values_list("name", flat=True)) if user.is_authenticated else []
