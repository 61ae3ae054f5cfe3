"""The pages of reports: numbers equal to what is read, each with the list of exactly those, and nobody's but one's own."""

import csv
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from io import StringIO
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from orchestrator.engine import rollups
from orchestrator.models import Proposal, ReviewItem
from orchestrator.report_queries.acceptance import acceptance
from orchestrator.report_queries.overview import overview
from orchestrator.report_queries.scope import Scope
from review.presentation.charts.scale import UNIT
from review.reports.pages import KINDS
from tests.actions.test_audits import judge
from tests.conftest import Cast, LoadDemo, analyze
from tests.deciding import decide

Propose = Callable[..., Proposal]
NASTY = '=cmd|"</title><script>alert(1)</script>'
LINK = re.compile(
    r'<a href="(/proposals/\?[^"]*)">\s*([^<]*?)\s*</a>(?:<span class="sub">([^<]*)</span>)?'
)


def pages(**more: str) -> Iterator[str]:
    query = "&".join(f"{name}={value}" for name, value in {"period": "180", **more}.items())
    yield from (f"/reports/{name}/?{query}" for name in KINDS)


def text_of(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def file_of(client: Client, path: str) -> list[list[str]]:
    answer: Any = client.get(path)
    assert answer.status_code == 200, path
    return list(csv.reader(StringIO(b"".join(answer.streaming_content).decode())))


def records_of(rows: list[list[str]]) -> list[dict[str, str]]:
    head = rows.index([]) + 1
    return [dict(zip(rows[head], row, strict=True)) for row in rows[head + 1 :]]


def scope(days: int = 180) -> Scope:
    today = datetime.now(UTC).date()
    return Scope(since=today - timedelta(days=days - 1), until=today + timedelta(days=1))


# Few ----------------------------------------------------------------------------------------------


def test_few_have_counts_and_no_share(
    max_: Client, propose: Propose, rule: Callable[..., None], cast: Cast
) -> None:
    rule()
    propose()
    decide(cast.rita, ReviewItem.objects.latest("pk"))
    rollups.refresh()
    page = text_of(max_, "/reports/acceptance/")
    assert "1 of 1" in page
    assert "too few to say a share" in page
    assert not re.search(r"\d\u00a0%, ", page)


# Files --------------------------------------------------------------------------------------------


def test_a_file_that_does_not_exist_is_not_found(max_: Client, cast: Cast) -> None:
    assert max_.get("/reports/overview/?format=csv&table=no-such").status_code == 404
    assert max_.get("/reports/no-such/").status_code == 404


def test_hostile_names_stay_names_on_pages_and_in_files(max_: Client, propose: Propose) -> None:
    propose(agent=NASTY, agent_version="+1", action="@nasty", model="\u202eledom")
    rollups.refresh()
    for page in pages():
        assert "<script>alert" not in text_of(max_, page)
    assert "U+202E" in text_of(max_, "/reports/agents/")
    row = records_of(file_of(max_, "/reports/agents/?format=csv"))[0]
    assert (row["agent"], row["version"]) == (f"'{NASTY}", "'+1")


# People -------------------------------------------------------------------------------------------


@pytest.fixture
def judged(cast: Cast, propose: Propose, rule: Callable[..., None]) -> None:
    rule()
    for who, verdict in ((cast.rita, "approve"), (cast.rolf, "reject")):
        item = propose(target=f"order/{who.username}").review_items.get()
        more = {"reason": "wrong_value"} if verdict == "reject" else {}
        decide(who, item, verdict, **more)
    rollups.refresh()


def test_whoever_reviews_sees_their_own_line_alone(
    rita: Client, max_: Client, ada: Client, cast: Cast, judged: None
) -> None:
    asked = f"?reviewer={cast.rolf.pk}"
    for query in ("", asked):
        assert {row["person"] for row in people(rita, query)} == {"rita"}
        page = text_of(rita, f"/reports/reviewers/{query}")
        assert "rolf" not in page
    for client in (max_, ada):
        assert {row["person"] for row in people(client, "")} == {"rita", "rolf"}
        assert "Nothing was judged by two people" in text_of(client, "/reports/reviewers/")
        assert {row["person"] for row in people(client, asked)} == {"rolf"}


def judge_twice(cast: Cast, propose: Propose, count: int, *, every: int) -> None:
    """Of so many that rita rejected, rolf would have approved each so many-th."""
    for number in range(count):
        made = propose(confidence=0.1, target=f"order/{number}")
        decide(cast.rita, made.review_items.get(), "reject", reason="wrong_value")
        judge(cast.rolf, "reject" if number % every else "approve", kinds=("second_review",))
    rollups.refresh()


def test_few_that_two_people_judged_are_counted(
    rita: Client, max_: Client, cast: Cast, propose: Propose, settings: Settings
) -> None:
    settings.SECOND_REVIEW_SHARE = 1.0
    judge_twice(cast, propose, 3, every=3)
    page = text_of(max_, "/reports/reviewers/")
    assert "Two people judged 3 proposals" in page
    assert "2 of 3" in page
    assert "too few to tell from chance" in page
    assert people(max_, "")[0] | {"agreement_k": "2", "agreement_n": "3"} == people(max_, "")[0]
    said = records_of(file_of(max_, "/reports/reviewers/?format=csv&table=agreement"))
    assert [(one["first"], one["second"], one["pairs"]) for one in said] == [
        ("reject", "approve", "1"),
        ("reject", "reject", "2"),
    ]
    assert file_of(max_, "/reports/reviewers/?format=csv&table=reasons")[-1] == [
        *("wrong_value", "wrong_value", "2")
    ]
    # Whoever reviews sees how alike they judge, and nothing of the others.
    page = text_of(rita, "/reports/reviewers/")
    assert "You and somebody else judged 3 proposals" in page
    assert "2 of 3" in page
    assert "What the two said" not in page
    assert rita.get("/reports/reviewers/?format=csv&table=agreement").status_code == 404


def test_how_alike_people_judge_is_held_against_chance(
    max_: Client, cast: Cast, propose: Propose, settings: Settings
) -> None:
    settings.SECOND_REVIEW_SHARE = 1.0
    judge_twice(cast, propose, 32, every=4)
    page = text_of(max_, "/reports/reviewers/?compare=on")
    assert f"75{UNIT}" in page
    # All of them rejected by rita: kappa cannot tell her from a stone.
    assert re.search(r"Beyond chance</dt>\s*<dd[^>]*>0.00<", page)
    assert "Krippendorff" in page
    settings.JUDGED_TWICE_MAX = 32
    assert "of which these are the newest" not in text_of(max_, "/reports/reviewers/")
    settings.JUDGED_TWICE_MAX = 31
    assert "of which these are the newest" in text_of(max_, "/reports/reviewers/")


def test_nobody_else_can_be_narrowed_to_in_economics(
    rita: Client, max_: Client, cast: Cast, judged: None
) -> None:
    asked = f"/reports/economics/?reviewer={cast.rolf.pk}"
    assert "2 decisions, 2 measured" in text_of(rita, asked)
    assert "1 decision, 1 measured" in text_of(max_, asked)
    assert 'name="reviewer"' not in text_of(rita, asked)


def people(client: Client, query: str) -> list[dict[str, str]]:
    joined = f"{query}&format=csv" if query else "?format=csv"
    return records_of(file_of(client, f"/reports/reviewers/{joined}"))


def test_whoever_audits_finds_no_report_until_they_judged(
    rita: Client, cast: Cast, propose: Propose, settings: Settings
) -> None:
    settings.AUDIT_SHARE = 1.0
    propose()
    rita.post("/audits/next/")
    held = ReviewItem.objects.filter(kind__in=ReviewItem.BLIND, holder=cast.rita).get()
    for page in [*pages(), "/policies/", "/policies/1/"]:
        answer = rita.get(page)
        assert (answer.status_code, answer["Location"]) == (302, f"/audits/{held.pk}/")


def test_a_manager_begins_with_the_reports(max_: Client, rita: Client, cast: Cast) -> None:
    assert max_.get("/")["Location"] == "/reports/"
    assert max_.get("/reports/")["Location"] == "/reports/overview/"
    assert rita.get("/")["Location"] == "/queue/"


# Nothing ------------------------------------------------------------------------------------------


def test_an_empty_instance_is_told_what_will_be_here(max_: Client, cast: Cast) -> None:
    rollups.refresh()
    for page in pages(compare="on", measure="value"):
        assert "Nothing to tell of these days yet" in text_of(max_, page)


# Lists of one version -------------------------------------------------------------------------------


def test_a_list_of_a_version_has_what_is_not_counted_yet(max_: Client, propose: Propose) -> None:
    propose(agent_version="14")
    rollups.refresh()
    propose(agent_version="15", target="order/B")
    for version in ("14", "15"):
        page = text_of(max_, f"/proposals/?agent=refund-agent&version={version}&counted=1")
        assert page.count("data-row") == 1
    assert text_of(max_, "/proposals/?version=16&counted=1").count("data-row") == 0


def test_what_a_list_cannot_understand_narrows_nothing(max_: Client, propose: Propose) -> None:
    propose()
    page = text_of(max_, "/proposals/?ending=eaten&ran=away&tier=x&rule_version=-1&since=never")
    assert page.count("data-row") == 1
    assert "“ending” in this address means nothing here" in page


# Half a year --------------------------------------------------------------------------------------


@pytest.fixture(scope="class")
def counted(load_demo: LoadDemo) -> None:
    load_demo(300)
    rollups.refresh()
    analyze()


@pytest.fixture
def history(counted: None, cast: Cast, settings: Settings) -> int:
    """So many lie in whole days of the scope."""
    settings.PAGE_SIZE = 500
    return Proposal.objects.filter(created_at__gte=scope().starts_at).count()


class TestHalfAYear:
    """Some months of proposals, decisions and audits, counted once for all of them."""

    def test_every_number_leads_to_the_list_of_exactly_those(
        self, max_: Client, history: int
    ) -> None:
        seen = 0
        for page in pages():
            for address, text, sub in LINK.findall(text_of(max_, page)):
                number = re.match(r"[\d,]+$", text) or re.match(r"([\d,]+) of", sub or text)
                if number is None:
                    continue
                wanted = int(number.group().split(" ")[0].replace(",", ""))
                listed = text_of(max_, unescape(address)).count("data-row")
                assert listed == wanted, f"{page}: {text} leads to {listed} at {address}"
                seen += 1
        assert seen > 100

    def test_the_overview_says_what_is_read(self, max_: Client, history: int) -> None:
        page, read = text_of(max_, "/reports/overview/?period=180"), overview(scope())
        assert read.proposed.proposals == history
        assert f">{history:,}</a>" in page
        rows = records_of(file_of(max_, "/reports/overview/?period=180&format=csv&table=flow"))
        ended = [int(row["value"]) for row in rows if row["column"] == "How it ended"]
        assert sum(ended) == history
        traffic = records_of(
            file_of(max_, "/reports/overview/?period=180&format=csv&table=traffic")
        )
        assert sum(int(row["opened"]) for row in traffic) == sum(day.opened for day in read.traffic)
        assert len(traffic) == 180
        waits = records_of(file_of(max_, "/reports/overview/?period=180&format=csv&table=waits"))
        assert sum(int(row["items"]) for row in waits) == read.wait.n > 0
        assert "How long people were waited for" in page

    def test_the_weeks_of_acceptance_add_up_to_what_is_read(
        self, max_: Client, history: int
    ) -> None:
        read = acceptance(scope()).outcomes
        rows = records_of(file_of(max_, "/reports/acceptance/?period=180&format=csv"))
        for name in ("automatic", "by_people", "after_edit", "refused", "undecided"):
            assert sum(int(row[f"{name}_proposals"]) for row in rows) == getattr(read, name)
        assert sum(int(row["accepted_n"]) for row in rows) == read.decided
        assert str(read.acceptance.k) in text_of(max_, "/reports/acceptance/?period=180")

    def test_a_value_is_of_one_currency_and_has_no_interval(
        self, max_: Client, history: int
    ) -> None:
        read = acceptance(scope())
        assert list(read.amounts) == ["EUR"]
        path = "/reports/acceptance/?period=180&measure=value"
        assert "in <b>EUR</b>" in text_of(max_, path)
        rows = records_of(file_of(max_, f"{path}&format=csv"))
        assert sum(int(row["automatic_value"]) for row in rows) == read.amounts["EUR"].automatic
        assert {row["accepted_low"] for row in rows} == {""}

    def test_every_report_answers_to_every_filter_and_compares(
        self, max_: Client, history: int
    ) -> None:
        agent = Proposal.objects.order_by("pk").values_list("agent", "agent_version", "action")[0]
        for page in pages(compare="on", agent=agent[0], version=agent[1], action=agent[2]):
            assert agent[0] in text_of(max_, page)
        for page in pages(measure="value", tier="normal", workflow="default", currency="EUR"):
            text_of(max_, page)

    def test_a_report_says_what_it_cannot_be_narrowed_by(self, max_: Client, history: int) -> None:
        page = text_of(max_, "/reports/audits/?rule=refunds-over-500")
        assert "cannot be narrowed by rule" in page

    def test_a_filter_that_makes_no_sense_is_said_and_the_rest_is_shown(
        self, max_: Client, history: int
    ) -> None:
        page = text_of(max_, "/reports/overview/?period=180&agent=no.such%00%3Cb%3E")
        assert "There is no “no.such&lt;b&gt;” to filter by" in page
        assert f">{history:,}</a>" in page

    def test_every_table_is_a_file_with_its_heading(self, max_: Client, history: int) -> None:
        seen = 0
        for page in pages():
            for address in re.findall(r'href="(\?[^"]*format=csv[^"]*)"', text_of(max_, page)):
                rows = file_of(max_, page.split("?", maxsplit=1)[0] + unescape(address))
                names = [row[0] for row in rows[: rows.index([])]]
                assert {"Report", "From (UTC)", "Time zone", "Data until", "Generated at"} <= set(
                    names
                )
                assert all(
                    len(row) == len(rows[rows.index([]) + 1]) for row in rows[rows.index([]) + 1 :]
                )
                seen += 1
        assert seen >= 8

    def test_people_stand_in_the_order_of_names(self, max_: Client, history: int) -> None:
        names = [row["person"] for row in people(max_, "?period=180")]
        assert names == sorted(names)
