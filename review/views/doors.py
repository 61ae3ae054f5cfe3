"""The ways in and out: home, signing in and out, links for new people, and the first admin."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from allauth.account.stages import LoginStage, LoginStageController
from allauth.account.utils import perform_login
from allauth.mfa.stages import AuthenticateStage
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
)
from django.shortcuts import redirect, render, resolve_url
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from requests import RequestException

from orchestrator.actions import factors, users
from orchestrator.actions import sign_in as actions
from orchestrator.core.errors import BadInput, NotAllowed, SecretUnreadable, TooManyTries
from review import passkeys, step_up
from review.access import may, public
from review.account_forms import CodeForm, CredentialForm, NewPasswordForm, SignInForm
from review.browsers import browser_of
from review.forms import SetupForm
from review.identity_provider import IdentityProvider, IdTokenReader

ENTRANCES = (("queue.decide", "queue"), ("reports.view", "reports"))
NOT_TOGETHER = "That user name and password do not go together. Passwords are case-sensitive."
NOT_THIS_PASSKEY = "This passkey was not accepted. Nothing was changed; sign in another way."


@public
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """To the page that the role works on; an empty instance first gets its admin."""
    for capability, name in ENTRANCES:
        if may(request.user, capability):
            return redirect(name)
    if request.user.is_authenticated:
        return redirect("proposals")
    return redirect("login" if users.is_set_up() else "setup")


@public
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponseBase:
    if request.user.is_authenticated:
        # Not redirect(): it would take a word for the name of a view.
        return HttpResponseRedirect(_next(request))
    if request.method != "POST":
        return _show_sign_in(request, SignInForm()) if users.is_set_up() else redirect("setup")
    form = SignInForm(request.POST)
    if not form.is_valid():
        return _show_sign_in(request, form)
    return _check_password(request, form)


def _check_password(request: HttpRequest, form: SignInForm) -> HttpResponseBase:
    given = form.cleaned_data
    browser = browser_of(request)
    try:
        user = actions.check_password(given["username"], given["password"], browser=browser)
    except TooManyTries as error:
        return _too_many(error, lambda **facts: _show_sign_in(request, form, **facts))
    if user is None:
        form.add_error(None, NOT_TOGETHER)
        return _show_sign_in(request, form)
    return _enter(request, user)


def _show_sign_in(request: HttpRequest, form: SignInForm, **facts: Any) -> HttpResponse:
    status = facts.pop("status", HTTPStatus.OK)
    facts |= {
        "form": form,
        "next": step_up.safe_next(request, ""),
        "provider": settings.OIDC_NAME if settings.OIDC_ISSUER else "",
        "passkeys": passkeys.are_possible(request),
    }
    return render(request, "login.html", facts, status=status)


@public
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def second_step(request: HttpRequest) -> HttpResponseBase:
    """For whoever has shown a password, or comes from the provider, and has a second factor."""
    stage = LoginStageController.enter(request, AuthenticateStage.key)
    if stage is None or stage.login.user is None:
        return redirect("login")
    if request.method != "POST":
        return _show_second_step(request, stage, CodeForm())
    if "code" in request.POST:
        return _check_code(request, stage, CodeForm(request.POST))
    form = CredentialForm(request.POST)
    if not form.is_valid():
        return passkeys.offer_request(stage.login.user)
    if passkeys.find(form.cleaned_data["credential"], stage.login.user):
        return _leave(stage)
    return _show_second_step(request, stage, CodeForm(), passkey_problem=NOT_THIS_PASSKEY)


def _check_code(request: HttpRequest, stage: LoginStage, form: CodeForm) -> HttpResponseBase:
    if not form.is_valid():
        return _show_second_step(request, stage, form)
    user = stage.login.user
    budgets = actions.code_budgets(user, browser_of(request))
    try:
        if factors.check_code(user, form.cleaned_data["code"], budgets):
            return _leave(stage)
    except TooManyTries as error:
        return _too_many(error, lambda **facts: _show_second_step(request, stage, form, **facts))
    except SecretUnreadable as error:
        form.add_error("code", str(error))
        return _show_second_step(request, stage, form)
    form.add_error(
        "code", "This code was not accepted. Each holds for half a minute and works once."
    )
    return _show_second_step(request, stage, form)


def _leave(stage: LoginStage) -> HttpResponseBase:
    response: HttpResponseBase = stage.exit()
    return response


def _show_second_step(
    request: HttpRequest, stage: LoginStage, form: CodeForm, **facts: Any
) -> HttpResponse:
    status = facts.pop("status", HTTPStatus.OK)
    kinds = {factor.type for factor in factors.factors_of(stage.login.user)}
    facts |= {
        "form": form,
        "has_app": factors.Kind.TOTP in kinds,
        "has_passkey": factors.Kind.WEBAUTHN in kinds,
    }
    return render(request, "account/second_step.html", facts, status=status)


def _too_many(error: TooManyTries, show: Callable[..., HttpResponse]) -> HttpResponse:
    response = show(locked=error, status=HTTPStatus.TOO_MANY_REQUESTS)
    response["Retry-After"] = str(error.wait_s)
    return response


@public
@never_cache
@require_POST
def sign_in_with_passkey(request: HttpRequest) -> HttpResponseBase:
    """Two posts of one form: the first is answered with a challenge, the second brings the signature.

    Nothing is counted: signatures cannot be guessed, and a locked account has to stay open this way.
    """
    form = CredentialForm(request.POST)
    if not form.is_valid():
        return passkeys.offer_request(None)
    passkey = passkeys.find(form.cleaned_data["credential"])
    if passkey:
        return passkeys.sign_in(request, passkey, _next(request))
    refused = SignInForm()
    return _show_sign_in(request, refused, passkey_problem=NOT_THIS_PASSKEY)


@public
@never_cache
@require_safe
def go_to_provider(request: HttpRequest) -> HttpResponseBase:
    """A link and no form: `form-action` of our policy forbids a form that ends up elsewhere."""
    if not settings.OIDC_ISSUER:
        raise Http404
    provider = get_adapter().get_provider(request, IdentityProvider.id)
    # Somebody who is signed in comes to prove that it is still they, not to be waved through.
    again = {"prompt": "login", "max_age": "0"} if request.user.is_authenticated else {}
    try:
        return provider.redirect(  # type: ignore[no-any-return]
            request, process=AuthProcess.LOGIN, next_url=_next(request), auth_params=again
        )
    except RequestException:
        messages.error(
            request,
            f"{settings.OIDC_NAME} cannot be reached. Nothing was changed; try again in a moment, or "
            "sign in with a user name and password.",
        )
        return redirect("login")


@public
@never_cache
@require_safe
def return_from_provider(request: HttpRequest) -> HttpResponseBase:
    if not settings.OIDC_ISSUER:
        raise Http404
    reader = IdTokenReader(request, IdentityProvider.id)
    return OAuth2CallbackView.adapter_view(reader)(request)  # type: ignore[no-any-return]


@public
@require_POST
def sign_out(request: HttpRequest) -> HttpResponseBase:
    logout(request)
    return redirect(settings.LOGOUT_REDIRECT_URL)


@public
@never_cache
@sensitive_post_parameters("password", "password_again")
@require_http_methods(["GET", "HEAD", "POST"])
def welcome(request: HttpRequest, secret: str) -> HttpResponseBase:
    """Choosing a password by a link that an admin made; the link is used up by it."""
    user = users.find_invited(secret)
    if user is None:
        return render(request, "account/link_over.html", status=HTTPStatus.GONE)
    form = NewPasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            users.set_password(user, form.cleaned_data["password"])
        except BadInput as error:
            form.add_error("password", error.reason)
        else:
            logout(request)
            return _enter(request, user)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
    return render(request, "account/welcome.html", {"form": form, "person": user}, status=status)


@public
@never_cache
@sensitive_post_parameters("password", "password_again")
@require_http_methods(["GET", "HEAD", "POST"])
def set_up(request: HttpRequest) -> HttpResponseBase:
    """Exists only while nobody does."""
    if users.is_set_up():
        raise Http404
    form = SetupForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and (user := _create_admin(form)):
        messages.success(request, "You are the first admin of this instance.")
        return _enter(request, user)
    return render(request, "setup.html", {"form": form}, status=422 if form.errors else 200)


def _create_admin(form: SetupForm) -> Any:
    given = form.cleaned_data
    try:
        return users.create_first_admin(
            code=given["code"], username=given["username"], password=given["password"]
        )
    except NotAllowed as error:
        form.add_error("code", str(error))
    except BadInput as error:
        form.add_error(error.field, error.reason)
    return None


def _enter(request: HttpRequest, user: Any) -> HttpResponseBase:
    """In, or to the second step for whoever has one."""
    response: HttpResponseBase = perform_login(request, user, redirect_url=_next(request))
    return response


def _next(request: HttpRequest) -> str:
    return step_up.safe_next(request, resolve_url(settings.LOGIN_REDIRECT_URL))
