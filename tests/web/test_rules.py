"""The pages of rules: the list with its figures, a version with what can be done next, comparisons."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from orchestrator import rule_queries
from orchestrator.actions import changes, rules
from orchestrator.actions.actor import Actor
from orchestrator.models import Proposal, ReviewItem, RuleVersion
from tests import deciding
from tests.conftest import Cast
from tests.web.conftest import form_for
from tests.web.rules import put_in_force, try_on_the_past, write
from tests.work import work_all

Propose = Callable[..., Proposal]


def words_of(page: str) -> str:
    return re.sub(r"(<[^>]+>|\s)+", " ", page)


@pytest.fixture
def active(cast: Cast) -> RuleVersion:
    return put_in_force(cast.ada, write(cast.ada))


def decide(client: Client, proposal: Proposal, verdict: str) -> None:
    reason = {"reason": "wrong_value"} if verdict == "reject" else {}
    form = form_for(proposal, verdict, idempotency_key=f"{proposal.pk} {verdict}") | reason
    assert client.post(f"/proposals/{proposal.pk}/decide/", form).status_code == 302


# The list ---------------------------------------------------------------------------------------


def test_an_empty_house_says_how_to_begin(rita: Client, ada: Client) -> None:
    assert "An admin can write the first one." in rita.get("/rules/").text
    assert 'href="/rules/new/"' in ada.get("/rules/").text
    assert 'href="/rules/new/"' not in rita.get("/rules/").text


def test_the_list_counts_objections_and_what_people_made_of_them(
    rita: Client, active: RuleVersion, propose: Propose
) -> None:
    held = [propose(target=f"order/{number}") for number in range(4)]
    propose(args={"amount_minor": 100, "currency": "EUR"}, target="order/small")
    decide(rita, held[0], "reject")
    decide(rita, held[1], "approve")
    decide(rita, held[2], "approve")
    (line,) = rita.get("/rules/").context["lines"]
    assert line.figures.hits_a_day == (0, 0, 0, 0, 0, 0, 4)
    assert (line.hits, line.rejection) == ("4", "1 of 3")
    page = words_of(rita.get("/rules/").text)
    assert "needs a person Active v1" in page
    assert "2 needless holds" in page
    assert "ada, just now" in page


def test_watching_versions_are_not_counted(
    rita: Client, cast: Cast, active: RuleVersion, propose: Propose
) -> None:
    shadow = write(cast.ada, condition="proposal.args.amount_minor <= 1")
    try_on_the_past(cast.ada, shadow)
    rules.start_shadow(Actor(cast.ada), shadow)
    propose(args={"amount_minor": 100, "currency": "EUR"})
    (line,) = rita.get("/rules/").context["lines"]
    assert line.figures.hits == 0
    assert line.newer is not None
    assert "v2 watches" in words_of(rita.get("/rules/").text)


def test_a_rule_that_objects_to_nothing_is_marked(
    rita: Client, active: RuleVersion, as_owner: Callable[[], Any]
) -> None:
    assert "none in 30 days" not in rita.get("/rules/").text
    with as_owner() as cursor:
        cursor.execute(
            "UPDATE orchestrator_ruleversion SET activated_at = now() - interval '31 days'"
        )
    assert "none in 30 days" in rita.get("/rules/").text
    assert "no objection in 30 days" in rita.get("/rules/refund-limit/").text


@pytest.mark.parametrize(
    ("query", "slugs"),
    [
        ("", ["a", "b", "c"]),
        ("?stage=active", ["a"]),
        ("?effect=block", ["b"]),
        ("?action=refund.create", ["a", "c"]),
        ("?action=refund.revoke", ["b", "c"]),
        ("?stage=retired", []),
        ("?stage=nonsense", ["a", "b", "c"]),
        ("?after=a", ["b", "c"]),
        ("?after=%00'", ["a", "b", "c"]),
    ],
)
def test_the_list_can_be_narrowed(rita: Client, cast: Cast, query: str, slugs: list[str]) -> None:
    put_in_force(cast.ada, write(cast.ada, slug="a"))
    write(cast.ada, slug="b", effect="block", applies_to={"actions": ["refund.revoke"]})
    write(cast.ada, slug="c", applies_to={})
    lines = rita.get(f"/rules/{query}").context["lines"]
    assert [line.version.rule.slug for line in lines] == slugs


def test_the_list_pages_by_name(rita: Client, cast: Cast, settings: Settings) -> None:
    settings.PAGE_SIZE = 5
    for number in range(7):
        write(cast.ada, slug=f"r{number}")
    first = rita.get("/rules/")
    assert first.context["following"] == "r4"
    assert [line.version.rule.slug for line in rita.get("/rules/?after=r4").context["lines"]] == [
        "r5",
        "r6",
    ]


def test_the_list_asks_as_much_for_many_rules_as_for_one(
    cast: Cast, active: RuleVersion, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        put_in_force(cast.ada, write(cast.ada, slug=f"r{number}"))
    versions = rule_queries.rule_lines(rule_queries.RuleFilter(), at_most=50)
    with django_assert_num_queries(2):
        rule_queries.figures_of([version.rule_id for version in versions], versions[0].created_at)


def test_counting_stops_at_a_limit(
    cast: Cast, active: RuleVersion, propose: Propose, rita: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_queries, "HITS_A_DAY_MAX", 2)
    for number in range(4):
        propose(target=f"order/{number}")
    (line,) = rita.get("/rules/").context["lines"]
    assert line.hits == "2+"


# A rule and its versions ------------------------------------------------------------------------


def test_the_page_of_a_rule_says_what_is_in_force(
    rita: Client, cast: Cast, active: RuleVersion
) -> None:
    write(cast.ada, condition="proposal.args.amount_minor <= 75000", note="The board said so.")
    page = words_of(rita.get("/rules/refund-limit/").text)
    assert "What is in force Version 1" in page
    assert "proposal.args.amount_minor &lt;= 50000" in page
    assert "The board said so." in page
    assert "Write a new version" not in page


def test_a_version_says_where_it_stands_and_what_is_missing(ada: Client, cast: Cast) -> None:
    write(cast.ada)
    page = words_of(ada.get("/rules/refund-limit/1/").text)
    assert "Activation needs a finished backtest." in page
    assert "It needs a finished backtest first." in page
    assert "Start a backtest" in page


def test_steps_that_were_left_out_are_told(ada: Client, active: RuleVersion) -> None:
    states = [step.state for step in ada.get("/rules/refund-limit/1/").context["steps"]]
    assert states == ["done", "skipped", "skipped", "now"]


def test_reviewers_look_and_change_nothing(rita: Client, max_: Client, cast: Cast) -> None:
    write(cast.ada)
    page = rita.get("/rules/refund-limit/1/").text
    assert "Changing rules needs the role admin." in page
    for client in (rita, max_):
        for path in ("stage/", "backtests/"):
            assert client.post(f"/rules/refund-limit/1/{path}").status_code == 403
        assert client.get("/rules/new/").status_code == 403
        assert client.get("/rules/refund-limit/edit/").status_code == 403
        assert client.post("/rules/check/").status_code == 403


def test_what_a_shadow_says_is_not_for_reviewers(
    sign_in: Callable[..., Client], cast: Cast, active: RuleVersion, propose: Propose
) -> None:
    rita = sign_in(cast.rita)
    shadow = write(cast.ada, condition="proposal.args.amount_minor <= 1", message="tiny limit")
    try_on_the_past(cast.ada, shadow)
    rules.start_shadow(Actor(cast.ada), shadow)
    small = propose(args={"amount_minor": 100, "currency": "EUR"}, target="order/small")
    assert rita.get("/rules/refund-limit/2/shadow/").status_code == 403
    assert "In shadow" not in rita.get("/rules/refund-limit/2/").text
    assert "tiny limit" not in rita.get(f"/proposals/{small.pk}/").text
    for user in (cast.ada, cast.max):
        page = words_of(sign_in(user).get("/rules/refund-limit/2/shadow/").text)
        assert "1 objection to 1 proposal since" in page
        assert "passes does not hold" in page
        assert "tiny limit" in page


def test_what_does_not_exist_is_not_found(ada: Client, active: RuleVersion) -> None:
    for path in (
        "none/",
        "refund-limit/2/",
        f"refund-limit/{10**30}/",
        "refund-limit/edit/?from=7",
        "refund-limit/compare/?from=1&to=9",
        "refund-limit/compare/",
        "refund-limit/1/backtests/bkt_01m7y6s13re5jaj1bm3y35bmxv/",
        "none/objections/",
    ):
        assert ada.get(f"/rules/{path}").status_code == 404, path


def test_objections_are_listed_with_what_was_said(
    rita: Client, active: RuleVersion, propose: Propose
) -> None:
    propose()
    page = words_of(rita.get("/rules/refund-limit/objections/").text)
    assert "the amount 184000 is over 50000" in page
    assert "Refund €1,840.00 for order/A-20931" in page


# Trying on one proposal -------------------------------------------------------------------------


def test_every_part_is_shown_with_its_value(
    ada: Client, active: RuleVersion, propose: Propose
) -> None:
    big = propose()
    page = words_of(ada.get(f"/rules/refund-limit/1/?proposal={big.pk}").text)
    assert "this proposal waits for a person" in page
    assert "the amount 184000 is over 50000" in page
    assert "proposal.args.amount_minor &lt;= 50000 false" in page
    assert "proposal.args.amount_minor 184,000" in page


def test_a_pass_is_explained_as_well(ada: Client, active: RuleVersion, propose: Propose) -> None:
    small = propose(args={"amount_minor": 100, "currency": "EUR"})
    page = words_of(ada.get(f"/rules/refund-limit/1/?proposal_id={small.pk}").text)
    assert "It holds: the rule lets this proposal pass." in page
    assert "proposal.args.amount_minor 100" in page


def test_trying_stores_nothing(ada: Client, active: RuleVersion, propose: Propose) -> None:
    big = propose()
    before = big.policy_checks.count()
    ada.get(f"/rules/refund-limit/1/?proposal={big.pk}")
    assert big.policy_checks.count() == before


@pytest.mark.parametrize("wanted", ["nonsense", "prp_01m7y6s13re5jaj1bm3y35bmxv", "%00"])
def test_a_proposal_that_is_not_there_is_told(
    ada: Client, active: RuleVersion, wanted: str
) -> None:
    page = ada.get(f"/rules/refund-limit/1/?proposal_id={wanted}").text
    assert "There is no proposal with that id." in page


def test_reviewers_cannot_use_a_rule_to_see_a_hidden_score(
    rita: Client, active: RuleVersion, propose: Propose
) -> None:
    big = propose()
    page = rita.get(f"/rules/refund-limit/1/?proposal={big.pk}").text
    assert "Try it on one proposal" not in page
    assert "184,000" not in page


# Steps of a version -----------------------------------------------------------------------------


def step(client: Client, number: int, name: str, note: str = "") -> Any:
    return client.post(f"/rules/refund-limit/{number}/stage/", {"step": name, "note": note})


def test_a_tested_version_watches_and_stops_watching(ada: Client, cast: Cast) -> None:
    version = write(cast.ada)
    try_on_the_past(cast.ada, version)
    assert step(ada, 1, "shadow").status_code == 302
    version.refresh_from_db()
    assert version.stage == "shadow"
    assert step(ada, 1, "stop_shadow").status_code == 302
    version.refresh_from_db()
    assert version.stage == "backtested"


def test_an_untested_version_is_refused_with_the_reason(ada: Client, cast: Cast) -> None:
    write(cast.ada)
    response = step(ada, 1, "activate", "It is <urgent>.")
    assert response.status_code == 422
    assert "It needs a finished backtest first." in words_of(response.text)
    assert "It is &lt;urgent&gt;." in response.text or "Activation needs" in response.text
    assert step(ada, 1, "explode").status_code == 422


def test_activation_needs_a_reason(ada: Client, cast: Cast) -> None:
    try_on_the_past(cast.ada, write(cast.ada))
    response = step(ada, 1, "activate")
    assert response.status_code == 422
    assert "say why" in response.text


def test_asking_for_activation_puts_it_before_another_admin(
    ada: Client, rita: Client, cast: Cast, active: RuleVersion
) -> None:
    newer = write(cast.ada, condition="proposal.args.amount_minor <= 75000")
    backtest = try_on_the_past(cast.ada, newer)
    assert step(ada, 2, "activate", "The board raised it.").status_code == 302
    asked = Proposal.objects.get(action="countersign.rule.activate")
    page = words_of(ada.get(f"/proposals/{asked.pk}/").text)
    assert "Put version 2 of the rule refund-limit into force" in page
    assert "Version 2 takes the place of version 1." in page
    assert "The board raised it." in page
    assert "proposal.args.amount_minor is at most 50000 becomes 75000 looser" in page
    assert (
        f"/rules/refund-limit/2/backtests/{backtest.pk}/" in ada.get(f"/proposals/{asked.pk}/").text
    )
    assert "so another admin must agree. You can take it back." in page
    assert "decided by an admin" in words_of(rita.get(f"/proposals/{asked.pk}/").text)
    assert "A change of this rule waits" in words_of(ada.get("/rules/refund-limit/2/").text)
    assert step(ada, 2, "activate", "Again.").status_code == 409


def test_whoever_asked_takes_it_back(ada: Client, cast: Cast, active: RuleVersion) -> None:
    newer = write(cast.ada, condition="proposal.args.amount_minor <= 75000")
    try_on_the_past(cast.ada, newer)
    step(ada, 2, "activate", "The board raised it.")
    asked = Proposal.objects.get(action="countersign.rule.activate")
    page = ada.get(f"/proposals/{asked.pk}/").text
    assert "Take it to take it back" in page
    form = form_for(asked, "reject", "ada", reason="other", note="Taken back.")
    page = ada.get(f"/proposals/{asked.pk}/").text
    assert "Take it back" in page
    assert "Approve the change" not in page
    assert ada.post(f"/proposals/{asked.pk}/decide/", form).status_code == 302
    asked.refresh_from_db()
    assert asked.status == "rejected"


def test_whoever_approves_is_told_when_the_backtest_compares_with_another_version(
    ada: Client, cast: Cast, active: RuleVersion, propose: Propose
) -> None:
    propose()
    newer = write(cast.ada, condition="proposal.args.amount_minor <= 75000")
    try_on_the_past(cast.ada, newer)
    put_in_force(cast.ada, write(cast.ada, condition="proposal.args.amount_minor <= 60000"))
    step(ada, 2, "activate", "The board raised it.")
    asked = Proposal.objects.get(action="countersign.rule.activate")
    page = words_of(ada.get(f"/proposals/{asked.pk}/").text)
    assert "v1, in force then" in page
    assert "compares with version 1, as was in force then" in page
    assert "this change takes the place of version 3." in page
    assert "What it looked at ends" in page


def test_evidence_that_fits_the_change_carries_no_warning(
    ada: Client, cast: Cast, active: RuleVersion
) -> None:
    try_on_the_past(cast.ada, write(cast.ada, condition="proposal.args.amount_minor <= 75000"))
    step(ada, 2, "activate", "The board raised it.")
    asked = Proposal.objects.get(action="countersign.rule.activate")
    assert "The backtest compares" not in words_of(ada.get(f"/proposals/{asked.pk}/").text)


def test_the_page_says_when_four_eyes_are_off(ada: Client, cast: Cast, settings: Settings) -> None:
    try_on_the_past(cast.ada, write(cast.ada))
    assert "RULES_FOUR_EYES is off" not in ada.get("/rules/refund-limit/1/").text
    settings.RULES_FOUR_EYES = False
    assert "RULES_FOUR_EYES is off" in ada.get("/rules/refund-limit/1/").text
    step(ada, 1, "activate", "I am alone here.")
    asked = Proposal.objects.get(action="countersign.rule.activate")
    form_for(asked, who="ada")
    assert "Approve the change" in ada.get(f"/proposals/{asked.pk}/").text


def test_a_version_that_decided_before_is_one_click_away(
    ada: Client, cast: Cast, active: RuleVersion
) -> None:
    put_in_force(cast.ada, write(cast.ada, condition="proposal.args.amount_minor <= 75000"))
    page = words_of(ada.get("/rules/refund-limit/1/").text)
    assert "It decided before, so it needs no new backtest." in page
    assert "Another admin has to approve; you cannot." in page
    assert step(ada, 1, "roll_back", "75000 was too much.").status_code == 302
    asked = Proposal.objects.get(action="countersign.rule.activate")
    page = words_of(ada.get(f"/proposals/{asked.pk}/").text)
    assert "Back to version 1, which decided before, instead of 2." in page
    assert "75000 becomes 50000 stricter" in page


def test_a_rule_is_retired_by_two_as_well(ada: Client, cast: Cast, active: RuleVersion) -> None:
    assert step(ada, 1, "retire", "Nobody needs it.").status_code == 302
    asked = Proposal.objects.get(action="countersign.rule.retire")
    page = words_of(ada.get(f"/proposals/{asked.pk}/").text)
    assert "Retire the rule refund-limit" in page
    assert "no version of the rule does" in page
    assert ReviewItem.objects.get(proposal=asked).kind == "rule_change"


# Comparing --------------------------------------------------------------------------------------


def test_a_comparison_tells_the_meaning_first(
    rita: Client, cast: Cast, active: RuleVersion
) -> None:
    write(cast.ada, condition="proposal.args.amount_minor <= 75000", note="The <board> said so.")
    page = rita.get("/rules/refund-limit/compare/?from=1&to=2").text
    words = words_of(page)
    assert words.index("50000 becomes 75000") < words.index("require: proposal.args")
    assert "Unchanged: effect, where it applies, what it asks of the past, message." in words
    assert "The &lt;board&gt; said so." in page
    assert re.search(r"<del>.*50000", page)
    assert re.search(r"<ins>.*75000", page)


def test_a_comparison_names_who_agreed_and_on_what(
    rita: Client, cast: Cast, active: RuleVersion
) -> None:
    newer = write(cast.ada, condition="proposal.args.amount_minor <= 75000")
    backtest = try_on_the_past(cast.ada, newer)
    asked = changes.propose_activation(Actor(cast.ada), newer, "The board raised it.")
    item = asked.review_items.get()
    cast.rolf.groups.set(cast.ada.groups.all())
    deciding.decide(Actor(cast.rolf), item.pk, verdict="approve", idempotency_key="k")
    work_all()
    page = rita.get("/rules/refund-limit/compare/?from=1&to=2").text
    assert "rolf" in page
    assert f"/backtests/{backtest.pk}/" in page


def test_untrusted_text_is_inert_everywhere(ada: Client, cast: Cast) -> None:
    hostile = "<img src=x onerror=alert(1)>\u202e"
    version = write(
        cast.ada, title=hostile, message=hostile, note=hostile, condition=f"'{hostile}' != ''"
    )
    put_in_force(cast.ada, version)
    for path in ("", "refund-limit/", "refund-limit/1/", "refund-limit/compare/?from=1&to=1"):
        page = ada.get(f"/rules/{path}").text
        assert "<img" not in page
        assert "\u202e" not in page


def test_proposals_stay_explained_by_the_same_tree(
    rita: Client, active: RuleVersion, propose: Propose
) -> None:
    page = words_of(rita.get(f"/proposals/{propose().pk}/").text)
    assert "proposal.args.amount_minor &lt;= 50000 false" in page
    assert "proposal.args.amount_minor 184,000" in page
