from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from orchestrator.actions import claims, saved_views, teams
from orchestrator.actions.actor import Actor
from orchestrator.models import Proposal, ReviewItem, SavedView
from review import queue_reads
from tests.conftest import Cast
from tests.deciding import decide
from tests.web.conftest import HTMX

Propose = Callable[..., Proposal]
QUERIES_MAX = 26
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
    assert "Nothing waiting" in page
    assert "0 decided today" in page


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
    asked = {"shown": held.review_items.get().pk}
    again = rita.get("/queue/news/", asked, headers=HTMX | {"HX-PTag": tag})
    assert (again.status_code, again.content) == (304, b"")
    propose(target="order/A-2")
    assert rita.get("/queue/news/", asked, headers=HTMX | {"HX-PTag": tag}).status_code == 200


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
        seen += [row.item.proposal_id for row in response.context["rows"].rows]
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


def test_the_bar_counts_and_answers_304(cast: Cast, rita: Client, held: Proposal) -> None:
    first = rita.get("/pulse/", headers=HTMX)
    assert "<b>0</b> decided today" in first.text
    assert 'id="queue-count">1<' in first.text
    tag = first["HX-PTag"]
    assert rita.get("/pulse/", headers=HTMX | {"HX-PTag": tag}).status_code == 304
    decide(cast.rolf, held.review_items.get())
    assert "<b>1</b> decided today" in rita.get("/pulse/", headers=HTMX | {"HX-PTag": tag}).text


# Views and filters


def change(proposal: Proposal, **facts: Any) -> ReviewItem:
    item = proposal.review_items.get()
    ReviewItem.objects.filter(pk=item.pk).update(**facts)
    return ReviewItem.objects.get(pk=item.pk)


def listed(client: Client, query: str = "") -> list[str]:
    return [row.item.proposal_id for row in client.get(f"/queue/?{query}").context["rows"].rows]


@pytest.fixture
def several(rule: Callable[..., None], propose: Propose) -> dict[str, Proposal]:
    rule()
    names = ("plain", "late", "escalated", "asleep", "blind", "held")
    made = {name: propose(target=f"order/{name}") for name in names}
    now = timezone.now()
    change(made["late"], due_at=now + timedelta(hours=1), created_at=now - timedelta(hours=4))
    change(made["escalated"], escalated_at=now, priority=60)
    change(made["asleep"], snoozed_until=now + timedelta(hours=2))
    change(made["blind"], kind="audit")
    return made


def test_each_view_has_its_items_and_blind_ones_are_in_none(
    cast: Cast, rita: Client, several: dict[str, Proposal]
) -> None:
    claims.take(Actor(cast.rita), several["held"].review_items.get().pk)
    found = {
        view: {several_name(several, pk) for pk in listed(rita, f"view={view}")}
        for view in ("all", "breaching", "escalated", "second", "mine", "snoozed")
    }
    assert found == {
        "all": {"plain", "late", "escalated", "held"},
        "breaching": {"late"},
        "escalated": {"escalated"},
        "second": set(),
        "mine": {"held"},
        "snoozed": {"asleep"},
    }
    change(several["blind"], kind="guardrail_failure")


def several_name(several: dict[str, Proposal], pk: str) -> str:
    return next(name for name, proposal in several.items() if proposal.pk == pk)


def test_the_tabs_count_and_stop_counting(
    rita: Client, several: dict[str, Proposal], settings: Settings
) -> None:
    counts = {tab.label: tab.count for tab in rita.get("/queue/").context["tabs"]}
    assert (counts["All"], counts["Running late"], counts["Snoozed"]) == (4, 1, 1)
    settings.QUEUE_COUNT_MAX = 2
    assert "2+" in rita.get("/queue/").text
    change(several["blind"], kind="guardrail_failure")


def test_the_second_approval_is_for_whoever_did_not_give_the_first(
    cast: Cast, rita: Client, rolf: Client, rule: Callable[..., None], propose: Propose
) -> None:
    rule(effect="two_person")
    held = propose()
    assert listed(rolf, "view=second") == []
    decide(cast.rita, held.review_items.get())
    assert listed(rolf, "view=second") == [held.pk]
    assert listed(rita, "view=second") == []
    page = rolf.get("/queue/?view=second").text
    assert "1 of 2" in page
    assert "by rita" not in page
    assert "Waits for another person" in rita.get("/queue/").text


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("order/A-209", True),
        ("ORDER refund-agent", True),
        ("refund.create", True),
        ("order elsewhere", False),
        ("order/A.20931", False),
        ("(((", False),
        ("%%%", False),
    ],
)
def test_it_searches_target_agent_and_action(
    rita: Client, held: Proposal, text: str, is_found: bool
) -> None:
    assert (held.pk in rita.get("/queue/", {"q": text}).text) is is_found


