"""Shared memory over the API."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from orchestrator.models import Observation
from tests.conftest import Cast
from tests.memories import only, relay, run_of, shared, wish, writer

type Ask = Callable[..., Any]


@pytest.fixture
def ask(client: Client, cast: Cast, token: Callable[..., str]) -> Ask:
    texts = {"read": token("read"), "admin": token("admin", owner=cast.ada)}

    def send(path: str, body: Any = None, scope: str = "admin") -> Any:
        headers = {"Authorization": f"Bearer {texts[scope]}"}
        address = f"/api/v1/memory{path}"
        if body is None:
            return client.get(address, headers=headers)
        return client.post(address, body, content_type="application/json", headers=headers)

    return send


@pytest.fixture
def poison(cast: Cast) -> Observation:
    run_of(shared(writer("source", wish("poison", {"a": [1]}), wish("fine", 2, ttl_s=5))))
    run_of(shared(relay("first", wish("second-hand", 1))))
    return only("poison")


def test_one_with_all_that_followed(poison: Observation, ask: Ask) -> None:
    found = ask(f"/{poison.pk}", scope="read").json()
    assert (found["key"], found["value"], found["space"]) == ("poison", {"a": [1]}, "desk")
    assert (found["run"], found["event"]) == (poison.run_id, poison.seq)
    assert found["status"] == "live"
    (read,) = found["aftermath"]["reads"]
    (followed,) = found["aftermath"]["followed"]
    assert read["work"] == "first"
    assert (followed["key"], followed["sure"], followed["level"]) == ("second-hand", True, 1)


def test_by_filters_and_pages(poison: Observation, ask: Ask) -> None:
    def keys(query: str) -> list[str]:
        return [one["key"] for one in ask(query).json()["observations"]]

    assert set(keys("?space=desk")) == {"poison", "fine", "second-hand"}
    assert keys("?key=poison") == ["poison"]
    assert keys("?tag=plan") == []
    assert keys("?tag=%20") == []
    assert len(keys("?status=live")) == 3
    assert keys("?status=revoked") == []
    first = ask("?limit=2").json()
    second = ask(f"?limit=2&before={first['next']}").json()
    assert second["next"] is None
    found = [one["id"] for one in first["observations"] + second["observations"]]
    assert found == sorted(Observation.objects.values_list("pk", flat=True), reverse=True)


def test_revoking_is_only_told_until_it_is_meant(poison: Observation, ask: Ask) -> None:
    path = f"/{poison.pk}/revoke"
    told = ask(path, {"reason": "a tool lied", "also": "all"}).json()
    assert told["dry_run"]
    assert told["revoked"] == [poison.pk, only("second-hand").pk]
    assert ask(f"/{poison.pk}").json()["status"] == "live"
    done = ask(path, {"reason": "a tool lied", "also": "all", "dry_run": False}).json()
    assert done["revoked"] == told["revoked"]
    found = ask(f"/{poison.pk}").json()
    assert (found["status"], found["revoked_by"]) == ("revoked", "ada")
    again = ask(path, {"reason": "a tool lied", "dry_run": False})
    assert (again.status_code, again.json()["type"]) == (
        409,
        "urn:countersign:problem:observation-revoked",
    )


@pytest.mark.parametrize(
    ("path", "body", "scope", "status"),
    [
        ("/obs_none", None, "read", 404),
        ("/obs_01jd3v8w7qf2n8b4x5c6d7e8f9", None, "read", 404),
        ("?before=x", None, "read", 422),
        ("?status=dead", None, "read", 422),
        ("?spaec=x", None, "read", 422),
        ("?key=%00", None, "read", 422),
        ("/obs_none/revoke", {"reason": "x"}, "read", 403),
        ("/obs_none/revoke", {"reason": "x"}, "admin", 404),
        ("/obs_none/revoke", {"reason": ""}, "admin", 422),
        ("/obs_none/revoke", {"reason": "x", "also": "some"}, "admin", 422),
        ("/obs_none/revoke", {"reason": "x", "by": "ada"}, "admin", 422),
    ],
)
def test_what_is_refused(ask: Ask, path: str, body: Any, scope: str, status: int) -> None:
    assert ask(path, body, scope).status_code == status
