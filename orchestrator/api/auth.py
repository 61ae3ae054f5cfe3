"""Bearer tokens with scopes. Who acts is read from the token and from nowhere else."""

from typing import cast

from django.http import HttpRequest
from ninja.security import HttpBearer

from orchestrator.actions import tokens
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import NotAllowed
from orchestrator.models import ApiToken


class Bearer(HttpBearer):
    """Needs one of these scopes."""

    def __init__(self, *scopes: str) -> None:
        super().__init__()
        self.scopes = scopes

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken | None:
        found = tokens.find(token)
        if found is not None and not any(found.may(scope) for scope in self.scopes):
            wanted = " or ".join(self.scopes)
            raise NotAllowed(
                f"The token “{found.name}”", "do this", f"It needs the scope {wanted}."
            )
        return found


def token_of(request: HttpRequest) -> ApiToken:
    return cast(ApiToken, request.auth)  # type: ignore[attr-defined]  # Ninja puts it there


def actor_of(request: HttpRequest) -> Actor:
    token = token_of(request)
    return Actor(token.owner, token)
