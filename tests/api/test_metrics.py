"""/metrics: shut unless it is wanted, right whoever is asked, and cheap."""

import re
from collections.abc import Iterator

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from orchestrator.api import metrics as page
from orchestrator.engine import rollups
from orchestrator.metric_queries import Metric, Sample
from tests import runs
from tests.api.conftest import REFUND, Call

pytestmark = pytest.mark.django_db

SECRET = "scrape-me"
LINE = re.compile(r'^[a-z_]+(\{([a-z_]+="(\\.|[^"\\])*",?)+\})? -?[0-9.e+]+$')


@pytest.fixture(autouse=True)
def fresh(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.METRICS_TOKEN, settings.METRICS_CACHE_S = SECRET, 0
    monkeypatch.setattr(page, "_PAGE", page._Page())
    yield


def scrape(client: Client) -> str:
    response = client.get("/metrics", headers={"Authorization": f"Bearer {SECRET}"})
    assert response.status_code == 200
    return response.text


def value(text: str, line: str) -> float:
    found = [one for one in text.splitlines() if one.startswith(f"{line} ")]
    assert len(found) == 1, (line, text)
    return float(found[0].rpartition(" ")[2])


def test_it_is_shut_by_default(client: Client, settings: Settings) -> None:
    settings.METRICS_TOKEN = ""
    headers = {"Authorization": "Bearer "}
    assert client.get("/metrics", headers=headers).status_code == 404


@pytest.mark.parametrize("shown", ["", "Bearer x", "Basic scrape-me", "Bearer scrape-me "])
def test_it_wants_the_token(client: Client, shown: str) -> None:
    response = client.get("/metrics", headers={"Authorization": shown} if shown else {})
    assert response.status_code in {401}
    assert "countersign_" not in response.text


def test_every_line_is_one_that_prometheus_reads(client: Client, call: Call) -> None:
    call("POST", "/proposals", REFUND)
    runs.start("invoices")
    rollups.refresh()
    for line in scrape(client).splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or LINE.match(line), line


def test_it_counts_what_is_open(client: Client, call: Call) -> None:
    runs.start("support")
    call("POST", "/proposals", REFUND)
    text = scrape(client)
    assert value(text, 'countersign_commands_ready{queue="effects"}') == 1
    assert value(text, 'countersign_oldest_ready_seconds{queue="effects"}') >= 0
    assert value(text, 'countersign_runs_open{status="waiting"}') == 1


def test_it_counts_what_waits_for_people(client: Client) -> None:
    runs.asked()
    text = scrape(client)
    assert value(text, 'countersign_review_items_waiting{kind="approval"}') == 1
    assert value(text, "countersign_oldest_review_item_seconds") >= 0


def test_it_adds_up_calls_of_agents(client: Client) -> None:
    runs.start("invoices")
    runs.start("failing")
    rollups.refresh()
    text = scrape(client)
    who = 'agent="check-agent",version=""'
    assert value(text, f'countersign_agent_calls_total{{{who},outcome="done"}}') == 3
    assert value(text, f'countersign_agent_tokens_total{{{who},way="in"}}') == 3_600
    assert value(text, f"countersign_agent_cost_total{{{who}}}") == pytest.approx(0.0126)
    buckets = [
        value(text, f'countersign_agent_call_seconds_bucket{{{who},le="{end}"}}')
        for end in ("1", "5", "15", "60", "+Inf")
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == value(text, f"countersign_agent_call_seconds_count{{{who}}}") == 3
    failed = 'agent="book-agent",version="",outcome="failed"'
    assert value(text, f"countersign_agent_calls_total{{{failed}}}") == 1


def test_few_agents_have_lines_of_their_own(client: Client, settings: Settings) -> None:
    settings.METRICS_AGENTS_MAX = 1
    runs.start("invoices")
    rollups.refresh()
    text = scrape(client)
    others = 'agent="(others)",version="",outcome="done"'
    assert value(text, f"countersign_agent_calls_total{{{others}}}") == 2


def test_it_asks_the_database_once_in_a_while(
    client: Client, settings: Settings, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    settings.METRICS_CACHE_S = 60
    first = scrape(client)
    with django_assert_num_queries(0):
        assert scrape(client) == first


def test_agents_cannot_write_lines_of_their_own() -> None:
    name = 'x"} 1\ncountersign_runs_open{status="\\'
    text = page.expose([Metric("m", "gauge", "about", [Sample({"agent": name}, 1)])])
    assert len(text.splitlines()) == 3
    assert LINE.match(text.splitlines()[-1])
