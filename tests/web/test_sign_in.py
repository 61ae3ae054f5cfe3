"""Guessing at the door: what is said, what is not, and who gets in all the same."""

import time

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from orchestrator.models import SignInTry
from tests.conftest import PASSWORD, Cast

FORM = {"username": "rita", "password": PASSWORD}
WRONG = {"username": "rita", "password": "guess"}


class QuickerHasher(PBKDF2PasswordHasher):
    """Slow enough to be seen when it is left out, and no slower."""

    iterations = 150_000


def hammer(username: str = "rita", times: int = 10, **extra: str) -> None:
    client = Client()
    for _ in range(times):
        client.post("/login/", WRONG | {"username": username}, **extra)


def is_in(client: Client) -> bool:
    return client.get("/queue/").status_code == 200


@pytest.mark.parametrize("username", ["rita", "nobody"])
def test_after_ten_guesses_it_says_when_to_try_again(
    cast: Cast, client: Client, username: str
) -> None:
    hammer(username)
    response = client.post("/login/", {"username": username, "password": PASSWORD})
    assert response.status_code == 429
    assert 14 * 60 < int(response["Retry-After"]) <= 15 * 60
    assert "The password was not looked at. Try again in 15 min" in response.text
    assert PASSWORD not in response.text
    assert not is_in(client)


def test_a_browser_that_was_here_before_still_gets_in(cast: Cast) -> None:
    hers = Client()
    hers.post("/login/", FORM)
    hers.post("/logout/")
    hammer(times=30)
    assert Client().post("/login/", FORM).status_code == 429
    assert hers.post("/login/", FORM)["Location"] == "/"
    assert is_in(hers)


def test_a_browser_is_known_to_those_who_signed_in_with_it_and_no_others(cast: Cast) -> None:
    theirs = Client()
    theirs.post("/login/", FORM | {"username": "max"})
    theirs.post("/logout/")
    hammer(times=30)
    assert theirs.post("/login/", FORM).status_code == 429


@pytest.mark.parametrize("value", ["", "x", "eyJuYW1lIjoiYSJ9:1:2", "{}"])
def test_a_cookie_that_is_not_ours_makes_no_browser_known(
    cast: Cast, settings: Settings, value: str
) -> None:
    hammer()
    client = Client()
    client.cookies[settings.BROWSER_COOKIE_NAME] = value
    assert client.post("/login/", FORM).status_code == 429


def test_the_cookie_is_sent_to_the_door_alone(
    cast: Cast, client: Client, settings: Settings
) -> None:
    client.post("/login/", FORM)
    cookie = client.cookies[settings.BROWSER_COOKIE_NAME]
    assert cookie["path"] == "/login/"
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert "rita" not in cookie.value


def test_one_address_cannot_try_everybody(cast: Cast, client: Client) -> None:
    for number in range(10):
        hammer(f"person-{number}", times=5, REMOTE_ADDR="203.0.113.9")
    assert client.post("/login/", FORM, REMOTE_ADDR="203.0.113.9").status_code == 429
    assert client.post("/login/", FORM, REMOTE_ADDR="203.0.113.10").status_code == 302


def test_who_says_to_be_elsewhere_is_not_believed(cast: Cast, settings: Settings) -> None:
    settings.SIGN_IN_TRIES_PER_ADDRESS = 3
    for number in range(4):
        hammer(f"person-{number}", times=1, HTTP_X_FORWARDED_FOR=f"198.51.100.{number}")
    assert Client().post("/login/", FORM).status_code == 429


def test_a_trusted_proxy_is_believed_and_only_it(cast: Cast, settings: Settings) -> None:
    settings.WEB_PROXY_TRUSTED = True
    settings.SIGN_IN_TRIES_PER_ADDRESS = 3
    for number in range(4):
        # What the browser sent itself comes first, what the proxy added comes last.
        forwarded = f"192.0.2.{number}, 198.51.100.7"
        hammer(f"person-{number}", times=1, HTTP_X_FORWARDED_FOR=forwarded)
    refused = Client().post("/login/", FORM, headers={"X-Forwarded-For": "198.51.100.7"})
    assert refused.status_code == 429
    other = Client().post("/login/", FORM, headers={"X-Forwarded-For": "198.51.100.8"})
    assert other.status_code == 302


def test_a_whole_network_of_ipv6_is_one_address(cast: Cast, settings: Settings) -> None:
    settings.SIGN_IN_TRIES_PER_ADDRESS = 3
    for number in range(4):
        hammer(f"person-{number}", times=1, REMOTE_ADDR=f"2001:db8::{number + 1}")
    assert Client().post("/login/", FORM, REMOTE_ADDR="2001:db8::99").status_code == 429
    assert Client().post("/login/", FORM, REMOTE_ADDR="2001:db8:0:1::1").status_code == 302


def test_no_name_can_be_told_from_another_by_what_is_said(cast: Cast) -> None:
    User.objects.filter(pk=cast.rolf.pk).update(is_active=False)
    names = ("rita", "nobody", "rolf", "agents")
    said = {Client().post("/login/", WRONG | {"username": name}).status_code for name in names}
    texts = {
        Client().post("/login/", WRONG | {"username": name}).text.count("do not go together")
        for name in names
    }
    assert (said, texts) == ({200}, {1})


@pytest.mark.parametrize("hammered", [False, True])
def test_no_name_can_be_told_from_another_by_time(
    cast: Cast, settings: Settings, hammered: bool
) -> None:
    settings.PASSWORD_HASHERS = ["tests.web.test_sign_in.QuickerHasher"]
    cast.rita.set_password(PASSWORD)
    cast.rita.save()
    names = ("rita", "nobody", "agents")
    if hammered:
        for name in names:
            hammer(name)
    took: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(7):
        for name in names:
            begun = time.thread_time()
            Client().post("/login/", WRONG | {"username": name})
            took[name].append(time.thread_time() - begun)
            if not hammered:
                SignInTry.objects.all().delete()
    # The quickest of each: what else the machine does only ever adds.
    quickest = [min(times) for times in took.values()]
    assert max(quickest) - min(quickest) < 0.02
    assert (min(quickest) > 0.03) is not hammered


def test_a_name_with_a_zero_in_it_is_a_wrong_name(cast: Cast, client: Client) -> None:
    assert client.post("/login/", WRONG | {"username": "ri\x00ta"}).status_code == 200


def test_the_way_on_survives_a_wrong_password(cast: Cast, client: Client) -> None:
    page = client.post("/login/", WRONG | {"next": "/runs/"}).text
    assert 'name="next" value="/runs/"' in page


def test_without_a_provider_there_is_no_button(cast: Cast, client: Client) -> None:
    page = client.get("/login/").text
    assert "login/identity" not in page
    assert client.get("/login/identity/").status_code == 404
    assert client.get("/login/identity/callback/?code=x&state=y").status_code == 404
