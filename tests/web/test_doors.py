"""Signing in, signing out, and the first admin."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from orchestrator.actions import users
from tests.conftest import PASSWORD, Cast


def test_it_signs_in_and_goes_where_one_wanted(cast: Cast, client: Client) -> None:
    form = {"username": "rita", "password": PASSWORD, "next": "/proposals/"}
    assert client.post("/login/", form)["Location"] == "/proposals/"


def test_it_does_not_send_people_elsewhere(cast: Cast, client: Client) -> None:
    form = {"username": "rita", "password": PASSWORD, "next": "https://evil.example/"}
    assert client.post("/login/", form)["Location"] == "/"


@pytest.mark.parametrize("username", ["rita", "nobody"])
def test_a_wrong_password_and_a_wrong_name_look_the_same(
    cast: Cast, client: Client, username: str
) -> None:
    response = client.post("/login/", {"username": username, "password": "guess"})
    assert "That user name and password do not go together." in response.text
    assert "<title>Error: Sign in" in response.text
    assert "guess" not in response.text


def test_the_fields_help_password_managers(cast: Cast, client: Client) -> None:
    page = client.get("/login/").text
    assert 'autocomplete="username"' in page
    assert 'autocomplete="current-password"' in page


def test_the_demo_says_where_its_passwords_are(
    cast: Cast, client: Client, settings: Settings
) -> None:
    settings.DEMO = True
    assert "demo-credentials.json" in client.get("/login/").text
    settings.DEMO = False
    assert "demo-credentials.json" not in client.get("/login/").text


def test_who_is_signed_in_need_not_sign_in(rita: Client) -> None:
    assert rita.get("/login/")["Location"] == "/"
    assert rita.get("/login/?next=/queue/")["Location"] == "/queue/"


def test_a_word_is_no_name_of_a_page(rita: Client) -> None:
    assert rita.get("/login/?next=foo")["Location"] == "foo"


def test_it_signs_out(rita: Client) -> None:
    assert rita.post("/logout/")["Location"] == "/login/"
    assert rita.get("/queue/").status_code == 302


@pytest.mark.django_db
def test_an_empty_instance_starts_with_set_up(client: Client) -> None:
    assert client.get("/")["Location"] == "/setup/"
    assert client.get("/login/")["Location"] == "/setup/"
    assert "Setup code" in client.get("/setup/").text


def setup_form(**changes: str) -> dict[str, str]:
    return {
        "code": users.setup_code(),
        "username": "ada",
        "password": PASSWORD,
        "password_again": PASSWORD,
    } | changes


@pytest.mark.django_db
def test_whoever_has_the_code_becomes_the_first_admin(client: Client) -> None:
    response = client.post("/setup/", setup_form(), follow=True)
    assert "You are the first admin of this instance." in response.text
    assert User.objects.get().groups.get().name == "admin"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"code": "0000-0000-0000"}, "The code is printed where it was started."),
        ({"password_again": "different"}, "The two passwords differ."),
        ({"password": "short", "password_again": "short"}, "too short"),
        ({"username": "not a name!"}, "Enter a valid username."),
        ({"username": ""}, "This field is required."),
    ],
)
def test_set_up_says_what_is_wrong(client: Client, changes: dict[str, str], problem: str) -> None:
    response = client.post("/setup/", setup_form(**changes))
    assert response.status_code == 422
    assert problem in response.text
    assert 'aria-invalid="true"' in response.text
    assert not User.objects.exists()


def test_set_up_is_gone_once_somebody_exists(cast: Cast, client: Client) -> None:
    assert client.get("/setup/").status_code == 404
    assert client.post("/setup/", setup_form(username="eve")).status_code == 404
    assert not User.objects.filter(username="eve").exists()


def test_the_theme_is_in_the_first_byte(cast: Cast, client: Client) -> None:
    response = client.post(
        "/theme/", {"theme": "dark"}, headers={"Referer": "http://testserver/login/"}
    )
    assert response["Location"] == "http://testserver/login/"
    assert 'data-theme="dark"' in client.get("/login/").text


@pytest.mark.parametrize("theme", ["", "x", '"><script>'])
def test_an_unknown_theme_changes_nothing(cast: Cast, client: Client, theme: str) -> None:
    client.post("/theme/", {"theme": theme})
    client.cookies["theme"] = theme
    assert 'data-theme="system"' in client.get("/login/").text


def test_the_theme_form_does_not_send_people_elsewhere(cast: Cast, client: Client) -> None:
    response = client.post(
        "/theme/", {"theme": "dark"}, headers={"Referer": "https://evil.example/"}
    )
    assert response["Location"] == "/"
