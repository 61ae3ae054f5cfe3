"""API tokens: `cs_<prefix>_<secret>`. The secret is shown once and kept only as a hash."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from orchestrator.actions.actor import Actor, audit
from orchestrator.core.errors import BadInput
from orchestrator.core.policy.roles import SCOPES
from orchestrator.models import ApiToken

# Writing `last_used_at` for every call would make each read a write.
LAST_USED_EVERY = timedelta(minutes=1)


@transaction.atomic
def issue(
    actor: Actor,
    *,
    owner: User,
    name: str,
    scopes: Sequence[str],
    expires_at: datetime | None = None,
) -> str:
    """The new token's text; it cannot be read again."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise BadInput("scopes", f"choose among {', '.join(SCOPES)}.")
    prefix, secret = _letters(ApiToken.PREFIX_LENGTH), _letters(40)
    token = ApiToken.objects.create(
        prefix=prefix,
        secret_hash=_hash(secret),
        name=name,
        owner=owner,
        scopes=list(scopes),
        expires_at=expires_at,
    )
    audit(actor, "token.issued", f"token/{token.prefix}", name=name, scopes=list(scopes))
    return f"cs_{prefix}_{secret}"


def find(text: str) -> ApiToken | None:
    """The live token that this text names, compared in constant time; None for every other text."""
    parts = text.split("_")
    if len(parts) != 3 or parts[0] != "cs":
        return None
    token = (
        ApiToken.objects.select_related("owner")
        .filter(Q(expires_at__isnull=True) | Q(expires_at__gt=Now()))
        .filter(prefix=parts[1], revoked_at__isnull=True, owner__is_active=True)
        .first()
    )
    if token is None or not secrets.compare_digest(token.secret_hash, _hash(parts[2])):
        return None
    if token.last_used_at is None or timezone.now() - token.last_used_at > LAST_USED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=Now())
    return token


def _letters(count: int) -> str:
    return "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(count))


def _hash(secret: str) -> str:
    """A plain hash is enough: the secret is 200 random bits, not a password."""
    return hashlib.sha256(secret.encode()).hexdigest()
