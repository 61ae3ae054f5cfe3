"""Passkeys: what the browser is asked, and whether its answer is good.

The only place that knows how allauth does WebAuthn. The challenge lies in the session between the two.
"""

import ipaddress
import json
from typing import Any, cast

from allauth.account.models import Login
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal import auth, flows
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import split_domain_port
from fido2.webauthn import AuthenticationResponse, RegistrationResponse

# What the libraries raise for an answer that is not one.
NO_ANSWER = (ValidationError, TypeError, ValueError, KeyError, AttributeError)


def offer_creation(user: User) -> JsonResponse:
    """Always one that can sign in by itself: it knows its person, and asks for a finger or a PIN."""
    return _options(auth.begin_registration(user, passwordless=True))


def offer_request(user: User | None) -> JsonResponse:
    """Of this person, or of whoever holds one for this site."""
    return _options(auth.begin_authentication(user))


def is_created(credential: Any) -> bool:
    try:
        RegistrationResponse.from_dict(credential)
        return bool(auth.complete_registration(credential).is_user_verified())
    except NO_ANSWER:
        return False


def find(credential: Any, user: User | None = None) -> Authenticator | None:
    """The passkey that gave this answer to our challenge."""
    try:
        AuthenticationResponse.from_dict(credential)
        owner = user or auth.extract_user_from_response(credential)
        passkey: Authenticator = auth.complete_authentication(owner, credential)
    except NO_ANSWER:
        return None
    passkey.record_usage()
    return passkey


def sign_in(request: HttpRequest, passkey: Authenticator, redirect_url: str) -> HttpResponse:
    login = Login(user=passkey.user, redirect_url=redirect_url)
    return cast(HttpResponse, flows.perform_passwordless_login(request, passkey, login))


def are_possible(request: HttpRequest) -> bool:
    """A passkey belongs to a name; browsers make none for an address made of numbers."""
    try:
        ipaddress.ip_address(split_domain_port(request.get_host())[0].strip("[]"))
    except ValueError:
        return True
    return False


def address_with_a_name(request: HttpRequest) -> str:
    """Where the same page can be opened so that passkeys work, if we know."""
    port = request.get_port()
    is_here = (
        request.get_host().startswith(("127.", "[::1]")) and not settings.SESSION_COOKIE_SECURE
    )
    return f"http://localhost:{port}{request.path}" if is_here else ""


def _options(options: dict[str, Any]) -> JsonResponse:
    return JsonResponse(json.loads(json.dumps(options, default=dict)))
