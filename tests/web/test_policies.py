"""The pages of evaluation policies: the list, the editor with its histogram, a version and its steps."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from orchestrator import plugins
from orchestrator.actions import audits, changes, policies
from orchestrator.actions.actor import Actor
from orchestrator.core.policy.evaluation import Bands
from orchestrator.core.policy.terms import Scope, Terms
from orchestrator.engine.backtest import work_one
from orchestrator.models import Backtest, EvaluationPolicy, Proposal, ReviewItem
from tests.conftest import Cast
from tests.web.conftest import HTMX, form_for
from tests.web.test_rules import words_of
from tests.work import work_all

Propose = Callable[..., Proposal]
REFUNDS = Scope(agent="refund-agent")
TERMS = Terms(bands=Bands(0.8, 0.4))
FORM: dict[str, Any] = {
    "do": "save",
    "base": "0",
    "agent": "refund-agent",
    "accept_above": "0.8",
    "escalate_at_or_below": "0.4",
    "score": "stated",
    "days": "30",
    "note": "They are right more often.",
}
ROW = {
    "validator_name": "second-look",
    "validator_agent": "judge",
    "validator_rubric": "Is it plausible?",
    "validator_timeout_s": "20",
    "validator_money_micros_max": "",
}


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plugins.load().agents, "judge", lambda call: {"score": 1.0})


@pytest.fixture
def draft(cast: Cast) -> EvaluationPolicy:
    return policies.draft(Actor(cast.ada), REFUNDS, TERMS, note="They are right more often.")


def finish(client: Client, policy: EvaluationPolicy) -> Backtest:
    response = client.post(
        f"/policies/{policy.number}/backtests/", {"days": "7", "proposals_max": "100"}
    )
    assert response.status_code == 302
    while work_one(lambda: False):
        pass
    return policy.backtests.latest("pk")


def decide(client: Client, proposal: Proposal, verdict: str) -> None:
    reason = {"reason": "wrong_value"} if verdict == "reject" else {}
    form = form_for(proposal, verdict, idempotency_key=f"{proposal.pk} {verdict}") | reason
    assert client.post(f"/proposals/{proposal.pk}/decide/", form).status_code == 302


# The list ---------------------------------------------------------------------------------------


def test_an_empty_house_says_where_the_first_one_comes_from(rita: Client, ada: Client) -> None:
    assert "The first proposal brings one" in rita.get("/policies/").text
    assert 'href="/policies/new/"' in ada.get("/policies/").text
    assert 'href="/policies/new/"' not in rita.get("/policies/").text


def test_each_scope_has_one_line(
    cast: Cast, rita: Client, propose: Propose, draft: EvaluationPolicy
) -> None:
    propose(confidence=0.95)
    propose(confidence=0.5)
    policies.activate(Actor(cast.ada), draft)
    propose(confidence=0.85)
    newer = policies.draft(Actor(cast.ada), REFUNDS, Terms(bands=Bands(0.7, 0.4)))
    everything, own = rita.get("/policies/").context["lines"]
    assert (everything.policy.number, str(everything.policy.scope)) == (1, "everything")
    assert (str(everything.lately.accepted), str(everything.lately.before_people)) == (
        "1 of 2",
        "1 of 2",
    )
    assert (own.policy, own.newer, str(own.lately.accepted)) == (draft, newer.number, "1 of 1")


def test_the_list_is_paged_by_scope(cast: Cast, rita: Client, settings: Settings) -> None:
    settings.PAGE_SIZE = 5
    for number in range(12):
        scope = Scope(agent=f"agent-{number:02}", tier="high" if number % 2 else "")
        policies.draft(Actor(cast.ada), scope, TERMS)
    seen, after = [], ""
    while True:
        context = rita.get("/policies/", {"after": after} if after else {}).context
        seen += [line.policy.agent for line in context["lines"]]
        after = context["following"]
        if not after:
            break
    assert seen == ["", *(f"agent-{number:02}" for number in range(12))]


def test_a_line_costs_no_question_of_its_own(
    cast: Cast, rita: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        policies.draft(Actor(cast.ada), Scope(agent=f"agent-{number}"), TERMS)
    with django_assert_max_num_queries(16):
        rita.get("/policies/")


def test_it_says_which_one_decides(
    cast: Cast, rita: Client, propose: Propose, draft: EvaluationPolicy
) -> None:
    propose()
    policies.activate(Actor(cast.ada), draft)
    asked = {"agent": "refund-agent", "action": "refund.create", "tier": ""}
    assert rita.get("/policies/", asked).context["deciding"] == draft
    other = rita.get("/policies/", {"agent": "other"}).context["deciding"]
    assert other.number == 1
    assert rita.get("/policies/").context["is_asked"] is False
    assert "None is in force" not in rita.get("/policies/", {"tier": "no such"}).text


# The editor -------------------------------------------------------------------------------------


def test_it_shows_what_people_made_of_recorded_scores(
    ada: Client, rita: Client, propose: Propose
) -> None:
    for confidence, verdict in [(0.5, "reject"), (0.5, "approve"), (0.55, "approve")]:
        decide(rita, propose(confidence=confidence), verdict)
    propose(confidence=0.85)
    propose(confidence=None)
    found = ada.get("/policies/new/?agent=refund-agent").context["preview"]
    bins = {one.low: one for one in found.histogram.bins if one.count}
    assert {low: (one.right, one.wrong, one.unknown) for low, one in bins.items()} == {
        0.48: (1, 1, 0),
        0.54: (1, 0, 0),
        0.84: (0, 0, 1),
    }
    assert (found.histogram.without, found.count) == (1, 5)
    assert str(found.histogram.below) == "1 of 3"


def test_the_lines_move_with_the_numbers(ada: Client, rita: Client, propose: Propose) -> None:
    for confidence, verdict in [(0.5, "reject"), (0.55, "approve")]:
        decide(rita, propose(confidence=confidence), verdict)
    propose(confidence=0.85)
    sent = FORM | {"do": "preview", "accept_above": "0.45", "escalate_at_or_below": "0.1"}
    page = ada.post("/policies/new/", sent, headers=HTMX).text
    assert page.startswith('<div id="effect"') or page.strip().startswith('<div id="effect"')
    assert 'class="accept" x1="450"' in page
    assert 'class="escalate" x1="100"' in page
    words = words_of(page)
    assert "was wrong 1 of 2" in words
    assert "Accepted runs without a person 0.1 0 +0.1" in words
    assert not EvaluationPolicy.objects.filter(agent="refund-agent").exists()


def test_without_scripts_the_whole_page_comes_back_with_what_was_typed(
    ada: Client, propose: Propose
) -> None:
    propose(confidence=0.85)
    page = ada.post("/policies/new/", FORM | {"do": "preview", "note": "half a th"})
    assert "<html" in page.text
    assert "half a th" in page.text
    assert "histogram" in page.text


def test_lines_that_cross_show_no_effect_and_say_why(ada: Client) -> None:
    sent = FORM | {"do": "preview", "escalate_at_or_below": "0.9"}
    page = ada.post("/policies/new/", sent, headers=HTMX)
    assert page.status_code == 200
    assert "It must be lower than the line to accept" in page.text


def test_what_rules_hold_is_no_matter_of_the_score(
    ada: Client, propose: Propose, rule: Callable[..., None]
) -> None:
    rule()
    propose(confidence=0.85)
    found = ada.get("/policies/new/?agent=refund-agent").context["preview"]
    assert (found.histogram.shown, found.histogram.by_rules) == (0, 1)


def test_no_more_is_read_than_a_setting_says(
    ada: Client, propose: Propose, settings: Settings
) -> None:
    for _ in range(4):
        propose(confidence=0.85)
    settings.SCORES_READ_MAX = 3
    page = ada.get("/policies/new/?agent=refund-agent")
    assert page.context["preview"].count == 3
    assert "Found among the newest 3 proposals" in page.text


def test_it_is_saved_as_a_draft(ada: Client) -> None:
    response = ada.post("/policies/new/", FORM)
    policy = EvaluationPolicy.objects.get(agent="refund-agent")
    assert response["Location"] == f"/policies/{policy.number}/"
    assert (policy.stage, policy.terms, policy.note) == ("draft", TERMS, FORM["note"])


def test_a_percentage_is_kept_as_a_share(ada: Client) -> None:
    ada.post("/policies/new/", FORM | {"target_percent": "1.5", "score": "calibrated"})
    policy = EvaluationPolicy.objects.get(agent="refund-agent")
    assert (policy.target_error, policy.score) == (0.015, "calibrated")
    page = ada.get(f"/policies/{policy.number}/").text
    assert "1.5 %" in page
    assert 'value="1.5"' in ada.get(f"/policies/{policy.number}/edit/").text


def test_mistakes_stand_beside_their_fields(ada: Client) -> None:
    sent = FORM | {"accept_above": "2", "agent": "", "agent_version": "3", "target_percent": "0"}
    page = ada.post("/policies/new/", sent)
    assert page.status_code == 422
    assert set(page.context["form"].errors) == {"accept_above", "target_percent"}
    page = ada.post("/policies/new/", sent | {"accept_above": "0.9", "target_percent": ""})
    assert page.status_code == 422
    assert set(page.context["form"].errors) == {"agent_version"}


def test_validators_are_added_and_taken_out(ada: Client, judge: None) -> None:
    page = ada.post("/policies/new/", FORM | {"do": "add_validator"})
    assert len(page.context["rows"]) == 1
    page = ada.post("/policies/new/", FORM | ROW | {"do": "remove_validator 0"})
    assert page.context["rows"] == []
    ada.post("/policies/new/", FORM | ROW)
    (kept,) = EvaluationPolicy.objects.get(agent="refund-agent").terms.validators
    assert (kept.name, kept.agent, kept.timeout_s, kept.money_micros_max) == (
        "second-look",
        "judge",
        20,
        None,
    )


def test_the_effect_is_shown_without_validators_that_nobody_asked_yet(
    ada: Client, propose: Propose, judge: None
) -> None:
    propose(confidence=0.85)
    page = ada.post("/policies/new/", FORM | ROW | {"do": "preview"}, headers=HTMX)
    assert page.context["preview"].histogram.shown == 1
    assert "Without 1 validator that was not asked so far" in page.text


def test_a_validator_that_cannot_work_is_refused(ada: Client, judge: None) -> None:
    for wrong in ({"validator_agent": "nobody"}, {"validator_timeout_s": "soon"}):
        page = ada.post("/policies/new/", FORM | ROW | wrong)
        assert page.status_code == 422
        assert page.context["form"].non_field_errors()
        assert "Is it plausible?" in page.text


def test_an_edit_stays_in_its_scope(ada: Client, draft: EvaluationPolicy) -> None:
    sent = FORM | {"agent": "other", "accept_above": "0.85", "base": str(draft.number)}
    response = ada.post(f"/policies/{draft.number}/edit/", sent)
    assert response["Location"] == f"/policies/{draft.number + 1}/"
    assert policies.policy_of(draft.number + 1).scope == REFUNDS


def test_somebody_elses_version_in_between_is_shown(
    cast: Cast, ada: Client, draft: EvaluationPolicy
) -> None:
    theirs = policies.draft(Actor(cast.ada), REFUNDS, Terms(bands=Bands(0.95, 0.4)))
    sent = FORM | {"accept_above": "0.85", "base": str(draft.number)}
    page = ada.post(f"/policies/{draft.number}/edit/", sent)
    assert page.status_code == 409
    assert page.context["theirs"] == theirs
    assert 'value="0.85"' in page.text
    again = sent | {"base": str(theirs.number)}
    assert ada.post(f"/policies/{draft.number}/edit/", again).status_code == 302


def test_a_new_policy_does_not_bury_one_that_exists(ada: Client, draft: EvaluationPolicy) -> None:
    page = ada.post("/policies/new/", FORM | {"accept_above": "0.85"})
    assert page.status_code == 409
    assert "you began with version 0" in page.text


# A version --------------------------------------------------------------------------------------


def test_it_goes_the_whole_way_in_the_browser(
    cast: Cast, ada: Client, propose: Propose, draft: EvaluationPolicy, settings: Settings
) -> None:
    settings.RULES_FOUR_EYES = False
    propose(confidence=0.85)
    stage = f"/policies/{draft.number}/stage/"
    early = ada.post(stage, {"step": "activate", "note": "as agreed"})
    assert early.status_code == 422
    assert "needs a finished backtest" in early.text
    found = finish(ada, draft)
    page = ada.get(f"/policies/{draft.number}/backtests/{found.pk}/").text
    assert "against what was decided then" in page
    assert "Accepted runs without a person 1 0 +1" in words_of(page)
    assert ada.get("/find/", {"id": found.pk})["Location"].startswith(f"/policies/{draft.number}/")
    assert ada.post(stage, {"step": "activate", "note": "as agreed"}).status_code == 302
    change = Proposal.objects.get(action="countersign.policy.activate")
    evidence = words_of(ada.get(f"/proposals/{change.pk}/").text)
    assert "About refund-agent version 1, which is for everything decides now" in evidence
    assert "accept above 0.9 becomes 0.8 looser" in evidence
    assert "Put evaluation policy" in evidence
    form = form_for(change, "approve", "ada")
    assert ada.post(f"/proposals/{change.pk}/decide/", form).status_code == 302
    work_all()
    draft.refresh_from_db()
    assert draft.stage == "active"
    page = words_of(ada.get(f"/policies/{draft.number}/").text)
    assert "agreed to by ada" in page


def test_a_waiting_change_is_named(cast: Cast, ada: Client, draft: EvaluationPolicy) -> None:
    finish(ada, draft)
    draft.refresh_from_db()
    change = changes.propose_activation(Actor(cast.ada), draft, "as agreed")
    page = ada.get(f"/policies/{draft.number}/").text
    assert f"/proposals/{change.pk}/" in page
    refused = ada.post(
        f"/policies/{draft.number}/stage/", {"step": "activate", "note": "as agreed again"}
    )
    assert refused.status_code == 409
    assert "as agreed again" in refused.text


def test_the_general_policy_offers_no_retirement(ada: Client, propose: Propose) -> None:
    propose()
    page = ada.get("/policies/1/").text
    assert "Activate another version instead" in page
    assert ada.post("/policies/1/stage/", {"step": "retire", "note": "why"}).status_code == 422


def test_reviewers_look_and_change_nothing(
    rita: Client, max_: Client, draft: EvaluationPolicy
) -> None:
    for client in (rita, max_):
        page = client.get(f"/policies/{draft.number}/").text
        assert "Changing policies needs the role admin" in page
        assert "Start a backtest" not in page


@pytest.fixture
def drawn(propose: Propose, settings: Settings) -> Proposal:
    """Sent back to its agent, and drawn to be judged blind."""
    settings.LABEL_SHARE = 1.0
    return propose(confidence=0.85)


def test_what_is_audited_blind_is_in_no_list(
    cast: Cast, ada: Client, rita: Client, draft: EvaluationPolicy, drawn: Proposal
) -> None:
    """Whoever judges a proposal blind is not told by a backtest what was made of it."""
    found = finish(ada, draft)
    address = f"/policies/{draft.number}/backtests/{found.pk}/"
    assert drawn.pk in rita.get(address).text
    audits.take_next(Actor(cast.rita))
    assert ReviewItem.objects.get(proposal=drawn).holder == cast.rita
    assert drawn.pk not in rita.get(address).text
    assert drawn.pk in ada.get(address).text


def test_a_scope_is_shown_as_what_it_is(cast: Cast, rita: Client) -> None:
    hostile = Scope(agent="<script>alert(1)</script>", action="x\u202ey")
    policy = policies.draft(Actor(cast.ada), hostile, TERMS)
    for path in ("/policies/", f"/policies/{policy.number}/"):
        page = rita.get(path).text
        assert "<script>alert" not in page
        assert not re.search("\u202e", page)


def test_what_is_not_there_is_not_found(ada: Client, draft: EvaluationPolicy) -> None:
    for path in ("/policies/99/", "/policies/99/edit/", "/policies/99999999999999999999/"):
        assert ada.get(path).status_code == 404
