from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import Settings

from orchestrator.models import Event, Proposal, Run
from tests.api.conftest import REFUND, Call

Activate = Callable[..., None]


def test_it_answers_with_the_disposition(call: Call, rule: Activate) -> None:
    rule()
    response = call("POST", "/proposals", REFUND)
    assert response.status_code == 201
    answer = response.json()
    assert answer["id"].startswith("prp_")
    assert response["Location"] == f"/api/v1/proposals/{answer['id']}"
    assert (answer["status"], answer["disposition"]) == ("in_review", "hold")
    assert answer["requires_human"] is True
    assert answer["proposal"]["args"] == REFUND["args"]
    assert answer["proposal"]["digest"].startswith("sha256:")
    assert answer["policy_checks"] == [
        {
            "name": "refund-limit",
            "version": 1,
            "effect": "hold",
            "result": "fail",
            "reason": "the amount 184000 is over 50000",
            "explain": [
                {"expr": "proposal.args.amount_minor <= 50000", "depth": 0, "value": False},
                {"expr": "proposal.args.amount_minor", "depth": 1, "value": 184000},
            ],
        }
    ]
    assert answer["evaluation"]["band"] == "accept"
    assert answer["evaluation"]["policy_version"] == 1
    assert answer["review_item"]["opened_because"] == [
        "refund-limit: the amount 184000 is over 50000"
    ]
    assert answer["effect"] is None


def test_the_least_that_can_be_sent(call: Call) -> None:
    answer = call("POST", "/proposals", {"agent": "a", "action": "b"}).json()
    assert (answer["disposition"], answer["workflow"]) == ("escalate", "default")


def test_everything_sent_is_kept(call: Call) -> None:
    call("POST", "/proposals", REFUND | {"tainted": ["/args/reason"]})
    proposal = Proposal.objects.get()
    assert proposal.args == REFUND["args"]
    assert proposal.context == REFUND["context"]
    assert proposal.tainted == ["/args/reason"]
    assert proposal.trace == REFUND["trace"]
    assert (proposal.external_id, proposal.model) == (REFUND["external_id"], REFUND["model"])


BAD_FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown field": ({"approved_by": "rita"}, "approved_by"),
    "a status of their own": ({"status": "executed"}, "status"),
    "unknown trace field": ({"trace": {"tokens": 1}}, "trace.tokens"),
    "no agent": ({"agent": ""}, "agent"),
    "agent as number": ({"agent": 7}, "agent"),
    "confidence as text": ({"confidence": "0.9"}, "confidence"),
    "confidence as truth": ({"confidence": True}, "confidence"),
    "confidence over one": ({"confidence": 1.01}, "confidence"),
    "confidence below zero": ({"confidence": -0.01}, "confidence"),
    "args as list": ({"args": [1]}, "args"),
    "args as null": ({"args": None}, "args"),
    "target too long": ({"target": "x" * 501}, "target"),
    "action with spaces": ({"action": "refund create"}, "action"),
    "workflow with a slash": ({"workflow": "a/b"}, "workflow"),
    "negative tokens": ({"trace": {"tokens_in": -1}}, "trace.tokens_in"),
}


@pytest.mark.parametrize("name", BAD_FIELDS)
def test_a_wrong_field_is_named_and_nothing_is_stored(call: Call, name: str) -> None:
    change, field = BAD_FIELDS[name]
    response = call("POST", "/proposals", {**REFUND, **change})
    assert response.status_code == 422
    assert response["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == "urn:countersign:problem:bad-input"
    assert field in {one["field"] for one in problem["errors"]}
    assert not Run.objects.exists()


BAD_BODIES: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 422, "Field required"),
    "half": (b'{"agent": "a",', 400, "not JSON"),
    "a list": (b"[]", 400, "must be a JSON object"),
    "a NUL": (b'{"agent": "a", "action": "b", "target": "\\u0000"}', 400, "NUL"),
    "a surrogate": (b'{"agent": "a", "action": "b", "target": "\\ud800"}', 400, "surrogate"),
    "a low surrogate": (b'{"agent": "a", "action": "b", "args": {"\\udfff": 1}}', 400, "surrogate"),
    "a key twice": (b'{"agent": "a", "agent": "b", "action": "c"}', 400, "appears twice"),
    "NaN": (b'{"agent": "a", "action": "b", "confidence": NaN}', 400, "NaN"),
    "a huge number": (b'{"agent": "a", "action": "b", "args": {"n": 1e999}}', 400, "too large"),
    "3,000 levels": (b'{"args":' + b"[" * 3000 + b"]" * 3000 + b"}", 400, "deeper than 64"),
    "many values": (b'{"args": [' + b"1," * 30_000 + b"1]}", 413, "more than 20,000"),
    "10 MB": (b'{"args": {"x": "' + b"x" * 10_000_000 + b'"}}', 413, "at most 1,000,000"),
    "latin-1": (b'{"agent": "\xe9"}', 400, "UTF-8"),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_bad_body_is_refused_whole(call: Call, name: str) -> None:
    raw, status, sentence = BAD_BODIES[name]
    response = call("POST", "/proposals", raw=raw)
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    assert sentence in response.json()["title"]
    assert not Run.objects.exists()


def test_only_json_is_taken(call: Call) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        response = call("POST", "/proposals", REFUND, content_type=content_type)
        assert response.status_code == 415
        assert "application/json" in response.json()["title"]


def test_a_full_queue_says_when_to_come_back(call: Call, settings: Settings) -> None:
    settings.QUEUE_PENDING_MAX = 1
    assert call("POST", "/proposals", REFUND).status_code == 201
    response = call("POST", "/proposals", REFUND)
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0
    assert Proposal.objects.count() == 1


def test_who_proposed_comes_from_the_token(call: Call) -> None:
    call("POST", "/proposals", REFUND)
    proposal = Proposal.objects.get()
    assert proposal.token is not None
    assert proposal.token.owner.get_username() == "agents"
    assert Event.objects.filter(run=proposal.run).count() == 3
