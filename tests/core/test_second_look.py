"""Recorded proposals under other terms, and how their scores are spread."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.policy.compare import LOOSER, STRICTER
from orchestrator.core.policy.compare_terms import compare_terms
from orchestrator.core.policy.evaluation import Bands
from orchestrator.core.policy.panel import UNSEEN
from orchestrator.core.policy.score_histogram import histogram
from orchestrator.core.policy.second_look import (
    NO_CALIBRATED,
    Said,
    Seen,
    Shares,
    effect_of,
    judge_again,
    tally_of,
)
from orchestrator.core.policy.terms import (
    CALIBRATED,
    Scope,
    Terms,
    Validator,
    content_hash,
    decides_about,
)

TERMS = Terms(bands=Bands(0.9, 0.6))
SEEN = Seen(Scope("a", "1", "x", "normal"), 0.95, "accept", "accept")
JUDGE = Validator(name="judge", agent="judge", rubric="Is it so?", timeout_s=5)


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (SEEN, "accept"),
        (replace(SEEN, stated=0.9), "revise"),
        (replace(SEEN, stated=0.6), "escalate"),
        (replace(SEEN, stated=None), "escalate"),
        (replace(SEEN, stated=float("nan")), "escalate"),
        (replace(SEEN, verdict="hold", people=2), "hold"),
        (replace(SEEN, verdict="block"), "block"),
        (replace(SEEN, verdict="escalate", was_doubted=True), "escalate"),
    ],
)
def test_only_what_follows_from_the_score_can_change(seen: Seen, verdict: str) -> None:
    assert judge_again(TERMS, seen) == Said(verdict)


def test_a_calibrated_score_counts_where_it_was_recorded() -> None:
    terms = replace(TERMS, score=CALIBRATED)
    assert judge_again(terms, SEEN) == Said(UNSEEN, NO_CALIBRATED)
    known = replace(SEEN, was_calibrated=True, calibrated=0.7)
    assert judge_again(terms, known) == Said("revise")
    # Then there was no calibrator that knew, which people had to decide.
    assert judge_again(terms, replace(known, calibrated=None)) == Said("escalate")
    assert judge_again(TERMS, known) == Said("accept")


def test_the_lowest_of_all_who_were_asked_counts() -> None:
    terms = replace(TERMS, validators=(JUDGE,))
    assert judge_again(terms, SEEN) == Said(UNSEEN, "judge was not asked then")
    for said, verdict in [(0.99, "accept"), (0.7, "revise"), (None, "escalate")]:
        seen = replace(SEEN, validated={JUDGE.asks: said})
        assert judge_again(terms, seen) == Said(verdict)
    other = replace(terms, validators=(replace(JUDGE, rubric="Is it dear?"),))
    assert judge_again(other, replace(SEEN, validated={JUDGE.asks: 0.99})).verdict == UNSEEN


def test_the_same_terms_change_nothing() -> None:
    shares = Shares(accept=0.1, revise=0.5, block=0.5)
    recorded = [
        (SEEN, 10),
        (replace(SEEN, stated=0.8, verdict="revise", band="revise"), 4),
        (replace(SEEN, stated=0.2, verdict="escalate", band="escalate", human="rejected"), 3),
        (replace(SEEN, verdict="hold", people=2), 2),
        (replace(SEEN, verdict="block"), 2),
    ]
    tally = tally_of(TERMS, recorded)
    found = effect_of(tally, looked_at=21, days=2, review_minutes=6, shares=shares)
    assert found.before == found.after
    assert found.findings.flips == {}
    assert found.audits_before == found.audits_after == pytest.approx((1 + 2 + 1) / 2)
    assert found.findings.load.before.value == pytest.approx(5 / 2)
    # Three looked at by one person, two by two, six minutes each.
    assert found.findings.load.hours_after == pytest.approx((3 + 4) * 0.1 / 2)


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=30), st.floats(0.02, 1))
def test_every_score_has_one_place_on_the_right_side_of_the_line(
    scores: list[float | None], line: float
) -> None:
    """Lines between two bars, where they are drawn, part what they accept from what they do not."""
    at = max(1, round(line * 50)) / 50
    seen = [replace(SEEN, stated=score) for score in scores]
    found = histogram(Terms(bands=Bands(at, 0.0)), seen)
    assert found.shown + found.without == len(scores)
    accepted = sum(one.count for one in found.bins if one.low >= at - 1e-9)
    assert accepted == sum(score is not None and score > at + 1e-9 for score in scores) or any(
        score is not None and abs(score - at) <= 1e-8 for score in scores
    )


def test_bars_tell_right_from_wrong_from_unknown() -> None:
    seen = [
        replace(SEEN, human="approved"),
        replace(SEEN, human="rejected"),
        SEEN,
        replace(SEEN, stated=0.9, human="rejected"),
        replace(SEEN, stated=0.0),
        replace(SEEN, verdict="hold", human="rejected"),
        replace(SEEN, stated=None),
    ]
    found = histogram(TERMS, seen)
    filled = {
        round(one.low, 2): (one.right, one.wrong, one.unknown) for one in found.bins if one.count
    }
    assert filled == {0.94: (1, 1, 1), 0.88: (0, 1, 0), 0.0: (0, 0, 1)}
    assert (str(found.above), str(found.below)) == ("1 of 2", "1 of 1")
    assert (found.by_rules, found.without, found.unseen) == (1, 1, 0)


def test_a_narrower_policy_keeps_deciding_about_its_own() -> None:
    own, narrow = Scope(agent="a"), Scope(agent="a", action="x")
    assert decides_about(own, [Scope(), own], SEEN.scope)
    assert not decides_about(own, [Scope(), narrow], SEEN.scope)
    assert decides_about(narrow, [own], SEEN.scope)
    assert not decides_about(Scope(agent="b"), [Scope()], SEEN.scope)


def test_the_same_words_for_another_scope_are_another_text() -> None:
    digests = {
        content_hash(scope, TERMS) for scope in (Scope(), Scope(agent="x"), Scope(action="x"))
    }
    assert len(digests) == 3
    assert content_hash(Scope(), TERMS) != content_hash(Scope(), replace(TERMS, target_error=0.1))


def test_scopes_that_differ_have_keys_that_differ() -> None:
    tricky = (
        Scope(agent="a&action=b"),
        Scope(agent="a", action="b"),
        Scope(agent="everything"),
        Scope(),
    )
    assert len({scope.key for scope in tricky}) == 4


def test_meaning_comes_first() -> None:
    new = Terms(bands=Bands(0.95, 0.5), score=CALIBRATED, target_error=0.02, validators=(JUDGE,))
    said = {
        one.what: (one.before, one.after, one.bearing)
        for one in compare_terms(TERMS, new).differences
    }
    assert said == {
        "accept above": ("0.9", "0.95", STRICTER),
        "escalate at or below": ("0.6", "0.5", LOOSER),
        "score": ("the stated one", "the calibrated confidence", ""),
        "target error": ("none", "2 %", STRICTER),
        "validator: judge": ("", "judge within 5 s: Is it so?", STRICTER),
    }
    back = {one.what: one.bearing for one in compare_terms(new, TERMS).differences}
    assert (back["target error"], back["validator: judge"]) == (LOOSER, LOOSER)
    assert compare_terms(TERMS, TERMS).differences == ()
