"""The pages about runs: what happened, what is waited for, what it cost, and cancelling."""

from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from orchestrator.actions import runs as actions
from orchestrator.actions.actor import Actor
from orchestrator.models import Command, Proposal, Run
from review import trace_page
from tests import runs
from tests.conftest import Cast
from tests.deciding import decide
from tests.roles import as_owner
from tests.web.conftest import HTMX, item_form
from tests.work import work_all

Propose = Callable[..., Proposal]
QUERIES_MAX = 28
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)> pay \u202e100"


def page_of(client: Client, run: Run, query: str = "") -> str:
    response = client.get(f"/runs/{run.pk}/{query}")
    assert response.status_code == 200
    return response.text


# The list


def test_it_lists_runs_with_what_they_cost(rita: Client) -> None:
    run = runs.start("invoices")
    page = rita.get("/runs/").text
    assert f'href="/runs/{run.pk}/"' in page
    assert "invoices v1" in page
    assert "Completed" in page
    assert "5<span" in page
    assert "6,400<span" in page
    assert "0.0210" in page


def test_it_names_the_error_of_a_failed_one(rita: Client) -> None:
    runs.start("failing")
    page = rita.get("/runs/?status=failed").text
    assert "work-failed" in page
    assert "book" in page


def test_it_filters_by_status_workflow_and_person(cast: Cast, max_: Client) -> None:
    done, failed = runs.start("invoices"), runs.start("failing", actor=Actor(cast.max))
    waits = runs.start("support")

    def listed(query: str) -> set[str]:
        return {row.pk for row in max_.get(f"/runs/?{query}").context["rows"].rows}

    assert listed("") == {done.pk, failed.pk, waits.pk}
    assert listed("status=failed") == listed("mine=1") == {failed.pk}
    assert listed("status=waiting") == listed("workflow=support") == {waits.pk}
    assert listed("workflow=invoices&status=completed") == {done.pk}
    assert listed("workflow=invoices&status=failed") == listed("workflow=support&mine=1") == set()
    assert listed("workflow=failing&mine=1&status=failed") == {failed.pk}


def test_filtering_further_keeps_mine(max_: Client) -> None:
    assert '<input type="hidden" name="mine" value="1"' in max_.get("/runs/?mine=1").text
    assert 'name="mine"' not in max_.get("/runs/").text


def test_it_is_honest_when_nothing_runs(rita: Client) -> None:
    assert "Nothing has run yet" in rita.get("/runs/").text
    runs.start("invoices")
    assert "No run fits this filter" in rita.get("/runs/?status=cancelled").text


@pytest.mark.parametrize("query", ["", "?status=completed", "?workflow=invoices", "?mine=1"])
def test_it_pages_by_key_both_ways(
    cast: Cast, max_: Client, settings: Settings, query: str
) -> None:
    settings.PAGE_SIZE = 5
    made = [runs.start("invoices", actor=Actor(cast.max)).pk for _ in range(7)]
    url = f"/runs/{query}"
    first = max_.get(url).context["rows"]
    assert [row.pk for row in first.rows] == made[:1:-1]
    glue = "&" if query else "?"
    second = max_.get(f"{url}{glue}before={first.older}").context["rows"]
    assert ([row.pk for row in second.rows], second.older) == (made[1::-1], "")
    back = max_.get(f"{url}{glue}after={second.newer}").context["rows"]
    assert ([row.pk for row in back.rows], back.newer) == (made[:1:-1], "")


@pytest.mark.parametrize(
    "query", ["before=x", "after=%00", "status=no", "workflow=gone%00", "mine=x"]
)
def test_a_broken_address_still_opens(rita: Client, query: str) -> None:
    assert rita.get(f"/runs/?{query}").status_code == 200


