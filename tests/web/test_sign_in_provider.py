"""Signing in through an identity provider: who is let in as whom, and which words are not believed."""

import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from orchestrator.actions import users
from orchestrator.actions.actor import Actor
from orchestrator.models import AuditEntry
from tests.conftest import Cast
from tests.web.identity_provider import CLIENT_ID, CLIENT_SECRET, Provider, run_provider


@pytest.fixture
def provider(settings: Settings) -> Iterator[Provider]:
    with run_provider() as running:
        settings.OIDC_ISSUER = running.issuer
        settings.OIDC_NAME = "Example SSO"
        settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = CLIENT_ID, CLIENT_SECRET
        settings.BASE_URL = "http://testserver"
        yield running


def go_there(client: Client, next_: str = "") -> str:
    """The address that the provider sends the browser back to."""
    away = client.get("/login/identity/", {"next": next_} if next_ else {})
    assert away.status_code == 302
    return str(httpx.get(away["Location"]).headers["Location"])


def come_back(client: Client, address: str) -> httpx.Response:
    parts = urlsplit(address)
    assert parts.path == "/login/identity/callback/"
    return client.get(f"{parts.path}?{parts.query}")  # type: ignore[return-value]


def sign_in(client: Client, next_: str = "") -> httpx.Response:
    return come_back(client, go_there(client, next_))


def who(client: Client) -> str:
    page = client.get("/me/")
    return str(page.context["user"].get_username()) if page.status_code == 200 else ""


def test_the_button_is_there(cast: Cast, client: Client, provider: Provider) -> None:
    page = client.get("/login/?next=/runs/").text
    assert "Sign in with Example SSO" in page
    assert 'href="/login/identity/?next=/runs/"' in page.replace("%2F", "/")


def test_somebody_new_comes_in_without_a_role(
    cast: Cast, client: Client, provider: Provider
) -> None:
    assert sign_in(client, "/runs/")["Location"] == "/runs/"
    assert who(client) == "nora"
    assert client.get("/queue/").status_code == 403
    nora = User.objects.get(username="nora")
    assert not nora.has_usable_password()
    entry = AuditEntry.objects.get(object_id="user/nora", verb="user.created")
    assert (entry.user, entry.detail) == (None, {"came_by": "Example SSO"})


def test_pkce_and_state_go_along(cast: Cast, client: Client, provider: Provider) -> None:
    sign_in(client)
    [asked] = provider.asked
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == "http://testserver/login/identity/callback/"
    assert asked["state"]


def test_somebody_new_gets_the_role_that_the_settings_say(
    cast: Cast, client: Client, provider: Provider, settings: Settings
) -> None:
    settings.OIDC_DEFAULT_ROLE = "reviewer"
    sign_in(client)
    assert client.get("/queue/").status_code == 200


def test_who_was_here_is_the_same_person_again(
    cast: Cast, client: Client, provider: Provider
) -> None:
    sign_in(client)
    client.post("/logout/")
    provider.claims |= {"preferred_username": "nora.renamed"}
    sign_in(client)
    assert who(client) == "nora"
    assert SocialAccount.objects.count() == 1


def test_a_name_that_is_taken_here_opens_nothing(
    cast: Cast, client: Client, provider: Provider
) -> None:
    provider.claims |= {"preferred_username": "Ada", "email": "ada@example.com"}
    sign_in(client)
    assert who(client) == "Ada-2"
    assert client.get("/queue/").status_code == 403


@pytest.mark.parametrize("claims", [{}, {"preferred_username": "<script>"}, {"name": "Nóra Kiss"}])
def test_any_name_becomes_one_that_can_be_used(
    cast: Cast, client: Client, provider: Provider, claims: dict[str, str]
) -> None:
    provider.claims = {"sub": "auth0|17"} | claims
    sign_in(client)
    User.username_validator(who(client))


def test_groups_give_roles_at_each_sign_in(
    cast: Cast, client: Client, provider: Provider, settings: Settings
) -> None:
    settings.OIDC_GROUPS_CLAIM = "groups"
    settings.OIDC_GROUPS = {"it": "admin", "support": "reviewer"}
    provider.claims |= {"groups": ["it", "support", "other"]}
    sign_in(client)
    nora = User.objects.get(username="nora")
    assert set(nora.groups.values_list("name", flat=True)) == {"admin", "reviewer"}
    provider.claims |= {"groups": ["support"]}
    sign_in(Client())
    assert set(nora.groups.values_list("name", flat=True)) == {"reviewer"}
    assert client.get("/queue/").status_code == 302
    last = AuditEntry.objects.filter(verb="user.roles_changed").latest("pk")
    assert last.detail == {"before": ["admin", "reviewer"], "after": ["reviewer"]}


def test_the_last_admin_stays_one_whatever_the_groups_say(
    cast: Cast, client: Client, provider: Provider, settings: Settings
) -> None:
    settings.OIDC_GROUPS_CLAIM, settings.OIDC_GROUPS = "groups", {"it": "admin"}
    provider.claims |= {"groups": ["it"]}
    sign_in(client)
    nora = User.objects.get(username="nora")
    users.deactivate(Actor(nora), cast.ada.pk)
    provider.claims |= {"groups": []}
    sign_in(Client())
    assert nora.groups.get().name == "admin"
    assert AuditEntry.objects.filter(verb="user.roles_kept", object_id="user/nora").exists()


