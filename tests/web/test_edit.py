"""Editing what is proposed: types are kept, the rules look again, and nothing runs by it."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from orchestrator.core.codec import canonical
from orchestrator.models import Decision, Effect, Proposal
from tests import deciding
from tests.web.sent_form import sent

Propose = Callable[..., Proposal]
ARGS = {
    "amount_minor": 184_000,
    "currency": "EUR",
    "code": "5",
    "ratio": 0.5,
    "express": True,
    "big": 9_007_199_254_740_993,
    "lines": [{"sku": "A-1", "count": 2}],
}


@pytest.fixture
def held(rule: Callable[..., None], propose: Propose) -> Proposal:
    rule()
    return propose(args=ARGS)


def url_of(proposal: Proposal) -> str:
    return f"/proposals/{proposal.pk}/edit/"


def take(proposal: Proposal) -> None:
    deciding.look(User.objects.get(username="rita"), proposal.review_items.get())


def open_form(client: Client, proposal: Proposal) -> dict[str, Any]:
    """Every field that the page would send, as it stands."""
    take(proposal)
    page = client.get(url_of(proposal)).text
    form = page.partition('<form class="review')[2].partition("</form>")[0]
    return {**sent(form), "reason": "wrong_value"}


def arg(form: dict[str, Any], page: str, name: str) -> str:
    """The field of an argument, by its label."""
    found = re.search(
        rf'<label for="(arg[^"]*)"[^>]*>(?:(?!</label>).)*\b{name}\b', page, re.DOTALL
    )
    assert found, name
    return found[1]


def edit(client: Client, proposal: Proposal, **changes: str) -> Any:
    form = open_form(client, proposal)
    page = client.get(url_of(proposal)).text
    form |= {arg(form, page, name): text for name, text in changes.items()}
    return client.post(url_of(proposal), form)


def test_it_replaces_the_proposal_and_keeps_every_type(rita: Client, held: Proposal) -> None:
    response = edit(rita, held, amount_minor="150000")
    revision = Proposal.objects.get(revises=held)
    assert response["Location"] == f"/proposals/{revision.pk}/"
    assert revision.args == ARGS | {"amount_minor": 150_000}
    assert canonical(revision.args) == canonical(ARGS | {"amount_minor": 150_000})
    assert not Effect.objects.exists()
    held.refresh_from_db()
    assert held.status == "superseded"


def test_the_editor_sees_old_and_new_and_holds_it(rita: Client, held: Proposal) -> None:
    page = rita.get(edit(rita, held, amount_minor="150000")["Location"]).text
    assert "Revision 2 replaces 1" in page
    assert "Edited by <b>rita</b>" in page
    assert "184,000" in page
    assert "150,000" in page
    assert "Held by you" in page
    assert 'data-key="a"' in page
    old = rita.get(f"/proposals/{held.pk}/").text
    assert "Revision 2 replaces this one." in old
    assert 'data-key="a"' not in old


def test_the_rules_look_again(rita: Client, held: Proposal) -> None:
    edit(rita, held, amount_minor="51000")
    revision = Proposal.objects.get(revises=held)
    assert revision.status == "in_review"
    assert "the amount 51000 is over 50000" in rita.get(f"/proposals/{revision.pk}/").text


@pytest.mark.parametrize("typed", ["12.5", "many", ""])
def test_what_does_not_fit_is_said_beside_its_field(
    rita: Client, held: Proposal, typed: str
) -> None:
    response = edit(rita, held, amount_minor=typed)
    assert response.status_code == 422
    assert "Nothing was changed yet." in response.text
    assert not Proposal.objects.filter(revises=held).exists()


def test_nothing_changed_is_no_edit(rita: Client, held: Proposal) -> None:
    response = edit(rita, held)
    assert response.status_code == 422
    assert "nothing was changed" in response.text


def test_it_needs_a_reason(rita: Client, held: Proposal) -> None:
    form = open_form(rita, held)
    page = rita.get(url_of(held)).text
    form |= {arg(form, page, "amount_minor"): "150000", "reason": "", "note": "my words"}
    response = rita.post(url_of(held), form)
    assert response.status_code == 422
    assert "choose one of the reasons" in response.text
    assert "my words</textarea>" in response.text
    assert 'value="150000"' in response.text


def test_it_is_for_whoever_holds_it(rita: Client, rolf: Client, held: Proposal) -> None:
    assert rita.get(url_of(held))["Location"] == f"/proposals/{held.pk}/"
    form = open_form(rita, held)
    page = rita.get(url_of(held)).text
    field = arg(form, page, "amount_minor")
    held.review_items.update(lease_until=None)
    deciding.look(User.objects.get(username="rolf"), held.review_items.get())
    response = rita.post(url_of(held), form | {field: "150000"})
    assert response.status_code == 409
    assert "rolf has it now." in response.text
    assert 'value="150000"' in response.text
    assert not Proposal.objects.filter(revises=held).exists()


def test_the_same_click_twice_is_one_edit(rita: Client, held: Proposal) -> None:
    form = open_form(rita, held)
    form |= {arg(form, rita.get(url_of(held)).text, "amount_minor"): "150000"}
    assert rita.post(url_of(held), form)["Location"] == rita.post(url_of(held), form)["Location"]
    assert Decision.objects.count() == 1


def test_managers_do_not_edit(max_: Client, held: Proposal) -> None:
    assert max_.get(url_of(held)).status_code == 403
