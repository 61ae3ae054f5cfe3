"""How long a browser stays signed in, and what ends it at once."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from orchestrator.actions import factors, users
from orchestrator.actions.actor import Actor
from orchestrator.engine.sweep import sweep
from orchestrator.models import BrowserSession
from tests.conftest import PASSWORD, Cast

NEW = "another horse, another battery"


def sign_in(username: str = "rita", password: str = PASSWORD) -> Client:
    client = Client(headers={"User-Agent": "Mozilla/5.0 (X11; Linux) Firefox/140.0"})
    assert client.post("/login/", {"username": username, "password": password})["Location"] == "/"
    return client


def is_in(client: Client) -> bool:
    return client.get("/queue/").status_code == 200


def cookie(client: Client, settings: Settings) -> str:
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def with_cookie(value: str, settings: Settings) -> Client:
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = value
    return client


def session(user: User) -> BrowserSession:
    return BrowserSession.objects.get(user=user)


def test_signing_in_changes_the_id(cast: Cast, settings: Settings) -> None:
    client = Client()
    # Somebody may have planted this cookie: it holds a message, so it exists.
    client.post("/login/passkey/")
    planted = cookie(client, settings)
    client.post("/login/", {"username": "rita", "password": PASSWORD})
    assert cookie(client, settings) != planted
    assert is_in(client)
    assert not is_in(with_cookie(planted, settings))


def test_the_cookie_is_kept_from_scripts_and_other_sites(cast: Cast, settings: Settings) -> None:
    morsel = sign_in().cookies[settings.SESSION_COOKIE_NAME]
    assert morsel["httponly"]
    assert morsel["samesite"] == "Lax"


def test_an_old_cookie_is_dead_after_signing_out(cast: Cast, settings: Settings) -> None:
    client = sign_in()
    old = cookie(client, settings)
    client.post("/logout/")
    assert not is_in(with_cookie(old, settings))
    assert not BrowserSession.objects.filter(user=cast.rita).exists()


def test_a_new_password_ends_every_other_session_and_changes_this_ones_id(
    cast: Cast, settings: Settings
) -> None:
    here, there = sign_in(), sign_in()
    old = cookie(here, settings)
    form = {"current": PASSWORD, "password": NEW, "password_again": NEW}
    assert here.post("/me/password/", form)["Location"] == "/me/"
    assert is_in(here)
    assert not is_in(there)
    assert not is_in(with_cookie(old, settings))
    assert is_in(sign_in(password=NEW))


@pytest.mark.parametrize("what", ["roles", "deactivate", "reset"])
def test_what_an_admin_changes_ends_every_session(cast: Cast, what: str) -> None:
    clients, max_ = [sign_in(), sign_in()], sign_in("max")
    ada = Actor(cast.ada)
    if what == "roles":
        users.set_roles(ada, cast.rita.pk, ["manager"])
    elif what == "deactivate":
        users.deactivate(ada, cast.rita.pk)
    else:
        factors.reset(ada, cast.rita.pk)
    assert [client.get("/queue/").status_code for client in clients] == [302, 302]
    assert max_.get("/queue/").status_code == 200


def test_the_same_roles_again_end_nothing(cast: Cast) -> None:
    client = sign_in()
    users.set_roles(Actor(cast.ada), cast.rita.pk, ["reviewer"])
    assert is_in(client)


def test_it_ends_when_nobody_uses_it(cast: Cast, settings: Settings) -> None:
    client = sign_in()
    until = session(cast.rita).expire_date - timezone.now()
    assert timedelta(minutes=settings.SESSION_IDLE_MINUTES - 1) < until
    assert until <= timedelta(minutes=settings.SESSION_IDLE_MINUTES)
    BrowserSession.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert not is_in(client)


def test_doing_something_keeps_it(cast: Cast) -> None:
    client = sign_in()
    ago = timezone.now() - timedelta(minutes=5)
    soon = timezone.now() + timedelta(minutes=5)
    BrowserSession.objects.update(seen_at=ago, expire_date=soon)
    assert is_in(client)
    assert session(cast.rita).expire_date > soon + timedelta(minutes=30)
    assert session(cast.rita).seen_at > ago + timedelta(minutes=4)


def test_a_page_that_asks_for_news_by_itself_does_not_keep_it(cast: Cast) -> None:
    client = sign_in()
    ago = timezone.now() - timedelta(minutes=5)
    BrowserSession.objects.update(seen_at=ago)
    client.get("/pulse/", headers={"HX-Request": "true", "HX-PTag": "x"})
    assert session(cast.rita).seen_at == ago


def test_signs_of_life_are_not_written_down_for_every_page(
    cast: Cast, django_assert_num_queries: object
) -> None:
    client = sign_in()
    is_in(client)
    before = session(cast.rita).seen_at
    is_in(client)
    assert session(cast.rita).seen_at == before


def test_it_ends_for_good_however_busy_somebody_is(cast: Cast, settings: Settings) -> None:
    client = sign_in()
    # Signed in almost as long ago as a session lasts.
    data = client.session
    data["begun_at"] = timezone.now().timestamp() - settings.SESSION_COOKIE_AGE + 60
    data.save()
    BrowserSession.objects.update(seen_at=timezone.now() - timedelta(minutes=5))
    assert is_in(client)
    assert session(cast.rita).expire_date < timezone.now() + timedelta(seconds=61)


def test_somebody_sees_and_ends_their_own_sessions(cast: Cast) -> None:
    here, there, others = sign_in(), sign_in(), sign_in("max")
    page = here.get("/me/").text
    assert page.count("Firefox on Linux") >= 2
    assert "this browser" in page
    place = next(p.name for p in here.get("/me/").context["places"] if not p.is_here)
    assert here.post("/me/sessions/end/", {"place": place})["Location"] == "/me/"
    assert (is_in(here), is_in(there), is_in(others)) == (True, False, True)


def test_somebody_signs_out_everywhere_else(cast: Cast) -> None:
    here, there, others = sign_in(), sign_in(), sign_in("max")
    assert "Signed out in 1 other browser." in here.post("/me/sessions/end/", follow=True).text
    assert (is_in(here), is_in(there), is_in(others)) == (True, False, True)


def test_nobody_ends_the_sessions_of_somebody_else(cast: Cast) -> None:
    here, others = sign_in(), sign_in("max")
    place = others.get("/me/").context["places"][0].name
    here.post("/me/sessions/end/", {"place": place})
    assert is_in(others)


def test_the_page_shows_no_key_that_opens_anything(cast: Cast, settings: Settings) -> None:
    client = sign_in()
    assert cookie(client, settings) not in client.get("/me/").text


def test_a_late_request_with_an_old_cookie_takes_the_new_one_from_nobody(
    cast: Cast, settings: Settings
) -> None:
    client = sign_in()
    old = cookie(client, settings)
    client.post("/me/prove/", {"password": PASSWORD})
    late = with_cookie(old, settings).get("/pulse/", headers={"HX-Request": "true"})
    assert late.status_code == 401
    assert settings.SESSION_COOKIE_NAME not in late.cookies
    left = client.post("/logout/")
    assert left.cookies[settings.SESSION_COOKIE_NAME].value == ""


def test_the_sweeper_forgets_what_is_over(cast: Cast) -> None:
    sign_in()
    BrowserSession.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    sweep()
    assert not BrowserSession.objects.exists()


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"current": "guess"}, "This is not your password."),
        ({"password_again": "different"}, "The two passwords differ."),
        ({"password": "short", "password_again": "short"}, "too short"),
    ],
)
def test_a_password_is_not_changed_by_mistake(cast: Cast, form: dict[str, str], says: str) -> None:
    client = sign_in()
    given = {"current": PASSWORD, "password": NEW, "password_again": NEW} | form
    response = client.post("/me/password/", given)
    assert response.status_code == 422
    assert says in response.text
    assert is_in(sign_in())


def test_who_sits_down_at_somebodys_desk_cannot_guess_on(cast: Cast) -> None:
    client = sign_in()
    form = {"current": "guess", "password": NEW, "password_again": NEW}
    for _ in range(10):
        client.post("/me/password/", form)
    page = client.post("/me/password/", form | {"current": PASSWORD})
    assert "Too many tries" in page.text
    assert is_in(sign_in())
