from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from orchestrator.models import Proposal
from tests.web.conftest import HTMX, form_for

Propose = Callable[..., Proposal]
QUERIES_MAX = 14
PLACE = "1~2099-01-01T00:00:00+00:00~rev_01m7y6s13re5jaj1bm3y35bmxv"


def test_it_lists_what_waits_and_why(rita: Client, held: Proposal) -> None:
    page = rita.get("/queue/").text
    assert "Refund €1,840.00 for" in page
    assert f'href="/proposals/{held.pk}/"' in page
    assert "refund-limit: the amount 184000 is over 50000" in page
    assert "<b>1</b> waiting" in page


def test_it_is_honest_when_nothing_waits(rita: Client, propose: Propose) -> None:
    propose()
    page = rita.get("/queue/").text
    assert "Nothing waits for a person" in page


def test_it_says_when_only_the_filter_is_empty(rita: Client, held: Proposal) -> None:
    page = rita.get("/queue/?kind=escalation").text
    assert "Nothing waits that fits this filter" in page
    assert "Show the whole queue" in page


def test_it_filters_by_action(rita: Client, propose: Propose) -> None:
    propose(action="email.send", target="contact/a", confidence=0.1)
    wanted = propose(action="crm.update", target="deal/7", confidence=0.1)
    page = rita.get("/queue/?action=crm.update", headers=HTMX).text
    assert wanted.pk in page
    assert "contact/a" not in page


def test_a_filter_from_an_old_link_still_opens(rita: Client, held: Proposal) -> None:
    response = rita.get("/queue/", {"kind": "nonsense", "action": "gone\x00away"})
    assert response.status_code == 200


def test_a_low_score_is_not_told_to_who_has_yet_to_decide(rita: Client, propose: Propose) -> None:
    propose(confidence=0.4321)
    assert "0.4321" not in rita.get("/queue/").text


def test_the_rows_answer_304_while_nothing_is_new(
    rita: Client, held: Proposal, propose: Propose
) -> None:
    first = rita.get("/queue/", headers=HTMX)
    tag = first["HX-PTag"]
    assert b"<html" not in first.content
    again = rita.get("/queue/", headers=HTMX | {"HX-PTag": tag})
    assert (again.status_code, again.content) == (304, b"")
    propose(target="order/A-2")
    assert rita.get("/queue/", headers=HTMX | {"HX-PTag": tag}).status_code == 200


def test_the_page_carries_the_tag_of_its_rows(rita: Client, held: Proposal) -> None:
    response = rita.get("/queue/")
    assert f'hx-ptag="{response["HX-PTag"]}"' in response.text


def test_it_pages_by_key_through_everything_once(
    rita: Client, rule: Callable[..., None], propose: Propose, settings: Settings
) -> None:
    rule()
    settings.PAGE_SIZE = 5
    pks = [propose(target=f"order/{number}").pk for number in range(12)]
    seen: list[str] = []
    url = "/queue/"
    for _ in range(3):
        response = rita.get(url)
        seen += [item.proposal_id for item in response.context["rows"].rows]
        url = f"/queue/?after={response.context['rows'].older}"
        url = url.replace("+", "%2B")
    assert seen == pks
    assert response.context["rows"].older == ""


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "~~",
        "1~nonsense~",
        "1~2026-01-01~z",
        "9~2026-01-01T00:00",
        PLACE + "\x00",
        "9" * 30 + PLACE,
    ],
)
def test_a_broken_cursor_starts_at_the_beginning(rita: Client, held: Proposal, cursor: str) -> None:
    assert held.pk in rita.get("/queue/", {"after": cursor}).text


def test_more_rows_cost_no_more_queries(
    rita: Client,
    rule: Callable[..., None],
    propose: Propose,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    rule()
    for number in range(8):
        propose(target=f"order/{number}")
    with django_assert_max_num_queries(QUERIES_MAX):
        rita.get("/queue/")


def test_the_bar_counts_and_answers_304(rita: Client, held: Proposal) -> None:
    first = rita.get("/pulse/", headers=HTMX)
    assert "<b>0</b> decided today" in first.text
    assert 'id="queue-count">1<' in first.text
    tag = first["HX-PTag"]
    assert rita.get("/pulse/", headers=HTMX | {"HX-PTag": tag}).status_code == 304
    rita.post(f"/proposals/{held.pk}/decide/", form_for(held))
    assert "<b>1</b> decided today" in rita.get("/pulse/", headers=HTMX | {"HX-PTag": tag}).text
