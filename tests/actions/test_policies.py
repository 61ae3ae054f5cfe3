"""The life of an evaluation policy: written, tried, asked for, countersigned, and taken back."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone
from pytest_django import Settings

from orchestrator import plugins
from orchestrator.actions import changes, policies, proposals, thresholds, users
from orchestrator.actions.actor import Actor
from orchestrator.actions.proposals import Suggestion
from orchestrator.core.errors import (
    BadInput,
    ChangeWaiting,
    NotAllowed,
    PolicyChanged,
    StageWrong,
)
from orchestrator.core.policy.evaluation import Bands
from orchestrator.core.policy.terms import Scope, Terms, Validator
from orchestrator.effects.base import EffectCall
from orchestrator.models import AuditEntry, Backtest, EvaluationPolicy, Proposal, ReviewItem
from tests import deciding
from tests.conftest import SYSTEM, Cast
from tests.work import work_all

REFUNDS = Scope(agent="refund-agent", action="refund.create")
TERMS = Terms(bands=Bands(0.8, 0.5))
STRICT = Terms(bands=Bands(0.97, 0.5))
JUDGE = Validator(name="second-look", agent="judge", rubric="Is it plausible?", timeout_s=20)

Propose = Callable[..., Proposal]


@pytest.fixture
def ada(cast: Cast) -> Actor:
    return Actor(cast.ada)


@pytest.fixture
def bea(cast: Cast) -> Actor:
    """Another admin."""
    return Actor(users.create(SYSTEM, username="bea", password=None, role="admin"))


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent of ours, by the name that validators may have."""
    monkeypatch.setitem(plugins.load().agents, "judge", lambda call: {"score": 1.0})


def backtested(policy: EvaluationPolicy) -> EvaluationPolicy:
    """As the worker leaves it."""
    Backtest.objects.create(
        policy=policy,
        content_hash=policy.digest,
        status=Backtest.Status.DONE,
        since=timezone.now(),
        until=timezone.now(),
        proposals_max=1,
    )
    EvaluationPolicy.objects.filter(pk=policy.pk).update(stage="backtested")
    return policies.policy_of(policy.number)


def decide(actor: Actor, proposal: Proposal, verdict: str = "approve", reason: str = "") -> None:
    item = ReviewItem.objects.get(proposal=proposal)
    key = f"{actor.name}-{item.pk}"
    deciding.decide(actor, item.pk, verdict=verdict, reason=reason, idempotency_key=key)


def stage_of(policy: EvaluationPolicy) -> str:
    return EvaluationPolicy.objects.get(pk=policy.pk).stage


def put_in_force(ada: Actor, bea: Actor, scope: Scope, terms: Terms) -> EvaluationPolicy:
    policy = backtested(policies.draft(ada, scope, terms))
    decide(bea, changes.propose_activation(ada, policy, "as agreed"))
    work_all()
    return policies.policy_of(policy.number)


def test_saying_the_same_again_is_no_new_version(ada: Actor) -> None:
    first = policies.draft(ada, REFUNDS, TERMS)
    assert policies.draft(ada, REFUNDS, TERMS) == first
    assert policies.draft(ada, REFUNDS, STRICT).number == first.number + 1
    assert policies.draft(ada, Scope(agent="refund-agent"), STRICT).number == first.number + 2
    assert AuditEntry.objects.filter(verb="policy.drafted").count() == 3


def test_the_policy_from_the_settings_is_said_again_as_itself(ada: Actor) -> None:
    first = thresholds.first_policy()
    assert first.content_hash == first.digest
    assert policies.draft(ada, Scope(), first.terms) == first


def test_a_version_in_between_is_not_buried(ada: Actor, bea: Actor) -> None:
    first = policies.draft(ada, REFUNDS, TERMS, base=0)
    policies.draft(bea, REFUNDS, STRICT, base=first.number)
    with pytest.raises(PolicyChanged) as refused:
        policies.draft(ada, REFUNDS, Terms(bands=Bands(0.7, 0.5)), base=first.number)
    assert refused.value.seen == first.number
    policies.draft(ada, Scope(tier="high"), TERMS, base=0)


