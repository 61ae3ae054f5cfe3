"""Taking an item, keeping it and losing it; handing it on, putting it off, talking about it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from orchestrator.actions import teams
from orchestrator.actions.actor import Actor
from orchestrator.models import Comment, Decision, Proposal, ReviewItem
from tests.conftest import Cast
from tests.web.conftest import HTMX, form_for

APPROVE = 'data-key="a"'


def at(proposal: Proposal, act: str = "") -> str:
    return f"/proposals/{proposal.pk}/{act}"


def item_of(proposal: Proposal) -> ReviewItem:
    return proposal.review_items.get()


def take(client: Client, proposal: Proposal) -> str:
    """The lease, as the page has it."""
    client.post(at(proposal, "claim/"), {"item": item_of(proposal).pk})
    return item_of(proposal).lease


def test_opening_by_link_holds_nothing(rita: Client, held: Proposal) -> None:
    page = rita.get(at(held)).text
    assert "Take it" in page
    assert APPROVE not in page
    assert 'name="confirmation"' not in page
    assert item_of(held).holder is None


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_whoever_takes_it_gets_the_forms(
    rita: Client, held: Proposal, headers: dict[str, str]
) -> None:
    form = {"item": item_of(held).pk}
    assert rita.post(at(held, "claim/"), form, headers=headers).status_code in {200, 302}
    page = rita.get(at(held)).text
    assert "Held by you for" in page
    assert APPROVE in page
    assert f'name="lease" value="{item_of(held).lease}"' in page


def test_others_see_who_has_it(rita: Client, rolf: Client, held: Proposal) -> None:
    take(rita, held)
    page = rolf.get(at(held)).text
    assert "Held by <b>rita</b>" in page
    assert "Take it" not in page
    response = rolf.post(at(held, "claim/"), {"item": item_of(held).pk}, headers=HTMX)
    assert response.status_code == 409
    assert "rita has it now" in response.text


def test_who_may_not_decide_is_told_who_may(
    cast: Cast, rita: Client, max_: Client, held: Proposal
) -> None:
    assert "Deciding needs the role reviewer or admin." in max_.get(at(held)).text
    money = teams.create(Actor(cast.ada), "Money")
    teams.set_members(Actor(cast.ada), money.slug, add=["rolf"])
    held.review_items.update(team=money)
    assert "It is for Money to decide: rolf." in rita.get(at(held)).text
    form = {"item": item_of(held).pk}
    assert rita.post(at(held, "claim/"), form, headers=HTMX).status_code == 403


def test_a_sign_of_life_begins_the_lease_anew(rita: Client, held: Proposal) -> None:
    lease = take(rita, held)
    soon = timezone.now() + timedelta(minutes=1)
    held.review_items.update(lease_until=soon)
    form = {"item": item_of(held).pk, "lease": lease}
    assert rita.post(at(held, "keep/"), form).status_code == 204
    until = item_of(held).lease_until
    assert until is not None
    assert until > soon
    chip = rita.post(at(held, "keep/"), form, headers=HTMX).text
    assert 'id="lease"' in chip


def test_a_lost_hold_is_noticed_by_the_sign_of_life_and_by_the_page(
    rita: Client, rolf: Client, held: Proposal
) -> None:
    lease = take(rita, held)
    held.review_items.update(lease_until=None)
    take(rolf, held)
    form = {"item": item_of(held).pk, "lease": lease}
    lost = rita.post(at(held, "keep/"), form, headers=HTMX)
    assert lost.status_code == 409
    assert lost["HX-Retarget"] == "#decide"
    news = rita.get(at(held, "outcome/?held=1"), headers=HTMX)
    for answer in (lost, news):
        assert "Your hold ended." in answer.text
        assert "rolf has it." in answer.text
        assert APPROVE not in answer.text


def test_news_leave_the_form_of_whoever_holds_it_alone(rita: Client, held: Proposal) -> None:
    take(rita, held)
    news = rita.get(at(held, "outcome/?held=1"), headers=HTMX).text
    assert 'id="outcome"' in news
    assert 'id="decide"' not in news


@pytest.mark.parametrize("act", ["release/", "keep/", "escalate/", "snooze/"])
def test_what_cannot_be_stored_is_no_accident(rita: Client, held: Proposal, act: str) -> None:
    take(rita, held)
    zero = "a\x00b"
    sent = {"lease": zero, "reason": zero, "note": "x", "until": zero, "at": zero}
    answer = rita.post(at(held, act), {"item": item_of(held).pk} | sent)
    assert answer.status_code in {302, 409, 422}
    assert item_of(held).is_waiting


def test_no_team_has_such_a_name(max_: Client, held: Proposal) -> None:
    answer = max_.post(at(held, "assign/"), {"item": item_of(held).pk, "team": "a\x00b"})
    assert answer.status_code == 404


def test_it_is_released(rita: Client, held: Proposal) -> None:
    form = {"item": item_of(held).pk, "lease": take(rita, held)}
    page = rita.post(at(held, "release/"), form, headers=HTMX).text
    assert "Take it" in page
    assert item_of(held).holder is None


def test_a_decision_of_somebody_who_lost_it_is_refused(
    rita: Client, rolf: Client, held: Proposal
) -> None:
    form = form_for(held, "reject", reason="wrong_value", note="my words")
    held.review_items.update(lease_until=None)
    take(rolf, held)
    response = rita.post(at(held, "decide/"), form, headers=HTMX)
    assert response.status_code == 409
    assert "rolf has it now" in response.text
    assert "my words" in response.text
    assert not Decision.objects.exists()


def test_it_is_escalated_with_a_reason(rita: Client, held: Proposal) -> None:
    take(rita, held)
    form = {"item": item_of(held).pk, "verdict": "escalate", "note": "Too large for me."}
    refused = rita.post(at(held, "escalate/"), form, headers=HTMX)
    assert refused.status_code == 422
    assert "Too large for me.</textarea>" in refused.text
    done = rita.post(at(held, "escalate/"), form | {"reason": "missing_evidence"}, headers=HTMX)
    assert done.status_code == 200
    assert item_of(held).escalated_at is not None


@pytest.mark.parametrize(
    ("choice", "wakes_on"), [("1h", ""), ("4h", ""), ("comment", "comment"), ("run", "run")]
)
def test_it_sleeps_until_then(rita: Client, held: Proposal, choice: str, wakes_on: str) -> None:
    take(rita, held)
    form = {"item": item_of(held).pk, "for": choice}
    assert "Snoozed until" in rita.post(at(held, "snooze/"), form, headers=HTMX).text
    item = item_of(held)
    assert item.is_asleep
    assert item.wakes_on == wakes_on
    rita.post(at(held, "wake/"), {"item": item.pk})
    assert not item_of(held).is_asleep


def test_the_time_to_sleep_is_read_in_the_readers_zone(rita: Client, held: Proposal) -> None:
    rita.cookies["tz"] = "Asia/Tokyo"
    wanted = (timezone.now() + timedelta(hours=3)).replace(second=0, microsecond=0)
    text = (wanted + timedelta(hours=9)).strftime("%Y-%m-%dT%H:%M")
    form = {"item": item_of(held).pk, "for": "at", "at": text}
    assert rita.post(at(held, "snooze/"), form).status_code == 302
    assert item_of(held).snoozed_until == wanted


@pytest.mark.parametrize(
    "sent", [{}, {"for": "x"}, {"for": "at"}, {"for": "at", "at": "2026-13-99"}]
)
def test_a_time_that_is_none_is_refused(rita: Client, held: Proposal, sent: dict[str, str]) -> None:
    form = {"item": item_of(held).pk} | sent
    assert rita.post(at(held, "snooze/"), form, headers=HTMX).status_code == 422


def test_a_comment_marks_people_and_nothing_else(cast: Cast, max_: Client, held: Proposal) -> None:
    text = "@rolf, @nobody: <b>look</b> at a@rita.example"
    form = {"item": item_of(held).pk, "text": text}
    page = max_.post(at(held, "comment/"), form, headers=HTMX).text
    assert '<b class="mention">@rolf</b>' in page
    assert page.count('class="mention"') == 1
    assert "&lt;b&gt;look&lt;/b&gt;" in page
    assert Comment.objects.get().text == text


def test_an_empty_comment_is_refused(rita: Client, held: Proposal) -> None:
    form = {"item": item_of(held).pk, "text": " "}
    for headers in ({}, HTMX):
        response = rita.post(at(held, "comment/"), form, headers=headers)
        assert response.status_code == 422
        assert "Not said." in response.text


def test_managers_hand_it_on(cast: Cast, max_: Client, rita: Client, held: Proposal) -> None:
    money = teams.create(Actor(cast.ada), "Money")
    teams.set_members(Actor(cast.ada), money.slug, add=["rolf"])
    form = {"item": item_of(held).pk, "team": money.slug}
    assert 'name="team"' in max_.get(at(held)).text
    assert rita.post(at(held, "assign/"), form).status_code == 403
    assert max_.post(at(held, "assign/"), form).status_code == 302
    assert item_of(held).team == money


ACTS = ("claim", "release", "keep", "escalate", "snooze", "wake", "comment", "decide")


@pytest.mark.parametrize("act", ACTS)
def test_items_of_other_pages_are_refused(
    rita: Client, held: Proposal, propose: Callable[..., Proposal], act: str
) -> None:
    other = propose(target="order/B-3")
    form = form_for(other, text="x")
    response = rita.post(at(held, f"{act}/"), form, headers=HTMX)
    assert response.status_code == 422
    assert act == "keep" or "it belongs to another page" in response.text
