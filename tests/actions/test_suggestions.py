"""What verdicts suggest as a rule, and how it becomes a draft and no more."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from orchestrator.actions import reviews, suggestions
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import BadInput, NotAllowed, SuggestionChanged
from orchestrator.core.policy.guardrails import check_all
from orchestrator.core.statistics.separation import Term
from orchestrator.engine.backtest import work_one
from orchestrator.models import Backtest, Proposal, Rule, RuleVersion
from orchestrator.rule_queries import recorded_inputs
from orchestrator.suggestion_queries import Suggested, actions, suggested_for
from tests.actions.test_revisions import edit
from tests.conftest import Cast
from tests.deciding import decide
from tests.suggestions import ACTION, by_chance, by_country, declare, judge, judge_all

Propose = Callable[..., Proposal]
COUNTRY = "proposal.args.country"


def suggested() -> Suggested:
    found = suggested_for(ACTION)
    assert found
    return found


def looked_at() -> int:
    search = suggested().search
    return search.older + search.newest


def draft(cast: Cast) -> RuleVersion:
    return suggestions.draft(Actor(cast.ada), ACTION, seal=suggested().seal)


def test_what_people_reject_is_suggested_and_becomes_a_draft(
    cast: Cast, propose: Propose, settings: Settings
) -> None:
    declare(cast)
    made = judge_all(cast, propose, by_country("XX"))
    found = suggested()
    assert found.condition == 'proposal.args.country != "XX"'
    assert (found.search.older, found.search.newest) == (32, 16)
    assert found.search.later
    assert found.search.later.precision.k == found.search.later.precision.n == 8
    assert found.later_since
    assert made[31].created_at < found.later_since <= made[32].created_at

    for person in (cast.rita, cast.max):
        with pytest.raises(NotAllowed):
            suggestions.draft(Actor(person), ACTION, seal=found.seal)
    settings.RULES_MAX = 0
    with pytest.raises(BadInput):
        draft(cast)
    assert not Rule.objects.exists()
    settings.RULES_MAX = 1
    version = draft(cast)
    # Pressed twice it is one draft, and one backtest.
    assert draft(cast).pk == version.pk
    assert (version.stage, version.effect, version.condition) == ("draft", "hold", found.condition)
    assert version.applies_to == {"actions": [ACTION]}
    assert "8 of 8" in version.note
    assert f"of {found.search.suggestion.tried:,} conditions" in version.note  # type: ignore[union-attr]
    backtest = Backtest.objects.get(version=version)
    assert backtest.since == found.later_since
    work_one(lambda: False)
    backtest.refresh_from_db()
    # Those that it was found on are not among them.
    assert (backtest.status, backtest.done) == (Backtest.Status.DONE, 16)
    version.refresh_from_db()
    assert version.stage == RuleVersion.Stage.BACKTESTED
    assert propose(action=ACTION, args={"grams": 1, "country": "XX"}).disposition == "accept"


def test_what_was_not_shown_is_not_written(
    cast: Cast, propose: Propose, settings: Settings
) -> None:
    declare(cast)
    with pytest.raises(SuggestionChanged):
        suggestions.draft(Actor(cast.ada), ACTION, seal="")
    with pytest.raises(SuggestionChanged):
        suggestions.draft(Actor(cast.ada), "no.such", seal="")
    judge_all(cast, propose, by_country("XX"), ago=timedelta(minutes=1))
    seen = suggested().seal
    settings.SUGGESTION_PROPOSALS_MAX = 50
    judge_all(cast, propose, by_country("YY"))
    assert suggested().seal not in {seen, ""}
    with pytest.raises(SuggestionChanged):
        suggestions.draft(Actor(cast.ada), ACTION, seal=seen)
    assert not Rule.objects.exists()


def test_of_too_few_or_of_chance_nothing_is_suggested(cast: Cast, propose: Propose) -> None:
    assert suggested_for(ACTION) is None
    declare(cast)
    assert actions() == [ACTION]
    assert not suggested().search.is_enough
    judge_all(cast, propose, by_chance(48, grams=1, country="NL"))
    found = suggested()
    assert found.search.is_enough
    assert (found.search.suggestion, found.condition, found.seal) == (None, "", "")


def test_what_later_verdicts_do_not_bear_out_is_not_offered(cast: Cast, propose: Propose) -> None:
    declare(cast)
    judge_all(cast, propose, by_country("XX", 40) + by_chance(20, grams=5, country="XX"))
    found = suggested()
    assert found.search.suggestion
    assert found.condition == ""
    with pytest.raises(SuggestionChanged):
        suggestions.draft(Actor(cast.ada), ACTION, seal=found.seal)


def test_hostile_values_are_texts_and_nothing_else(cast: Cast, propose: Propose) -> None:
    """The rule means what was counted, proposal by proposal, and reads nothing else."""
    declare(cast)
    value = 'x" || true || "\'\n\\ </script>{proposal.args.grams}\u2028🦊'
    made = judge_all(cast, propose, by_country(value))
    search = suggested().search
    assert search.suggestion
    assert search.suggestion.held_when == (Term(COUNTRY, "is", value),)
    version = draft(cast)
    for number, proposal in enumerate(made):
        inputs = recorded_inputs(proposal.pk)
        assert inputs
        (said,) = check_all([version.as_rule], inputs)
        assert said.result == ("fail" if number % 2 else "pass")


def test_only_the_newest_that_are_not_too_large_are_read(
    cast: Cast, propose: Propose, settings: Settings
) -> None:
    declare(cast)
    for note in ("the oldest", "", "x" * 900_000):
        judge(cast, propose, {"grams": 1, "country": "XX", "note": note}, rejected=True)
    settings.SUGGESTION_PROPOSALS_MAX = 2
    with CaptureQueriesContext(connection) as asked:
        found = suggested()
    assert (looked_at(), found.left_out) == (1, 1)
    assert len(asked) <= 6


def test_what_is_masked_is_never_in_a_rule(cast: Cast, propose: Propose) -> None:
    """Nor a copy of it that the agent put elsewhere, nor what an older version masked."""
    declare(cast, masked=["/card"])
    paid = [
        ({"grams": 7, "country": "NL", "card": card, "note": f"paid with {card}"}, rejected)
        for card, rejected in (("5500005555555559", False), ("4111111111111111", True))
    ]
    judge_all(cast, propose, paid * 24)
    assert suggested().search.is_enough
    assert suggested().search.suggestion is None
    declare(cast, masked=[])
    assert suggested().search.suggestion is None


def test_what_people_edited_or_took_back_does_not_count(
    cast: Cast, propose: Propose, settings: Settings
) -> None:
    declare(cast)
    settings.UNDO_S = 60
    for _ in range(2):
        made = judge(cast, propose, {"grams": 1, "country": "XX"}, rejected=True)
    assert looked_at() == 2
    reviews.undo(Actor(cast.rita), made.review_items.get().decisions.get().pk)
    assert looked_at() == 1
    item = propose(action=ACTION, args={"grams": 1, "country": "XX"}, confidence=0.3).review_items
    revision = edit(cast, item.get(), {"grams": 1, "country": "NL"})
    decide(cast.rita, revision.review_items.get())
    assert looked_at() == 1


def test_slugs_of_like_names_differ() -> None:
    names = ["a.b", "a-b", "a_b", "A.B", "ä", "ö", "x" * 100, "x" * 99 + "y"]
    slugs = [suggestions.slug_of(name) for name in names]
    assert len(set(slugs)) == len(slugs)
    assert max(map(len, slugs)) <= 100
