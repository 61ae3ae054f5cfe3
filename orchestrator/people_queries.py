"""Who has an account, and which tokens programs have, for those who may change that."""

from collections.abc import Iterable
from dataclasses import dataclass

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.utils import timezone

from orchestrator.core.policy import roles
from orchestrator.models import ApiToken, BrowserSession

LINES_MAX = 500


@dataclass(frozen=True, slots=True)
class PersonLine:
    user: User
    roles: tuple[str, ...]
    factors: tuple[str, ...]
    is_from_provider: bool
    tokens: int
    sessions: int

    @property
    def is_program(self) -> bool:
        """Nobody signs in by this name; it only owns tokens."""
        return bool(self.tokens) and not self.roles and not self.user.has_usable_password()


def people(search: str = "") -> list[PersonLine]:
    """By name, the active ones first."""
    found = User.objects.order_by("-is_active", "username")
    if search:
        found = found.filter(username__icontains=search)
    return _lines(found[:LINES_MAX])


def person(pk: int) -> PersonLine | None:
    return next(iter(_lines(User.objects.filter(pk=pk))), None)


def tokens() -> QuerySet[ApiToken]:
    return ApiToken.objects.select_related("owner")


def token(prefix: str) -> ApiToken | None:
    return tokens().filter(prefix=prefix).first()


def programs() -> list[str]:
    """Accounts that own tokens and that nobody signs in to, for whoever makes another token."""
    owners = ApiToken.objects.values("owner")
    found = User.objects.filter(pk__in=owners, groups=None, is_active=True, is_superuser=False)
    return [
        one.username
        for one in found.order_by("username")[:LINES_MAX]
        if not one.has_usable_password()
    ]


def _lines(found: QuerySet[User]) -> list[PersonLine]:
    """A question for each thing that is shown, none for each person."""
    users = list(found.prefetch_related("groups"))
    ids = [user.pk for user in users]
    factors = _by_user(Authenticator.objects.filter(user__in=ids).values_list("user", "type"))
    provided = _by_user(SocialAccount.objects.filter(user__in=ids).values_list("user", "provider"))
    tokens = _by_user(
        ApiToken.objects.filter(_lives(), owner__in=ids).values_list("owner", "prefix")
    )
    live = BrowserSession.objects.filter(user__in=ids, expire_date__gt=timezone.now())
    sessions = _by_user(live.values_list("user", "session_key"))
    return [
        PersonLine(
            user=user,
            roles=tuple(
                sorted(group.name for group in user.groups.all() if group.name in roles.ROLES)
            ),
            factors=tuple(sorted(set(factors.get(user.pk, ())))),
            is_from_provider=user.pk in provided,
            tokens=len(tokens.get(user.pk, ())),
            sessions=len(sessions.get(user.pk, ())),
        )
        for user in users
    ]


def _lives() -> Q:
    return Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=timezone.now()))


def _by_user(pairs: Iterable[tuple[int, str]]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for user, name in pairs:
        found.setdefault(user, []).append(name)
    return found
