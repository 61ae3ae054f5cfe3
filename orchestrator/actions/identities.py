"""People who come from an identity provider: who they are here, and which roles their groups give them."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from orchestrator.actions.actor import Actor, audit
from orchestrator.actions.users import give_roles, lock_people
from orchestrator.core.errors import NotAllowed

# What a user name may be made of; the provider may call people anything.
_FOREIGN = re.compile(r"[^\w.@+-]+")
NAME_LENGTH_MAX = 100


@dataclass(frozen=True, slots=True)
class Identity:
    provider: str
    # What the provider knows the person by, together with which provider it was.
    key: str
    name: str
    email: str = ""
    groups: frozenset[str] = frozenset()


@transaction.atomic
def admit(identity: Identity) -> SocialAccount:
    """A new person of ours. Never one who is here already: a name over there proves nothing here."""
    lock_people()
    known = SocialAccount.objects.filter(provider=identity.provider, uid=identity.key)
    if account := known.select_related("user").first():
        return account
    user = User.objects.create_user(_free_name(identity.name), email=identity.email)
    audit(Actor(None), "user.created", f"user/{user.get_username()}", came_by=settings.OIDC_NAME)
    account = SocialAccount.objects.create(
        user=user, provider=identity.provider, uid=identity.key, extra_data={}
    )
    if settings.OIDC_DEFAULT_ROLE:
        give_roles(Actor(None), user, [settings.OIDC_DEFAULT_ROLE])
    return account


@transaction.atomic
def follow_groups(user: User, identity: Identity) -> None:
    """Where groups are mapped to roles, the provider is asked at each sign-in, and its word counts."""
    if not settings.OIDC_GROUPS_CLAIM:
        return
    lock_people()
    # Outside of the block that undoes it: the last admin stays one, whatever the groups say.
    try:
        with transaction.atomic():
            give_roles(Actor(None), user, roles_of(identity.groups))
    except NotAllowed as error:
        audit(Actor(None), "user.roles_kept", f"user/{user.get_username()}", reason=str(error))


def roles_of(groups: Collection[str]) -> frozenset[str]:
    mapped = {settings.OIDC_GROUPS[group] for group in groups if group in settings.OIDC_GROUPS}
    default = {settings.OIDC_DEFAULT_ROLE} if settings.OIDC_DEFAULT_ROLE else set()
    return frozenset(mapped or default)


def _free_name(wish: str) -> str:
    name = _FOREIGN.sub("-", wish).strip("-")[:NAME_LENGTH_MAX] or "person"
    taken = User.objects.filter(username__istartswith=name).values_list("username", flat=True)
    used = {other.casefold() for other in taken}
    if name.casefold() not in used:
        return name
    return next(
        f"{name}-{n}" for n in range(2, len(used) + 3) if f"{name}-{n}".casefold() not in used
    )
