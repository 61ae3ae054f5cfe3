"""Taking a decision back before anything came of it."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from orchestrator.models import Decision, Effect, Proposal
from tests.conftest import Cast
from tests.web.conftest import HTMX, form_for


@pytest.fixture
def held(
    monkeypatch: pytest.MonkeyPatch, rule: Callable[..., None], propose: Callable[..., Proposal]
) -> Proposal:
    """An approval of it can be taken back for eight seconds."""
    monkeypatch.setattr(settings, "UNDO_S", 8)
    rule()
    return propose()


def url_of(proposal: Proposal) -> str:
    return f"/proposals/{proposal.pk}/"


def decide(client: Client, proposal: Proposal, verdict: str = "approve", **changes: Any) -> str:
    client.post(f"{url_of(proposal)}decide/", form_for(proposal, verdict, **changes))
    return str(Decision.objects.latest("pk").pk)


def undo(client: Client, proposal: Proposal, decision: str, **headers: str) -> int:
    form = {"decision": decision}
    return client.post(f"{url_of(proposal)}undo/", form, headers=headers).status_code


def test_it_is_offered_in_the_answer_and_after_a_reload(rita: Client, held: Proposal) -> None:
    answer = rita.post(f"{url_of(held)}decide/", form_for(held), headers=HTMX).text
    for page in (answer, rita.get(url_of(held)).text):
        assert "Runs in" in page
        assert f'action="{url_of(held)}undo/"' in page
        assert 'data-key="z"' in page


def test_it_is_offered_on_the_next_page_as_well(
    rita: Client, held: Proposal, propose: Callable[..., Proposal]
) -> None:
    other = propose(target="order/B-2")
    decide(rita, held)
    page = rita.get(url_of(other)).text
    assert 'data-key="z"' in page
    assert f'href="{url_of(held)}"' in page


def test_whoever_takes_it_back_holds_it_and_can_decide_anew(rita: Client, held: Proposal) -> None:
    decision = decide(rita, held)
    assert undo(rita, held, decision) == 302
    assert Effect.objects.get().status == "withdrawn"
    page = rita.get(url_of(held)).text
    assert "Held by you" in page
    assert "took the decision back" in page
    assert 'data-key="z"' not in page
    decide(rita, held, "reject", reason="wrong_value")
    held.refresh_from_db()
    assert held.status == "rejected"


def test_a_rejection_and_a_response_come_back_too(rita: Client, held: Proposal) -> None:
    for verdict in ("reject", "respond"):
        changes = {"reason": "wrong_value", "note": "Ask for the receipt."}
        decision = decide(rita, held, verdict, **changes)
        assert undo(rita, held, decision, **HTMX) == 200
        assert held.review_items.get().status == "waiting"


def test_after_its_time_nothing_pretends(rita: Client, held: Proposal) -> None:
    held.review_items.update(undo_s=1)
    decision = decide(rita, held)
    time.sleep(1.05)
    assert 'data-key="z"' not in rita.get(url_of(held)).text
    response = rita.post(f"{url_of(held)}undo/", {"decision": decision}, headers=HTMX)
    assert response.status_code == 409
    assert "Not taken back" in response.text
    assert "its time has passed" in response.text


def test_nobody_takes_back_what_others_decided(
    cast: Cast, rita: Client, rolf: Client, held: Proposal
) -> None:
    decision = decide(rita, held)
    assert undo(rolf, held, decision) == 404
    assert Decision.objects.get().undone_at is None
    assert 'data-key="z"' not in rolf.get(url_of(held)).text


@pytest.mark.parametrize("decision", ["", "dec_01m7y6s13re5jaj1bm3y35bmxv", "a\x00b"])
def test_what_is_no_decision_is_not_found(rita: Client, held: Proposal, decision: str) -> None:
    assert undo(rita, held, decision) == 404