def test_it_finds_ids(rita: Client, held: Proposal) -> None:
    for pk in (held.pk, held.run_id, held.review_items.get().pk):
        assert listed(rita, f"q={pk}") == [held.pk]


def test_a_word_that_is_too_short_says_so_and_filters_nothing(rita: Client, held: Proposal) -> None:
    page = rita.get("/queue/?q=zz").text
    assert "At least three letters." in page
    assert held.pk in page


def test_it_filters_by_team(cast: Cast, rita: Client, several: dict[str, Proposal]) -> None:
    team = teams.create(Actor(cast.ada), "Refunds")
    change(several["plain"], team=team)
    assert listed(rita, f"team={team.slug}") == [several["plain"].pk]
    assert "Refunds" in rita.get("/queue/").text
    change(several["blind"], kind="guardrail_failure")


def test_a_row_says_who_holds_it_and_why_it_is_urgent(
    cast: Cast, rita: Client, held: Proposal
) -> None:
    claims.take(Actor(cast.rolf), held.review_items.get().pk)
    page = rita.get("/queue/").text
    assert "Held by rolf" in page
    assert 'class="grey"' in page
    assert "a rule held it" in page


def test_a_manager_looks_and_selects_nothing(max_: Client, held: Proposal) -> None:
    page = max_.get("/queue/").text
    assert held.pk in page
    assert 'name="ids"' not in page
    assert "Next for you" not in page
    assert max_.post("/queue/next/").status_code == 403
    assert max_.post("/queue/bulk/").status_code == 403


# The open page


def news(client: Client, proposals: list[Proposal], **more: str) -> Any:
    shown = " ".join(proposal.review_items.get().pk for proposal in proposals)
    return client.get("/queue/news/", {"shown": shown} | more, headers=HTMX)


def test_rows_stay_where_they_are_and_say_what_became_of_them(
    cast: Cast, rita: Client, rule: Callable[..., None], propose: Propose
) -> None:
    rule()
    proposals = [propose(target=f"order/{number}") for number in range(3)]
    decide(cast.rolf, proposals[1].review_items.get(), "reject", reason="wrong_value")
    response = news(rita, proposals)
    assert [row.item.proposal_id for row in response.context["rows"].rows] == [
        proposal.pk for proposal in proposals
    ]
    assert "Rejected by rolf" in response.text
    assert "Renew<span" in response.text


def test_new_rows_are_counted_and_not_shown(
    rita: Client, rule: Callable[..., None], propose: Propose
) -> None:
    rule()
    shown, other = propose(target="order/1"), propose(target="order/2")
    change(other, priority=90)
    response = news(rita, [shown])
    assert "1 new" in response.text
    assert other.pk not in response.text


def test_what_follows_on_later_pages_is_not_new(
    rita: Client, rule: Callable[..., None], propose: Propose, settings: Settings
) -> None:
    rule()
    settings.PAGE_SIZE = 5
    proposals = [propose(target=f"order/{number}") for number in range(7)]
    page = rita.get("/queue/")
    until = page.context["rows"].older
    assert news(rita, proposals[:5], until=until).context["new"] == 0
    change(proposals[6], priority=90)
    assert news(rita, proposals[:5], until=until).context["new"] == 1


def test_made_up_rows_are_left_out(rita: Client, held: Proposal) -> None:
    response = rita.get("/queue/news/", {"shown": "x rev_1 <b> \x00", "until": "~"}, headers=HTMX)
    assert response.status_code == 200
    assert list(response.context["rows"].rows) == []


def test_what_the_reader_audits_is_in_no_part_of_it(
    cast: Cast, rita: Client, rolf: Client, held: Proposal
) -> None:
    item = held.review_items.get()
    blind = {"kind": "audit", "run": held.run, "proposal": held, "due_at": item.due_at}
    ReviewItem.objects.create(holder=cast.rita, lease="x", **blind)
    assert listed(rita) == []
    assert listed(rolf) == [held.pk]
    assert list(news(rita, []).context["rows"].rows) == []
    shown = {"shown": item.pk}
    assert item.pk not in rita.get("/queue/news/", shown, headers=HTMX).text
    assert item.pk in rolf.get("/queue/news/", shown, headers=HTMX).text
    assert queue_reads.side_list(cast.rita) == []
    assert queue_reads.side_list(cast.rolf) == [item]


