"""Guesses are counted before they are checked, and a known browser is not kept out by others."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.utils import timezone
from pytest_django import Settings

from orchestrator.actions import sign_in
from orchestrator.actions.sign_in import Browser
from orchestrator.core.errors import TooManyTries
from orchestrator.models import SignInTry
from tests.conftest import PASSWORD, Cast

ELSEWHERE = Browser("203.0.113.7")
WRONG = "guess"


class CountingHasher(MD5PasswordHasher):
    """Counts how often somebody's password, or a stand-in for nobody's, is worked through."""

    algorithm = "counting"
    worked = 0

    def encode(self, password: str, salt: str) -> str:
        type(self).worked += 1
        encoded: str = super().encode(password, salt)
        return encoded


@pytest.fixture
def hasher(settings: Settings) -> Iterator[type[CountingHasher]]:
    settings.PASSWORD_HASHERS = ["tests.actions.test_sign_in.CountingHasher"]
    yield CountingHasher
    CountingHasher.worked = 0


@pytest.fixture
def counted(cast: Cast, hasher: type[CountingHasher]) -> type[CountingHasher]:
    """Rita's password as this hasher keeps it; what it took to make it does not count."""
    cast.rita.set_password(PASSWORD)
    cast.rita.save()
    hasher.worked = 0
    return hasher


def guess(username: str, password: str = WRONG, browser: Browser = ELSEWHERE) -> User | None:
    try:
        return sign_in.check_password(username, password, browser=browser)
    except TooManyTries:
        return None


def known_to(user: User) -> Browser:
    return Browser("203.0.113.7", name="hers", people=frozenset({user.pk}))


def forget(minutes: int) -> None:
    SignInTry.objects.update(at=F("at") - timedelta(minutes=minutes))


@pytest.mark.parametrize(("username", "guesses"), [("rita", 1_000), ("nobody", 500)])
def test_of_a_thousand_guesses_ten_reach_the_hasher(
    counted: type[CountingHasher], username: str, guesses: int
) -> None:
    for number in range(guesses):
        # Each from another address, or the address would be what stops them.
        guess(username, f"guess {number}", Browser(f"198.51.{number // 250}.{number % 250}"))
    assert counted.worked == 10
    assert SignInTry.objects.count() == 20


def test_the_right_password_is_refused_as_well_once_they_are_used_up(
    counted: type[CountingHasher],
) -> None:
    for _ in range(10):
        guess("rita")
    with pytest.raises(TooManyTries) as caught:
        sign_in.check_password("rita", PASSWORD, browser=ELSEWHERE)
    assert 14 * 60 < caught.value.wait_s <= 15 * 60
    assert "try again in 15 min" in str(caught.value)


def test_it_opens_again_as_the_guesses_grow_old(cast: Cast) -> None:
    for _ in range(10):
        guess("rita")
    forget(minutes=14)
    assert guess("rita", PASSWORD) is None
    forget(minutes=1)
    assert guess("rita", PASSWORD) == cast.rita


def test_a_browser_that_signed_in_before_is_let_in_however_many_guess(
    cast: Cast, counted: type[CountingHasher]
) -> None:
    for _ in range(100):
        guess("rita")
    assert guess("rita", PASSWORD, known_to(cast.rita)) == cast.rita


def test_a_known_browser_may_guess_no_more_often_than_others(
    cast: Cast, counted: type[CountingHasher]
) -> None:
    for _ in range(100):
        guess("rita", browser=known_to(cast.rita))
    assert counted.worked == 10


def test_a_browser_known_to_somebody_else_is_unknown(
    cast: Cast, counted: type[CountingHasher]
) -> None:
    for _ in range(100):
        guess("rita", browser=known_to(cast.max))
    assert counted.worked == 10
    assert guess("rita", PASSWORD, known_to(cast.max)) is None


def test_one_address_cannot_try_everybody(
    counted: type[CountingHasher], settings: Settings
) -> None:
    settings.SIGN_IN_TRIES_PER_ADDRESS = 30
    for number in range(200):
        guess(f"person-{number}")
    assert counted.worked == 30
    assert guess("rita", PASSWORD) is None
    assert guess("rita", PASSWORD, Browser("192.0.2.1")) is not None


def test_signing_in_now_and_then_hides_no_guesses(
    cast: Cast, counted: type[CountingHasher]
) -> None:
    for number in range(40):
        guess("rita", PASSWORD if number % 2 else "guess")
    assert guess("rita", PASSWORD) is None
    assert SignInTry.objects.filter(bucket=f"user/{cast.rita.pk}").count() == 10


def test_who_signs_in_uses_nothing_up(cast: Cast) -> None:
    for _ in range(30):
        assert guess("rita", PASSWORD) == cast.rita
    assert not SignInTry.objects.exists()


def test_names_differ_in_case_as_they_always_did(cast: Cast) -> None:
    assert guess("Rita", PASSWORD) is None


def test_an_account_that_is_switched_off_stays_out(cast: Cast) -> None:
    User.objects.filter(pk=cast.rita.pk).update(is_active=False)
    assert guess("rita", PASSWORD) is None


def test_codes_work_once(cast: Cast) -> None:
    assert sign_in.use_code(cast.rita, "123456")
    assert not sign_in.use_code(cast.rita, "123456")
    assert sign_in.use_code(cast.rolf, "123456")


def test_old_tries_are_forgotten_by_whoever_comes_next(cast: Cast) -> None:
    for _ in range(5):
        guess("rolf")
    forget(minutes=60)
    guess("rita")
    assert SignInTry.objects.count() == 2


def test_an_admin_sees_that_somebody_is_guessing(cast: Cast) -> None:
    assert sign_in.locked_until(cast.rita) is None
    for _ in range(10):
        guess("rita")
    until = sign_in.locked_until(cast.rita)
    assert until is not None
    assert timedelta(minutes=14) < until - timezone.now() <= timedelta(minutes=15)


@pytest.mark.django_db(transaction=True)
def test_at_the_same_instant_no_more_are_let_through(counted: type[CountingHasher]) -> None:
    def many() -> None:
        for _ in range(20):
            guess("rita")
        connection.close()

    threads = [threading.Thread(target=many) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted.worked == 10
