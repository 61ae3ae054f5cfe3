"""Backtests of policies: the recorded scores under other terms, against what people decided."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pytest_django import Settings

from orchestrator import backtest_queries, queue
from orchestrator.actions import backtests, policies, rules, scores
from orchestrator.actions.actor import Actor
from orchestrator.actions.scores import Scored
from orchestrator.core.errors import NotAllowed
from orchestrator.core.policy.evaluation import Bands
from orchestrator.core.policy.second_look import Effect
from orchestrator.core.policy.terms import CALIBRATED, Scope, Terms, Validator
from orchestrator.engine import backtest as engine
from orchestrator.models import (
    AuditEntry,
    Backtest,
    EvaluationPolicy,
    Proposal,
    ReviewItem,
)
from tests import deciding
from tests.conftest import Cast

Propose = Callable[..., Proposal]
REFUNDS = Scope(agent="refund-agent")
# In force are 0.9 and 0.6.
LOOSER = Terms(bands=Bands(0.8, 0.4))
STRICTER = Terms(bands=Bands(0.96, 0.7))


@pytest.fixture(autouse=True)
def _silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "ring", lambda name, ids: None)


def drafted(cast: Cast, terms: Terms = LOOSER, scope: Scope = REFUNDS) -> EvaluationPolicy:
    return policies.draft(Actor(cast.ada), scope, terms)


def look_back(
    cast: Cast, terms: Terms = LOOSER, scope: Scope = REFUNDS, **options: Any
) -> Backtest:
    asked = backtests.request(Actor(cast.ada), drafted(cast, terms, scope), **options)
    while engine.work_one(lambda: False):
        pass
    found = backtest_queries.backtest(asked.pk)
    assert found is not None
    return found


def effect_of(found: Backtest) -> Effect:
    effect = backtest_queries.report_on(found).effect
    assert effect is not None
    return effect


def decide(cast: Cast, proposal: Proposal, verdict: str) -> None:
    item = ReviewItem.objects.get(proposal=proposal, status="waiting")
    reason = "wrong_value" if verdict == "reject" else ""
    deciding.decide(
        Actor(cast.rita),
        item.pk,
        verdict=verdict,
        reason=reason,
        idempotency_key=f"{item.pk}/{verdict}",
    )


def test_what_people_decided_says_what_it_would_have_caught(cast: Cast, propose: Propose) -> None:
    for confidence, verdict in [
        (0.5, "reject"),
        (0.55, "approve"),
        (0.3, "reject"),
        (0.1, "approve"),
    ]:
        decide(cast, propose(confidence=confidence), verdict)
    propose(confidence=0.85)
    propose(confidence=0.95)
    found = look_back(cast)
    effect = effect_of(found)
    assert (found.status, found.done, found.total) == ("done", 6, 6)
    assert dict(effect.before) == {"accept": 1, "revise": 1, "escalate": 4, "hold": 0, "block": 0}
    assert dict(effect.after) == {"accept": 2, "revise": 2, "escalate": 2, "hold": 0, "block": 0}
    after = effect.findings.after
    # Only what is accepted is let pass: revised and escalated count as stopped.
    assert (after.caught, after.needless, after.missed, after.unknown) == (2, 2, 0, 2)
    assert effect.findings.flips == {
        "escalate to revise, rejected": 1,
        "escalate to revise, approved": 1,
        "revise to accept, unknown": 1,
    }
    assert effect.findings.load.before.value == 4
    assert effect.findings.load.after.value == 2


def test_what_would_have_been_accepted_and_was_rejected_is_missed(
    cast: Cast, propose: Propose
) -> None:
    for verdict in ("reject", "approve", "approve"):
        decide(cast, propose(confidence=0.5), verdict)
    after = effect_of(look_back(cast, Terms(bands=Bands(0.4, 0.1)))).findings.after
    assert (after.missed, after.passed_approved, after.caught) == (1, 2, 0)


def test_what_rules_hold_stays_held(
    cast: Cast, propose: Propose, rule: Callable[..., None]
) -> None:
    rule(effect="two_person")
    rule(slug="blocked", effect="block", condition="proposal.target != 'order/bad'")
    propose(confidence=0.95)
    propose(confidence=0.2, target="order/bad")
    effect = effect_of(look_back(cast, Terms(bands=Bands(0.1, 0.05))))
    assert dict(effect.after) == dict(effect.before)
    assert (effect.after["hold"], effect.after["block"]) == (1, 1)
    assert effect.findings.flips == {}
    # Two people look at the one, nobody at the other.
    load = effect.findings.load
    assert load.hours_after == load.hours_before == pytest.approx(2 * 2 / 60)


def test_only_what_it_would_decide_about(cast: Cast, propose: Propose) -> None:
    """Another agent's is not its own, and a narrower policy in force keeps deciding about its own."""
    propose(confidence=0.85)
    propose(confidence=0.85, action="mail.send")
    propose(confidence=0.85, agent="other")
    narrower = drafted(cast, scope=replace(REFUNDS, action="mail.send"))
    policies.activate(Actor(cast.ada), narrower)
    found = look_back(cast)
    assert found.done == 3
    assert sum(effect_of(found).before.values()) == 1
    assert sum(effect_of(look_back(cast, scope=Scope())).before.values()) == 2