def test_without_a_claim_that_is_named_groups_give_nothing(
    cast: Cast, client: Client, provider: Provider, settings: Settings
) -> None:
    settings.OIDC_GROUPS = {"it": "admin"}
    provider.claims |= {"groups": ["it"], "roles": ["admin"], "is_staff": True}
    sign_in(client)
    nora = User.objects.get(username="nora")
    assert (nora.groups.count(), nora.is_staff, nora.is_superuser) == (0, False, False)


def test_an_account_that_is_switched_off_stays_out(
    cast: Cast, client: Client, provider: Provider
) -> None:
    sign_in(client)
    users.deactivate(Actor(cast.ada), User.objects.get(username="nora").pk)
    response = sign_in(client)
    assert response["Location"] == "/login/"
    assert "This account is switched off." in client.get("/login/").text
    assert who(client) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        "another key",
        "no signature",
        "a shared secret",
        "expired",
        "another audience",
        "another issuer",
        "no subject",
    ],
)
def test_an_id_token_that_proves_nothing_is_refused(
    cast: Cast, client: Client, provider: Provider, wrong: str
) -> None:
    if wrong == "another key":
        provider.published = "second"
    provider.algorithm = {"no signature": "none", "a shared secret": "HS256"}.get(wrong, "RS256")
    provider.claims |= {
        "expired": {"exp": int(time.time()) - 3_600},
        "another audience": {"aud": "somebody-else"},
        "another issuer": {"iss": "https://evil.example"},
        "no subject": {"sub": None},
    }.get(wrong, {})
    response = sign_in(client)
    assert response["Location"] == "/login/"
    assert "Example SSO did not sign you in." in client.get("/login/").text
    assert provider.tokens_given == 1
    assert not SocialAccount.objects.exists()


def test_a_provider_that_calls_itself_something_else_is_refused(
    cast: Cast, client: Client, provider: Provider, settings: Settings
) -> None:
    settings.OIDC_ISSUER = provider.issuer.replace("127.0.0.1", "localhost")
    assert sign_in(client)["Location"] == "/login/"
    assert who(client) == ""


def test_a_code_without_our_state_is_refused(
    cast: Cast, client: Client, provider: Provider
) -> None:
    # Somebody's own code in somebody else's browser would sign them in as the wrong person.
    address = go_there(Client())
    assert come_back(client, address)["Location"] == "/login/"
    assert provider.tokens_given == 0
    assert who(client) == ""


def test_an_answer_works_once(cast: Cast, client: Client, provider: Provider) -> None:
    address = go_there(client)
    come_back(client, address)
    client.post("/logout/")
    assert come_back(client, address)["Location"] == "/login/"
    assert who(client) == ""


def test_who_says_no_over_there_is_told_here(
    cast: Cast, client: Client, provider: Provider
) -> None:
    state = parse_qs(urlsplit(go_there(client)).query)["state"][0]
    refused = f"http://testserver/login/identity/callback/?error=access_denied&state={state}"
    assert come_back(client, refused)["Location"] == "/login/"
    assert "did not sign you in" in client.get("/login/").text


def test_a_provider_that_is_away_is_said_so(
    cast: Cast, client: Client, provider: Provider, settings: Settings
) -> None:
    settings.OIDC_ISSUER = "http://127.0.0.1:9"
    response = client.get("/login/identity/", follow=True)
    assert "Example SSO cannot be reached. Nothing was changed" in response.text


@pytest.mark.parametrize(
    "next_", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"]
)
def test_it_does_not_send_people_elsewhere(
    cast: Cast, client: Client, provider: Provider, next_: str
) -> None:
    assert sign_in(client, next_)["Location"] == "/"


def test_whoever_opens_the_link_cannot_change_what_is_asked(
    cast: Cast, client: Client, provider: Provider
) -> None:
    away = client.get("/login/identity/?process=connect&scope=admin&auth_params=client_id%3Devil")
    asked = parse_qs(urlsplit(away["Location"]).query)
    assert asked["client_id"] == [CLIENT_ID]
    assert "admin" not in asked["scope"][0]
    assert come_back(client, httpx.get(away["Location"]).headers["Location"])["Location"] == "/"
    assert who(client) == "nora"


def test_proving_it_again_asks_the_person_and_not_their_cookie(
    cast: Cast, client: Client, provider: Provider, settings: Settings
) -> None:
    settings.OIDC_DEFAULT_ROLE = "admin"
    provider.claims |= {"auth_time": int(time.time()) - 7_200}
    sign_in(client)
    # Waved through by a cookie from two hours ago: good enough to look, not for what matters most.
    assert client.get("/settings/people/new/")["Location"].startswith("/me/prove/")
    assert "With Example SSO, which will ask you again" in client.get("/me/prove/").text
    provider.claims |= {"auth_time": int(time.time())}
    assert sign_in(client, "/settings/people/new/")["Location"] == "/settings/people/new/"
    assert provider.asked[-1]["prompt"] == "login"
    assert client.get("/settings/people/new/").status_code == 200
