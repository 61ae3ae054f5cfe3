"""API tokens: `cs_<prefix>_<secret>`. The secret is shown once and kept only as a hash."""

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from orchestrator.actions import users
from orchestrator.actions.actor import Actor, audit, require
from orchestrator.core.errors import BadInput, NotAllowed, NotFound
from orchestrator.core.policy.roles import SCOPES
from orchestrator.models import ApiToken

NAME_LENGTH_MAX = 100
AGENTS_MAX = 100
AGENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}")
# What these allow is asked of the owner's roles as well, and the account of a program has none.
OF_PEOPLE = frozenset({"review", "admin"})
# Writing `last_used_at` for every call would make each read a write.
LAST_USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """`owner` is whom the token acts as: the account of a program, made if there is none, or oneself."""

    name: str
    owner: str
    scopes: Sequence[str]
    days: int
    agents: Sequence[str] = ()


class Made(NamedTuple):
    token: ApiToken
    # It cannot be read again.
    text: str


@transaction.atomic
def make(actor: Actor, wish: Wish) -> Made:
    _require(actor, "make tokens")
    _check_wish(wish)
    text = issue(
        actor,
        owner=_owner(actor, wish),
        name=wish.name,
        scopes=wish.scopes,
        agents=wish.agents,
        expires_at=timezone.now() + timedelta(days=wish.days),
    )
    return Made(ApiToken.objects.select_related("owner").get(prefix=text.split("_")[1]), text)


@transaction.atomic
def revoke(actor: Actor, prefix: str) -> ApiToken:
    """From the next request on it opens nothing. There is no way back but another one."""
    _require(actor, "revoke tokens")
    token = ApiToken.objects.select_for_update(no_key=True).filter(prefix=prefix).first()
    if token is None:
        raise NotFound("token", prefix[:100])
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        audit(actor, "token.revoked", f"token/{token.prefix}", name=token.name)
    return token


def _require(actor: Actor, what: str) -> None:
    """Nobody in particular is whoever may run commands on this machine. A token makes no tokens."""
    if actor.token is not None:
        raise NotAllowed(actor.name, what, "A person does it, in the browser.")
    if actor.user is not None:
        require(actor, "tokens.issue", what)


def _check_wish(wish: Wish) -> None:
    if not wish.name or len(wish.name) > NAME_LENGTH_MAX or not wish.name.isprintable():
        raise BadInput("name", f"1 to {NAME_LENGTH_MAX} plain characters.")
    if not 1 <= wish.days <= settings.TOKEN_DAYS_MAX:
        raise BadInput(
            "days", f"use 1 to {settings.TOKEN_DAYS_MAX} days (TOKEN_DAYS_MAX); it can be replaced."
        )


def _owner(actor: Actor, wish: Wish) -> User:
    """Whoever could make a token that acts as somebody else could agree with themselves."""
    users.lock_people()
    found = User.objects.filter(username=wish.owner).first()
    if found is not None and actor.user is not None and found != actor.user and _signs_in(found):
        raise BadInput(
            "owner", f"{wish.owner[:150]} is a person; only they make tokens that act as them."
        )
    if found is not None and not found.is_active:
        raise BadInput("owner", f"{wish.owner[:150]} is switched off, and so would the token be.")
    if (found is None or not _signs_in(found)) and OF_PEOPLE & set(wish.scopes):
        raise BadInput(
            "scopes",
            "review and admin do what their owner may, and the account of a program may nothing: "
            "leave them out, or let a person own the token.",
        )
    return found or users.create_program(actor, wish.owner)


def _signs_in(user: User) -> bool:
    """A person, whoever let them in. The account of a program has neither role nor way in."""
    return (
        user.has_usable_password()
        or user.last_login is not None
        or user.is_superuser
        or user.groups.exists()
        or SocialAccount.objects.filter(user=user).exists()
    )


@transaction.atomic
def issue(
    actor: Actor,
    *,
    owner: User,
    name: str,
    scopes: Sequence[str],
    agents: Sequence[str] = (),
    expires_at: datetime | None = None,
) -> str:
    """The new token's text; it cannot be read again."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise BadInput("scopes", f"choose among {', '.join(SCOPES)}.")
    check_agents(agents)
    prefix, secret = _letters(ApiToken.PREFIX_LENGTH), _letters(40)
    token = ApiToken.objects.create(
        prefix=prefix,
        secret_hash=_hash(secret),
        name=name,
        owner=owner,
        scopes=list(scopes),
        agents=list(agents),
        expires_at=expires_at,
    )
    audit(
        actor,
        "token.issued",
        f"token/{token.prefix}",
        name=name,
        scopes=list(scopes),
        agents=list(agents),
    )
    return f"cs_{prefix}_{secret}"


def check_agents(agents: Sequence[str]) -> None:
    """Names as proposals state them. They need not be kept here."""
    if len(agents) > AGENTS_MAX:
        raise BadInput("agents", f"at most {AGENTS_MAX}; issue another token.")
    for name in agents:
        if not AGENT_NAME.fullmatch(name):
            raise BadInput("agents", f"“{name[:100]}” is no name that an agent could state.")


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
