"""What the page of a proposal shows of its validators, and from whom it keeps it."""

import re
from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from pytest_django import Settings

from orchestrator import plugins
from orchestrator.actions import revisions
from orchestrator.actions.actor import Actor
from orchestrator.models import Proposal, ReviewItem
from tests.actions.test_revisions import again
from tests.conftest import Cast
from tests.deciding import decide
from tests.judges import put_in_force
from tests.web.test_audits import begin
from tests.work import work_all

Propose = Callable[..., Proposal]
CURT, INERT = "The tone is curt.", "&lt;b&gt;Greet them.&lt;/b&gt;"
STERN = "It promises what the shop does not offer."


@pytest.fixture(autouse=True)
def _judges(settings: Settings, cast: Cast) -> Iterator[None]:
    settings.AGENT_MODULES = ["tests.judges"]
    plugins.load.cache_clear()
    yield
    plugins.load.cache_clear()


def page_of(client: Client, proposal: Proposal) -> str:
    response = client.get(f"/proposals/{proposal.pk}/")
    assert response.status_code == 200
    return re.sub(r"\s+", " ", response.text)


def test_while_they_are_asked_it_says_who(rita: Client, propose: Propose) -> None:
    put_in_force("calm", "lukewarm")
    page = page_of(rita, propose())
    assert "Being evaluated" in page
    assert "lukewarm is asked" in page
    assert "validators are asked before anything follows" in page
    assert "No rule applies" not in page
    assert 'data-live="1"' in page
    assert "Being evaluated" in rita.get("/proposals/?status=evaluating").text


def test_what_they_said_is_shown_with_its_cost_and_inert(rita: Client, propose: Propose) -> None:
    put_in_force("calm", "lukewarm")
    proposal = propose()
    work_all()
    page = page_of(rita, proposal)
    assert "Validator calm" in page
    assert "calm 7 small-1" in page
    assert "940 tokens" in page
    assert CURT in page
    assert INERT in page
    assert "<b>Greet them." not in page
    assert "Sent back to its agent" in page
    assert "After 5 more rounds a person decides" in page


def test_nothing_of_it_shows_before_one_has_decided(
    rita: Client, cast: Cast, propose: Propose
) -> None:
    put_in_force("stern", "lukewarm")
    proposal = propose()
    work_all()
    for path in (f"/proposals/{proposal.pk}/", f"/runs/{proposal.run_id}/", "/queue/"):
        page = rita.get(path).text
        assert STERN not in page, path
        assert CURT not in page, path
        assert "does not let it pass" not in page, path
        assert "does not pass" not in page, path
    assert "what validators say are shown after you decide" in page_of(rita, proposal)
    decide(cast.rita, proposal.review_items.get())
    page = page_of(rita, proposal)
    assert STERN in page
    assert "does not pass" in page


def test_blind_auditors_are_told_nothing(
    rita: Client, propose: Propose, settings: Settings
) -> None:
    settings.AUDIT_SHARE = 1.0
    put_in_force("calm")
    proposal = propose()
    assert not ReviewItem.objects.exists()
    work_all()
    address = begin(rita)
    page = rita.get(address).text
    assert "It is polite." not in page
    assert "Validator" not in page
    for path in (f"/proposals/{proposal.pk}/", f"/runs/{proposal.run_id}/"):
        assert "polite" not in rita.get(path, follow=True).text


def test_each_round_that_a_machine_asked_for_is_linked_and_diffed(
    rita: Client, propose: Propose, agent: Actor
) -> None:
    put_in_force("lukewarm")
    first = propose()
    work_all()
    second = revisions.revise(agent, first.pk, again())
    work_all()
    third = revisions.revise(agent, second.pk, again(args={"amount_minor": 1, "currency": "EUR"}))
    work_all()
    page = page_of(rita, third)
    assert "after evaluation had sent it back" in page
    assert CURT in page
    assert f'href="/proposals/{second.pk}/">revision 2</a>; what was approved' in page
    assert f'href="/proposals/{first.pk}/">revision 1</a></p>' in page
    assert re.search(r"<del>.*900.*</del>.*<ins>.*0\.01|<del>.*90,?000.*<ins>", page)
    assert f"/proposals/{third.pk}/" in page_of(rita, second)


def test_a_person_who_sees_no_score_is_told_that_rounds_are_used_up(
    rita: Client, propose: Propose, agent: Actor, settings: Settings
) -> None:
    settings.REVISIONS_MAX = 1
    proposal = revisions.revise(agent, propose(confidence=0.7).pk, again(confidence=0.7))
    page = page_of(rita, proposal)
    assert "no round of revision is left" in page
    assert "0.7" not in page


def test_a_run_tells_what_its_validators_did(rita: Client, propose: Propose) -> None:
    put_in_force("calm", "nobody", accept_above=0.94)
    proposal = propose()
    run = re.sub(r"\s+", " ", rita.get(f"/runs/{proposal.run_id}/").text)
    assert "The validators of" in run
    assert "a person decides" in run
    work_all()
    page = page_of(rita, proposal)
    assert "Validators are asked" in page
    assert "The validator calm answered" in page
    assert "The validator nobody gave no answer that counts" in page
