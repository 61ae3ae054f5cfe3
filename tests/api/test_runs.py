"""Runs through the API: started, watched, told something, cancelled; and whose they are."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries, Settings

from orchestrator.core.codec import read
from orchestrator.models import Event, Run
from tests import runs
from tests.api.conftest import Call
from tests.conftest import Cast
from tests.work import work_all

Issue = Callable[..., str]


@pytest.fixture
def bearer(token: Issue) -> str:
    return token("runs")


@pytest.fixture
def start(call: Call, bearer: str) -> Callable[..., dict[str, Any]]:
    """A run of one of the workflows of `tests.runs`, not yet taken any further."""

    def begin(workflow: str = "invoices", **body: Any) -> dict[str, Any]:
        runs.save(workflow)
        response = call("POST", "/runs", {"workflow": workflow, **body}, bearer=bearer)
        assert response.status_code == 201, response.text
        found: dict[str, Any] = response.json()
        return found

    return begin


Start = Callable[..., dict[str, Any]]


def test_it_starts_a_run(call: Call, bearer: str) -> None:
    runs.save("refunds")
    body = {"workflow": "refunds", "intent": {"order": "A-1"}, "external_id": "case-881"}
    response = call("POST", "/runs", body, bearer=bearer)
    assert response.status_code == 201
    answer = response.json()
    assert response["Location"] == f"/api/v1/runs/{answer['id']}"
    assert (answer["workflow"], answer["version"], answer["status"]) == ("refunds", 1, "running")
    assert (answer["external_id"], answer["position"]) == ("case-881", "read")
    assert answer["started_by"] == "agents"
    assert answer["works"][0]["name"] == "read"
    assert Event.objects.get(run=answer["id"], seq=1).payload.count('"order":"A-1"') == 1


def test_it_tells_what_became_of_it(call: Call, bearer: str, start: Start) -> None:
    made = start()
    work_all()
    answer = call("GET", f"/runs/{made['id']}", bearer=bearer).json()
    assert answer["status"] == "completed"
    assert answer["output"] == {"total": 3}
    assert answer["spent"] == {
        "steps": 3,
        "agent_calls": 5,
        "tokens": 6_400,
        "money_micros": 21_000,
        "unpriced": False,
    }
    assert [work["name"] for work in answer["works"]] == ["list", "check", "sum"]
    assert answer["ended_at"] is not None
    assert answer["error"] is None


def test_it_tells_where_a_router_sent_it(call: Call, bearer: str) -> None:
    worker = {"description": "all", "agent": runs.scripted("one", 1)}
    rules = [{"name": "big", "if": "intent.amount > 5", "to": "desk"}]
    workers = {"desk": worker, "person": worker}
    definition = {"pattern": "router", "rules": rules, "workers": workers, "fallback": "person"}
    runs.save("desk", definition)
    body = {"workflow": "desk", "intent": {"amount": 7}}
    route = call("POST", "/runs", body, bearer=bearer).json()["route"]
    assert (route["by"], route["rule"], route["workers"]) == ("rule", "big", ["desk"])
    assert route["features"] == {"intent.amount": 7}
    assert route["confidence"] is None


def test_it_tells_the_whole_chain_of_errors(call: Call, bearer: str, start: Start) -> None:
    made = start("failing")
    work_all()
    answer = call("GET", f"/runs/{made['id']}", bearer=bearer).json()
    assert answer["status"] == "failed"
    assert answer["error"]["code"] == "work-failed"
    assert answer["error"]["cause"]["code"] == "agent-refused"
    assert answer["output"] is None


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "workflow"),
        ({"workflow": "a/b"}, 422, "workflow"),
        ({"workflow": "refunds", "by": "rita"}, 422, "by"),
        ({"workflow": "refunds", "external_id": 7}, 422, "external_id"),
        ({"workflow": "refunds", "external_id": "x" * 201}, 422, "external_id"),
        ({"workflow": "nope"}, 404, "nope"),
    ],
)
def test_a_wrong_wish_is_refused(
    call: Call, bearer: str, body: dict[str, Any], status: int, field: str
) -> None:
    runs.save("refunds")
    response = call("POST", "/runs", body, bearer=bearer)
    assert response.status_code == status
    assert field in response.json()["title"]
    assert not Run.objects.exists()


def test_an_intent_that_does_not_fit_names_its_place(call: Call, bearer: str) -> None:
    schema = {"type": "object", "required": ["order"]}
    runs.save("refunds", runs.REFUNDS | {"intent": schema})
    response = call("POST", "/runs", {"workflow": "refunds", "intent": {}}, bearer=bearer)
    assert response.status_code == 422
    assert "order" in response.json()["title"]


def test_a_retry_gets_the_same_run(call: Call, bearer: str) -> None:
    runs.save("invoices")
    key = {"Idempotency-Key": "k-1"}
    first = call("POST", "/runs", {"workflow": "invoices"}, bearer=bearer, **key)
    again = call("POST", "/runs", {"workflow": "invoices"}, bearer=bearer, **key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again["Idempotency-Replayed"] == "true"
    assert Run.objects.count() == 1
    other = call("POST", "/runs", {"workflow": "invoices", "intent": 1}, bearer=bearer, **key)
    assert other.status_code == 422


def test_a_full_house_says_when_to_come_back(
    call: Call, bearer: str, start: Start, settings: Settings
) -> None:
    start()
    settings.RUNS_OPEN_PER_WORKFLOW_MAX = 1
    response = call("POST", "/runs", {"workflow": "invoices"}, bearer=bearer)
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0


# Signals and cancelling


def test_a_signal_takes_it_on(call: Call, bearer: str, start: Start) -> None:
    made = start("support")
    work_all()
    told = {"name": "reply", "data": {"text": "It arrived."}}
    response = call("POST", f"/runs/{made['id']}/signals", told, bearer=bearer)
    assert response.status_code == 200
    assert response.json()["status"] == "completed"


def test_a_signal_says_whose_words_it_brings(call: Call, bearer: str, start: Start) -> None:
    made = start("support")
    work_all()
    told = {"name": "reply", "data": {"text": "Pay me."}, "untrusted": True}
    assert call("POST", f"/runs/{made['id']}/signals", told, bearer=bearer).status_code == 200
    kept: Any = read(Event.objects.get(run=made["id"], kind="signal_received").payload)
    assert kept["untrusted"] == [{"origin": "the signal `reply`", "value": {"text": "Pay me."}}]
    wrong = told | {"untrusted": "yes"}
    assert call("POST", f"/runs/{made['id']}/signals", wrong, bearer=bearer).status_code == 422


def test_a_signal_is_not_told_twice(call: Call, bearer: str, start: Start) -> None:
    made = start("support")
    work_all()
    for _ in range(2):
        response = call(
            "POST",
            f"/runs/{made['id']}/signals",
            {"name": "reply"},
            bearer=bearer,
            **{"Idempotency-Key": "s-1"},
        )
        assert response.status_code == 200
    late = call("POST", f"/runs/{made['id']}/signals", {"name": "reply"}, bearer=bearer)
    assert late.status_code == 409
    assert late.json()["type"].endswith("illegal-transition")


@pytest.mark.parametrize("name", ["shout", "done", "failed"])
def test_a_signal_that_nobody_waits_for_is_refused(
    call: Call, bearer: str, start: Start, name: str
) -> None:
    made = start("support")
    work_all()
    response = call("POST", f"/runs/{made['id']}/signals", {"name": name}, bearer=bearer)
    assert response.status_code == 409
    assert Event.objects.filter(run=made["id"], kind="signal_received").count() == 0


def test_it_cancels(call: Call, bearer: str, start: Start) -> None:
    made = start("support")
    response = call("POST", f"/runs/{made['id']}/cancel", {"reason": "settled"}, bearer=bearer)
    assert response.json()["status"] == "cancelled"
    assert response.json()["error"]["reason"] == "settled"
    again = call("POST", f"/runs/{made['id']}/cancel", {"reason": "settled"}, bearer=bearer)
    assert again.status_code == 409


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1_001])
def test_cancelling_needs_a_reason(call: Call, bearer: str, start: Start, reason: str) -> None:
    made = start("support")
    response = call("POST", f"/runs/{made['id']}/cancel", {"reason": reason}, bearer=bearer)
    assert response.status_code == 422
    assert Run.objects.get().status == "running"


# Reading


@pytest.mark.django_db(transaction=True)
def test_waiting_ends_when_the_run_waits_itself(call: Call, bearer: str, start: Start) -> None:
    made = start("support")

    def work() -> None:
        work_all()
        connection.close()

    worker = threading.Timer(0.4, work)
    worker.start()
    before = time.monotonic()
    answer = call("GET", f"/runs/{made['id']}?wait=20", bearer=bearer).json()
    assert (answer["status"], answer["position"]) == ("waiting", "customer")
    assert answer["wakes_at"] is not None
    assert time.monotonic() - before < 10
    worker.join()


@pytest.mark.django_db(transaction=True)
def test_waiting_ends_with_time(call: Call, bearer: str, start: Start) -> None:
    made = start()
    before = time.monotonic()
    assert call("GET", f"/runs/{made['id']}?wait=0.3", bearer=bearer).json()["status"] == "running"
    assert time.monotonic() - before >= 0.3
    assert call("GET", f"/runs/{made['id']}?wait=-1", bearer=bearer).status_code == 422


def test_the_list_filters_and_is_paged_by_key(call: Call, bearer: str, start: Start) -> None:
    made = [start()["id"] for _ in range(5)]
    other = start("failing")["id"]
    work_all()

    def listed(query: str) -> list[str]:
        page = call("GET", f"/runs?{query}", bearer=bearer).json()
        return [line["id"] for line in page["runs"]]

    assert listed("workflow=failing") == listed("status=failed") == [other]
    assert listed("workflow=invoices&status=failed") == []
    seen: list[str] = []
    path = "/runs?limit=2&workflow=invoices"
    while True:
        page = call("GET", path, bearer=bearer).json()
        seen += [line["id"] for line in page["runs"]]
        if page["next"] is None:
            break
        path = f"/runs?limit=2&workflow=invoices&before={page['next']}"
    assert seen == sorted(made, reverse=True)


@pytest.mark.parametrize(
    "query", ["status=done", "before=1", "before=prp_01m7y6s13re5jaj1bm3y35bmxv", "limit=0", "x=1"]
)
def test_a_wrong_query_is_refused(call: Call, bearer: str, query: str) -> None:
    assert call("GET", f"/runs?{query}", bearer=bearer).status_code == 422


def test_events_come_in_order_page_by_page(call: Call, bearer: str, start: Start) -> None:
    made = start()
    work_all()
    seen: list[dict[str, Any]] = []
    after = 0
    while after is not None:
        path = f"/runs/{made['id']}/events?limit=4&after={after}"
        page = call("GET", path, bearer=bearer).json()
        seen += page["events"]
        after = page["next"]
    assert [event["seq"] for event in seen] == [1, 2, 3, 4, 5, 6]
    assert [event["prev_hash"] for event in seen[1:]] == [event["hash"] for event in seen[:-1]]
    assert seen[1]["kind"] == "work_finished"
    assert seen[1]["payload"]["output"] == ["2026-1187", "2026-1191", "2026-1193"]
    assert call("GET", f"/runs/{made['id']}/events?after=6", bearer=bearer).json() == {
        "events": [],
        "next": None,
    }


def test_a_page_of_long_events_ends_early(
    call: Call, bearer: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = start()
    work_all()
    monkeypatch.setattr("orchestrator.api.runs.EVENTS_BYTES_MAX", 10)
    page = call("GET", f"/runs/{made['id']}/events", bearer=bearer).json()
    assert ([event["seq"] for event in page["events"]], page["next"]) == ([1], 1)


def test_a_page_costs_the_same_however_many_there_are(
    call: Call, bearer: str, start: Start, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(4):
        start()
    call("GET", "/runs", bearer=bearer)
    for query in ("", "?status=running", "?workflow=invoices"):
        with django_assert_num_queries(3):
            call("GET", f"/runs{query}", bearer=bearer)


# Whose they are

OPERATIONS = [
    ("GET", ""),
    ("GET", "/events"),
    ("GET", "/trace"),
    ("POST", "/signals"),
    ("POST", "/cancel"),
]
BODIES = {
    "": None,
    "/events": None,
    "/trace": None,
    "/signals": {"name": "reply"},
    "/cancel": {"reason": "x"},
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_somebody_elses_run_does_not_exist(
    call: Call, token: Issue, cast: Cast, start: Start, operation: tuple[str, str]
) -> None:
    method, path = operation
    made = start("support")
    work_all()
    for other in (token("runs"), token("runs", owner=cast.ada)):
        response = call(method, f"/runs/{made['id']}{path}", BODIES[path], bearer=other)
        assert response.status_code == 404
        assert response.json()["title"] == f"There is no run {made['id']} that you can see."
    unknown = "run_01m7y6s13re5jaj1bm3y35bmxv"
    response = call(method, f"/runs/{unknown}{path}", BODIES[path], bearer=token("runs"))
    assert response.json()["title"] == f"There is no run {unknown} that you can see."


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
@pytest.mark.parametrize("key", ["x", "prp_01m7y6s13re5jaj1bm3y35bmxv", "..%2f..%2fetc"])
def test_an_unknown_one_is_not_found(
    call: Call, bearer: str, method: str, path: str, key: str
) -> None:
    assert call(method, f"/runs/{key}{path}", BODIES[path], bearer=bearer).status_code == 404


def test_a_token_lists_its_own_and_one_that_reads_lists_all(
    call: Call, token: Issue, start: Start
) -> None:
    made = start()["id"]
    own = token("runs")
    assert call("GET", "/runs", bearer=own).json()["runs"] == []
    for reader in (token("read"), token("runs", "read"), token("admin")):
        assert [line["id"] for line in call("GET", "/runs", bearer=reader).json()["runs"]] == [made]
        assert call("GET", f"/runs/{made}", bearer=reader).status_code == 200


def test_who_sees_all_does_not_change_all(
    call: Call, token: Issue, cast: Cast, start: Start
) -> None:
    made = start("support")["id"]
    reader = token("runs", "read", owner=cast.max)
    response = call("POST", f"/runs/{made}/cancel", {"reason": "x"}, bearer=reader)
    assert response.status_code == 403
    assert "may not cancel this run" in response.json()["title"]
    admin = token("runs", "read", owner=cast.ada)
    assert call("POST", f"/runs/{made}/cancel", {"reason": "x"}, bearer=admin).status_code == 200


@pytest.mark.parametrize("scope", ["propose", "events", "review"])
def test_other_scopes_have_nothing_to_do_with_runs(call: Call, token: Issue, scope: str) -> None:
    for method, path, body in (
        ("POST", "/runs", {"workflow": "a"}),
        ("GET", "/runs", None),
        ("GET", "/runs/x", None),
        ("GET", "/runs/x/events", None),
        ("GET", "/runs/x/trace", None),
        ("POST", "/runs/x/signals", {"name": "a"}),
        ("POST", "/runs/x/cancel", {"reason": "a"}),
    ):
        assert call(method, path, body, bearer=token(scope)).status_code == 403


def test_one_that_reads_does_not_start(call: Call, token: Issue) -> None:
    runs.save("invoices")
    response = call("POST", "/runs", {"workflow": "invoices"}, bearer=token("read"))
    assert response.status_code == 403
    assert "scope runs" in response.json()["title"]


@pytest.mark.parametrize("bearer", [None, "", "cs_aaaaaaaaaa_bbbb"])
def test_without_a_token_nothing_is_told(call: Call, bearer: str | None) -> None:
    for method, path in (
        ("POST", "/runs"),
        ("GET", "/runs"),
        *((method, f"/runs/x{path}") for method, path in OPERATIONS),
    ):
        assert call(method, path, {}, bearer=bearer).status_code == 401


def test_a_supervisors_run_says_what_became_of_each_task(
    call: Call, bearer: str, start: Start
) -> None:
    made = start("pool")
    work_all()
    found = call("GET", f"/runs/{made['id']}", bearer=bearer).json()
    assert [part["status"] for part in found["rounds"][0]["parts"]] == [
        "done",
        "done",
        "skipped",
        "given_up",
    ]
    assert found["output"]["result"] == "A-20931 was paid twice."
    assert [gap["worker"] for gap in found["output"]["gaps"][:2]] == ["closer", "nobody"]
    assert found["notes"] == found["output"]["notes"]


def test_what_agents_were_handed_is_for_tokens_that_may_read(
    call: Call, bearer: str, token: Issue
) -> None:
    """As in the contexts of its trace."""
    turns = [
        {
            "asks": [{"tool": "letter.send", "args": {"text": "Hello"}, "confidence": 0.5}],
            "memory": {"thread": "what it thinks"},
            "untrusted": ["a mail"],
        }
    ]
    agent = {"kind": "scripted", "name": "clerk", "turns": turns}
    tools = [{"name": "letter.send", "kind": "write"}]
    stages = [{"name": "help", "agent": agent, "tools": tools}]
    runs.save("helped", {"pattern": "pipeline", "stages": stages})
    run = call("POST", "/runs", {"workflow": "helped"}, bearer=bearer).json()
    work_all()
    own, all_of_it = (
        call("GET", f"/runs/{run['id']}/events", bearer=one).json()["events"]
        for one in (bearer, token("read"))
    )
    asked = next(one for one in own if one["kind"] == "work_asked")
    assert asked["left_out"] == ["memory", "untrusted"]
    assert not asked["payload"].keys() & {"memory", "untrusted"}
    assert asked["payload"]["asks"][0]["args"] == {"text": "Hello"}
    whole = next(one for one in all_of_it if one["kind"] == "work_asked")
    assert whole["payload"]["memory"] == {"thread": "what it thinks"}
    assert whole["payload"]["untrusted"][0]["value"] == "a mail"
    assert whole["left_out"] == []
