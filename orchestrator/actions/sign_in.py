"""Signing in: how many guesses are looked at, and where somebody is signed in.

Guesses are counted before they are checked, in PostgreSQL, so that any number of them at once, on any
number of servers, reaches the password hasher no more often than the limit says. A browser that has
signed in to an account before has a budget of its own, so that whoever hammers an account from
elsewhere keeps nobody out of it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Least, Now
from django.utils import timezone

from orchestrator.core.errors import TooManyTries
from orchestrator.models import BrowserSession, SignInTry

FORGET_AT_ONCE = 100
# Long after any clock could still take a code for good.
CODE_ONCE_WITHIN = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Browser:
    """Who knocks: an address, and of a browser that we know its name and who has signed in with it."""

    address: str
    name: str = ""
    people: frozenset[int] = frozenset()

    def knows(self, user: User | None) -> bool:
        return user is not None and user.pk in self.people


class Budget(NamedTuple):
    bucket: str
    tries: int
    within: timedelta


def check_password(username: str, password: str, *, browser: Browser) -> User | None:
    """The active person whom name and password belong to. As slow and as limited for names nobody has."""
    user = User.objects.filter(username=username).first()
    account = f"user/{user.pk}" if user else f"name/{_digest(username)}"
    tries = admit(guess_budgets(account, user, browser))
    found = authenticate(username=username, password=password)
    if found is None:
        return None
    give_back(tries)
    return found


def check_own_password(user: User, password: str) -> bool:
    """Asked again of somebody who is signed in."""
    tries = admit(proof_budgets(user))
    if authenticate(username=user.get_username(), password=password) != user:
        return False
    give_back(tries)
    return True


def code_budgets(user: User, browser: Browser) -> tuple[Budget, ...]:
    """Codes of a second factor, from whoever knows the password already."""
    return guess_budgets(f"code/{user.pk}", user, browser)


def guess_budgets(account: str, user: User | None, browser: Browser) -> tuple[Budget, ...]:
    """A known browser counts for itself alone: neither account nor address can be used up around it."""
    within = timedelta(minutes=settings.SIGN_IN_WINDOW_MINUTES)
    at_account = Budget(account, settings.SIGN_IN_TRIES_PER_ACCOUNT, within)
    if browser.knows(user):
        return (at_account._replace(bucket=f"browser/{_digest(browser.name)}/{account}"),)
    address = f"address/{_digest(browser.address)}"
    return at_account, Budget(address, settings.SIGN_IN_TRIES_PER_ADDRESS, within)


def proof_budgets(user: User) -> tuple[Budget, ...]:
    """Passwords and codes asked of somebody who is signed in; nobody else can use this up."""
    within = timedelta(minutes=settings.SIGN_IN_WINDOW_MINUTES)
    return (Budget(f"proof/{user.pk}", settings.SIGN_IN_TRIES_PER_ACCOUNT, within),)


def admit(budgets: Sequence[Budget]) -> list[int]:
    """Count one try against each of these, or refuse it and count nothing."""
    # Looked at twice: whoever hammers is refused without a lock that others would wait for.
    _refuse_if_used_up(budgets)
    with transaction.atomic():
        _lock([budget.bucket for budget in budgets])
        _refuse_if_used_up(budgets)
        _forget()
        tries = [SignInTry(bucket=budget.bucket) for budget in budgets]
        return [row.pk for row in SignInTry.objects.bulk_create(tries)]


def give_back(tries: Sequence[int]) -> None:
    """A right guess costs nothing. Others stay counted, or a right one now and then would hide them."""
    SignInTry.objects.filter(pk__in=tries).delete()


def use_code(user: User, code: str) -> bool:
    """False for a code that this person has just used, on whichever server."""
    once = Budget(f"used/{user.pk}/{_digest(code)}", 1, CODE_ONCE_WITHIN)
    try:
        admit([once])
    except TooManyTries:
        return False
    return True


def locked_until(user: User) -> datetime | None:
    """Until when browsers that nobody knows are refused for this account."""
    wait = _wait_of(guess_budgets(f"user/{user.pk}", user, Browser(address=""))[0])
    return None if wait is None else timezone.now() + timedelta(seconds=wait)


def note_activity(session_key: str, ends_by: datetime) -> None:
    """Columns only: what another request of the same browser has just stored stays as it is."""
    idle_end = Now() + timedelta(minutes=settings.SESSION_IDLE_MINUTES)
    BrowserSession.objects.filter(pk=session_key).update(
        seen_at=Now(), expire_date=Least(idle_end, ends_by)
    )


def end_sessions(user: User, *, but: str | None = None) -> int:
    """Signed out everywhere, at once; `but` names the session that may stay."""
    return BrowserSession.objects.filter(user=user).exclude(pk=but or "").delete()[0]


def end_session(user: User, place: str) -> bool:
    """One of this person's own, by the digest that pages show instead of its key."""
    for row in BrowserSession.objects.filter(user=user):
        if place_of(row.pk) == place:
            return bool(row.delete()[0])
    return False


def place_of(session_key: str) -> str:
    """A name for a session that opens nothing."""
    return _digest(session_key)[:16]


def _refuse_if_used_up(budgets: Sequence[Budget]) -> None:
    for budget in budgets:
        wait = _wait_of(budget)
        if wait is not None:
            raise TooManyTries(max(1, round(wait)))


def _lock(buckets: Sequence[str]) -> None:
    # Always in the same order, so that two tries never wait for each other.
    with connection.cursor() as cursor:
        for bucket in sorted(buckets):
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [bucket])


def _wait_of(budget: Budget) -> float | None:
    """Seconds until the oldest try that fills the budget is forgotten; None while there is room."""
    recent = SignInTry.objects.filter(bucket=budget.bucket, at__gt=Now() - budget.within)
    filling = recent.annotate(age=Now() - F("at")).order_by("-at").values_list("age", flat=True)
    ages = list(filling[: budget.tries])
    if len(ages) < budget.tries:
        return None
    return float((budget.within - ages[-1]).total_seconds())


def _forget() -> None:
    """What no budget looks at any more, a few at a time, by whoever comes next."""
    longest = max(timedelta(minutes=settings.SIGN_IN_WINDOW_MINUTES), CODE_ONCE_WITHIN)
    old = SignInTry.objects.filter(at__lt=Now() - longest).order_by("at")
    SignInTry.objects.filter(pk__in=old.values("pk")[:FORGET_AT_ONCE]).delete()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
