from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client

from orchestrator.models import IdempotencyRecord, Proposal
from tests.api.conftest import REFUND, Call


def test_a_retry_gets_the_same_answer(call: Call) -> None:
    first = call("POST", "/proposals", REFUND, **{"Idempotency-Key": "k-1"})
    again = call("POST", "/proposals", REFUND, **{"Idempotency-Key": "k-1"})
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again["Idempotency-Replayed"] == "true"
    assert again["Location"] == first["Location"]
    assert Proposal.objects.count() == 1


def test_another_body_under_the_same_key_is_refused(call: Call) -> None:
    call("POST", "/proposals", REFUND, **{"Idempotency-Key": "k-1"})
    response = call("POST", "/proposals", {**REFUND, "target": "x"}, **{"Idempotency-Key": "k-1"})
    assert response.status_code == 422
    assert response.json()["type"].endswith("idempotency-key-reused")
    assert Proposal.objects.count() == 1


def test_without_a_key_two_are_two(call: Call) -> None:
    call("POST", "/proposals", REFUND)
    call("POST", "/proposals", REFUND)
    assert Proposal.objects.count() == 2


def test_a_refusal_is_not_remembered(call: Call) -> None:
    wrong = {**REFUND, "confidence": 7}
    assert call("POST", "/proposals", wrong, **{"Idempotency-Key": "k-1"}).status_code == 422
    assert call("POST", "/proposals", REFUND, **{"Idempotency-Key": "k-1"}).status_code == 201


@pytest.mark.parametrize("key", ["", "k" * 256, "a\tb"])
def test_a_key_that_cannot_be_kept_is_refused(call: Call, key: str) -> None:
    response = call("POST", "/proposals", REFUND, **{"Idempotency-Key": key})
    assert response.status_code == 422
    assert not Proposal.objects.exists()


def test_keys_belong_to_their_token(call: Call, token: Callable[..., str]) -> None:
    call("POST", "/proposals", REFUND, **{"Idempotency-Key": "k-1"})
    other = call(
        "POST", "/proposals", REFUND, bearer=token("propose"), **{"Idempotency-Key": "k-1"}
    )
    assert other.status_code == 201
    assert "Idempotency-Replayed" not in other
    assert Proposal.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_is_taken(token: Callable[..., str]) -> None:
    own = token("propose")

    def post(_: int) -> int:
        response = Client().post(
            "/api/v1/proposals",
            REFUND,
            content_type="application/json",
            headers={"Authorization": f"Bearer {own}", "Idempotency-Key": "k-1"},
        )
        connection.close()
        return response.status_code

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(post, range(30)))
    assert Proposal.objects.count() == IdempotencyRecord.objects.count() == 1
    assert set(answers) <= {201, 409}
    assert 201 in answers
