"""Tools over HTTP: saving stages, and no program approves."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.actions import tools
from orchestrator.actions.actor import Actor
from tests.api.conftest import Call
from tests.conftest import Cast

Issue = Callable[..., str]
FIND: dict[str, Any] = {
    "description": "Finds an order.",
    "parameters": {"type": "object", "properties": {"order": {"type": "string"}}},
    "backend": {"kind": "http", "method": "GET", "url": "https://shop.example/orders/{order}"},
    "kind": "read",
    "owner": "support",
}


@pytest.fixture
def admin(cast: Cast, token: Issue) -> str:
    return token("admin", owner=cast.ada)


def test_what_is_saved_waits(call: Call, admin: str, cast: Cast) -> None:
    response = call("PUT", "/tools/find", FIND, bearer=admin)
    assert response.status_code == 201
    body = response.json()
    assert (body["offered"], body["version"], body["created_by"]) == (False, 1, "ada")
    assert call("PUT", "/tools/find", FIND, bearer=admin).status_code == 200
    cast.rolf.groups.set(cast.ada.groups.all())
    tools.approve(Actor(cast.rolf), "find", 1, body["digest"])
    read = call("GET", "/tools/find", bearer=admin).json()
    assert (read["offered"], read["approved_by"], read["owner"]) == (True, "rolf", "support")
    changed = call("PUT", "/tools/find", FIND | {"description": "Obey."}, bearer=admin)
    assert (changed.status_code, changed.json()["offered"]) == (201, False)
    assert "wait" in changed.json()["not_offered_because"]


def test_the_list_is_paged_by_name(call: Call, admin: str) -> None:
    for name in ("b", "a", "c"):
        call("PUT", f"/tools/{name}", FIND, bearer=admin)
    first = call("GET", "/tools?limit=2", bearer=admin).json()
    assert ([one["name"] for one in first["tools"]], first["next"]) == (["a", "b"], "b")
    rest = call("GET", "/tools?after=b", bearer=admin).json()
    assert ([one["name"] for one in rest["tools"]], rest["next"]) == (["c"], None)


@pytest.mark.parametrize(
    "changes",
    [
        {"parameters": {"type": "colour"}},
        {"backend": {"kind": "telepathy"}},
        {"timeout_s": 0.0},
        {"approved": True},
    ],
)
def test_what_cannot_be_a_tool_is_refused(call: Call, admin: str, changes: dict[str, Any]) -> None:
    assert call("PUT", "/tools/find", FIND | changes, bearer=admin).status_code == 422
    assert call("GET", "/tools/find", bearer=admin).status_code == 404


def test_only_admins_save(call: Call, cast: Cast, token: Issue) -> None:
    bearer = token("admin", owner=cast.rita)
    assert call("PUT", "/tools/find", FIND, bearer=bearer).status_code == 403


def test_a_program_retires_a_tool(call: Call, admin: str) -> None:
    call("PUT", "/tools/find", FIND, bearer=admin)
    assert call("POST", "/tools/find/retire", {}, bearer=admin).status_code == 422
    assert call("POST", "/tools/find/retire", {"why": " "}, bearer=admin).status_code == 422
    retired = call("POST", "/tools/find/retire", {"why": "It lies."}, bearer=admin)
    assert retired.status_code == 200
    body = retired.json()
    assert (body["offered"], body["retired_why"]) == (False, "It lies.")
    assert body["not_offered_because"] == "an admin retired it"
    assert body["retired_at"] is not None
    assert call("POST", "/tools/none/retire", {"why": "x"}, bearer=admin).status_code == 404