@pytest.mark.parametrize(
    ("scope", "terms", "place"),
    [
        (REFUNDS, Terms(bands=Bands(0.5, 0.5)), "escalate_at_or_below"),
        (REFUNDS, Terms(bands=Bands(1.1, 0.5)), "accept_above"),
        (REFUNDS, Terms(bands=Bands(float("nan"), 0.5)), "accept_above"),
        (REFUNDS, Terms(bands=Bands(0.9, -0.1)), "escalate_at_or_below"),
        (REFUNDS, replace(TERMS, score="felt"), "score"),
        (REFUNDS, replace(TERMS, target_error=0.0), "target_error"),
        (REFUNDS, replace(TERMS, target_error=1.0), "target_error"),
        (Scope(tier="enormous"), TERMS, "tier"),
        (Scope(agent_version="3"), TERMS, "agent_version"),
        (Scope(agent=" refund-agent"), TERMS, "agent"),
        (Scope(action="refund\x00"), TERMS, "action"),
        (Scope(agent="a" * 101), TERMS, "agent"),
        (REFUNDS, replace(TERMS, validators=(replace(JUDGE, name="Not a name"),)), "name"),
        (REFUNDS, replace(TERMS, validators=(JUDGE, JUDGE)), "name"),
        (REFUNDS, replace(TERMS, validators=(replace(JUDGE, agent="nobody"),)), "agent"),
        (REFUNDS, replace(TERMS, validators=(replace(JUDGE, rubric=" "),)), "rubric"),
        (REFUNDS, replace(TERMS, validators=(replace(JUDGE, rubric="x" * 10_001),)), "rubric"),
        (REFUNDS, replace(TERMS, validators=(replace(JUDGE, timeout_s=121),)), "timeout_s"),
        (REFUNDS, replace(TERMS, validators=(replace(JUDGE, timeout_s=0),)), "timeout_s"),
        (
            REFUNDS,
            replace(TERMS, validators=(replace(JUDGE, money_micros_max=-1),)),
            "money_micros_max",
        ),
        (
            REFUNDS,
            replace(TERMS, validators=tuple(replace(JUDGE, name=f"n{i}") for i in range(6))),
            "validators",
        ),
    ],
)
def test_what_cannot_work_is_not_saved(
    ada: Actor, judge: None, scope: Scope, terms: Terms, place: str
) -> None:
    with pytest.raises(BadInput) as refused:
        policies.draft(ada, scope, terms)
    assert refused.value.field.split("/")[-1] == place
    assert EvaluationPolicy.objects.count() <= 1


def test_validators_are_kept_as_they_were_written(ada: Actor, judge: None) -> None:
    terms = replace(TERMS, validators=(JUDGE, replace(JUDGE, name="third", money_micros_max=500)))
    policy = policies.draft(ada, REFUNDS, terms)
    assert policies.policy_of(policy.number).terms == terms


def test_only_admins_write(cast: Cast) -> None:
    for person in (cast.rita, cast.max):
        with pytest.raises(NotAllowed):
            policies.draft(Actor(person), REFUNDS, TERMS)


def test_it_needs_a_backtest_before_it_may_decide(ada: Actor) -> None:
    with pytest.raises(StageWrong, match="needs a finished backtest"):
        changes.propose_activation(ada, policies.draft(ada, REFUNDS, TERMS), "as agreed")


def test_once_countersigned_it_decides(ada: Actor, bea: Actor, propose: Propose) -> None:
    assert propose(confidence=0.85).disposition == "revise"
    policy = backtested(policies.draft(ada, REFUNDS, TERMS))
    change = changes.propose_activation(ada, policy, "they are right more often")
    item = ReviewItem.objects.get(proposal=change)
    assert (item.kind, change.disposition) == ("rule_change", "hold")
    assert change.args["backtest"] == policy.backtests.get().pk
    decide(bea, change)
    assert stage_of(policy) == "backtested"
    work_all()
    change.refresh_from_db()
    assert (stage_of(policy), change.status) == ("active", "executed")
    made = propose(confidence=0.85)
    assert made.disposition == "accept"
    assert made.dispositions.get().policy == policy
    assert propose(confidence=0.85, action="mail.send").disposition == "revise"
    verbs = AuditEntry.objects.filter(object_id=f"policy/{policy.number}").order_by("pk")
    assert list(verbs.values_list("verb", flat=True)) == [
        "policy.drafted",
        "policy.activated",
        "policy.change_made",
    ]


def test_its_author_cannot_agree(ada: Actor, bea: Actor, settings: Settings) -> None:
    policy = backtested(policies.draft(ada, REFUNDS, TERMS))
    change = changes.propose_activation(bea, policy, "Ada wrote it")
    for own in (ada, bea):
        with pytest.raises(NotAllowed):
            decide(own, change)
    settings.RULES_FOUR_EYES = False
    decide(ada, change)
    work_all()
    assert stage_of(policy) == "active"


def test_reviewers_and_managers_cannot_agree(cast: Cast, ada: Actor) -> None:
    change = changes.propose_activation(
        ada, backtested(policies.draft(ada, REFUNDS, TERMS)), "as agreed"
    )
    for person in (cast.rita, cast.max):
        with pytest.raises(NotAllowed):
            decide(Actor(person), change)


