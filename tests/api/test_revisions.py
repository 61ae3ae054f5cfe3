"""An outside agent reads what it is asked to change, and answers."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from orchestrator.actions import tokens
from orchestrator.models import Proposal
from tests.conftest import SYSTEM, Cast
from tests.deciding import decide

BODY = {
    "agent": "refund-agent",
    "action": "refund.create",
    "target": "order/A-20931",
    "args": {"amount_minor": 184_000, "currency": "EUR"},
    "confidence": 0.95,
}


@pytest.fixture
def send(client: Client, token: Callable[..., str]) -> Callable[..., Any]:
    bearer = token("propose")

    def post(path: str, body: dict[str, Any], **headers: str) -> Any:
        return client.post(
            f"/api/v1/proposals{path}",
            body,
            content_type="application/json",
            headers={"Authorization": f"Bearer {bearer}", **headers},
        )

    post.get = lambda path: client.get(  # type: ignore[attr-defined]
        f"/api/v1/proposals{path}", headers={"Authorization": f"Bearer {bearer}"}
    )
    return post


@pytest.fixture
def sent_back(cast: Cast, send: Callable[..., Any], rule: Callable[..., None]) -> str:
    rule()
    pk: str = send("", BODY).json()["id"]
    decide(cast.rita, Proposal.objects.get(pk=pk).review_items.get(), "respond", note="Half of it.")
    return pk


def test_it_reads_what_is_asked_and_answers(send: Callable[..., Any], sent_back: str) -> None:
    wanted = send.get(f"/{sent_back}?wait=5").json()  # type: ignore[attr-defined]
    assert wanted["status"] == "revision_requested"
    assert wanted["revision_wanted"]["asked"] == "Half of it."
    assert wanted["revision_wanted"]["due_at"]
    nobody = {"rule": None, "validator": None, "band": None}
    assert wanted["revision_wanted"]["reasons"] == [
        nobody | {"code": "person", "text": "Half of it."},
        nobody
        | {"code": "rule", "rule": "refund-limit", "text": "the amount 184000 is over 50000"},
    ]
    less = BODY | {"args": {"amount_minor": 92_000, "currency": "EUR"}}
    answer = send(f"/{sent_back}/revisions", less)
    assert answer.status_code == 201
    told = answer.json()
    assert answer["Location"] == f"/api/v1/proposals/{told['id']}"
    assert (told["revises"], told["revision"], told["status"]) == (sent_back, 2, "in_review")
    old = send.get(f"/{sent_back}").json()  # type: ignore[attr-defined]
    assert (old["status"], old["revised_by"]) == ("superseded", told["id"])
    again = send(f"/{sent_back}/revisions", less)
    assert again.status_code == 409
    assert "no revision of it is wanted" in again.json()["title"]


def test_sent_twice_it_is_one_revision(send: Callable[..., Any], sent_back: str) -> None:
    key = {"Idempotency-Key": "once"}
    answers = [send(f"/{sent_back}/revisions", BODY, **key).json()["id"] for _ in range(2)]
    assert answers[0] == answers[1]
    assert Proposal.objects.count() == 2


def test_somebody_elses_does_not_exist(
    cast: Cast, client: Client, sent_back: str, token: Callable[..., str]
) -> None:
    for scope in ("propose", "read"):
        other = tokens.issue(SYSTEM, owner=cast.max, name="x", scopes=["propose", scope])
        answer = client.post(
            f"/api/v1/proposals/{sent_back}/revisions",
            BODY,
            content_type="application/json",
            headers={"Authorization": f"Bearer {other}"},
        )
        assert answer.status_code == 404
    assert Proposal.objects.count() == 1
