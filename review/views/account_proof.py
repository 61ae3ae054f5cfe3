"""Once more, before what matters most: that it is still you."""

from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from orchestrator.actions import factors, sign_in
from orchestrator.core.errors import SecretUnreadable, TooManyTries
from review import passkeys, step_up
from review.access import person_of, signed_in
from review.account_forms import CodeForm, CredentialForm, ProofForm
from review.account_page import comes_from_provider

NOT_ACCEPTED = "It was not accepted. Nothing was changed; try again."


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def prove(request: HttpRequest) -> HttpResponseBase:
    user = person_of(request)
    if request.method != "POST":
        return _show(request, user)
    form = CredentialForm(request.POST)
    if "passkey" in request.POST and not form.is_valid():
        return passkeys.offer_request(user)
    try:
        is_proved = _is_proved(user, request)
    except TooManyTries as error:
        return _show(request, user, problem=str(error), status=HTTPStatus.TOO_MANY_REQUESTS)
    except SecretUnreadable as error:
        return _show(request, user, problem=str(error), status=HTTPStatus.UNPROCESSABLE_ENTITY)
    if not is_proved:
        return _show(request, user, problem=NOT_ACCEPTED, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    step_up.note_proof(request)
    # Not redirect(): it would take a word for the name of a view.
    return HttpResponseRedirect(_back(request))


def _is_proved(user: User, request: HttpRequest) -> bool:
    by_passkey, by_code, by_password = (
        CredentialForm(request.POST),
        CodeForm(request.POST),
        ProofForm(request.POST),
    )
    if by_passkey.is_valid():
        return passkeys.find(by_passkey.cleaned_data["credential"], user) is not None
    if by_code.is_valid():
        return factors.check_code(user, by_code.cleaned_data["code"], sign_in.proof_budgets(user))
    return by_password.is_valid() and sign_in.check_own_password(
        user, by_password.cleaned_data["password"]
    )


def _show(
    request: HttpRequest, user: User, *, status: HTTPStatus = HTTPStatus.OK, problem: str = ""
) -> HttpResponse:
    kinds = {factor.type for factor in factors.factors_of(user)}
    facts: dict[str, Any] = {
        "problem": problem,
        "next": _back(request),
        "password_form": ProofForm() if user.has_usable_password() else None,
        "code_form": CodeForm() if factors.Kind.TOTP in kinds else None,
        "has_passkey": factors.Kind.WEBAUTHN in kinds,
        "provider": settings.OIDC_NAME if comes_from_provider(user) else "",
        "minutes": settings.STEP_UP_MINUTES,
    }
    return render(request, "account/prove.html", facts, status=status)


def _back(request: HttpRequest) -> str:
    return step_up.safe_next(request, resolve_url("me"))
