"""What allauth asks us: who may come in, what to say, how secrets are kept. It has no other word."""

import time
from typing import Any, cast

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from orchestrator import secret_box
from orchestrator.actions import identities
from review.browsers import address_of, remember
from review.identity_provider import IdentityProvider, identity_of, proved_at_of
from review.step_up import PROVED_AT

AGENT_LENGTH_MAX = 200
# Of the session: what pages tell its person about it.
FROM_ADDRESS = "from_address"
FROM_AGENT = "from_agent"


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def login(self, request: HttpRequest, user: Any) -> None:
        super().login(request, user)
        request.session[PROVED_AT] = getattr(request, "identity_proved_at", time.time())
        request.session[FROM_ADDRESS] = address_of(request)
        request.session[FROM_AGENT] = request.headers.get("User-Agent", "")[:AGENT_LENGTH_MAX]

    def post_login(self, request: HttpRequest, user: Any, **details: Any) -> HttpResponse:
        response: HttpResponse = super().post_login(request, user, **details)
        remember(request, response, user)
        return response

    def respond_user_inactive(self, request: HttpRequest, user: Any) -> HttpResponse:
        messages.error(request, "This account is switched off. An admin can switch it on again.")
        return redirect("login")

    def is_reauthentication_required(self, *, app: str, **details: Any) -> bool:
        """Our views ask `step_up` before they let allauth do anything."""
        return False

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Our pages say what happened themselves."""

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """Nobody needs an email address to sign in, so there may be nowhere to send it."""

    def get_client_ip(self, request: HttpRequest) -> str:
        return address_of(request)


class MfaAdapter(DefaultMFAAdapter):
    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": "This was not accepted. Codes hold for half a minute and work once.",
    }

    def encrypt(self, text: str) -> str:
        return secret_box.seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        return secret_box.unseal(encrypted_text)

    def get_totp_issuer(self) -> str:
        return "Countersign"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        return {**super().get_public_key_credential_rp_entity(), "name": "Countersign"}


class IdentityAdapter(DefaultSocialAccountAdapter):
    """People from the identity provider named in the settings."""

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """From the settings alone: a row in a table must not add a way in."""
        if not settings.OIDC_ISSUER:
            return []
        app = SocialApp(
            provider=IdentityProvider.id,
            name=settings.OIDC_NAME,
            client_id=settings.OIDC_CLIENT_ID,
            secret=settings.OIDC_CLIENT_SECRET,
            settings={"server_url": settings.OIDC_ISSUER, "fetch_userinfo": False},
        )
        return [app]

    def get_provider(
        self, request: HttpRequest, provider: str, client_id: str | None = None
    ) -> IdentityProvider:
        return IdentityProvider(request, app=self.get_app(request, provider=provider))

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return True

    def is_auto_signup_allowed(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return True

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:
        identity = identity_of(sociallogin)
        account = identities.admit(identity)
        identities.follow_groups(account.user, identity)
        sociallogin.account, sociallogin.user = account, account.user
        return cast(User, account.user)

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        request.identity_proved_at = proved_at_of(sociallogin)  # type: ignore[attr-defined]
        if sociallogin.is_existing:
            identities.follow_groups(cast(User, sociallogin.user), identity_of(sociallogin))

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        messages.error(
            request,
            f"{settings.OIDC_NAME} did not sign you in. Nothing was changed; try again, or sign in "
            "with a user name and password.",
        )
        raise ImmediateHttpResponse(redirect("login"))
