"""Deciding in the browser: with htmx, without it, too late, twice, and wrongly."""

import pytest
from django.test import Client

from orchestrator.models import Decision, Effect, Proposal
from tests.conftest import PASSWORD, Cast
from tests.web.conftest import HTMX, form_for


def url_of(proposal: Proposal) -> str:
    return f"/proposals/{proposal.pk}/decide/"


def let_go(proposal: Proposal) -> None:
    """As if the lease had run out."""
    proposal.review_items.update(lease_until=None)


def test_it_approves_without_javascript(rita: Client, held: Proposal) -> None:
    response = rita.post(url_of(held), form_for(held), follow=True)
    assert response.redirect_chain == [(f"/proposals/{held.pk}/", 302)]
    assert "Approved." in response.text
    assert Effect.objects.get().decision == Decision.objects.get()


def test_it_approves_in_place(rita: Client, held: Proposal) -> None:
    response = rita.post(url_of(held), form_for(held), headers=HTMX)
    assert response.status_code == 200
    assert response.text.lstrip().startswith('<section id="outcome"')
    assert 'data-announce="Approved."' in response.text
    assert "Accepted, about to run" in response.text
    assert "will run" not in response.text


def test_what_follows_from_a_decision_comes_a_moment_later(rita: Client, held: Proposal) -> None:
    rita.post(url_of(held), form_for(held), headers=HTMX)
    news = rita.get(f"/proposals/{held.pk}/outcome/", headers=HTMX | {"HX-PTag": ""}).text
    assert "<b>1</b> decided today" in news
    assert "Approved by rita" in news
    assert 'hx-target="#matter"' in news


def test_it_rejects_with_a_reason(cast: Cast, rita: Client, held: Proposal) -> None:
    form = form_for(held, "reject", reason="wrong_value", note="should be 18.40")
    page = rita.post(url_of(held), form, headers=HTMX).text
    assert "Rejected. Nothing runs." in page
    assert "Wrong value" in page
    assert "should be 18.40" in page
    assert not Effect.objects.exists()
    assert Decision.objects.get().reviewer == cast.rita


def test_the_second_is_told_who_won_and_keeps_the_text(
    rita: Client, rolf: Client, held: Proposal
) -> None:
    late = form_for(held, "reject", "rolf", reason="wrong_value", note="my <b>long</b> note")
    let_go(held)
    rita.post(url_of(held), form_for(held))
    response = rolf.post(url_of(held), late, headers=HTMX)
    assert response.status_code == 409
    assert response["HX-Retarget"] == "#decide"
    assert "rita was first: approved" in response.text
    assert "my &lt;b&gt;long&lt;/b&gt; note" in response.text
    assert "Your decision was not recorded." in response.text
    assert Decision.objects.count() == 1


def test_the_second_is_told_without_javascript_too(
    rita: Client, rolf: Client, held: Proposal
) -> None:
    late = form_for(held, who="rolf")
    let_go(held)
    rita.post(url_of(held), form_for(held))
    response = rolf.post(url_of(held), late)
    assert response.status_code == 409
    assert "rita was first" in response.text
    assert "<html" in response.text


def test_an_older_version_is_refused(rita: Client, held: Proposal) -> None:
    held.review_items.update(version=4)
    response = rita.post(url_of(held), form_for(held, version=3), headers=HTMX)
    assert response.status_code == 409
    assert "you saw version 3, it is now 4" in response.text


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"version": ""}, "version: This field is required."),
        ({"version": "x"}, "version: Enter a whole number."),
        ({"verdict": "maybe"}, "verdict: Select a valid choice."),
        ({"idempotency_key": ""}, "idempotency_key: This field is required."),
        ({"verdict": "reject"}, "reason: say why: choose one of the reasons."),
        ({"verdict": "reject", "reason": "because"}, "reason: say why: choose one of the reasons."),
        ({"lease": ""}, "lease: This field is required."),
        ({"confirmation": ""}, "confirmation: This field is required."),
        ({"confirmation": "f" * 64}, "confirmation: it is not for what this item says"),
        ({"verdict": "reject", "reason": "other"}, "note: the reason is “"),
        ({"note": "x" * 5_001}, "note: Ensure this value has at most 5000 characters"),
        ({"note": "a\x00b"}, "note: Null characters are not allowed."),
        ({"item": "rev_00000000000000000000000000"}, "item: it belongs to another page."),
    ],
)
def test_it_refuses_what_it_does_not_understand(
    rita: Client, held: Proposal, changes: dict[str, str], problem: str
) -> None:
    response = rita.post(url_of(held), form_for(held, **changes), headers=HTMX)
    assert response.status_code == 422
    assert problem in response.text
    assert "Not decided." in response.text
    assert not Decision.objects.exists()


def test_what_was_written_survives_a_refusal(rita: Client, held: Proposal) -> None:
    form = form_for(held, "reject", note="still thinking")
    page = rita.post(url_of(held), form, headers=HTMX).text
    assert "still thinking</textarea>" in page


def test_the_same_click_twice_is_one_decision(rita: Client, held: Proposal) -> None:
    form = form_for(held)
    assert rita.post(url_of(held), form, headers=HTMX).status_code == 200
    assert rita.post(url_of(held), form, headers=HTMX).status_code == 200
    assert Decision.objects.count() == 1


def test_nobody_decides_what_their_own_token_proposed(
    cast: Cast, rita: Client, held: Proposal
) -> None:
    form = form_for(held)
    token = held.token
    assert token is not None
    token.owner = cast.rita
    token.save()
    held.review_items.update(asked_by=cast.rita)
    assert "somebody else must decide" in rita.get(f"/proposals/{held.pk}/").text
    response = rita.post(url_of(held), form, headers=HTMX)
    assert response.status_code == 403
    assert not Decision.objects.exists()


def test_an_unknown_proposal_is_not_found(rita: Client, held: Proposal) -> None:
    assert (
        rita.post("/proposals/prp_01m7y6s13re5jaj1bm3y35bmxv/decide/", form_for(held)).status_code
        == 404
    )


def test_an_unknown_proposal_is_not_reopened(rita: Client, held: Proposal) -> None:
    nothing = "prp_01m7y6s13re5jaj1bm3y35bmxv"
    answer = rita.post(f"/proposals/{nothing}/reopen/", {"note": "Look again."})
    assert answer.status_code == 404


def test_it_needs_the_csrf_token(cast: Cast, held: Proposal) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(cast.rita)
    response = strict.post(url_of(held), form_for(held))
    assert response.status_code == 403
    assert "Nothing was changed." in response.text
    fragment = strict.post(url_of(held), form_for(held), headers=HTMX)
    assert fragment["HX-Retarget"] == "#notice"
    assert b"<html" not in fragment.content
    assert not Decision.objects.exists()


def test_the_header_alone_is_enough_for_csrf(cast: Cast, held: Proposal) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(cast.rita)
    page = strict.get(f"/proposals/{held.pk}/")
    cookie = page.cookies[page.context["page"].csrf_cookie].value
    response = strict.post(url_of(held), form_for(held), headers=HTMX | {"X-CSRFToken": cookie})
    assert response.status_code == 200


def test_signing_in_with_the_csrf_token_works(cast: Cast) -> None:
    strict = Client(enforce_csrf_checks=True)
    page = strict.get("/login/")
    token = page.context["csrf_token"]
    form = {"username": "rita", "password": PASSWORD, "csrfmiddlewaretoken": str(token)}
    assert strict.post("/login/", form)["Location"] == "/"