def test_a_version_is_not_narrower_than_the_one_it_replaces(cast: Cast, propose: Propose) -> None:
    propose(confidence=0.85)
    policies.activate(Actor(cast.ada), drafted(cast, STRICTER))
    assert sum(effect_of(look_back(cast)).before.values()) == 1


def test_the_tier_is_that_of_the_contract_then(cast: Cast, propose: Propose) -> None:
    propose(confidence=0.85)
    assert sum(effect_of(look_back(cast, scope=Scope(tier="normal"))).before.values()) == 1
    assert sum(effect_of(look_back(cast, scope=Scope(tier="high"))).before.values()) == 0


def test_a_score_that_was_not_recorded_is_not_made_up(cast: Cast, propose: Propose) -> None:
    propose(confidence=0.85)
    found = look_back(cast, replace(LOOSER, score=CALIBRATED))
    report = backtest_queries.report_on(found)
    assert report.findings.after.not_evaluable == 1
    assert report.reasons == [("no calibrated score was recorded then", 1)]
    assert sum(effect_of(found).after.values()) == 0


def test_a_validator_that_was_not_asked_is_not_made_up(
    cast: Cast, propose: Propose, monkeypatch: pytest.MonkeyPatch
) -> None:
    propose(confidence=0.85)
    monkeypatch.setattr(policies.registry, "named", lambda: ["judge"])
    judge = Validator(name="second-look", agent="judge", rubric="Is it so?", timeout_s=5)
    found = look_back(cast, replace(LOOSER, validators=(judge,)))
    assert backtest_queries.report_on(found).reasons == [("second-look was not asked then", 1)]


def test_no_score_escalates_whatever_the_bands(cast: Cast, propose: Propose) -> None:
    propose(confidence=None)
    assert effect_of(look_back(cast, Terms(bands=Bands(0.2, 0.1)))).after["escalate"] == 1


def test_what_was_in_doubt_stays_before_people(
    cast: Cast, propose: Propose, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = scores.score

    def doubt(*asked: Any) -> Scored:
        return replace(scored(*asked), doubts=("accepting stands down",))

    monkeypatch.setattr(scores, "score", doubt)
    for confidence in (0.95, 0.3):
        assert propose(confidence=confidence).disposition == "escalate"
    monkeypatch.undo()
    assert propose(confidence=0.3).disposition == "escalate"
    effect = effect_of(look_back(cast, Terms(bands=Bands(0.2, 0.1))))
    assert (effect.after["escalate"], effect.after["accept"]) == (2, 1)


def test_more_accepted_is_more_audited(cast: Cast, propose: Propose, settings: Settings) -> None:
    settings.AUDIT_SHARE, settings.LABEL_SHARE = 0.5, 0.1
    for _ in range(4):
        propose(confidence=0.85)
    effect = effect_of(look_back(cast))
    assert effect.audits_before == pytest.approx(4 * 0.1)
    assert effect.audits_after == pytest.approx(4 * 0.5)


def test_finished_it_may_be_asked_for(cast: Cast, propose: Propose) -> None:
    found = look_back(cast)
    assert policies.policy_of(found.tested_policy.number).stage == "backtested"
    entry = AuditEntry.objects.get(verb="policy.backtested")
    assert entry.object_id == f"policy/{found.tested_policy.number}"


def test_rules_and_policies_do_not_go_together(cast: Cast, propose: Propose) -> None:
    """They look at the same proposals, and at something else of them."""
    propose(confidence=0.85)
    actor, until = Actor(cast.ada), backtests.next_minute()
    version = rules.draft(actor, slug="limit", title="A limit", effect="hold", condition="false")
    first = backtests.request(actor, version, until=until)
    second = backtests.request(actor, drafted(cast), until=until)
    assert backtests.request(actor, drafted(cast)) == second
    assert engine.work_one(lambda: False)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == ("done", "waiting")
    assert engine.work_one(lambda: False)
    second.refresh_from_db()
    assert (second.status, second.done) == ("done", 1)


def test_flips_are_kept_to_be_opened(cast: Cast, propose: Propose) -> None:
    made = propose(confidence=0.85)
    flip = look_back(cast).flips.get()
    assert (flip.proposal, flip.before, flip.after, flip.human) == (
        made,
        "revise",
        "accept",
        "unknown",
    )
    assert flip.reason == "its stated score was 0.85"


def test_only_admins_ask_for_one(cast: Cast) -> None:
    policy = drafted(cast)
    with pytest.raises(NotAllowed):
        backtests.request(Actor(cast.max), policy)
    asked = backtests.request(Actor(cast.ada), policy)
    with pytest.raises(NotAllowed):
        backtests.cancel(Actor(cast.rita), asked)
    assert backtests.cancel(Actor(cast.ada), asked).status == "cancelled"
