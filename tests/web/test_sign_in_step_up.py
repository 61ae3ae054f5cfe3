"""Before what matters most: whoever is at the keyboard shows that it is still they."""

import time
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from pytest_django import Settings

from review import step_up
from tests.conftest import PASSWORD, Cast
from tests.web.conftest import HTMX


@pytest.fixture
def stale(cast: Cast, sign_in: Callable[[User], Client]) -> Client:
    """Ada signed in an hour ago."""
    client = sign_in(cast.ada)
    age(client, minutes=60)
    return client


def age(client: Client, minutes: int) -> None:
    session = client.session
    session["begun_at"] = time.time() - minutes * 60
    session.save()


def is_fresh(client: Client) -> bool:
    request = RequestFactory().get("/")
    request.session = client.session
    return step_up.is_fresh(request)


def test_who_has_just_signed_in_is_fresh_for_a_while(cast: Cast) -> None:
    client = Client()
    client.post("/login/", {"username": "ada", "password": PASSWORD})
    assert is_fresh(client)
    session = client.session
    session["proved_at"] = time.time() - 15 * 60
    session.save()
    assert not is_fresh(client)


def test_it_asks_and_leads_back(stale: Client) -> None:
    answer = stale.get("/settings/people/new/")
    assert answer["Location"] == "/me/prove/?next=%2Fsettings%2Fpeople%2Fnew%2F"
    page = stale.get(answer["Location"]).text
    assert 'name="next" value="/settings/people/new/"' in page
    form = {"password": PASSWORD, "next": "/settings/people/new/"}
    assert stale.post("/me/prove/", form)["Location"] == "/settings/people/new/"
    assert stale.get("/settings/people/new/").status_code == 200


def test_a_proof_changes_the_id_of_the_session(stale: Client, settings: Settings) -> None:
    old = stale.cookies[settings.SESSION_COOKIE_NAME].value
    stale.post("/me/prove/", {"password": PASSWORD})
    assert stale.cookies[settings.SESSION_COOKIE_NAME].value != old
    thief = Client()
    thief.cookies[settings.SESSION_COOKIE_NAME] = old
    assert thief.get("/queue/").status_code == 302


def test_a_wrong_password_proves_nothing(stale: Client) -> None:
    page = stale.post("/me/prove/", {"password": "guess"})
    assert page.status_code == 422
    assert "It was not accepted." in page.text
    assert not is_fresh(stale)


def test_guessing_ends_after_ten(stale: Client) -> None:
    for _ in range(10):
        stale.post("/me/prove/", {"password": "guess"})
    page = stale.post("/me/prove/", {"password": PASSWORD})
    assert page.status_code == 429
    assert not is_fresh(stale)
    # Nobody is locked out of signing in by it.
    assert Client().post("/login/", {"username": "ada", "password": PASSWORD})["Location"] == "/"


def test_a_fragment_keeps_its_page(stale: Client) -> None:
    answer = stale.get("/settings/people/new/", headers=HTMX)
    assert answer.status_code == 403
    assert answer["HX-Retarget"] == "#notice"
    assert "Nothing was sent, and your text is kept." in answer.text
    assert 'href="/me/prove/?next=%2Fsettings%2Fpeople%2Fnew%2F"' in answer.text
    assert "<html" not in answer.text


def test_it_can_be_switched_off(stale: Client, settings: Settings) -> None:
    settings.STEP_UP_MINUTES = 0
    assert stale.get("/settings/people/new/").status_code == 200


@pytest.mark.parametrize("path", ["/me/factors/app/", "/me/factors/passkey/", "/me/factors/codes/"])
def test_factors_are_not_changed_by_who_found_an_open_browser(stale: Client, path: str) -> None:
    assert stale.get(path)["Location"].startswith("/me/prove/?next=")


@pytest.mark.parametrize("next_", ["https://evil.example/", "//evil.example", "javascript:x"])
def test_it_does_not_send_people_elsewhere(stale: Client, next_: str) -> None:
    assert stale.post("/me/prove/", {"password": PASSWORD, "next": next_})["Location"] == "/me/"


def test_somebody_else_s_password_proves_nothing(cast: Cast, stale: Client) -> None:
    cast.ada.set_password("something else entirely")
    cast.ada.save()
    stale.force_login(cast.ada)
    age(stale, minutes=60)
    assert stale.post("/me/prove/", {"password": PASSWORD}).status_code == 422