def test_of_a_scope_one_change_waits_at_a_time(ada: Actor) -> None:
    first = backtested(policies.draft(ada, REFUNDS, TERMS))
    second = backtested(policies.draft(ada, REFUNDS, STRICT))
    other = backtested(policies.draft(ada, Scope(tier="high"), STRICT))
    changes.propose_activation(ada, first, "as agreed")
    with pytest.raises(ChangeWaiting):
        changes.propose_activation(ada, second, "as agreed")
    changes.propose_activation(ada, other, "as agreed")


def test_the_one_before_is_retired_and_can_come_back(ada: Actor, bea: Actor) -> None:
    first = put_in_force(ada, bea, REFUNDS, TERMS)
    second = put_in_force(ada, bea, REFUNDS, STRICT)
    assert (stage_of(first), stage_of(second)) == ("retired", "active")
    with pytest.raises(StageWrong):
        changes.roll_back(ada, policies.draft(ada, REFUNDS, Terms(bands=Bands(0.6, 0.1))), "no")
    decide(bea, changes.roll_back(ada, first, "too strict"))
    work_all()
    assert (stage_of(first), stage_of(second)) == ("active", "retired")


def test_what_moved_on_meanwhile_is_not_replaced(ada: Actor, bea: Actor) -> None:
    first = put_in_force(ada, bea, REFUNDS, TERMS)
    second = backtested(policies.draft(ada, REFUNDS, STRICT))
    change = changes.propose_activation(ada, second, "as agreed")
    policies.retire(ada, first)
    policies.activate(ada, backtested(policies.draft(ada, REFUNDS, Terms(bands=Bands(0.7, 0.1)))))
    decide(bea, change)
    work_all()
    change.refresh_from_db()
    assert (change.status, stage_of(second)) == ("failed", "backtested")


def test_carried_out_twice_it_changes_once(ada: Actor, bea: Actor) -> None:
    first = put_in_force(ada, bea, REFUNDS, TERMS)
    second = backtested(policies.draft(ada, REFUNDS, STRICT))
    change = changes.propose_activation(ada, second, "as agreed")
    decide(bea, change)
    call = EffectCall(
        key=change.effect.pk,
        action=change.action,
        target=change.target,
        args=change.args,
        payload=change.payload,
    )
    receipt = changes.EXECUTORS["countersign"].call(call)
    policies.activate(ada, first)
    assert changes.EXECUTORS["countersign"].call(call) == receipt
    assert (stage_of(first), stage_of(second)) == ("active", "retired")


def test_retired_a_wider_scope_decides(ada: Actor, bea: Actor, propose: Propose) -> None:
    policy = put_in_force(ada, bea, REFUNDS, TERMS)
    decide(bea, changes.propose_retirement(ada, policy, "no longer needed"))
    work_all()
    assert stage_of(policy) == "retired"
    assert propose(confidence=0.85).dispositions.get().policy == thresholds.first_policy()


def test_the_general_scope_is_replaced_and_never_retired(ada: Actor, bea: Actor) -> None:
    first = thresholds.first_policy()
    with pytest.raises(StageWrong, match="activate another version instead"):
        changes.propose_retirement(ada, first, "no longer needed")
    second = put_in_force(ada, bea, Scope(), TERMS)
    assert (stage_of(first), stage_of(second)) == ("retired", "active")


def test_no_more_scopes_than_a_setting_says(ada: Actor, bea: Actor, settings: Settings) -> None:
    thresholds.first_policy()
    settings.POLICIES_ACTIVE_MAX = 2
    put_in_force(ada, bea, REFUNDS, TERMS)
    put_in_force(ada, bea, REFUNDS, STRICT)
    policy = backtested(policies.draft(ada, Scope(tier="high"), TERMS))
    change = changes.propose_activation(ada, policy, "as agreed")
    decide(bea, change)
    work_all()
    change.refresh_from_db()
    assert (change.status, stage_of(policy)) == ("failed", "backtested")


def test_what_was_written_stays_written(ada: Actor) -> None:
    policy = policies.draft(ada, REFUNDS, TERMS)
    with pytest.raises(DatabaseError), transaction.atomic():
        EvaluationPolicy.objects.filter(pk=policy.pk).update(accept_above=0.1)


def test_an_agent_cannot_propose_a_change(agent: Actor) -> None:
    with pytest.raises(BadInput):
        proposals.submit(
            agent, Suggestion(agent="x", action="countersign.policy.activate", target="", args={})
        )
