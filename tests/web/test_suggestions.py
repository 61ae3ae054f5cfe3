"""The page of suggested rules: what it says in each state, and the draft it leads to."""

import re
from collections.abc import Callable

from django.test import Client

from orchestrator.models import Backtest, Proposal, RuleVersion
from tests.conftest import Cast
from tests.suggestions import ACTION, by_chance, by_country, declare, judge_all

PATH, DRAFT = "/rules/suggestions/", "/rules/suggestions/draft/"
Propose = Callable[..., Proposal]


def words_of(client: Client, action: str = ACTION) -> str:
    page = client.get(PATH, {"action": action}).text
    return re.sub(r"(<[^>]+>|\s)+", " ", page)


def test_it_says_what_is_missing(max_: Client, cast: Cast, propose: Propose) -> None:
    assert "No action has a contract yet" in words_of(max_)
    declare(cast)
    assert "Choose an action" in words_of(max_, "")
    assert "No such action" in words_of(max_, "refund.create")
    assert "No such action" in words_of(max_, "x" * 5_000)
    assert "Too few were judged" in words_of(max_)
    judge_all(cast, propose, by_chance(48, grams=1, country="NL"))
    assert "Nothing separates them" in words_of(max_)


def test_a_suggestion_says_what_later_proposals_say_and_becomes_a_draft(
    max_: Client, ada: Client, rita: Client, cast: Cast, propose: Propose
) -> None:
    declare(cast)
    judge_all(cast, propose, by_country("<b>XX</b>"))
    assert 'href="/rules/suggestions/"' not in rita.get("/rules/").text
    assert 'href="/rules/suggestions/"' in max_.get("/rules/").text
    page = words_of(max_)
    assert f"Hold {ACTION} when country is &lt;b&gt;XX&lt;/b&gt; ." in page
    assert "On later proposals 16 judged" in page
    assert "It would hold 8 0 It would let pass 0 8" in page
    assert "Of what it would hold, people rejected 8 of 8" in page
    assert "conditions were compared" in page
    assert "Make it a draft rule" not in page
    assert "<b>XX" not in max_.get(PATH, {"action": ACTION}).text

    form = {"action": ACTION, "seal": "sha256:of something else"}
    refused = ada.post(DRAFT, form)
    assert refused.status_code == 409
    assert "is something else now" in refused.text
    assert not RuleVersion.objects.exists()
    answer = ada.get(PATH, {"action": ACTION}).context["answer"]
    sent = ada.post(DRAFT, form | {"seal": answer.suggested.seal}, follow=True)
    version = RuleVersion.objects.select_related("rule").get()
    assert sent.redirect_chain == [(f"/rules/{version.rule.slug}/1/", 302)]
    assert "A draft that decides nothing" in sent.text
    assert "Suggested by what people decided about parcel.send" in sent.text
    assert Backtest.objects.get().version == version


def test_what_did_not_hold_up_is_shown_and_not_offered(
    ada: Client, cast: Cast, propose: Propose
) -> None:
    declare(cast)
    judge_all(cast, propose, by_country("XX", 40) + by_chance(20, grams=5, country="XX"))
    page = words_of(ada)
    assert "Found, but it did not hold up" in page
    assert "Make it a draft rule" not in page
