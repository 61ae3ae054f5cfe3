"""Second factors: authenticator apps, passkeys, and the recovery codes that come with the first of them.

The rows are allauth's, which checks codes and signatures against them; adding and removing them is an
action of ours, so that it is in the audit log and in the same transaction.
"""

import secrets
from collections.abc import Sequence
from typing import Any

from allauth.mfa.app_settings import RECOVERY_CODE_COUNT
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.db import transaction

from orchestrator.actions import sign_in
from orchestrator.actions.actor import Actor, audit, require
from orchestrator.actions.sign_in import Budget
from orchestrator.actions.users import EDIT
from orchestrator.core.errors import BadInput, NotFound
from orchestrator.secret_box import seal

Kind = Authenticator.Type
PASSKEYS_MAX = 20
NAMES = {
    Kind.TOTP: "authenticator app",
    Kind.WEBAUTHN: "passkey",
    Kind.RECOVERY_CODES: "recovery codes",
}


def has_factor(user: User) -> bool:
    """Recovery codes alone are none: they only stand in for one."""
    own = Authenticator.objects.filter(user=user)
    return bool(own.exclude(type=Kind.RECOVERY_CODES).exists())


def factors_of(user: User) -> list[Authenticator]:
    return list(Authenticator.objects.filter(user=user).order_by("created_at"))


def check_code(user: User, code: str, budgets: Sequence[Budget]) -> bool:
    """A code of the app or a recovery code; counted, and good for one time only."""
    tries = sign_in.admit(budgets)
    digits = "".join(filter(str.isdecimal, code))
    if not digits or not sign_in.use_code(user, digits):
        return False
    for factor in Authenticator.objects.filter(
        user=user, type__in=[Kind.TOTP, Kind.RECOVERY_CODES]
    ):
        if factor.wrap().validate_code(digits):
            factor.record_usage()
            sign_in.give_back(tries)
            return True
    return False


def kinds_of(user: User) -> list[str]:
    own = {factor.type for factor in factors_of(user)}
    return [name for kind, name in NAMES.items() if kind in own]


@transaction.atomic
def add_app(user: User, secret: str) -> bool:
    """An authenticator app in place of the one before. True when recovery codes were made with it."""
    _lock(user)
    Authenticator.objects.filter(user=user, type=Kind.TOTP).delete()
    Authenticator.objects.create(user=user, type=Kind.TOTP, data={"secret": seal(secret)})
    return _added(user, "authenticator app")


@transaction.atomic
def add_passkey(user: User, name: str, credential: dict[str, Any]) -> bool:
    _lock(user)
    own = Authenticator.objects.filter(user=user, type=Kind.WEBAUTHN)
    if own.count() >= PASSKEYS_MAX:
        raise BadInput("name", f"You have {PASSKEYS_MAX} passkeys already. Remove one first.")
    data = {"name": name, "credential": credential}
    Authenticator.objects.create(user=user, type=Kind.WEBAUTHN, data=data)
    return _added(user, "passkey", name=name)


@transaction.atomic
def remove(user: User, pk: int) -> str:
    """What was removed. Recovery codes go with the last factor that they stand in for."""
    _lock(user)
    factor = Authenticator.objects.filter(user=user, pk=pk).first()
    if factor is None or factor.type == Kind.RECOVERY_CODES:
        raise NotFound("factor", str(pk))
    what = name_of(factor)
    factor.delete()
    if not has_factor(user):
        Authenticator.objects.filter(user=user).delete()
    audit(Actor(user), "user.factor_removed", f"user/{user.get_username()}", factor=what)
    return what


@transaction.atomic
def renew_recovery_codes(user: User) -> None:
    """The old ones are worth nothing from now on."""
    _lock(user)
    if not has_factor(user):
        raise BadInput("codes", "Recovery codes stand in for a second factor. Add one first.")
    Authenticator.objects.filter(user=user, type=Kind.RECOVERY_CODES).delete()
    _make_recovery_codes(user)
    audit(Actor(user), "user.recovery_codes_made", f"user/{user.get_username()}")


def recovery_codes(user: User) -> list[str]:
    """Those that were not used yet."""
    found = Authenticator.objects.filter(user=user, type=Kind.RECOVERY_CODES).first()
    return list(found.wrap().get_unused_codes()) if found else []


def codes_left(factor: Authenticator) -> int:
    """Of recovery codes, without looking at them; none of anything else."""
    if factor.type != Kind.RECOVERY_CODES:
        return 0
    return int(RECOVERY_CODE_COUNT) - int(factor.data["used_mask"]).bit_count()


@transaction.atomic
def reset(actor: Actor, pk: int) -> User:
    """For somebody who lost them all. Signed out everywhere: whoever found the phone may be signed in."""
    require(actor, EDIT, "reset factors")
    user = User.objects.filter(pk=pk).first()
    if user is None:
        raise NotFound("person", str(pk))
    _lock(user)
    found = factors_of(user)
    Authenticator.objects.filter(user=user).delete()
    sign_in.end_sessions(user)
    names = [name_of(one) for one in found if one.type != Kind.RECOVERY_CODES]
    audit(actor, "user.factors_reset", f"user/{user.get_username()}", factors=", ".join(names))
    return user


def name_of(factor: Authenticator) -> str:
    name = NAMES[factor.type]
    return f"{name} “{factor.data.get('name', '')}”" if factor.type == Kind.WEBAUTHN else name


def _added(user: User, what: str, **detail: str) -> bool:
    audit(Actor(user), "user.factor_added", f"user/{user.get_username()}", factor=what, **detail)
    if Authenticator.objects.filter(user=user, type=Kind.RECOVERY_CODES).exists():
        return False
    _make_recovery_codes(user)
    return True


def _make_recovery_codes(user: User) -> None:
    data = {"seed": seal(secrets.token_hex(40)), "used_mask": 0}
    Authenticator.objects.create(user=user, type=Kind.RECOVERY_CODES, data=data)


def _lock(user: User) -> None:
    User.objects.select_for_update().get(pk=user.pk)
