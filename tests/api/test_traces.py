"""The trace of a run as JSON: the five questions in one answer."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from orchestrator import trace_queries
from orchestrator.models import Run
from tests import runs
from tests.api.conftest import Call
from tests.conftest import Cast
from tests.deciding import decide

type Issue = Callable[..., str]


@pytest.fixture
def reader(token: Issue) -> str:
    return token("read")


def trace(call: Call, run: Run, bearer: str, query: str = "") -> dict[str, Any]:
    response = call("GET", f"/runs/{run.pk}/trace{query}", bearer=bearer)
    assert response.status_code == 200, response.json()
    found: dict[str, Any] = response.json()
    return found


def test_it_answers_who_ran_how_long_and_for_how_much(call: Call, reader: str) -> None:
    found = trace(call, runs.start("invoices"), reader)
    agents = [span for span in found["spans"] if span["kind"] == "agent"]
    assert [span["agent"]["name"] for span in agents] == [
        "list-agent",
        *["check-agent"] * 3,
        "sum-agent",
    ]
    assert [span["began_at"] for span in agents] == sorted(span["began_at"] for span in agents)
    assert found["total"]["calls"] == 5
    assert found["total"]["money_micros"] == sum(one["money_micros"] for one in found["stages"])
    assert {one["name"]: one["calls"] for one in found["agents"]}["check-agent"] == 3
    assert found["failure"] is None
    assert found["next"] is None
    known = set()
    for span in found["spans"]:
        assert span["parent"] in known | {""}
        known.add(span["id"])


def test_it_says_where_the_failure_began(call: Call, reader: str) -> None:
    found = trace(call, runs.start("failing"), reader)
    assert (found["failure"]["stage"], found["failure"]["attempt"]) == ("book", 1)
    assert found["failure"]["agent"]["name"] == "book-agent"
    assert found["failure"]["error"]["code"] == "agent-refused"
    assert found["failure"]["span"] in {span["id"] for span in found["spans"]}


def test_what_a_run_inside_used_is_in_the_totals(call: Call, reader: str) -> None:
    runs.save("child", runs.INVOICES)
    stages = [{"name": "check", "workflow": "child"}]
    run = runs.start("parent", definition={"pattern": "pipeline", "stages": stages})
    found = trace(call, run, reader)
    spent = run.canonical_state.spent
    for one in (found["total"], found["stages"][0], found["agents"][0]):
        assert (one["calls"], one["runs"]) == (0, 1)
        assert (one["tokens_inside"], one["money_micros"]) == (spent.tokens, 21_000)
    (inside,) = [span for span in found["spans"] if span["kind"] == "run" and span["about"]]
    assert (inside["tokens_inside"], inside["money_micros"]) == (spent.tokens, 21_000)


def test_contexts_are_for_who_may_read_them(call: Call, token: Issue, cast: Cast) -> None:
    reader = token("read", owner=cast.rita)
    run = runs.start("invoices", intent={"password": "hunter2-hunter2"})
    found = trace(call, run, reader, "?contexts=true")
    texts = {text["title"]: text["text"] for text in found["spans"][2]["texts"]}
    assert texts["The intent"] == '{"password":"(masked)"}'
    assert texts["What it said"] == '["2026-1187","2026-1191","2026-1193"]'
    assert all(span["texts"] is None for span in trace(call, run, reader)["spans"])
    own = token("runs")
    assert call("GET", f"/runs/{run.pk}/trace?contexts=true", bearer=own).status_code == 404


def test_who_has_yet_to_judge_is_told_no_contexts_by_a_program_either(
    call: Call, token: Issue, cast: Cast
) -> None:
    """A token of somebody who never decides is told them."""
    item = runs.asked()

    def told(owner: User) -> list[str]:
        spans = trace(call, item.run, token("read", owner=owner), "?contexts=true")["spans"]
        return [text["text"] for span in spans for text in span["texts"]]

    assert set(told(cast.rita)) == {trace_queries.LATER}
    assert trace_queries.LATER not in told(cast.max)
    decide(cast.rita, item)
    assert told(cast.rita) == told(cast.max)


def test_its_own_runs_without_the_scope_read_show_no_contexts(call: Call, token: Issue) -> None:
    runs.save("invoices")
    own = token("runs")
    made = call("POST", "/runs", {"workflow": "invoices"}, bearer=own).json()
    assert call("GET", f"/runs/{made['id']}/trace", bearer=own).status_code == 200
    response = call("GET", f"/runs/{made['id']}/trace?contexts=true", bearer=own)
    assert response.status_code == 403
    assert "scope read" in response.json()["title"]


def test_it_is_paged_by_span(call: Call, reader: str) -> None:
    run = runs.start("invoices")
    whole = [span["id"] for span in trace(call, run, reader)["spans"]]
    paged: list[str] = []
    query = "?limit=3"
    while query:
        page = trace(call, run, reader, query)
        paged += [span["id"] for span in page["spans"]]
        query = f"?limit=3&after={page['next']}" if page["next"] else ""
    assert paged == whole
    assert call("GET", f"/runs/{run.pk}/trace?after=x", bearer=reader).status_code == 422
    assert call("GET", f"/runs/{run.pk}/trace?contxts=1", bearer=reader).status_code == 422


def test_a_long_run_says_that_it_is_cut(call: Call, reader: str, settings: Settings) -> None:
    run = runs.start("invoices")
    settings.TRACE_EVENTS_MAX = 3
    assert trace(call, run, reader)["is_cut"]
