"""People and their roles, and the first admin of an empty instance."""

import hmac

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from orchestrator.actions.actor import Actor, audit
from orchestrator.core.errors import BadInput, NotAllowed
from orchestrator.core.policy import roles

_SETUP_LOCK = 7_201


@transaction.atomic
def create(actor: Actor, *, username: str, password: str | None, role: str | None) -> User:
    """A person, or with neither password nor role the owner of a program's tokens."""
    if role is not None and role not in roles.ROLES:
        raise BadInput("role", f"choose among {', '.join(roles.ROLES)}.")
    user = User.objects.create_user(username=username, password=password)
    if role is not None:
        user.groups.add(Group.objects.get_or_create(name=role)[0])
    audit(actor, "user.created", f"user/{username}", role=role)
    return user


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
    try:
        validate_password(password, User(username=username))
    except ValidationError as error:
        raise BadInput("password", " ".join(error.messages)) from error
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_SETUP_LOCK])
        if is_set_up():
            raise NotAllowed("You", "set this instance up", "It is set up already; sign in.")
        return create(Actor(None), username=username, password=password, role=roles.ADMIN)
