import re
from collections.abc import Callable

import pytest
from django.conf import settings
from django.test import Client

from orchestrator.models import Proposal
from tests.web.conftest import HTMX, form_for
from tests.work import work_shift

Propose = Callable[..., Proposal]
HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(1)><b hx-get="/logout/">x</b>'


def open_page(client: Client, proposal: Proposal) -> str:
    response = client.get(f"/proposals/{proposal.pk}/")
    assert response.status_code == 200
    return response.text


def test_it_says_why_with_the_values_the_rule_saw(rita: Client, held: Proposal) -> None:
    page = open_page(rita, held)
    assert "Refunds over the limit need a person" in page
    assert "proposal.args.amount_minor &lt;= 50000" in page
    (row,) = re.findall(r'<tr data-depth="1">(.*?)</tr>', page, re.DOTALL)
    assert "proposal.args.amount_minor" in row
    assert "184,000" in row


def test_it_folds_the_rules_that_passed(
    rita: Client, rule: Callable[..., None], propose: Propose
) -> None:
    rule()
    rule(slug="currency", title="Euros only", condition="proposal.args.currency == 'EUR'")
    assert "1 other rule passed" in open_page(rita, propose())


def test_a_rule_that_could_not_be_evaluated_says_so(
    rita: Client, rule: Callable[..., None], propose: Propose
) -> None:
    rule(condition="proposal.args.nothing == 1")
    page = open_page(rita, propose())
    assert "could not be evaluated, so it holds" in page
    assert "missing" in page


def test_text_of_agents_is_inert(rita: Client, rule: Callable[..., None], propose: Propose) -> None:
    rule()
    proposal = propose(
        target=HOSTILE,
        rationale=HOSTILE,
        args={
            "amount_minor": 184_000,
            "currency": "EUR",
            HOSTILE: HOSTILE,
            "deep": [{"x": HOSTILE}],
        },
        context={"note": HOSTILE},
        agent_version=HOSTILE[:90],
        model=HOSTILE,
        tainted=["/args/deep"],
    )
    for page in (open_page(rita, proposal), rita.get("/queue/").text, rita.get("/proposals/").text):
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "<b hx-get" not in page
        assert "&lt;script&gt;" in page


def test_text_that_turns_around_is_made_visible(rita: Client, propose: Propose) -> None:
    page = open_page(rita, propose(rationale="pay \u202e100\u202c \u200bnow \U000e0041"))
    assert "\u202e" not in page
    assert "U+202E" in page
    assert "U+200B" in page
    assert "U+E0041" in page


def test_confidence_is_hidden_until_the_reader_has_decided(
    rita: Client, rule: Callable[..., None], propose: Propose
) -> None:
    rule()
    proposal = propose(confidence=0.7654)
    assert "0.7654" not in open_page(rita, proposal)
    rita.post(f"/proposals/{proposal.pk}/decide/", form_for(proposal))
    assert "0.7654" in open_page(rita, proposal)


def test_an_escalation_does_not_show_its_score(rita: Client, propose: Propose) -> None:
    proposal = propose(confidence=0.3219)
    page = open_page(rita, proposal)
    assert "0.3219" not in page
    assert "The score itself is shown after you decide." in page


def test_the_receipt_appears_when_the_effect_is_done(rita: Client, held: Proposal) -> None:
    rita.post(f"/proposals/{held.pk}/decide/", form_for(held))
    waiting = rita.get(f"/proposals/{held.pk}/outcome/", headers=HTMX)
    assert "Accepted, about to run" in waiting.text
    tag = waiting["HX-PTag"]
    poll = HTMX | {"HX-PTag": tag}
    assert rita.get(f"/proposals/{held.pk}/outcome/", headers=poll).status_code == 304

    work_shift("effects", at_most=1)

    done = rita.get(f"/proposals/{held.pk}/outcome/", headers=poll)
    assert done.status_code == 200
    assert "Receipt" in done.text
    assert held.effect.pk in done.text
    assert "Effect done, receipt recorded" in done.text
    assert f"/proposals/{held.pk}/outcome/" not in done.text


def test_what_the_policy_accepted_says_so(rita: Client, propose: Propose) -> None:
    page = open_page(rita, propose())
    assert "What the policy said" in page
    assert "Score 0.95 is over 0.9" in page
    assert "Approve and run" not in page


def test_every_status_has_words(rita: Client, propose: Propose) -> None:
    proposal = propose(confidence=0.7)
    assert "Back with the agent" in open_page(rita, proposal)


def test_it_offers_the_next_item_when_one_is_done(
    rita: Client, held: Proposal, propose: Propose
) -> None:
    other = propose(target="order/B-1")
    page = rita.post(f"/proposals/{held.pk}/decide/", form_for(held), headers=HTMX).text
    assert "Next in the queue" in page
    assert 'action="/queue/next/"' in page
    taken = rita.post("/queue/next/")
    assert taken["Location"] == f"/proposals/{other.pk}/"


@pytest.mark.parametrize("pk", ["prp_nope", "x" * 200, "%00", "prp_01m7y6s13re5jaj1bm3y35bmxv"])
def test_an_unknown_proposal_is_not_found(rita: Client, pk: str) -> None:
    assert rita.get(f"/proposals/{pk}/").status_code == 404
    assert rita.get(f"/proposals/{pk}/outcome/", headers=HTMX).status_code == 404


def test_the_list_filters_and_pages(
    rita: Client, rule: Callable[..., None], propose: Propose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "PAGE_SIZE", 5)
    rule()
    held = propose()
    accepted = [propose(args={"amount_minor": 1, "currency": "EUR"}).pk for _ in range(7)]
    assert held.pk not in rita.get("/proposals/?status=accepted").text
    first = rita.get("/proposals/?status=accepted").context["rows"]
    assert [row.pk for row in first.rows] == accepted[:1:-1]
    assert first.newer == ""
    second = rita.get(f"/proposals/?status=accepted&before={first.older}").context["rows"]
    assert [row.pk for row in second.rows] == accepted[1::-1]
    assert second.older == ""
    back = rita.get(f"/proposals/?status=accepted&after={second.newer}").context["rows"]
    assert back.rows == first.rows
    assert back.newer == ""


def test_any_id_opens_its_page(rita: Client, held: Proposal) -> None:
    item = held.review_items.get()
    for pk in (held.pk, item.pk):
        assert rita.get("/find/", {"id": f" {pk} "})["Location"] == f"/proposals/{held.pk}/"
    assert rita.get("/find/", {"id": held.run_id})["Location"] == f"/runs/{held.run_id}/"
    lost = rita.get("/find/", {"id": "nothing"}, follow=True)
    assert "No proposal, review item, effect, run, event or backtest has that id." in lost.text


def test_it_shows_what_the_suggestion_took(rita: Client, propose: Callable[..., Proposal]) -> None:
    proposal = propose(trace={"tokens_in": 1_200, "tokens_out": 80, "cost_usd": 0.0042})
    page = rita.get(f"/proposals/{proposal.pk}/").text
    for shown in ("1,200 tokens", "80 tokens", "$0.0042", "every step of its run"):
        assert shown in page
    assert "every step of its run" not in rita.get(f"/proposals/{propose().pk}/").text
