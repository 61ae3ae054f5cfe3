from collections.abc import Callable

import pytest
from django.test import Client

from tests.api.conftest import REFUND, Call
from tests.conftest import Cast

Issue = Callable[..., str]


@pytest.mark.parametrize("bearer", [None, "", "nonsense", "cs_aaaaaaaaaa_bbbb"])
def test_without_a_valid_token_nothing_is_told(call: Call, bearer: str | None) -> None:
    for method, path in (("POST", "/proposals"), ("GET", "/proposals"), ("GET", "/proposals/x")):
        response = call(method, path, REFUND, bearer=bearer)
        assert response.status_code == 401
        assert response["WWW-Authenticate"].startswith("Bearer")
        assert "Authorization: Bearer" in response.json()["title"]


def test_a_session_is_no_token(cast: Cast, sign_in: Callable[..., Client]) -> None:
    response = sign_in(cast.ada).post("/api/v1/proposals", REFUND, content_type="application/json")
    assert response.status_code == 401


@pytest.mark.parametrize("scope", ["read", "review", "runs", "events"])
def test_another_scope_may_not_propose(call: Call, token: Issue, scope: str) -> None:
    response = call("POST", "/proposals", REFUND, bearer=token(scope))
    assert response.status_code == 403
    assert "scope propose" in response.json()["title"]


def test_one_who_proposes_sees_only_their_own(call: Call, token: Issue, cast: Cast) -> None:
    theirs = call("POST", "/proposals", REFUND).json()["id"]
    other = token("propose", owner=cast.rita)
    assert call("GET", f"/proposals/{theirs}").status_code == 200
    for bearer, status in ((other, 404), (token("read"), 200)):
        assert call("GET", f"/proposals/{theirs}", bearer=bearer).status_code == status
    assert call("GET", "/proposals", bearer=other).json()["proposals"] == []
    assert len(call("GET", "/proposals", bearer=token("read")).json()["proposals"]) == 1
