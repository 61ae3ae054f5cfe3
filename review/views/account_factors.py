"""Your second factors: authenticator app, passkeys, recovery codes."""

from http import HTTPStatus
from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.totp.forms import ActivateTOTPForm
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from orchestrator.actions import factors as actions
from orchestrator.core.errors import BadInput, NotFound, SecretUnreadable
from review import passkeys, step_up
from review.access import person_of, signed_in
from review.account_forms import CodeForm, NewPasskeyForm
from review.presentation.qr_code import data_uri


@require_safe
@signed_in
def factors(request: HttpRequest) -> HttpResponse:
    own = actions.factors_of(person_of(request))
    facts = {
        "app": next((one for one in own if one.type == actions.Kind.TOTP), None),
        "passkeys": [one for one in own if one.type == actions.Kind.WEBAUTHN],
        "codes_left": sum(map(actions.codes_left, own)),
        "passkeys_possible": passkeys.are_possible(request),
        "address_with_a_name": passkeys.address_with_a_name(request),
    }
    return render(request, "account/factors.html", facts)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def add_app(request: HttpRequest) -> HttpResponse:
    """A new secret each time the page is opened; it counts once a code of it was shown."""
    if not step_up.is_fresh(request):
        return step_up.ask(request, request.path)
    user = person_of(request)
    checked = ActivateTOTPForm(request.POST if request.method == "POST" else None, user=user)
    form = CodeForm(request.POST if request.method == "POST" else None)
    if checked.is_bound and form.is_valid() and checked.is_valid():
        return _added(
            request, actions.add_app(user, checked.secret), "Your authenticator app is set up."
        )
    if checked.is_bound and not form.errors:
        form.add_error("code", "This is not the code of now. Check the clock of the device.")
    url = get_adapter().build_totp_url(user, checked.secret)
    facts = {"form": form, "secret": checked.secret, "image": data_uri(url)}
    return render(request, "account/add_app.html", facts, status=_status(form))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def add_passkey(request: HttpRequest) -> HttpResponseBase:
    if not step_up.is_fresh(request):
        return step_up.ask(request, request.path)
    if request.method != "POST":
        return _show_passkey(request, NewPasskeyForm())
    if not request.POST.get("credential"):
        return passkeys.offer_creation(person_of(request))
    form = NewPasskeyForm(request.POST)
    return _keep_passkey(request, form) if form.is_valid() else _show_passkey(request, form)


def _keep_passkey(request: HttpRequest, form: NewPasskeyForm) -> HttpResponse:
    name, credential = form.cleaned_data["name"], form.cleaned_data["credential"]
    if not passkeys.is_created(credential):
        form.add_error(None, "This passkey was not accepted. Nothing was stored; try again.")
        return _show_passkey(request, form)
    try:
        has_new_codes = actions.add_passkey(person_of(request), name, credential)
    except BadInput as error:
        form.add_error(error.field, error.reason)
        return _show_passkey(request, form)
    return _added(request, has_new_codes, "Your passkey is set up. You can sign in with it alone.")


def _show_passkey(request: HttpRequest, form: NewPasskeyForm) -> HttpResponse:
    facts: dict[str, Any] = {
        "form": form,
        "passkeys_possible": passkeys.are_possible(request),
        "address_with_a_name": passkeys.address_with_a_name(request),
    }
    return render(request, "account/add_passkey.html", facts, status=_status(form))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def recovery_codes(request: HttpRequest) -> HttpResponse:
    if not step_up.is_fresh(request):
        return step_up.ask(request, reverse("recovery_codes"))
    user = person_of(request)
    if request.method == "POST":
        try:
            actions.renew_recovery_codes(user)
        except BadInput as error:
            messages.warning(request, error.reason)
            return redirect("factors")
        messages.success(
            request, "These are your new recovery codes; the old ones are worth nothing."
        )
        return redirect("recovery_codes")
    try:
        codes = actions.recovery_codes(user)
    except SecretUnreadable as error:
        messages.error(request, str(error))
        return redirect("factors")
    if not codes and not actions.has_factor(user):
        return redirect("factors")
    return render(request, "account/recovery_codes.html", {"codes": codes})


@require_POST
@signed_in
def remove_factor(request: HttpRequest, pk: int) -> HttpResponse:
    if not step_up.is_fresh(request):
        return step_up.ask(request, reverse("factors"))
    try:
        removed = actions.remove(person_of(request), pk)
    except NotFound:
        messages.warning(request, "It was removed already.")
    else:
        messages.success(request, f"Removed: {removed}.")
    return redirect("factors")


def _added(request: HttpRequest, has_new_codes: bool, said: str) -> HttpResponse:
    # What was just proved by it counts, and an older cookie does not gain it.
    step_up.note_proof(request)
    messages.success(request, said)
    return redirect("recovery_codes" if has_new_codes else "factors")


def _status(form: Any) -> HTTPStatus:
    return HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK
