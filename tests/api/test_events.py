"""Events, dead letters and routes over HTTP."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from orchestrator.models import AuditEntry, InboundEvent, RouteTable, Run
from tests import events
from tests.api.conftest import Call
from tests.conftest import Cast

Issue = Callable[..., str]
ONE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


@pytest.fixture
def house(db: None) -> None:
    events.contract()
    events.routes()


@pytest.fixture
def admin(token: Issue, cast: Cast) -> str:
    return token("admin", owner=cast.ada)


@pytest.fixture
def send(call: Call, token: Issue) -> Callable[..., Any]:
    bearer = token("events")

    def post(raw: bytes | None = None, *, content_type: str = ONE, **changes: Any) -> Any:
        headers = changes.pop("headers", {})
        body = raw if raw is not None else json.dumps(events.message(**changes)).encode()
        return call(
            "POST", "/events", raw=body, content_type=content_type, bearer=bearer, **headers
        )

    return post


Send = Callable[..., Any]


# Sending --------------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", [ONE, f"{ONE}; charset=utf-8", "application/json"])
def test_an_event_is_answered_with_its_run(house: None, send: Send, content_type: str) -> None:
    response = send(content_type=content_type)
    assert response.status_code == 202, response.text
    answer = response.json()
    assert answer == {
        "id": answer["id"],
        "status": "routed",
        "reason": "",
        "detail": "",
        "route": "damaged",
        "routes": 1,
        "workflow": "invoices",
        "run": Run.objects.get().pk,
        "contract_version": 1,
        "duplicate": False,
        "differs": False,
    }


def test_a_dead_letter_is_answered_with_the_reason(house: None, send: Send) -> None:
    response = send(type="order.lost")
    assert response.status_code == 202
    answer = response.json()
    assert (answer["status"], answer["reason"]) == ("dead", "unknown_type")
    assert (answer["run"], answer["workflow"], answer["contract_version"]) == (None, None, None)
    assert "order.lost" in answer["detail"]


def test_a_duplicate_gets_the_first_answer(house: None, send: Send) -> None:
    first, again = send(), send(traceparent="00-1")
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json() == first.json() | {"duplicate": True}
    other = send(data={"order": "B-2"})
    assert other.status_code == 200
    assert other.json() == first.json() | {"duplicate": True, "differs": True}
    assert Run.objects.count() == 1


def test_a_duplicate_of_what_was_sent_again_gets_the_first_answer(
    house: None, send: Send, call: Call, admin: str
) -> None:
    first = send(data={}).json()
    call("POST", f"/dead-letters/{first['id']}/discard", {"note": "x"}, bearer=admin)
    assert send(data={}).json() == first | {"duplicate": True}


def test_an_idempotency_key_works_as_everywhere(house: None, send: Send) -> None:
    first = send(headers={"Idempotency-Key": "k"})
    again = send(headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.json()) == (202, first.json())
    assert again["Idempotency-Replayed"] == "true"
    assert send(id="2", headers={"Idempotency-Key": "k"}).status_code == 422


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "k"}])
def test_a_batch_is_answered_event_by_event(house: None, send: Send, key: dict[str, str]) -> None:
    batch = [
        events.message(id="b"),
        {"specversion": "1.0"},
        events.message(id="a", data={}),
        events.message(id="b"),
        7,
    ]
    response = send(json.dumps(batch).encode(), content_type=BATCH, headers=key)
    assert response.status_code == 202
    answers = response.json()["events"]
    assert [answer.get("status") for answer in answers] == ["routed", None, "dead", "routed", None]
    assert [answer.get("duplicate") for answer in answers] == [False, None, False, True, None]
    assert answers[1] == {"refused": "event: “id” is missing"}
    assert Run.objects.count() == 1


@pytest.mark.parametrize("batch", [[], {}, [{}] * 101])
def test_a_batch_has_its_limits(house: None, send: Send, batch: Any) -> None:
    assert send(json.dumps(batch).encode(), content_type=BATCH).status_code == 422


# Refusing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": "x" * 10_000}, "id"),
        ({"source": "日本"}, "source"),
        ({"time": "soon"}, "time"),
        ({"traceParent": "x"}, "traceParent"),
        ({"datacontenttype": "text/plain", "data": "x"}, "datacontenttype"),
    ],
)
def test_what_is_no_event_is_refused_and_not_stored(
    house: None, send: Send, changes: dict[str, Any], field: str
) -> None:
    response = send(**changes)
    assert response.status_code == 422
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["title"].startswith(f"{field}: ")
    assert not InboundEvent.objects.exists()


@pytest.mark.parametrize(
    ("raw", "status", "said"),
    [
        (b" ", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b'{"a":1,"a":2}', 400, "appears twice"),
        (b'{"a":"\\u0000"}', 400, "NUL"),
        (b'{"a":"\\ud800"}', 400, "surrogate"),
        (b'{"a":NaN}', 400, "NaN"),
        (b'{"a":1e999}', 400, "too large"),
        (b'{"data":' + b"[" * 3_000 + b"]" * 3_000 + b"}", 400, "deeper than"),
        (b'{"data":[' + b"0," * 30_000 + b"0]}", 413, "values"),
        (b'{"data":"' + b"x" * 10_000_000 + b'"}', 413, "bytes"),
        (b"\xff", 400, "UTF-8"),
        (b"[]", 422, "an object"),
    ],
)
def test_what_is_no_json_is_refused_whole(
    house: None, send: Send, raw: bytes, status: int, said: str
) -> None:
    response = send(raw)
    assert response.status_code == status
    assert said in response.json()["title"]
    assert not InboundEvent.objects.exists()


@pytest.mark.parametrize("content_type", ["text/xml", "", "application/x-www-form-urlencoded"])
def test_another_content_type_is_refused(house: None, send: Send, content_type: str) -> None:
    response = send(content_type=content_type)
    assert response.status_code == 415
    assert "application/cloudevents+json" in response.json()["title"]


@pytest.mark.parametrize("scope", ["propose", "runs", "read", "review"])
def test_it_needs_the_scope(call: Call, token: Issue, scope: str) -> None:
    assert call("POST", "/events", events.message(), bearer=token(scope)).status_code == 403
    assert call("POST", "/events", events.message(), bearer=None).status_code == 401


# Dead letters ---------------------------------------------------------------------------------


@pytest.fixture
def letters(house: None, send: Send) -> list[str]:
    """Five, of two reasons."""
    found = [send(id=str(number), data={}).json()["id"] for number in range(3)]
    return found + [send(id=str(number), type="order.lost").json()["id"] for number in range(3, 5)]


def test_dead_letters_are_listed_and_paged_by_key(
    call: Call, token: Issue, letters: list[str], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    bearer = token("read")

    def listed(query: str) -> list[str]:
        page = call("GET", f"/dead-letters?{query}", bearer=bearer).json()
        return [line["id"] for line in page["dead_letters"]]

    assert listed("") == letters[::-1]
    assert listed("reason=invalid") == letters[2::-1]
    assert listed("type=order.lost") == listed("reason=unknown_type") == letters[:2:-1]
    assert listed("type=order.lost&reason=invalid") == listed("status=discarded") == []
    page = call("GET", "/dead-letters?limit=3", bearer=bearer).json()
    assert listed(f"limit=3&before={page['next']}") == letters[1::-1]
    with django_assert_num_queries(2):
        call("GET", "/dead-letters", bearer=bearer)


@pytest.mark.parametrize(
    "query", ["status=routed", "reason=x", "before=1", "limit=0", "x=1", "type=%00"]
)
def test_a_wrong_query_is_refused(call: Call, admin: str, query: str) -> None:
    assert call("GET", f"/dead-letters?{query}", bearer=admin).status_code == 422


def test_one_is_read_with_its_envelope(call: Call, token: Issue, letters: list[str]) -> None:
    answer = call("GET", f"/dead-letters/{letters[0]}", bearer=token("read")).json()
    assert answer["envelope"] == events.message(id="0", data={})
    assert (answer["reason"], answer["contract_version"], answer["run"]) == ("invalid", 1, None)
    for unknown in ("x", "evt_01m7y6s13re5jaj1bm3y35bmxv", Run.objects.first() or "run_x"):
        assert call("GET", f"/dead-letters/{unknown}", bearer=token("read")).status_code == 404


def test_one_is_corrected_and_sent_again(call: Call, admin: str, letters: list[str]) -> None:
    body = {"data": {"order": "A-1"}, "attributes": {"subject": "orders/A-1"}, "note": "empty"}
    path = f"/dead-letters/{letters[0]}"
    response = call("POST", f"{path}/redrive", body, bearer=admin)
    assert response.status_code == 200, response.text
    attempt = response.json()
    assert (attempt["status"], attempt["replaces"]) == ("routed", letters[0])
    assert attempt["run"] == Run.objects.get().pk
    assert attempt["envelope"]["data"] == {"order": "A-1"}
    was = call("GET", path, bearer=admin).json()
    assert (was["status"], was["replaced_by"], was["handled_by"]) == (
        "redriven",
        attempt["id"],
        "ada",
    )
    again = call("POST", f"{path}/redrive", {}, bearer=admin)
    assert (again.status_code, again.json()["type"][-18:]) == (409, "illegal-transition")
    assert Run.objects.count() == 1


def test_data_that_is_null_is_not_data_that_is_left_out(
    call: Call, admin: str, letters: list[str]
) -> None:
    as_it_was = call("POST", f"/dead-letters/{letters[0]}/redrive", {}, bearer=admin).json()
    assert as_it_was["envelope"]["data"] == {}
    body = {"data": None}
    emptied = call("POST", f"/dead-letters/{letters[1]}/redrive", body, bearer=admin).json()
    assert "data" not in emptied["envelope"]


@pytest.mark.parametrize(
    "body",
    [
        {"attributes": {"id": "other"}},
        {"attributes": {"source": "/other"}},
        {"attributes": {"Type": "x"}},
        {"attributes": {"specversion": None}},
        {"attributes": []},
        {"note": "x" * 1_001},
        {"force": True},
    ],
)
def test_a_correction_that_makes_no_event_is_refused(
    call: Call, admin: str, letters: list[str], body: dict[str, Any]
) -> None:
    response = call("POST", f"/dead-letters/{letters[0]}/redrive", body, bearer=admin)
    assert response.status_code == 422
    assert InboundEvent.objects.get(pk=letters[0]).status == "dead"


def test_one_is_discarded_with_a_reason(call: Call, admin: str, letters: list[str]) -> None:
    path = f"/dead-letters/{letters[0]}/discard"
    assert call("POST", path, {}, bearer=admin).status_code == 422
    assert call("POST", path, {"note": ""}, bearer=admin).status_code == 422
    answer = call("POST", path, {"note": "a test of theirs"}, bearer=admin).json()
    assert (answer["status"], answer["handled_by"]) == ("discarded", "ada")
    assert call("POST", path, {"note": "again"}, bearer=admin).status_code == 409


def test_many_are_counted_first_and_then_sent_again(
    call: Call, admin: str, letters: list[str]
) -> None:
    body = {"type": "order.lost", "reason": "unknown_type"}
    counted = call("POST", "/dead-letters/redrive", body, bearer=admin).json()
    assert counted == {"matching": 2, "routed": 0, "dead": 0, "stopped": False}
    assert InboundEvent.objects.filter(status="dead").count() == 5
    events.contract("order.lost", schema={"type": "object"})
    done = call("POST", "/dead-letters/redrive", body | {"dry_run": False}, bearer=admin).json()
    assert done == {"matching": 2, "routed": 0, "dead": 2, "stopped": False}
    assert AuditEntry.objects.filter(verb="event.redriven").count() == 2


@pytest.mark.parametrize("body", [{}, {"type": "a", "reason": "x"}, {"type": "", "reason": "late"}])
def test_many_are_named_whole(call: Call, admin: str, body: dict[str, Any]) -> None:
    assert call("POST", "/dead-letters/redrive", body, bearer=admin).status_code == 422


# Routes ---------------------------------------------------------------------------------------


def test_routes_are_saved_and_read(house: None, call: Call, admin: str, token: Issue) -> None:
    body = {"routes": events.ROUTES[:1], "note": "large ones only", "seen": 1}
    made = call("PUT", "/routes", body, bearer=admin)
    assert made.status_code == 201, made.text
    assert (made.json()["version"], made.json()["routes"]) == (2, events.ROUTES[:1])
    assert (made.json()["note"], made.json()["created_by"]) == ("large ones only", "ada")
    assert call("PUT", "/routes", body, bearer=admin).status_code == 200
    reader = token("read")
    assert call("GET", "/routes", bearer=reader).json() == made.json()
    first = call("GET", "/routes/versions/1", bearer=reader).json()
    assert (first["version"], first["routes"]) == (1, events.ROUTES)
    assert call("GET", "/routes/versions/9", bearer=reader).status_code == 404


def test_an_empty_house_has_no_routes(call: Call, admin: str) -> None:
    answer = call("GET", "/routes", bearer=admin).json()
    assert (answer["version"], answer["routes"]) == (0, [])


def test_wrong_routes_are_refused_with_every_place(house: None, call: Call, admin: str) -> None:
    table = [
        {"name": "a", "when": "event.type =", "workflow": "invoices"},
        {"name": "a", "when": "true", "workflow": "nowhere"},
    ]
    response = call("PUT", "/routes", {"routes": table}, bearer=admin)
    assert response.status_code == 422
    assert response.json()["type"] == "urn:countersign:problem:routes-invalid"
    assert [one["pointer"] for one in response.json()["errors"]] == [
        "/0/when",
        "/1/name",
        "/1/workflow",
    ]
    stale = call("PUT", "/routes", {"routes": [], "seen": 0}, bearer=admin)
    assert (stale.status_code, stale.json()["type"][-14:]) == (409, "routes-changed")
    assert RouteTable.objects.count() == 1


# Who may --------------------------------------------------------------------------------------

READS = ["/dead-letters", "/dead-letters/x", "/routes", "/routes/versions/1"]
WRITES = [
    ("POST", "/dead-letters/{}/redrive", {}),
    ("POST", "/dead-letters/{}/discard", {"note": "x"}),
    ("POST", "/dead-letters/redrive", {"type": "order.lost", "reason": "invalid"}),
    ("PUT", "/routes", {"routes": []}),
]


@pytest.mark.parametrize("path", READS)
def test_reading_needs_a_scope(call: Call, token: Issue, path: str) -> None:
    assert call("GET", path, bearer=None).status_code == 401
    for scope in ("events", "propose", "runs", "review"):
        assert call("GET", path, bearer=token(scope)).status_code == 403


@pytest.mark.parametrize("operation", WRITES)
def test_changing_needs_an_admin_and_their_token(
    call: Call, token: Issue, cast: Cast, letters: list[str], operation: tuple[str, str, Any]
) -> None:
    method, path, body = operation
    path = path.format(letters[0])
    assert call(method, path, body, bearer=None).status_code == 401
    assert call(method, path, body, bearer=token("read", owner=cast.ada)).status_code == 403
    response = call(method, path, body, bearer=token("admin", owner=cast.max))
    assert response.status_code == 403
    assert "It needs the role admin" in response.json()["title"]
    assert InboundEvent.objects.get(pk=letters[0]).status == "dead"


def test_it_costs_a_bounded_number_of_queries(
    house: None, send: Send, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    send(id="warm")
    with django_assert_max_num_queries(40):
        send(id="1")
    with django_assert_max_num_queries(6):
        send(id="1")
