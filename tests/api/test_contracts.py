"""Contracts over HTTP: who may save one, what breaks a promise and is told so, and what can be read."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.models import ContractVersion
from tests.api.conftest import Call
from tests.conftest import Cast

Issue = Callable[..., str]
REFUND = "/contracts/action/refund.create"


def wording(most: int = 100_000, **fields: Any) -> dict[str, Any]:
    amount = {"type": "integer", "minimum": 1, "maximum": most}
    schema = {"type": "object", "required": ["amount"], "properties": {"amount": amount}}
    return {"schema": schema, "timeout_s": 60, **fields}


@pytest.fixture
def admin(cast: Cast, token: Issue) -> str:
    return token("admin", owner=cast.ada)


def test_saving_makes_a_version_and_says_what_is_stored(call: Call, admin: str) -> None:
    response = call("PUT", REFUND, wording(owner="payments", note="the first"), bearer=admin)
    assert response.status_code == 201
    body = response.json()
    assert (body["kind"], body["name"], body["version"]) == ("action", "refund.create", 1)
    assert (body["owner"], body["tier"], body["created_by"]) == ("payments", "normal", "ada")
    assert body["schema"] == wording()["schema"]
    assert "schema_" not in body
    again = call("PUT", REFUND, wording(owner="payments"), bearer=admin)
    assert (again.status_code, again.json()["version"]) == (200, 1)
    changed = call("PUT", REFUND, wording(owner="shop"), bearer=admin)
    assert (changed.status_code, changed.json()["version"]) == (201, 2)


def test_a_broken_promise_is_refused_with_a_value(call: Call, admin: str) -> None:
    call("PUT", REFUND, wording(100_000), bearer=admin)
    response = call("PUT", REFUND, wording(50_000), bearer=admin)
    assert response.status_code == 409
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["type"] == "urn:countersign:problem:contract-incompatible"
    assert body["counterexample"] == {"amount": 100_000}
    assert body["errors"] == [
        {"pointer": "/amount", "reason": "must be at most 50,000; it is 100000"}
    ]
    assert ContractVersion.objects.count() == 1


def test_what_was_not_proven_has_no_value_to_show(call: Call, admin: str) -> None:
    path = "/contracts/event/e"
    for pattern, status in (("^(aa)*$", 201), ("^(a{2})*$", 409)):
        schema = {"type": "string", "pattern": pattern}
        response = call("PUT", path, {"schema": schema, "timeout_s": 1}, bearer=admin)
        assert response.status_code == status
    assert "counterexample" not in response.json()


def test_everything_that_is_wrong_is_said_at_once(call: Call, admin: str) -> None:
    wrong = wording()
    wrong["schema"]["properties"] |= {"a": {"type": "money"}, "b": {"minLength": -1}}
    response = call("PUT", REFUND, wrong, bearer=admin)
    assert response.status_code == 422
    assert response.json()["type"] == "urn:countersign:problem:contract-invalid"
    places = [one["pointer"] for one in response.json()["errors"]]
    assert places == ["/properties/a/type", "/properties/b/minLength"]
    masked = call("PUT", REFUND, wording(masked=["/card"]), bearer=admin)
    assert (masked.status_code, masked.json()["errors"][0]["pointer"]) == (422, "/masked/0")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/contracts/thing/a", wording(), 422),
        ("/contracts/action/a%00b", wording(), 422),
        ("/contracts/action/" + "x" * 101, wording(), 422),
        (REFUND, wording(timeout_s=0), 422),
        (REFUND, wording(timeout_s="60"), 422),
        (REFUND, wording(tier="top"), 422),
        (REFUND, wording(colour="red"), 422),
        (REFUND, {"timeout_s": 60}, 422),
        (REFUND, {"schema": True, "timeout_s": 60}, 422),
        (REFUND, wording(description="x" * 501), 422),
        (REFUND, {"schema": {"description": "x" * 200_000}, "timeout_s": 1}, 413),
    ],
)
def test_what_cannot_be_is_refused(
    call: Call, admin: str, path: str, body: Any, status: int
) -> None:
    response = call("PUT", path, body, bearer=admin)
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    assert not ContractVersion.objects.exists()


def test_a_schema_of_3_000_levels_or_a_megabyte_is_refused(call: Call, admin: str) -> None:
    deep = b'{"timeout_s":1,"schema":' + b'{"items":' * 3_000 + b"{}" + b"}" * 3_001
    response = call("PUT", REFUND, raw=deep, bearer=admin)
    assert response.status_code == 400
    assert "nested deeper" in response.json()["title"]
    large = b'{"timeout_s":1,"schema":{"description":"' + b"x" * 1_100_000 + b'"}}'
    assert call("PUT", REFUND, raw=large, bearer=admin).status_code == 413


def test_somebody_else_was_first(call: Call, admin: str) -> None:
    assert call("PUT", REFUND, wording(based_on=0), bearer=admin).status_code == 201
    late = call("PUT", REFUND, wording(owner="late", based_on=0), bearer=admin)
    assert late.status_code == 409
    assert late.json()["type"] == "urn:countersign:problem:contract-changed"


def test_saving_needs_the_scope_and_the_role(call: Call, token: Issue, cast: Cast) -> None:
    for bearer in (token("read"), token("propose"), token("admin", owner=cast.rita)):
        assert call("PUT", REFUND, wording(), bearer=bearer).status_code == 403
    assert call("PUT", REFUND, wording(), bearer="cs_no").status_code == 401
    assert not ContractVersion.objects.exists()


def test_what_was_saved_can_be_read(call: Call, admin: str, token: Issue) -> None:
    for owner in ("one", "two"):
        call("PUT", REFUND, wording(owner=owner), bearer=admin)
    for bearer in (token("read"), token("propose"), token("events"), token("runs")):
        assert call("GET", REFUND, bearer=bearer).json()["owner"] == "two"
    first = call("GET", f"{REFUND}/versions/1").json()
    assert (first["owner"], first["version"]) == ("one", 1)
    assert first["schema"] == wording()["schema"]
    for path in (
        "/contracts/action/none",
        "/contracts/event/refund.create",
        f"{REFUND}/versions/3",
    ):
        assert call("GET", path).status_code == 404
    for path in (f"{REFUND}/versions/0", f"{REFUND}/versions/{9**40}", "/contracts/x/y"):
        assert call("GET", path).status_code == 422
    assert call("GET", REFUND, bearer=token("review", owner=None)).status_code == 403


def test_the_list_pages_by_kind_and_name(call: Call, admin: str) -> None:
    for key in ("output/a", "event/b", "action/c", "event/a"):
        call("PUT", f"/contracts/{key}", wording(), bearer=admin)
    first = call("GET", "/contracts?limit=3", bearer=admin).json()
    assert [(one["kind"], one["name"]) for one in first["contracts"]] == [
        ("action", "c"),
        ("event", "a"),
        ("event", "b"),
    ]
    second = call("GET", f"/contracts?limit=3&after={first['next']}", bearer=admin).json()
    assert [one["kind"] for one in second["contracts"]] == ["output"]
    assert second["next"] is None
    events = call("GET", "/contracts?kind=event", bearer=admin).json()["contracts"]
    assert [one["name"] for one in events] == ["a", "b"]
    assert "schema" not in events[0]
    assert call("GET", "/contracts?kind=thing", bearer=admin).status_code == 422
    assert call("GET", "/contracts?sort=name", bearer=admin).status_code == 422
