"""Pages of teams: load, members, what is theirs, and moving what waits."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from orchestrator.actions import teams
from orchestrator.actions.actor import Actor
from orchestrator.models import Assignment, AuditEntry, Proposal, ReviewItem, Team
from review.context import SETTINGS
from tests.conftest import Cast

LIST, PAGE = "/settings/teams/", "/settings/teams/refunds/"
CHANGE, MOVE = f"{PAGE}change/", f"{PAGE}move/"
HOSTILE = "<script>alert(1)</script>\u202e"


@pytest.fixture
def refunds(cast: Cast) -> Team:
    """Rita's team."""
    actor = Actor(cast.max)
    return teams.set_members(actor, teams.create(actor, "Refunds").slug, add=["rita"])


@pytest.fixture
def payments(cast: Cast) -> Team:
    """Rolf's team."""
    actor = Actor(cast.max)
    return teams.set_members(actor, teams.create(actor, "Payments").slug, add=["rolf"])


@pytest.fixture
def waiting(
    refunds: Team, rule: Callable[..., None], propose: Callable[..., Proposal]
) -> list[ReviewItem]:
    """Three refunds that wait for the team."""
    rule()
    for number in range(3):
        propose(target=f"order/{number}")
    ReviewItem.objects.update(team=refunds)
    return list(ReviewItem.objects.order_by("pk"))


def words(page: str) -> str:
    return re.sub(r"(<[^>]+>|\s)+", " ", page)


def ticked(page: str) -> int:
    return len(re.findall(r'<input [^>]*name="item"[^>]* checked>', page))


def step(name: str, /, **sent: str) -> dict[str, str]:
    return {"step": name, **sent}


# The way there --------------------------------------------------------------------------------


def test_settings_begin_with_the_first_page_that_the_reader_may_open(
    ada: Client, max_: Client, rita: Client, client: Client
) -> None:
    assert ada.get("/settings/")["Location"] == reverse(SETTINGS[0].name)
    assert max_.get("/settings/")["Location"] == LIST
    refusal = rita.get("/settings/")
    assert refusal.status_code == 403
    assert "admin or manager" in words(refusal.text)
    assert client.get("/settings/")["Location"] == "/login/?next=/settings/"


def test_the_navigation_names_what_the_reader_may_open(
    ada: Client, max_: Client, rita: Client
) -> None:
    assert '<a href="/settings/"' in ada.get(LIST).text
    assert '<a href="/settings/"' not in rita.get("/queue/").text
    assert "/settings/reasons/" in ada.get(LIST).text
    page = max_.get(LIST).text
    assert "/settings/reasons/" not in page
    assert re.search(rf'<a href="{LIST}" aria-current="page">', page)


@pytest.mark.parametrize("path", [LIST, PAGE, MOVE, f"{LIST}move/"])
def test_reviewers_do_not_open_them(refunds: Team, rita: Client, path: str) -> None:
    assert rita.get(path).status_code == 403


def test_reviewers_change_nothing(refunds: Team, rita: Client) -> None:
    assert rita.post(LIST, {"name": "Mine"}).status_code == 403
    assert rita.post(CHANGE, step("add", add="rolf")).status_code == 403
    assert rita.post(MOVE, {"to": "", "item": "x"}).status_code == 403
    assert Team.objects.count() == 1


# The list -------------------------------------------------------------------------------------


def test_an_empty_list_says_what_teams_are_for(max_: Client) -> None:
    page = words(max_.get(LIST).text)
    assert "No teams yet" in page
    assert "Add team" in page


def test_the_list_shows_load(
    refunds: Team, payments: Team, waiting: list[ReviewItem], cast: Cast, max_: Client
) -> None:
    hour = timedelta(hours=1)
    first, _, third = (one.pk for one in waiting)
    ReviewItem.objects.filter(pk=first).update(
        holder=cast.rita,
        lease_until=timezone.now() + hour,
        due_at=timezone.now() - hour,
        created_at=timezone.now() - 3 * hour,
    )
    ReviewItem.objects.filter(pk=third).update(team=None)
    teams.assign_to_team(Actor(cast.max), "rule", "refund-limit", "refunds")
    response = max_.get(LIST)
    assert [line.team.slug for line in response.context["lines"]] == ["payments", "refunds"]
    line = response.context["lines"][1]
    assert (line.load.waiting, line.load.held, line.load.overdue) == (2, 1, 1)
    assert (line.waiting.share, response.context["unowned"].waiting.share) == (100.0, 50.0)
    page = words(response.text)
    assert "Refunds 1 member rule refund-limit 2 waiting 1 held 1 overdue oldest 3h" in page
    assert "No team whoever may decide everything else 1 waiting" in page


