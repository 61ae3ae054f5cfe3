"""People and their roles, and the first admin of an empty instance."""

import hmac
from collections.abc import Collection

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Q

from orchestrator.actions import sign_in
from orchestrator.actions.actor import Actor, audit, require
from orchestrator.core.codec import Json
from orchestrator.core.errors import BadInput, NotAllowed, NotFound
from orchestrator.core.policy import roles

# One change of people at a time: two admins must not take each other's role at the same instant.
_PEOPLE_LOCK = 7_201
EDIT = "people.edit"
NAME_LENGTH_MAX = 150


@transaction.atomic
def create(actor: Actor, *, username: str, password: str | None, role: str | None) -> User:
    """A person, or with neither password nor role the owner of a program's tokens."""
    if role is not None:
        _check_roles([role])
    user = User.objects.create_user(username=username, password=password)
    if role is not None:
        user.groups.add(_group(role))
    audit(actor, "user.created", f"user/{username}", role=role)
    return user


def create_program(actor: Actor, username: str) -> User:
    """Whoever calls this holds the lock of people, and asked whether the actor may."""
    _check_name(username)
    return create(actor, username=username, password=None, role=None)


@transaction.atomic
def add(actor: Actor, *, username: str, wanted: Collection[str]) -> User:
    """Somebody who chooses a password by a link; until then nobody can sign in by that name."""
    lock_people()
    require(actor, EDIT, "add people")
    _check_roles(wanted)
    _check_name(username)
    user = User.objects.create_user(username=username, password=None)
    user.groups.set(_group(role) for role in wanted)
    audit(actor, "user.created", f"user/{username}", roles=_listed(wanted))
    return user


@transaction.atomic
def set_roles(actor: Actor, pk: int, wanted: Collection[str]) -> User:
    """Ends every session of the person: what they see next is what the new roles show."""
    user = _take(actor, pk, "change somebody's roles")
    if actor.user and actor.user.pk == pk:
        raise NotAllowed("You", "change your own roles", "Ask another admin.")
    _check_roles(wanted)
    give_roles(actor, user, wanted)
    return user


def give_roles(actor: Actor, user: User, wanted: Collection[str]) -> None:
    """Whoever calls this holds the lock of people."""
    before = _roles_of(user)
    if before == set(wanted):
        return
    if roles.ADMIN in before - set(wanted):
        _keep_an_admin(user, "take this role away")
    others = user.groups.exclude(name__in=roles.ROLES)
    user.groups.set([*others, *(_group(role) for role in wanted)])
    sign_in.end_sessions(user)
    audit(
        actor,
        "user.roles_changed",
        f"user/{user.get_username()}",
        before=_listed(before),
        after=_listed(wanted),
    )


@transaction.atomic
def deactivate(actor: Actor, pk: int) -> User:
    """Signed out everywhere and kept out; what they did stays theirs, and so do their tokens, unusable."""
    user = _take(actor, pk, "switch accounts off")
    if actor.user and actor.user.pk == pk:
        raise NotAllowed("You", "switch your own account off", "Ask another admin.")
    _keep_an_admin(user, "switch this account off")
    if _switch(user, to=False):
        audit(actor, "user.deactivated", f"user/{user.get_username()}")
    return user


@transaction.atomic
def activate(actor: Actor, pk: int) -> User:
    user = _take(actor, pk, "switch accounts on")
    if _switch(user, to=True):
        audit(actor, "user.activated", f"user/{user.get_username()}")
    return user


@transaction.atomic
def invite(actor: Actor, pk: int) -> tuple[User, str]:
    """The secret part of a link by which the person chooses a password: once, within a few days."""
    user = _take(actor, pk, "make a link")
    if not user.is_active:
        raise NotAllowed("You", "make a link", "The account is switched off; switch it on first.")
    audit(actor, "user.link_made", f"user/{user.get_username()}")
    return user, f"{user.pk}-{default_token_generator.make_token(user)}"


def find_invited(secret: str) -> User | None:
    pk, _, token = secret.partition("-")
    if not pk.isascii() or not pk.isdigit() or len(pk) > 9:
        return None
    user = User.objects.filter(pk=int(pk), is_active=True).first()
    return user if user and default_token_generator.check_token(user, token) else None


@transaction.atomic
def set_password(user: User, password: str, *, but: str | None = None) -> None:
    """Signs out everywhere else, and with it whoever knew the old one."""
    _check_password(user, password)
    user.set_password(password)
    user.save(update_fields=["password"])
    sign_in.end_sessions(user, but=but)
    audit(Actor(user), "user.password_set", f"user/{user.get_username()}")


def is_set_up() -> bool:
    return User.objects.exists()


def setup_code() -> str:
    """Printed where the server runs, so that only whoever runs it can become the first admin."""
    digest = hmac.new(settings.SECRET_KEY.encode(), b"countersign setup", "sha256").hexdigest()
    return f"{digest[:4]}-{digest[4:8]}-{digest[8:12]}"


def create_first_admin(*, code: str, username: str, password: str) -> User:
    """Works once, for whoever holds the code; a second attempt is refused even at the same instant."""
    if not hmac.compare_digest(code.strip().lower().encode(), setup_code().encode()):
        raise NotAllowed("You", "set this instance up", "The code is printed where it was started.")
    _check_password(User(username=username), password)
    with transaction.atomic():
        lock_people()
        if is_set_up():
            raise NotAllowed("You", "set this instance up", "It is set up already; sign in.")
        return create(Actor(None), username=username, password=password, role=roles.ADMIN)


def lock_people() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_PEOPLE_LOCK])


def _take(actor: Actor, pk: int, what: str) -> User:
    # The lock first: an admin who was just made none is asked after that, not before.
    lock_people()
    require(actor, EDIT, what)
    user = User.objects.filter(pk=pk).first()
    if user is None:
        raise NotFound("person", str(pk))
    return user


def _switch(user: User, *, to: bool) -> bool:
    """False when it was like that already."""
    if user.is_active == to:
        return False
    user.is_active = to
    user.save(update_fields=["is_active"])
    sign_in.end_sessions(user)
    return True


def _keep_an_admin(user: User, what: str) -> None:
    admins = User.objects.filter(Q(groups__name=roles.ADMIN) | Q(is_superuser=True), is_active=True)
    if admins.filter(pk=user.pk).exists() and not admins.exclude(pk=user.pk).exists():
        raise NotAllowed("You", what, "Nobody else is an active admin; make somebody one first.")


def _roles_of(user: User) -> set[str]:
    return set(user.groups.filter(name__in=roles.ROLES).values_list("name", flat=True))


def _listed(names: Collection[str]) -> list[Json]:
    return [*sorted(names)]


def _group(role: str) -> Group:
    return Group.objects.get_or_create(name=role)[0]


def _check_roles(wanted: Collection[str]) -> None:
    if not set(wanted) <= set(roles.ROLES):
        raise BadInput("role", f"choose among {', '.join(roles.ROLES)}.")


def _check_name(username: str) -> None:
    if len(username) > NAME_LENGTH_MAX:
        raise BadInput("username", f"at most {NAME_LENGTH_MAX} characters.")
    try:
        User.username_validator(username)
    except ValidationError as error:
        raise BadInput("username", " ".join(error.messages)) from error
    if User.objects.filter(username__iexact=username).exists():
        raise BadInput("username", "Somebody has this name already. Choose another one.")


def _check_password(user: User, password: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise BadInput("password", " ".join(error.messages)) from error
