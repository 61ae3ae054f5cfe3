"""Workflows over HTTP: who may save one, what is said when it is wrong, and what can be read."""

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.core.schemas import check
from orchestrator.models import AuditEntry, Workflow, WorkflowVersion
from tests import runs
from tests.api.conftest import REFUND, Call
from tests.conftest import Cast

Issue = Callable[..., str]

PLAN: dict[str, Any] = {
    "pattern": "pipeline",
    "title": "Read, then ask",
    "stages": [
        {"name": "read", "agent": {"kind": "scripted", "name": "reader", "says": 1}},
        {"name": "ask", "approval": {"question": "Shall it go on?"}},
    ],
}


@pytest.fixture
def admin(cast: Cast, token: Issue) -> str:
    return token("admin", owner=cast.ada)


def test_saving_makes_a_version_and_says_what_is_stored(call: Call, admin: str) -> None:
    response = call("PUT", "/workflows/refunds", PLAN, bearer=admin)
    assert response.status_code == 201
    body = response.json()
    assert (body["workflow"], body["version"], body["created_by"]) == ("refunds", 1, "ada")
    assert body["definition"]["stages"][1]["needs"] == ["read"]
    assert body["definition"]["budget"]["depth"] == 5


def test_saving_the_same_again_makes_none(call: Call, admin: str) -> None:
    call("PUT", "/workflows/refunds", PLAN, bearer=admin)
    again = call("PUT", "/workflows/refunds", PLAN, bearer=admin)
    assert (again.status_code, again.json()["version"]) == (200, 1)
    changed = call("PUT", "/workflows/refunds", {**PLAN, "title": "Else"}, bearer=admin)
    assert (changed.status_code, changed.json()["version"]) == (201, 2)
    # What was stored, sent back as it is, says the same.
    stored = changed.json()["definition"]
    assert call("PUT", "/workflows/refunds", stored, bearer=admin).status_code == 200


def test_everything_that_is_wrong_is_said_at_once(call: Call, admin: str) -> None:
    wrong = {
        "pattern": "pipeline",
        "stages": [{"name": "a"}, {"name": "a", "workflow": "x", "needs": ["b"]}],
    }
    response = call("PUT", "/workflows/refunds", wrong, bearer=admin)
    assert response.status_code == 422
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["type"] == "urn:countersign:problem:definition-invalid"
    assert "and 2 more" in body["title"]
    assert [one["pointer"] for one in body["errors"]] == [
        "/stages/0",
        "/stages/1/name",
        "/stages/1/needs/0",
    ]
    assert not WorkflowVersion.objects.exists()


def test_a_slug_and_a_body_that_cannot_be_are_refused(call: Call, admin: str) -> None:
    assert call("PUT", "/workflows/a.b", PLAN, bearer=admin).status_code == 422
    assert call("PUT", "/workflows/x", [PLAN], bearer=admin).status_code == 400
    assert call("PUT", "/workflows/x", raw=b"{", bearer=admin).status_code == 400
    long = {**PLAN, "title": "x" * 300_000}
    assert call("PUT", "/workflows/x", long, bearer=admin).status_code == 413


def test_saving_needs_the_scope_and_the_role(call: Call, token: Issue, cast: Cast) -> None:
    for bearer in (token("read"), token("propose"), token("runs"), token("admin", owner=cast.rita)):
        assert call("PUT", "/workflows/refunds", PLAN, bearer=bearer).status_code == 403
    assert call("PUT", "/workflows/refunds", PLAN, bearer="cs_no").status_code == 401
    assert not WorkflowVersion.objects.exists()