def test_it_names_a_team_in_which_nobody_may_decide(
    refunds: Team, waiting: list[ReviewItem], cast: Cast, max_: Client
) -> None:
    cast.rita.is_active = False
    cast.rita.save()
    assert "nobody in it may decide" in max_.get(LIST).text
    page = words(max_.get(PAGE).text)
    assert "Nobody in Refunds may decide." in page
    assert "rita may not decide any more" in page


def test_many_are_counted_up_to_the_limit(
    refunds: Team, waiting: list[ReviewItem], max_: Client, settings: Settings
) -> None:
    settings.QUEUE_COUNT_MAX = 2
    assert "2+ waiting" in words(max_.get(LIST).text)
    assert "2+ waiting" in words(max_.get(PAGE).text)


def test_a_team_is_added(max_: Client) -> None:
    response = max_.post(LIST, {"name": "Refunds"}, follow=True)
    assert response.redirect_chain == [(PAGE, 302)]
    assert "Refunds is there. Next, say who is in it." in words(response.text)
    assert AuditEntry.objects.filter(verb="team.created").exists()


@pytest.mark.parametrize(
    ("name", "problem"),
    [("", "This field is required"), ("refunds", "another team is called that")],
)
def test_a_name_that_cannot_be_is_told_beside_its_field(
    refunds: Team, max_: Client, name: str, problem: str
) -> None:
    response = max_.post(LIST, {"name": name})
    assert response.status_code == 422
    assert "<title>Error: " in response.text
    assert f'value="{name}"' in response.text or not name
    assert response.text.count(problem) == 2
    assert 'href="#id_name"' in response.text