# The next one


def test_next_holds_the_most_urgent_item_and_opens_it(
    cast: Cast, rita: Client, several: dict[str, Proposal]
) -> None:
    response = rita.post("/queue/next/")
    assert response["Location"] == f"/proposals/{several['escalated'].pk}/"
    item = several["escalated"].review_items.get()
    assert (item.holder, item.is_held) == (cast.rita, True)
    change(several["blind"], kind="guardrail_failure")


def test_next_keeps_to_the_filter(rita: Client, several: dict[str, Proposal]) -> None:
    response = rita.post("/queue/next/", {"queue": "view=breaching&q=order"})
    assert response["Location"].startswith(f"/proposals/{several['late'].pk}/?queue=")
    change(several["blind"], kind="guardrail_failure")


def test_next_says_honestly_why_there_is_nothing(
    cast: Cast, rita: Client, held: Proposal, rolf: Client
) -> None:
    def said(query: str = "") -> str:
        return rita.post("/queue/next/", {"queue": query}, follow=True).text

    assert "Nothing fits this filter" in said("kind=escalation")
    claims.take(Actor(cast.rolf), held.review_items.get().pk)
    assert "Nothing for you. 1 held by others, the first comes back in 10 min." in said()
    team = teams.create(Actor(cast.ada), "Refunds")
    change(held, team=team, holder=None, lease_until=None)
    assert "What waits is for other people or teams to decide." in said()
    change(held, team=None)
    assert rita.post("/queue/next/").status_code == 302
    assert "Nothing else for you. You hold 1 already." in said()
    decide(cast.rita, held.review_items.get())
    assert "Nothing waiting. 1 decided today." in said()


# Saved views


def test_a_view_is_saved_opened_changed_and_deleted(
    rita: Client, several: dict[str, Proposal]
) -> None:
    saved = rita.post(
        "/queue/views/", {"name": "Late ones", "query": "view=breaching&q=order"}, follow=True
    )
    assert "Saved." in saved.text
    assert saved.redirect_chain[-1][0] == "/queue/?view=rita%2FLate+ones"
    assert [row.item.proposal_id for row in saved.context["rows"].rows] == [several["late"].pk]
    view = SavedView.objects.get()
    assert f'action="/queue/views/{view.pk}/"' in saved.text
    changed = rita.post(
        f"/queue/views/{view.pk}/",
        {"name": "Everything", "query": "", "is_shared": "on"},
        follow=True,
    )
    assert "Everybody finds it." in changed.text
    assert len(changed.context["rows"].rows) == 4
    assert "Deleted." in rita.post(f"/queue/views/{view.pk}/delete/", follow=True).text
    assert not SavedView.objects.exists()
    change(several["blind"], kind="guardrail_failure")


def test_the_address_goes_before_the_saved_view(
    cast: Cast, rita: Client, several: dict[str, Proposal]
) -> None:
    saved_views.save_view(Actor(cast.rita), name="Late", query="view=breaching&q=order")
    assert listed(rita, "view=rita/Late") == [several["late"].pk]
    assert listed(rita, "view=rita/Late&q=elsewhere") == []
    change(several["blind"], kind="guardrail_failure")


def test_shared_views_are_for_everybody_and_others_for_nobody_else(
    cast: Cast, rolf: Client, held: Proposal
) -> None:
    saved_views.save_view(Actor(cast.rita), name="Shared", query="kind=escalation", is_shared=True)
    saved_views.save_view(Actor(cast.rita), name="Secret", query="kind=escalation")
    page = rolf.get("/queue/").text
    assert "rita: Shared" in page
    assert "Secret" not in page
    assert listed(rolf, "view=rita/Shared") == []
    gone = rolf.get("/queue/?view=rita/Secret").text
    assert "There is no view “rita/Secret” that you can see." in gone
    assert held.pk in gone


def test_a_view_without_a_name_is_not_saved(rita: Client, db: None) -> None:
    page = rita.post("/queue/views/", {"name": " ", "query": "q=order"}, follow=True)
    assert "Not saved. Give the view a name" in page.text
    assert page.redirect_chain[-1][0] == "/queue/?q=order"


def test_a_form_leads_nowhere_else(rita: Client, db: None) -> None:
    for query in ("//evil.example/", "view=all&next=//evil.example", "x" * 5_000):
        response = rita.post("/queue/views/", {"name": "", "query": query})
        assert response["Location"].startswith("/queue/")
        assert "evil" not in response["Location"]
