"""Who is acting: a person in a browser, or a token. Never taken from a request's body."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.contrib.auth.models import Group, User

from orchestrator.core.codec import Json
from orchestrator.core.errors import NotAllowed
from orchestrator.core.policy import roles
from orchestrator.models import ApiToken, AuditEntry


@dataclass(frozen=True, slots=True)
class Actor:
    user: User | None
    token: ApiToken | None = None

    @property
    def name(self) -> str:
        return self.user.get_username() if self.user else "Countersign"


def capabilities_of(user: User) -> frozenset[str]:
    """Asked of the database each time: a role that was just taken away no longer counts."""
    if not user.is_active:
        return frozenset()
    names = Group.objects.filter(user=user).values_list("name", flat=True)
    found = roles.capabilities_of(frozenset(names))
    return found | roles.CAPABILITIES[roles.ADMIN] if user.is_superuser else found


def require(actor: Actor, capability: str, what: str) -> None:
    if actor.user is None or capability not in capabilities_of(actor.user):
        wanted = " or ".join(roles.roles_with(capability))
        raise NotAllowed(actor.name, what, f"It needs the role {wanted}; an admin can give it.")


def audit(actor: Actor, verb: str, object_id: str, **detail: Json) -> None:
    """In the caller's transaction: what cannot be written down does not happen."""
    AuditEntry.objects.create(
        user=actor.user, token=actor.token, verb=verb, object_id=object_id, detail=detail
    )


def audit_many(actor: Actor, verb: str, details: Mapping[str, dict[str, Json]]) -> None:
    """The same for several objects, in one statement."""
    AuditEntry.objects.bulk_create(
        AuditEntry(
            user=actor.user, token=actor.token, verb=verb, object_id=object_id, detail=detail
        )
        for object_id, detail in details.items()
    )
