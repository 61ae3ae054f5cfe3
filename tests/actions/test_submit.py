from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from pytest_django import DjangoAssertNumQueries, Settings

from orchestrator.actions import proposals
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import BadInput, QueueFull
from orchestrator.models import AuditEntry, Command, Effect, Event, Proposal, Run, Workflow

Propose = Callable[..., Proposal]
Activate = Callable[..., None]


def test_a_clean_confident_proposal_is_accepted_and_its_effect_released(propose: Propose) -> None:
    proposal = propose()
    assert (proposal.status, proposal.disposition) == ("accepted", "accept")
    effect = Effect.objects.get(proposal=proposal)
    assert effect.payload_digest == proposal.digest
    assert effect.disposition == proposal.dispositions.get()
    command = Command.objects.get(run=proposal.run)
    assert (command.kind, command.queue, command.key) == (
        "run_effect",
        "effects",
        f"run_effect:{effect.pk}",
    )


def test_a_failed_rule_opens_an_item_with_the_reason(propose: Propose, rule: Activate) -> None:
    rule()
    proposal = propose()
    item = proposal.review_items.get()
    assert (proposal.status, proposal.disposition) == ("in_review", "hold")
    assert (item.kind, item.approvals_needed) == ("guardrail_failure", 1)
    assert item.opened_because == ["refund-limit: the amount 184000 is over 50000"]
    check = proposal.policy_checks.get()
    assert (check.result, check.rule_version.number) == ("fail", 1)
    assert check.explain == [
        {"expr": "proposal.args.amount_minor <= 50000", "depth": 0, "value": False},
        {"expr": "proposal.args.amount_minor", "depth": 1, "value": 184_000},
    ]
    assert not Command.objects.exists()


@pytest.mark.parametrize(
    ("confidence", "status", "items"),
    [(0.95, "accepted", 0), (0.9, "revision_requested", 0), (0.6, "in_review", 1)],
)
def test_the_bands_decide_when_no_rule_objects(
    propose: Propose, confidence: float, status: str, items: int
) -> None:
    proposal = propose(confidence=confidence)
    assert proposal.status == status
    assert proposal.review_items.count() == items


def test_no_confidence_means_a_person_decides(propose: Propose) -> None:
    proposal = propose(confidence=None)
    assert proposal.review_items.get().kind == "escalation"


def test_a_block_closes_at_once(propose: Propose, rule: Activate) -> None:
    rule(effect="block")
    proposal = propose()
    assert proposal.status == "blocked"
    assert not proposal.review_items.exists()
    assert not Effect.objects.exists()


def test_a_rule_that_cannot_be_evaluated_holds(propose: Propose, rule: Activate) -> None:
    rule(effect="flag", condition="proposal.args.nobody_sends_this > 1")
    proposal = propose()
    assert proposal.disposition == "hold"
    assert proposal.policy_checks.get().result == "error"


def test_rules_outside_their_scope_are_not_asked(propose: Propose, rule: Activate) -> None:
    rule(applies_to={"actions": ["invoice.*"]})
    assert propose().policy_checks.count() == 0


def test_only_the_active_version_is_asked(propose: Propose, rule: Activate) -> None:
    rule()
    rule(condition="proposal.args.amount_minor <= 200000")
    proposal = propose()
    assert proposal.status == "accepted"
    assert proposal.policy_checks.get().rule_version.number == 2


def test_what_the_rules_saw_is_kept(propose: Propose, rule: Activate) -> None:
    rule()
    proposal = propose(context={"customer": {"age_days": 4}})
    snapshot = proposal.snapshots.get()
    assert '"customer":{"age_days":4}' in snapshot.inputs
    assert proposal.policy_checks.get().snapshot == snapshot


def test_the_journal_tells_the_story(propose: Propose, rule: Activate) -> None:
    rule()
    proposal = propose()
    kinds = list(Event.objects.filter(run=proposal.run).values_list("kind", flat=True))
    assert kinds == ["run_started", "proposal_received", "proposal_disposed"]
    assert AuditEntry.objects.get(object_id=proposal.pk).verb == "proposal.submitted"


def test_a_workflow_is_registered_when_first_named(propose: Propose, settings: Settings) -> None:
    first, second = propose(workflow="support"), propose(workflow="support")
    assert first.run.workflow_version == second.run.workflow_version
    settings.WORKFLOWS_MAX = 1
    with pytest.raises(BadInput, match="WORKFLOWS_MAX"):
        propose(workflow="another")
    assert list(Workflow.objects.values_list("slug", flat=True)) == ["support"]


def test_a_full_queue_refuses_whole(propose: Propose, settings: Settings) -> None:
    settings.QUEUE_PENDING_MAX = 1
    propose()
    with pytest.raises(QueueFull):
        propose()
    assert Run.objects.count() == 1


def test_nothing_is_half_stored(agent: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The audit row is written last; if it cannot be, the proposal was never taken."""

    def fail(*_: Any, **__: Any) -> None:
        raise IntegrityError("the log is full")

    monkeypatch.setattr(proposals, "audit", fail)
    suggestion = proposals.Suggestion(agent="a", action="b", confidence=0.95)
    with pytest.raises(IntegrityError), transaction.atomic():
        proposals.submit(agent, suggestion)
    for model in (Run, Proposal, Event, Command, Effect):
        assert not model.objects.exists()


def test_the_cost_of_taking_one_in_does_not_grow(
    propose: Propose, rule: Activate, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        rule(slug=f"rule-{number}")
    propose()
    with django_assert_max_num_queries(26):
        propose()