def test_pages_cost_the_same_for_any_number_of_teams(
    cast: Cast,
    waiting: list[ReviewItem],
    max_: Client,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(10):
        slug = teams.create(Actor(cast.max), f"Team {number}").slug
        teams.set_members(Actor(cast.max), slug, add=["rita"])
        teams.assign_to_team(Actor(cast.max), "action", f"action.{number}", slug)
    max_.get(LIST)
    for path in (LIST, PAGE, MOVE):
        with django_assert_max_num_queries(28):
            max_.get(path)


# One team -------------------------------------------------------------------------------------


def test_members_come_and_go(refunds: Team, max_: Client) -> None:
    response = max_.post(CHANGE, step("add", add="rolf"), follow=True)
    assert "rolf is in it now." in words(response.text)
    assert [name for name, _ in response.context["members"]] == ["rita", "rolf"]
    offered = re.findall(
        r'<option value="(\w*)"', response.text.split('id="add-add"')[1].split("</select>")[0]
    )
    assert offered == ["", "ada"]
    response = max_.post(CHANGE, step("remove", remove="rita"), follow=True)
    assert [name for name, _ in response.context["members"]] == ["rolf"]


def test_who_may_not_decide_is_refused_beside_the_field(refunds: Team, max_: Client) -> None:
    response = max_.post(CHANGE, step("add", add="max"))
    assert response.status_code == 422
    assert response.text.count("max may not decide, so cannot be in a team.") == 2
    assert 'href="#add-add"' in response.text
    assert max_.post(CHANGE, step("add", add="")).status_code == 422


def test_what_it_decides_comes_and_goes(refunds: Team, payments: Team, max_: Client) -> None:
    sent = step("assign", kind="action", name="refund.create")
    page = words(max_.post(CHANGE, sent, follow=True).text)
    assert "From now on it decides the action refund.create." in page
    assert "Take away the action refund.create" in page
    max_.post(f"{LIST}payments/change/", sent)
    assert Assignment.objects.get().team == payments
    max_.post(CHANGE, step("unassign", kind="action", name="refund.create"))
    assert not Assignment.objects.exists()


def test_a_rule_that_is_not_there_is_refused(refunds: Team, max_: Client) -> None:
    response = max_.post(CHANGE, step("assign", kind="rule", name="nope"))
    assert response.status_code == 422
    assert 'href="#assign-name"' in response.text
    assert "there is no rule nope." in response.text
    assert 'value="nope"' in response.text


def test_names_are_suggested(
    refunds: Team, rule: Callable[..., None], propose: Callable[..., Proposal], max_: Client
) -> None:
    rule()
    propose()
    page = max_.get(PAGE).text
    assert '<option value="refund-limit">rule</option>' in page
    assert '<option value="default">workflow</option>' in page


def test_escalation_is_set_and_a_circle_refused(
    refunds: Team, payments: Team, max_: Client
) -> None:
    page = words(max_.post(CHANGE, step("escalate", escalates_to="payments"), follow=True).text)
    assert "What it hands on goes to Payments." in page
    assert "Escalates to this team: Refunds" in words(max_.get(f"{LIST}payments/").text)
    response = max_.post(f"{LIST}payments/change/", step("escalate", escalates_to="refunds"))
    assert response.status_code == 422
    assert "come back: Payments → Refunds → Payments" in response.text
    page = words(max_.post(CHANGE, step("escalate"), follow=True).text)
    assert "What it hands on stays with it." in page


def test_it_is_renamed(refunds: Team, payments: Team, max_: Client) -> None:
    assert "It is called Returns now." in words(
        max_.post(CHANGE, step("rename", name="Returns"), follow=True).text
    )
    response = max_.post(CHANGE, step("rename", name="payments"))
    assert (response.status_code, 'href="#rename-name"' in response.text) == (422, True)


def test_it_is_retired_when_nothing_rests_on_it(
    refunds: Team, waiting: list[ReviewItem], max_: Client
) -> None:
    response = max_.post(CHANGE, step("retire"))
    assert response.status_code == 409
    assert "3 items waiting for it. Nothing was changed" in words(response.text)
    assert '<details class="fold" open>' in response.text
    ReviewItem.objects.update(team=None)
    page = words(max_.post(CHANGE, step("retire"), follow=True).text)
    assert "Refunds is retired." in page
    assert "It is given nothing new" in page
    assert "Refunds" not in [line.team.name for line in max_.get(LIST).context["lines"]]
    response = max_.post(CHANGE, step("rename", name="x"))
    assert (response.status_code, "no team refunds" in response.text) == (422, True)


@pytest.mark.parametrize("sent", [{}, {"step": "nope"}])
def test_other_steps_are_not_found(refunds: Team, max_: Client, sent: dict[str, str]) -> None:
    assert max_.post(CHANGE, sent).status_code == 404


def test_other_teams_are_not_found(max_: Client) -> None:
    for path in ("nope/", "nope/move/"):
        assert max_.get(LIST + path).status_code == 404
    assert max_.post(f"{LIST}nope/change/", step("retire")).status_code == 404


def test_a_hostile_name_is_only_text(cast: Cast, max_: Client) -> None:
    team = teams.create(Actor(cast.max), HOSTILE)
    for path in (LIST, f"{LIST}{team.slug}/", f"{LIST}{team.slug}/move/"):
        page = max_.get(path).text
        assert "<script>alert" not in page
        assert "\u202e" not in page.split("<h1>")[1].split("</h1>")[0]


# Moving what waits ----------------------------------------------------------------------------


def test_moving_counts_first(
    refunds: Team, payments: Team, waiting: list[ReviewItem], max_: Client
) -> None:
    page = max_.get(MOVE)
    assert ticked(page.text) == 3
    sent = {"to": "payments", "item": [waiting[0].pk, waiting[1].pk]}
    response = max_.post(MOVE, sent)
    assert "Move 2 items to Payments ?" in words(response.text)
    assert ReviewItem.objects.filter(team=refunds).count() == 3
    response = max_.post(MOVE, sent | {"confirmed": "1"}, follow=True)
    assert response.redirect_chain == [(PAGE, 302)]
    assert "2 items moved to Payments." in words(response.text)
    assert ReviewItem.objects.filter(team=payments).count() == 2
    assert AuditEntry.objects.filter(verb="review_item.assigned").count() == 2


def test_what_somebody_holds_is_not_ticked_and_told(
    refunds: Team, payments: Team, waiting: list[ReviewItem], cast: Cast, max_: Client
) -> None:
    held = waiting[0]
    ReviewItem.objects.filter(pk=held.pk).update(
        holder=cast.rita, lease="x", lease_until=timezone.now() + timedelta(minutes=5)
    )
    page = max_.get(MOVE)
    assert [item.pk for item, is_ticked in page.context["rows"] if not is_ticked] == [held.pk]
    sent = {"to": "payments", "item": [one.pk for one in waiting]}
    assert "taken out of somebody’s hands: rita 1" in words(max_.post(MOVE, sent).text)
    max_.post(MOVE, sent | {"confirmed": "1"})
    held.refresh_from_db()
    assert (held.team, held.holder) == (payments, None)


def test_made_up_items_are_not_moved(refunds: Team, payments: Team, max_: Client) -> None:
    answer = max_.post(MOVE, {"to": "payments", "item": ["a\x00b", "rev_1"]})
    assert answer.status_code == 422
    assert "tick at least one" in answer.text.lower()


def test_what_is_gone_meanwhile_stays_where_it_is(
    refunds: Team, payments: Team, waiting: list[ReviewItem], max_: Client
) -> None:
    gone, other, _ = waiting
    ReviewItem.objects.filter(pk=gone.pk).update(status="decided", closed_at=timezone.now())
    ReviewItem.objects.filter(pk=other.pk).update(team=None)
    sent = {"to": "payments", "item": [one.pk for one in waiting]}
    page = words(max_.post(MOVE, sent).text)
    assert "Move 1 item to Payments ?" in page
    assert "decided, or moved, since the list was made 2" in page
    max_.post(MOVE, sent | {"confirmed": "1"})
    other.refresh_from_db()
    assert other.team is None


def test_what_no_team_has_is_given_to_one(
    refunds: Team, waiting: list[ReviewItem], max_: Client
) -> None:
    ReviewItem.objects.update(team=None)
    path = f"{LIST}move/"
    assert "Give what no team has to one" in words(max_.get(path).text)
    sent = {"to": "refunds", "item": [waiting[0].pk], "confirmed": "1"}
    assert max_.post(path, sent)["Location"] == LIST
    assert ReviewItem.objects.filter(team=refunds).count() == 1
    max_.post(MOVE, {"to": "no-team", "item": [waiting[0].pk], "confirmed": "1"})
    assert not ReviewItem.objects.filter(team=refunds).exists()


@pytest.mark.parametrize(
    ("to", "count", "problem"),
    [
        ("payments", 0, "tick at least one"),
        ("payments", 3, "at most 2 are moved at once"),
        ("refunds", 1, "they are there already"),
        ("nope", 1, "there is no team nope in use"),
        ("", 1, "This field is required"),
    ],
)
def test_what_cannot_be_moved_is_told_and_stays_ticked(
    max_: Client,
    settings: Settings,
    *,
    refunds: Team,
    payments: Team,
    waiting: list[ReviewItem],
    to: str,
    count: int,
    problem: str,
) -> None:
    settings.BULK_MAX = 2
    sent = {"to": to, "item": [one.pk for one in waiting[:count]]}
    for more in ({}, {"confirmed": "1"}):
        response = max_.post(MOVE, sent | more)
        assert response.status_code == 422
        assert problem in response.text
        assert ticked(response.text) == min(count, 2)
    assert ReviewItem.objects.filter(team=refunds).count() == 3


def test_the_most_urgent_are_listed_where_there_are_many(
    refunds: Team, waiting: list[ReviewItem], max_: Client, settings: Settings
) -> None:
    settings.BULK_MAX = 2
    page = words(max_.get(MOVE).text)
    assert "3 waiting. Below are the 2 most urgent" in page


def test_an_empty_team_has_nothing_to_move(refunds: Team, max_: Client) -> None:
    assert "Nothing waits here" in max_.get(MOVE).text