def test_what_was_saved_can_be_read(call: Call, admin: str, token: Issue) -> None:
    for title in ("one", "two"):
        call("PUT", "/workflows/refunds", {**PLAN, "title": title}, bearer=admin)
    reader = token("read")
    assert call("GET", "/workflows/refunds", bearer=reader).json()["title"] == "two"
    first = call("GET", "/workflows/refunds/versions/1", bearer=token("runs")).json()
    assert (first["title"], first["version"]) == ("one", 1)
    for path in ("/workflows/none", "/workflows/refunds/versions/3"):
        assert call("GET", path, bearer=reader).status_code == 404
    for path in (
        "/workflows/a%00b",
        "/workflows/refunds/versions/0",
        f"/workflows/x/versions/{9**40}",
    ):
        assert call("GET", path, bearer=reader).status_code == 422
    assert call("GET", "/workflows/refunds").status_code == 403


def test_the_list_pages_by_name(call: Call, admin: str) -> None:
    for slug in ("c", "a", "b"):
        call("PUT", f"/workflows/{slug}", PLAN, bearer=admin)
    first = call("GET", "/workflows?limit=2", bearer=admin).json()
    assert [one["workflow"] for one in first["workflows"]] == ["a", "b"]
    second = call("GET", f"/workflows?limit=2&after={first['next']}", bearer=admin).json()
    assert [one["workflow"] for one in second["workflows"]] == ["c"]
    assert second["next"] is None


def test_a_workflow_that_carries_proposals_keeps_its_plan(call: Call, admin: str) -> None:
    call("PUT", "/workflows/support", PLAN, bearer=admin)
    assert call("POST", "/proposals", REFUND).status_code == 201
    assert call("GET", "/workflows/support", bearer=admin).json()["version"] == 1
    listed = call("GET", "/workflows", bearer=admin).json()["workflows"]
    assert [(one["workflow"], one["pattern"]) for one in listed] == [("support", "pipeline")]
    direct = call("GET", "/workflows/support/versions/2", bearer=admin).json()
    assert direct["definition"] == {"pattern": "direct"}
    assert AuditEntry.objects.filter(object_id="workflow/support").count() == 2


def test_the_format_can_be_downloaded(call: Call) -> None:
    schema = call("GET", "/workflows/schema", bearer=None).json()
    assert check(schema, PLAN) == []
    assert check(schema, {**PLAN, "stages": []}) != []


def test_it_is_checked_before_anything_is_saved(call: Call, admin: str, token: Issue) -> None:
    answer = call("POST", "/workflows/council/check", runs.COUNCIL, bearer=admin)
    assert answer.status_code == 200
    checked = answer.json()
    assert checked["estimate"]["known_micros"] == 4 * 4_200
    assert not Workflow.objects.filter(slug="council").exists()
    saved = call("PUT", "/workflows/council", runs.COUNCIL, bearer=admin).json()
    assert {name: saved[name] for name in checked} == checked
    wrong = call("POST", "/workflows/council/check", {**runs.COUNCIL, "quorum": 9}, bearer=admin)
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/quorum")
    assert call("POST", "/workflows/schema/check", PLAN, bearer=admin).status_code == 422
    assert call("POST", "/workflows/x/check", PLAN, bearer=token("runs")).status_code == 403


def test_a_consensus_is_answered_with_what_a_run_costs(call: Call, admin: str) -> None:
    body = call("PUT", "/workflows/council", runs.COUNCIL, bearer=admin).json()
    assert body["definition"]["quorum"] == 2
    found = body["estimate"]
    assert [one["who"] for one in found["calls"]] == ["first", "second", "third", "judge"]
    assert {one["basis"] for one in found["calls"]} == {"limits"}
    assert (found["known_micros"], found["unknown"]) == (4 * 4_200, 0)
    assert found["at_most_micros"] == body["definition"]["budget"]["money_micros"]
    runs.start("council")
    again = call("GET", "/workflows/council", bearer=admin).json()["estimate"]["calls"]
    assert [one["basis"] for one in again] == ["past", "past", "limits", "past"]
    assert call("PUT", "/workflows/pool", runs.POOL, bearer=admin).json()["estimate"] is None
    asks = {"pattern": "pipeline", "stages": [{"name": "ask", "workflow": "council"}]}
    body = call("PUT", "/workflows/asks", asks, bearer=admin).json()
    assert body["estimate"] is None
    assert [one["workflow"] for one in body["estimates_inside"]] == ["council"]