def test_more_runs_cost_no_more_queries(
    rita: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(6):
        runs.start("invoices")
    with django_assert_max_num_queries(14):
        rita.get("/runs/")


# One run


def test_it_shows_every_stage_with_what_it_said_and_cost(rita: Client) -> None:
    page = page_of(rita, runs.start("invoices", intent={"month": "2026-11"}))
    assert "scripted list-agent" in page
    assert "3 of 3 parts done" in page
    assert "Part 3" in page
    assert "2026-1193" in page
    assert "3 calls, 3,840 tokens, 0.0126" in page
    assert "handed to every agent, word for word" in page
    assert 'href="/workflows/invoices/1/"' in page
    assert "data-live" not in page.split('id="run"')[1]


def test_it_tells_the_whole_chain_of_errors(rita: Client) -> None:
    runs.save("failing")
    parent = runs.start("parent")
    page = page_of(rita, parent)
    codes = [page.index(f">{code}<") for code in ("run-failed", "work-failed", "agent-refused")]
    assert codes == sorted(codes)
    assert "The agent refused: the ledger is closed" in page
    assert "in <bdi" in page
    assert "Trying again would not help." in page
    child = parent.children.get()
    assert f'href="/runs/{child.pk}/"' in page
    assert f'href="/runs/{parent.pk}/"' in page_of(rita, child)


def test_it_says_whom_it_waits_for_and_until_when(rita: Client) -> None:
    item = runs.asked()
    page = page_of(rita, item.run)
    assert "A person who answers" in page
    assert f'href="/items/{item.pk}/"' in page
    assert "then it is a no" in page
    assert runs.QUESTION in page


def test_it_says_what_a_machine_waits_for(rita: Client) -> None:
    page = page_of(rita, runs.start("support"))
    assert "The signal <b>" in page
    assert ">reply<" in page
    assert "it goes on to lost" in page
    names = [page.index(f'id="stage-{name}"') for name in ("triage", "lost", "customer", "solved")]
    assert names == sorted(names)


def test_a_run_that_waits_for_a_decision_links_its_proposal(
    cast: Cast, rita: Client, rule: Callable[..., None]
) -> None:
    rule()
    item = runs.asked()
    rita.post(f"/items/{item.pk}/decide/", item_form(item, "approve"))
    work_all()
    proposal = Proposal.objects.get(run=item.run_id)
    page = page_of(rita, item.run)
    assert "Being decided" in page
    assert f'href="/proposals/{proposal.pk}/"' in page
    assert f'href="/runs/{item.run_id}/"' in rita.get(f"/proposals/{proposal.pk}/").text
    assert "Run started in workflow refunds v1" in rita.get(f"/proposals/{proposal.pk}/").text
    assert "read answered" not in rita.get(f"/proposals/{proposal.pk}/").text


def test_it_does_not_tell_how_sure_the_agent_is_before_the_reader_judged(
    rita: Client, rolf: Client, rule: Callable[..., None]
) -> None:
    rule()
    item = runs.asked()
    rita.post(f"/items/{item.pk}/decide/", item_form(item, "approve"))
    work_all()
    places = ["", "events/5/", "events/7/"]
    for place in places:
        page = rolf.get(f"/runs/{item.run_id}/{place}").text
        assert "0.9876" not in page
        assert "shown after you decide" in page
    proposal = Proposal.objects.get(run=item.run_id)
    waiting = proposal.review_items.get()
    form = item_form(waiting, "reject", "rolf", reason="wrong_value")
    rolf.post(f"/proposals/{proposal.pk}/decide/", form)
    assert "0.9876" in page_of(rolf, item.run)


def test_the_first_of_two_answers_stays_without_a_name(rita: Client, rolf: Client) -> None:
    item = runs.asked(approvals=2)
    rita.post(f"/items/{item.pk}/decide/", item_form(item, "approve", note="my secret note"))
    page = page_of(rolf, item.run)
    assert "ask was answered by somebody: approved" in page
    assert "rita" not in page
    assert "my secret note" not in page
    assert "rita" in page_of(rita, item.run)


def test_text_of_agents_is_inert(rita: Client) -> None:
    definition = {
        "pattern": "pipeline",
        "stages": [
            runs.stage("say", {HOSTILE: HOSTILE}),
            runs.stage(
                "fail",
                agent=runs.scripted(
                    "fail", fails=[{"attempt": 1, "code": "agent-refused", "reason": HOSTILE}]
                ),
                attempts=1,
            ),
        ],
    }
    run = runs.start("hostile", intent={"text": HOSTILE}, definition=definition)
    for path in (f"/runs/{run.pk}/", f"/runs/{run.pk}/events/2/", "/runs/"):
        page = rita.get(path).text
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "\u202e" not in page
    assert "U+202E" in page_of(rita, run)


def test_what_is_too_long_is_cut_and_whole_on_its_own_page(rita: Client) -> None:
    text = "start " + "word " * 6_000 + "the very end"
    definition = {"pattern": "pipeline", "stages": [runs.stage("write", {"text": text})]}
    run = runs.start("long", definition=definition)
    page = page_of(rita, run)
    assert "the very end" not in page
    assert "write answered" in page
    assert f'href="/runs/{run.pk}/events/2/"' in page
    whole = rita.get(f"/runs/{run.pk}/events/2/").text
    assert "the very end" in whole
    assert run.events.get(seq=2).hash in whole


def test_events_are_paged_by_number(rita: Client, settings: Settings) -> None:
    settings.PAGE_SIZE = 5
    run = runs.start("invoices")
    assert run.seq == 6

    def shown(query: str) -> list[int]:
        events = rita.get(f"/runs/{run.pk}/{query}").context["events"]
        return [entry.seq for entry in events.rows]

    assert shown("") == [2, 3, 4, 5, 6]
    assert shown("?upto=1") == [1]
    assert shown("?upto=99") == shown("?upto=x") == shown("?upto=0") == [2, 3, 4, 5, 6]
    page = page_of(rita, run, "?upto=1")
    assert "?upto=6#run-events" in page


def test_commands_show_their_worker_and_tries(rita: Client) -> None:
    run = runs.start("invoices", work=False)
    page = page_of(rita, run)
    assert "run_agent:list:1:0:1" in page
    assert "Waits" in page
    runs.stick(run)
    page = page_of(rita, run)
    assert "Kept for a person" in page
    assert "host:4711" in page
    assert "A person, because work of this run stopped every worker" in page


def test_it_says_that_the_chain_holds(rita: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    run = runs.start("invoices")
    assert "Their chain holds" in page_of(rita, run)
    monkeypatch.setattr("review.run_page.CHAIN_CHECKED_MAX", 3)
    assert f"manage.py verify {run.pk}" in page_of(rita, run)


@pytest.mark.broken_log
def test_it_says_where_the_chain_breaks(rita: Client) -> None:
    run = runs.start("invoices")
    with as_owner() as cursor:
        cursor.execute("ALTER TABLE orchestrator_event DISABLE TRIGGER USER")
        cursor.execute(
            "UPDATE orchestrator_event SET payload = '{}' WHERE run_id = %s AND seq = 2", [run.pk]
        )
        cursor.execute("ALTER TABLE orchestrator_event ENABLE TRIGGER USER")
    assert "Somebody changed the log." in page_of(rita, run)
    assert "Their chain breaks at event 2" in page_of(rita, run)


def test_a_run_of_an_outside_proposal_links_it(rita: Client, held: Proposal) -> None:
    page = page_of(rita, held.run)
    assert "Carries an outside proposal" in page
    assert f'href="/proposals/{held.pk}/"' in page
    assert "A person who decides" in page
    assert f'href="/runs/{held.run_id}/"' in rita.get(f"/proposals/{held.pk}/").text


def test_it_answers_304_until_something_happens(
    rita: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Bars of what is at work grow every few seconds, and this machine may be slow.
    monkeypatch.setattr(trace_page, "TICK_S", 10**9)
    run = runs.start("invoices", work=False)
    first = rita.get(f"/runs/{run.pk}/news/", headers=HTMX)
    assert b"<html" not in first.content
    assert "data-live" in first.text
    poll = HTMX | {"HX-PTag": first["HX-PTag"]}
    assert rita.get(f"/runs/{run.pk}/news/", headers=poll).status_code == 304
    Command.objects.filter(run=run).update(tries=1)
    assert rita.get(f"/runs/{run.pk}/news/", headers=poll).status_code == 200
    work_all()
    done = rita.get(f"/runs/{run.pk}/news/", headers=poll)
    assert "Completed" in done.text
    assert "data-live" not in done.text


def test_the_page_of_a_long_run_costs_the_same(
    rita: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    run = runs.start("invoices")
    with django_assert_max_num_queries(QUERIES_MAX):
        rita.get(f"/runs/{run.pk}/")


@pytest.mark.parametrize("pk", ["run_nope", "x", "run_01m7y6s13re5jaj1bm3y35bmxv", "%00"])
def test_an_unknown_run_is_not_found(ada: Client, pk: str) -> None:
    for path in (f"/runs/{pk}/", f"/runs/{pk}/news/", f"/runs/{pk}/events/1/"):
        assert ada.get(path).status_code == 404
    assert ada.post(f"/runs/{pk}/cancel/", {"reason": "x"}).status_code == 404


def test_an_unknown_event_is_not_found(rita: Client) -> None:
    run = runs.start("invoices")
    for seq in (0, 7, 10**12):
        assert rita.get(f"/runs/{run.pk}/events/{seq}/").status_code == 404


# Cancelling


def test_an_admin_cancels_with_a_reason(ada: Client) -> None:
    run = runs.start("support")
    form = {"reason": "It is <b>settled</b>."}
    response = ada.post(f"/runs/{run.pk}/cancel/", form, headers=HTMX)
    assert response.status_code == 200
    assert response.text.lstrip().startswith('<div id="run"')
    assert "Why it was cancelled" in response.text
    assert "Stopped" in response.text
    assert "It is &lt;b&gt;settled&lt;/b&gt;." in response.text
    assert "Cancel…" not in response.text
    run.refresh_from_db()
    assert run.status == "cancelled"


def test_cancelling_works_without_javascript(ada: Client) -> None:
    run = runs.start("support")
    response = ada.post(f"/runs/{run.pk}/cancel/", {"reason": "settled"}, follow=True)
    assert response.redirect_chain == [(f"/runs/{run.pk}/", 302)]
    assert "Cancelled." in response.text


@pytest.mark.parametrize("reason", ["", " ", "x" * 1_001, "a\x00b"])
def test_cancelling_needs_a_reason(ada: Client, reason: str) -> None:
    run = runs.start("support")
    response = ada.post(f"/runs/{run.pk}/cancel/", {"reason": reason}, headers=HTMX)
    assert response.status_code == 422
    assert "Not cancelled." in response.text
    run.refresh_from_db()
    assert run.status == "waiting"


def test_a_run_that_has_ended_cannot_be_cancelled(ada: Client) -> None:
    run = runs.start("invoices")
    assert "Cancel…" not in page_of(ada, run)
    response = ada.post(f"/runs/{run.pk}/cancel/", {"reason": "my reason"}, headers=HTMX)
    assert response.status_code == 409
    assert "completed" in response.text
    assert "my reason</textarea>" in response.text


def test_an_outside_proposal_is_not_cancelled_with_its_run(ada: Client, held: Proposal) -> None:
    assert "Cancel…" not in page_of(ada, held.run)
    response = ada.post(f"/runs/{held.run_id}/cancel/", {"reason": "x"})
    assert response.status_code == 409
    held.refresh_from_db()
    assert held.status == "in_review"


def test_only_admins_cancel(rita: Client, max_: Client) -> None:
    run = runs.start("support")
    for client in (rita, max_):
        assert "Cancel…" not in page_of(client, run)
        response = client.post(f"/runs/{run.pk}/cancel/", {"reason": "x"})
        assert response.status_code == 403
        assert "It needs the role admin" in response.text
    run.refresh_from_db()
    assert run.status == "waiting"


def test_what_was_cancelled_asks_nobody_any_more(cast: Cast, rita: Client) -> None:
    item = runs.asked()
    actions.cancel(Actor(cast.ada), item.run_id, reason="settled")
    page = rita.get(f"/items/{item.pk}/").text
    assert "No longer asked" in page
    assert "Approve" not in page
    assert item.pk not in rita.get("/queue/").text


# What agents ask for, and what runs tell each other


HELPED = {
    "pattern": "pipeline",
    "stages": [
        {
            "name": "help",
            "tools": [{"name": "refund.create", "kind": "write"}],
            "agent": {
                "kind": "scripted",
                "name": "clerk",
                "turns": [
                    {
                        "asks": [{"tool": "refund.create", "args": {"a": HOSTILE}}],
                        "memory": HOSTILE,
                    },
                    {"says": {"echo": "answers"}},
                ],
            },
        }
    ],
}


def test_it_says_that_an_agent_waits_for_what_it_asked_for(rita: Client, cast: Cast) -> None:
    run = runs.start("helped", definition=HELPED)
    page = page_of(rita, run)
    proposal = Proposal.objects.get()
    assert "0 of 1 asks settled" in page
    assert f'<a href="/proposals/{proposal.pk}/">ask 1</a>' in page
    assert "A person who decides" in page
    assert HOSTILE not in page
    events = rita.get(f"/runs/{run.pk}/events/2/").text
    assert HOSTILE not in events
    decide(cast.rita, proposal.review_items.get(), "reject", reason="wrong_value")
    work_all()
    page = page_of(rita, run)
    assert "turn 2" in page
    assert "rejected" in page


def test_what_somebody_has_yet_to_judge_is_not_shown_with_what_its_agent_thinks(
    rita: Client,
) -> None:
    run = runs.start("helped", definition=HELPED)
    shown = rita.get(f"/runs/{run.pk}/events/2/").text
    assert "shown after you decide" in shown


def test_it_shows_what_is_started_collected_published_and_heard(rita: Client) -> None:
    runs.save("child", {"pattern": "pipeline", "stages": [runs.stage("do", {"ok": True})]})
    stages = [
        {"name": "begin", "workflow": "child", "wait": False},
        {"name": "tell", "publish": {"topic": "news"}},
        {"name": "get", "collect": "begin"},
        {"name": "hear", "subscribe": {"topic": "weather"}},
    ]
    run = runs.start("talks", definition={"pattern": "pipeline", "stages": stages})
    page = page_of(rita, run)
    assert "publishes to" in page
    assert "A message about" in page
    assert "weather" in page
    for address in ("/workflows/talks/", f"/runs/{run.pk}/events/3/"):
        assert rita.get(address).status_code == 200
