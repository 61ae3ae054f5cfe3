"""Your account: who you are here, where you are signed in, and your password."""

from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from orchestrator.actions import factors, sign_in, users
from orchestrator.core.errors import BadInput, TooManyTries
from review import account_page
from review.access import person_of, signed_in
from review.account_forms import ChangePasswordForm


@require_safe
@signed_in
def me(request: HttpRequest) -> HttpResponse:
    user = person_of(request)
    facts = {
        "places": account_page.places_of(user, request.session.session_key or ""),
        "factors": factors.kinds_of(user),
        "has_password": user.has_usable_password(),
    }
    return render(request, "account/me.html", facts)


@require_POST
@signed_in
def end_sessions(request: HttpRequest) -> HttpResponse:
    """One of them, or all but this one."""
    user, place = person_of(request), request.POST.get("place", "")
    if place:
        ended = int(sign_in.end_session(user, place))
    else:
        ended = sign_in.end_sessions(user, but=request.session.session_key)
    messages.success(request, f"Signed out in {ended} other browser{'' if ended == 1 else 's'}.")
    return redirect("me")


@never_cache
@sensitive_post_parameters("current", "password", "password_again")
@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def change_password(request: HttpRequest) -> HttpResponse:
    user = person_of(request)
    if not user.has_usable_password():
        messages.info(
            request, "You sign in without a password. An admin can give you a link for one."
        )
        return redirect("me")
    form = ChangePasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and _change(request, user, form):
        messages.success(
            request, "Your password is changed, and you are signed out everywhere else."
        )
        return redirect("me")
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, "account/password.html", {"form": form}, status=status)


def _change(request: HttpRequest, user: User, form: ChangePasswordForm) -> bool:
    try:
        if not sign_in.check_own_password(user, form.cleaned_data["current"]):
            form.add_error("current", "This is not your password. Nothing was changed.")
            return False
        users.set_password(user, form.cleaned_data["password"], but=request.session.session_key)
    except TooManyTries as error:
        form.add_error("current", str(error))
        return False
    except BadInput as error:
        form.add_error("password", error.reason)
        return False
    update_session_auth_hash(request, user)
    return True
