"""The trace on a run's page: which agents ran, what each received, how long, for how much, where it failed."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from orchestrator import plugins, trace_queries
from orchestrator.agents import registry
from orchestrator.agents.base import AgentAnswer, AgentCall, Piece, Usage
from orchestrator.models import Proposal, ReviewItem, Run
from review.presentation import trace_layout
from tests import runs
from tests.conftest import Cast
from tests.deciding import decide
from tests.judges import put_in_force
from tests.web.conftest import HTMX

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script> pay \u202e100"


def page(client: Client, run: Run, query: str = "") -> str:
    response = client.get(f"/runs/{run.pk}/{query}")
    assert response.status_code == 200
    return response.text


def lines(client: Client, run: Run, query: str = "") -> list[Any]:
    found: list[Any] = client.get(f"/runs/{run.pk}/{query}").context["trace"]["lines"]
    return found


def test_it_says_where_the_failure_began(rita: Client) -> None:
    text = page(rita, runs.start("failing"))
    assert "It began at" in text
    assert "stage book, attempt 1: agent book-agent" in text
    assert "the ledger is closed" in text
    assert text.count("it began here") == 1


def test_a_failure_in_a_run_inside_leads_there(rita: Client) -> None:
    runs.save("failing")
    run = runs.start("parent")
    text = page(rita, run)
    child = run.children.get()
    assert "a run that it started" in text
    assert f"/runs/{child.pk}/trace/" in text
    opened = lines(rita, run, f"?open={child.pk}")
    assert [line.label for line in opened if line.is_origin] == ["book-agent"]


def test_it_shows_what_is_unknown_as_unknown(rita: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    class Told:
        def call(self, call: AgentCall) -> AgentAnswer:
            pieces = (Piece("model", "chat", 0, 1, Usage(5, 5, None), given=HOSTILE, said=HOSTILE),)
            return AgentAnswer(HOSTILE, Usage(5, 5, None), {"name": HOSTILE}, pieces)

    monkeypatch.setattr(registry, "find", lambda config: Told())
    run = runs.start("one", definition={"pattern": "pipeline", "stages": [runs.stage("read")]})
    text = page(rita, run)
    assert "not priced" in text
    assert "<script>alert" not in text
    for line in lines(rita, run):
        detail = rita.get(f"/runs/{run.pk}/trace/span/", {"key": line.span.id}, headers=HTMX)
        assert detail.status_code == 200
        assert "<script>alert" not in detail.text
        assert "\u202e" not in detail.text


def test_a_span_shows_what_it_was_handed_and_said(rita: Client) -> None:
    run = runs.start("invoices", intent={"month": "November", "api_key": "abcdefgh12345678"})
    call = next(line.span for line in lines(rita, run) if line.span.kind == "agent")
    detail = rita.get(f"/runs/{run.pk}/trace/span/", {"key": call.id}, headers=HTMX).text
    assert "November" in detail
    assert "abcdefgh12345678" not in detail
    assert "2026-1187" in detail
    # What the script copies is the text beside it; without a script the button is not there.
    copied = re.findall(r'<pre [^>]*id="(copied-\d+)"', detail)
    buttons = re.findall(
        r'<button type="button" [^>]*data-copies="(copied-\d+)" hidden>Copy<', detail
    )
    assert copied == buttons == [f"copied-{number + 1}" for number in range(len(copied))]
    assert len(copied) > 1
    whole = rita.get(f"/runs/{run.pk}/trace/", {"span": call.id}).text
    assert "<html" in whole
    assert "November" in whole


@pytest.mark.parametrize("key", ["", "x", "event:999", "run_x/event:1", "piece:1"])
def test_a_span_that_is_not_there(rita: Client, key: str) -> None:
    run = runs.start("invoices")
    assert rita.get(f"/runs/{run.pk}/trace/span/", {"key": key}).status_code == 404


def test_spans_of_other_runs_are_not_reached_through_one(rita: Client) -> None:
    run, other = runs.start("invoices"), runs.start("invoices")
    response = rita.get(f"/runs/{run.pk}/trace/span/", {"key": f"{other.pk}/event:2"})
    assert response.status_code == 404


def test_as_a_table_it_says_the_same(rita: Client) -> None:
    run = runs.start("failing")
    text = page(rita, run, "?view=table")
    assert "Show on a time axis" in text
    assert 'class="trace"' not in text
    assert "book-agent" in text
    assert "it began here" in text


def test_a_long_one_is_folded_and_opened_on_demand(
    rita: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_layout, "ROWS_MAX", 5)
    run = runs.start("invoices")
    folded = lines(rita, run)
    assert {line.span.kind for line in folded} == {"run", "work"}
    check = next(line for line in folded if line.label == "check")
    assert check.row.hidden == 3
    opened = lines(rita, run, check.toggle)
    assert len([line for line in opened if line.span.kind == "agent"]) == 3


def test_the_whole_page_is_drawn_without_styles_of_its_own(rita: Client) -> None:
    text = page(rita, runs.start("failing"))
    assert "style=" not in text


def test_totals_add_up_by_stage_and_agent(rita: Client) -> None:
    run = runs.start("invoices")
    trace = rita.get(f"/runs/{run.pk}/").context["trace"]
    for totals in (trace["stages"], trace["agents"]):
        assert sum(one.calls for one in totals) == trace["total"].calls == 5
        assert sum(one.money_micros for one in totals) == trace["total"].money_micros == 21_000


def test_a_run_that_somebody_judges_blind_stays_shut(
    rita: Client, cast: Cast, propose: Callable[..., Proposal]
) -> None:
    proposal = propose()
    run = proposal.run
    ReviewItem.objects.create(
        run=run, proposal=proposal, kind="audit", holder=cast.rita, due_at="2100-01-01T00:00:00Z"
    )
    for path in (f"/runs/{run.pk}/trace/", f"/runs/{run.pk}/trace/span/?key=run"):
        assert rita.get(path).status_code in {302, 303, 403, 409}


def test_who_has_yet_to_judge_is_shown_no_contexts(rita: Client, cast: Cast) -> None:
    """An output says how sure its agent is."""
    item = runs.asked()
    run = item.run
    call = next(line.span for line in lines(rita, run) if line.span.kind == "agent")
    address = f"/runs/{run.pk}/trace/span/"
    assert trace_queries.LATER in rita.get(address, {"key": call.id}, headers=HTMX).text
    decide(cast.rita, item)
    assert trace_queries.LATER not in rita.get(address, {"key": call.id}, headers=HTMX).text


@pytest.fixture
def above(settings: Settings, cast: Cast) -> Iterator[Run]:
    """A run with a run inside, in which a validator failed and people are asked about a refund."""
    settings.AGENT_MODULES = ["tests.judges"]
    plugins.load.cache_clear()
    put_in_force("babbling")
    refund = runs.stage("refund", runs.REFUND, proposes=True)
    runs.save("child", {"pattern": "pipeline", "stages": [refund]})
    stages = [runs.stage("read", {"n": 1}), {"name": "sub", "workflow": "child"}]
    yield runs.start("above", definition={"pattern": "pipeline", "stages": stages})
    plugins.load.cache_clear()


def test_what_is_to_be_judged_in_a_run_inside_is_not_told_on_the_page_of_the_run_above(
    rita: Client, above: Run, cast: Cast
) -> None:
    child = above.children.get()
    (item,) = child.review_items.all()

    def shown(kind: str) -> tuple[str, str]:
        """The details of the span inside, and how it stands in the list."""
        (line,) = (
            one
            for one in lines(rita, above, f"?open={child.pk}")
            if one.span.kind == kind and one.span.id.startswith(child.pk)
        )
        address = f"/runs/{above.pk}/trace/span/"
        return rita.get(address, {"key": line.span.id}, headers=HTMX).text, line.status

    assert trace_queries.LATER in shown("agent")[0]
    assert "0.9876" not in shown("agent")[0]
    assert shown("validation")[1] == "done"
    decide(cast.rita, item)
    assert "0.9876" in shown("agent")[0]
    assert shown("validation")[1] == "failed"


def test_the_run_above_has_nothing_to_hide_by_itself(rita: Client, above: Run) -> None:
    call = next(line.span for line in lines(rita, above) if line.label == "read-agent")
    detail = rita.get(f"/runs/{above.pk}/trace/span/", {"key": call.id}, headers=HTMX).text
    assert trace_queries.LATER not in detail


def test_a_live_run_is_drawn_anew_while_it_moves(rita: Client, settings: Settings) -> None:
    run = runs.start("invoices", work=False)
    text = page(rita, run)
    assert 'hx-trigger="tick"' in text
    news = rita.get(f"/runs/{run.pk}/news/", headers=HTMX).text
    assert 'hx-target="#run-trace"' in news
    assert "waits for a worker" in news


def test_what_a_run_inside_used_counts_once(rita: Client) -> None:
    """A stage of the same name in there is another stage."""
    inside = runs.stage("book", {"ok": True})
    runs.save("child", {"pattern": "pipeline", "stages": [inside, runs.stage("more", 1)]})
    stages = [runs.stage("read", {"n": 1}), {"name": "book", "workflow": "child"}]
    run = runs.start("parent", definition={"pattern": "pipeline", "stages": stages})
    child = run.children.get()
    for query in ("", f"?open={child.pk}"):
        trace = rita.get(f"/runs/{run.pk}/{query}").context["trace"]
        assert trace["total"].money_micros == run.canonical_state.spent.money_micros == 12_600
        assert {one.name: (one.calls, one.runs, one.money_micros) for one in trace["stages"]} == {
            "read": (1, 0, 4_200),
            "book": (0, 1, 8_400),
        }
        assert {one.name: one.tokens_inside for one in trace["agents"]} == {
            "read-agent": 0,
            "runs inside": 2_560,
        }
    assert "Tokens of runs inside" in page(rita, run)
    assert "2,560 tokens" in page(rita, run)


def test_gaps_say_in_the_picture_how_long_and_for_whom(
    rita: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs.asked().run
    now_ms = trace_queries._now_ms()
    monkeypatch.setattr(trace_queries, "_now_ms", lambda: now_ms + 3 * 3_600_000)
    text = page(rita, run)
    assert "<title>3h for a person</title>" in text
    assert re.search(r'<text class="waited" data-room="\w+" [^>]*>3h</text>', text)
