"""The pages of tokens: made with a secret that is shown once, listed, and revoked."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from orchestrator.actions import tokens
from orchestrator.models import ApiToken
from tests.conftest import Cast

WISH = {
    "name": "Refunds",
    "scopes": ["propose"],
    "acts_as": "program",
    "program": "refunds",
    "days": 30,
    "agents": "refund-agent\nother-agent",
}


def secret_in(page: str) -> str:
    found = re.search(r"cs_[a-z0-9]{10}_[a-z0-9]{40}", page)
    assert found
    return found.group()


def test_a_token_is_made_and_shown_once(cast: Cast, ada: Client) -> None:
    assert "No token yet" in ada.get("/settings/tokens/").text
    answer = ada.post("/settings/tokens/new/", WISH)
    assert "no-store" in answer["Cache-Control"]
    text = secret_in(answer.text)
    found = tokens.find(text)
    assert found is not None
    assert found.agents == ["refund-agent", "other-agent"]
    for path in ("/settings/tokens/", f"/settings/tokens/{found.prefix}/", "/audit-log/"):
        page = ada.get(path).text
        assert found.prefix in page
        assert text not in page
        assert text.split("_")[2] not in page


def test_it_may_act_as_its_maker(cast: Cast, ada: Client) -> None:
    ada.post("/settings/tokens/new/", WISH | {"acts_as": "self", "scopes": ["admin", "read"]})
    assert ApiToken.objects.get().owner == cast.ada


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": ""}, "This field is required"),
        ({"scopes": []}, "This field is required"),
        ({"program": ""}, "Name it, or let the token act as you"),
        ({"program": "rita"}, "rita is a person"),
        ({"program": "two words"}, "valid username"),
        ({"scopes": ["review"]}, "let a person own the token"),
        ({"agents": "two,names"}, "no name that an agent could state"),
        ({"days": 5_000}, "TOKEN_DAYS_MAX"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field(
    cast: Cast, ada: Client, changes: dict[str, object], says: str
) -> None:
    answer = ada.post("/settings/tokens/new/", WISH | changes)
    assert answer.status_code == 422
    assert says in answer.text
    assert not ApiToken.objects.exists()


def test_it_is_revoked_from_its_page(cast: Cast, ada: Client, token: Callable[..., str]) -> None:
    text = token("propose")
    page = f"/settings/tokens/{text.split('_')[1]}/"
    assert "Revoke this token" in ada.get(page).text
    assert "is revoked" in ada.post(f"{page}revoke/", follow=True).text
    assert tokens.find(text) is None
    assert "Revoke this token" not in ada.get(page).text


def test_each_says_what_keeps_it_from_working(
    cast: Cast, ada: Client, token: Callable[..., str]
) -> None:
    now = timezone.now()
    token("propose", expires_at=now - timedelta(days=1))
    token("read", expires_at=now + timedelta(days=2))
    token("runs", owner=cast.rita)
    cast.rita.is_active = False
    cast.rita.save()
    page = ada.get("/settings/tokens/").text
    for state in ("Expired", "Ends soon", "Its owner is switched off"):
        assert state in page


def test_the_list_is_paged_by_key(
    cast: Cast, ada: Client, token: Callable[..., str], settings: Settings
) -> None:
    settings.PAGE_SIZE = 2
    for scope in ("propose", "runs", "events"):
        token(scope)
    first = ada.get("/settings/tokens/")
    assert [one.name for one, _ in first.context["lines"]] == ["events", "runs"]
    older = ada.get("/settings/tokens/", {"before": first.context["rows"].older})
    assert [one.name for one, _ in older.context["lines"]] == ["propose"]
    assert ada.get("/settings/tokens/?before=nonsense").status_code == 200


def test_before_one_is_made_or_revoked_the_person_proves_who_they_are(
    cast: Cast, ada: Client, token: Callable[..., str], settings: Settings
) -> None:
    text = token("propose")
    page = f"/settings/tokens/{text.split('_')[1]}/"
    session = ada.session
    session["proved_at"] = 0.0
    session.save()
    settings.STEP_UP_MINUTES = 15
    for path in ("/settings/tokens/new/", f"{page}revoke/"):
        assert ada.post(path, WISH)["Location"].startswith("/me/prove/")
    assert tokens.find(text) is not None
    assert ApiToken.objects.count() == 1
