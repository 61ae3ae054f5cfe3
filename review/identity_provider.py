"""The identity provider that the settings name, over OpenID Connect.

allauth does the walk there and back. What is believed is ours: the ID token and nothing else, its
signature checked against the provider's keys each time, even when it came by a connection of our own.
"""

import hashlib
import time
from typing import Any

import jwt
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from orchestrator.actions.identities import Identity

NAME_CLAIMS = ("preferred_username", "email", "name", "sub")
# Signatures by a key that only the provider has; never one by a shared secret, and never none.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
CLOCK_SKEW_S = 60


class IdTokenReader(OpenIDConnectOAuth2Adapter):
    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        """As registered with the provider: the address of this instance, whatever host was asked for."""
        return settings.BASE_URL + reverse("identity_callback")

    def _decode_id_token(self, app: SocialApp, id_token: str) -> dict[str, Any]:
        if self.openid_config["issuer"].rstrip("/") != settings.OIDC_ISSUER.rstrip("/"):
            raise OAuth2Error("The provider calls itself something else than OIDC_ISSUER.")
        try:
            claims: dict[str, Any] = jwt.decode(
                id_token,
                key=self._key_of(id_token),
                algorithms=ALGORITHMS,
                audience=app.client_id,
                issuer=self.openid_config["issuer"],
                leeway=CLOCK_SKEW_S,
                options={"require": ["exp", "iat", "sub"]},
            )
        except (jwt.PyJWTError, KeyError) as error:
            raise OAuth2Error("The ID token was not accepted.") from error
        return claims

    def _key_of(self, id_token: str) -> jwt.PyJWK:
        with get_adapter().get_requests_session() as session:
            answer = session.get(self.openid_config["jwks_uri"])
            answer.raise_for_status()
        return jwt.PyJWKSet.from_dict(answer.json())[jwt.get_unverified_header(id_token)["kid"]]


class IdentityProvider(OpenIDConnectProvider):
    id = "oidc"
    oauth2_adapter_class = IdTokenReader
    pkce_enabled_default = True

    def get_callback_url(self) -> str:
        return reverse("identity_callback")

    def extract_uid(self, data: dict[str, Any]) -> str:
        """Somebody else's provider, named later, may call other people the same."""
        name = f"{settings.OIDC_ISSUER}\n{data['id_token']['sub']}"
        return hashlib.sha256(name.encode()).hexdigest()

    def extract_extra_data(self, data: dict[str, Any]) -> dict[str, Any]:
        """What signing in needs, and no more of what the provider knows."""
        claims = data["id_token"]
        kept = (*NAME_CLAIMS, "email_verified", "auth_time", settings.OIDC_GROUPS_CLAIM)
        return {name: claims[name] for name in kept if name and name in claims}

    def extract_common_fields(self, data: dict[str, Any]) -> dict[str, Any]:
        return {}

    def extract_email_addresses(self, data: dict[str, Any]) -> list[Any]:
        return []


def identity_of(sociallogin: SocialLogin) -> Identity:
    claims = sociallogin.account.extra_data
    groups = claims.get(settings.OIDC_GROUPS_CLAIM) if settings.OIDC_GROUPS_CLAIM else None
    return Identity(
        provider=sociallogin.account.provider,
        key=sociallogin.account.uid,
        name=next(str(claims[name]) for name in NAME_CLAIMS if claims.get(name)),
        email=str(claims.get("email", "")) if claims.get("email_verified") is True else "",
        groups=frozenset(map(str, groups)) if isinstance(groups, list) else frozenset(),
    )


def proved_at_of(sociallogin: SocialLogin) -> float:
    """When the provider last saw the person prove it. One that does not say may just have a cookie."""
    said = sociallogin.account.extra_data.get("auth_time")
    return min(float(said), time.time()) if isinstance(said, int | float) else 0.0
