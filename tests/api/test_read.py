import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from orchestrator.models import Proposal
from tests.api.conftest import REFUND, Call
from tests.work import work_shift


def test_it_shows_the_effect_and_its_receipt(call: Call) -> None:
    made = call("POST", "/proposals", REFUND).json()
    assert (made["status"], made["effect"]["status"]) == ("accepted", "pending")
    work_shift("effects", at_most=1)
    read = call("GET", f"/proposals/{made['id']}").json()
    assert read["status"] == "executed"
    assert read["effect"]["receipt"]["payload"] == made["proposal"]["digest"]


@pytest.mark.parametrize("key", ["x", "prp_" + "0" * 26, "..%2f..%2fetc", "rev_" + "0" * 26])
def test_an_unknown_one_is_not_found(call: Call, key: str) -> None:
    response = call("GET", f"/proposals/{key}")
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"


def test_a_mistyped_address_is_answered_in_json(call: Call) -> None:
    for path in ("/proposal", "/proposals/a/b/c", ""):
        response = call("GET", path)
        assert response.status_code == 404
        assert "/api/v1/docs" in response.json()["title"]


@pytest.mark.django_db(transaction=True)
def test_waiting_ends_with_time(call: Call, rule: Callable[..., None]) -> None:
    rule()
    made = call("POST", "/proposals", REFUND).json()
    before = time.monotonic()
    assert call("GET", f"/proposals/{made['id']}?wait=0.3").json()["status"] == "in_review"
    assert time.monotonic() - before >= 0.3
    assert call("GET", f"/proposals/{made['id']}?wait=-1").status_code == 422


@pytest.mark.django_db(transaction=True)
def test_waiting_ends_with_the_outcome(call: Call) -> None:
    made = call("POST", "/proposals", REFUND).json()

    def work() -> None:
        work_shift("effects", at_most=1)
        connection.close()

    worker = threading.Timer(0.4, work)
    worker.start()
    before = time.monotonic()
    assert call("GET", f"/proposals/{made['id']}?wait=20").json()["status"] == "executed"
    assert time.monotonic() - before < 10
    worker.join()


def test_the_list_is_paged_by_key(call: Call) -> None:
    made = [call("POST", "/proposals", REFUND).json()["id"] for _ in range(5)]
    seen: list[str] = []
    path = "/proposals?limit=2"
    while True:
        page = call("GET", path).json()
        seen += [line["id"] for line in page["proposals"]]
        if page["next"] is None:
            break
        path = f"/proposals?limit=2&before={page['next']}"
    assert seen == sorted(made, reverse=True)


def test_the_list_filters(call: Call, rule: Callable[..., None]) -> None:
    rule()
    call("POST", "/proposals", REFUND)
    call("POST", "/proposals", {**REFUND, "action": "email.send"})

    def count(query: str) -> int:
        return len(call("GET", f"/proposals?{query}").json()["proposals"])

    assert count("status=in_review") == count("action=email.send") == count("disposition=hold") == 1
    assert count("agent=refund-agent") == 2
    assert count("agent=nobody") == 0


@pytest.mark.parametrize("query", ["status=done", "before=1", "limit=0", "limit=201", "limit=x"])
def test_a_wrong_query_is_refused(call: Call, query: str) -> None:
    assert call("GET", f"/proposals?{query}").status_code == 422


def test_a_page_costs_the_same_however_many_there_are(
    call: Call, django_assert_num_queries: Any
) -> None:
    for _ in range(3):
        call("POST", "/proposals", REFUND)
    call("GET", "/proposals")
    with django_assert_num_queries(2):
        call("GET", "/proposals")
    key = Proposal.objects.latest("pk").pk
    with django_assert_num_queries(7):
        call("GET", f"/proposals/{key}")


def test_a_mistyped_filter_is_not_ignored(call: Call) -> None:
    response = call("GET", "/proposals?statsu=executed")
    assert response.status_code == 422
    assert "statsu" in response.json()["title"]


def test_a_wrong_query_names_its_parameter(call: Call) -> None:
    problem = call("GET", "/proposals?limit=0").json()
    assert problem["errors"][0]["field"] == "limit"
    assert "stored" not in problem["title"]


@pytest.mark.parametrize("name", ["agent", "action", "disposition", "status"])
def test_nul_in_a_query_is_refused(call: Call, name: str) -> None:
    assert call("GET", f"/proposals?{name}=%00").status_code == 422
