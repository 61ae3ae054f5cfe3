"""The life of a rule: written, tried, asked for, countersigned, and taken back."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from orchestrator.actions import changes, contracts, proposals, rules, users
from orchestrator.actions.actor import Actor
from orchestrator.actions.proposals import Suggestion
from orchestrator.core.errors import (
    BadInput,
    ChangeWaiting,
    HistoryInvalid,
    NotAllowed,
    RuleChanged,
    RuleInvalid,
    StageWrong,
)
from orchestrator.effects.base import EffectCall
from orchestrator.models import AuditEntry, Backtest, Proposal, ReviewItem, RuleVersion
from tests import deciding
from tests.conftest import SYSTEM, Cast
from tests.work import work_all

Propose = Callable[..., Proposal]
WORDING: dict[str, Any] = {
    "slug": "refund-limit",
    "title": "Large refunds need a person",
    "effect": "hold",
    "condition": "proposal.args.amount_minor <= 50000",
    "applies_to": {"actions": ["refund.create"]},
}


@pytest.fixture
def ada(cast: Cast) -> Actor:
    return Actor(cast.ada)


@pytest.fixture
def bea(cast: Cast) -> Actor:
    """Another admin."""
    return Actor(users.create(SYSTEM, username="bea", password=None, role="admin"))


def backtested(version: RuleVersion) -> RuleVersion:
    """As the worker leaves it."""
    Backtest.objects.create(
        version=version,
        content_hash=version.content_hash,
        status=Backtest.Status.DONE,
        since=timezone.now(),
        until=timezone.now(),
        proposals_max=1,
    )
    RuleVersion.objects.filter(pk=version.pk).update(stage="backtested")
    return rules.version_of(version.rule.slug, version.number)


def item_of(proposal: Proposal) -> ReviewItem:
    return ReviewItem.objects.get(proposal=proposal)


def decide(actor: Actor, proposal: Proposal, verdict: str = "approve", reason: str = "") -> None:
    item = item_of(proposal)
    deciding.decide(
        actor, item.pk, verdict=verdict, reason=reason, idempotency_key=f"{actor.name}-{item.pk}"
    )


def stage_of(version: RuleVersion) -> str:
    return RuleVersion.objects.get(pk=version.pk).stage


def test_saying_the_same_again_is_no_new_version(ada: Actor) -> None:
    first = rules.draft(ada, **WORDING)
    assert rules.draft(ada, **WORDING) == first
    assert rules.draft(ada, **WORDING | {"effect": "block"}).number == 2
    assert first.stage == "draft"


def test_a_version_in_between_is_not_buried(ada: Actor, bea: Actor) -> None:
    rules.draft(ada, **WORDING)
    rules.draft(bea, **WORDING | {"effect": "block"}, base=1)
    with pytest.raises(RuleChanged, match="version 2 of refund-limit while you wrote yours"):
        rules.draft(ada, **WORDING | {"effect": "flag"}, base=1)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"condition": "proposal.args.amount_minor <"}, RuleInvalid, "line 1"),
        ({"condition": "1 + 1"}, RuleInvalid, "true or false"),
        ({"title": " "}, BadInput, "title"),
        ({"title": "x" * 201}, BadInput, "at most 200"),
        ({"note": "a\x00b"}, BadInput, "NUL"),
        ({"slug": "a b"}, BadInput, "letters"),
        ({"slug": "check"}, BadInput, "address of its own"),
        ({"effect": "delete"}, BadInput, "choose among"),
        ({"applies_to": {"actoins": ["x"]}}, BadInput, "choose among"),
        ({"applies_to": {"actions": []}}, BadInput, "at least one"),
        ({"applies_to": {"actions": ["a*"]}}, BadInput, "a star stands alone"),
        ({"applies_to": {"actions": ["a"] * 101}}, BadInput, "at most 100"),
        ({"history": {"spent": {"sum": "x", "within": "1d"}}}, HistoryInvalid, "argument"),
    ],
)
def test_what_cannot_work_is_refused_with_its_place(
    ada: Actor, change: dict[str, Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        rules.draft(ada, **WORDING | change)
    assert not RuleVersion.objects.exists()


def test_a_field_that_no_contract_knows_is_refused_with_its_place(ada: Actor) -> None:
    schema = {
        "type": "object",
        "properties": {"amount_minor": {"type": "integer"}},
        "additionalProperties": False,
    }
    contracts.save(SYSTEM, kind="action", name="refund.create", schema=schema, timeout_s=60)
    with pytest.raises(RuleInvalid, match=r"amuont_minor.*amount_minor.*line 1, column 1"):
        rules.draft(ada, **WORDING | {"condition": "proposal.args.amuont_minor <= 5"})
    rules.draft(ada, **WORDING)
    elsewhere = {"applies_to": {"actions": ["refund.create", "refund.undo"]}}
    rules.draft(ada, **WORDING | elsewhere | {"condition": "proposal.args.reason == 'x'"})


def test_only_admins_write(cast: Cast) -> None:
    for person in (cast.rita, cast.max):
        with pytest.raises(NotAllowed):
            rules.draft(Actor(person), **WORDING)


def test_a_draft_has_to_be_backtested_first(ada: Actor) -> None:
    version = rules.draft(ada, **WORDING)
    with pytest.raises(StageWrong, match="Backtest it first"):
        rules.start_shadow(ada, version)
    with pytest.raises(StageWrong, match="needs a finished backtest"):
        changes.propose_activation(ada, version, "as agreed")


def test_a_shadow_watches_and_nothing_follows(ada: Actor, propose: Propose) -> None:
    version = backtested(rules.draft(ada, **WORDING))
    rules.start_shadow(ada, version)
    proposal = propose()
    check = proposal.policy_checks.get()
    assert (check.enforced, check.result) == (False, "fail")
    assert proposal.status == "accepted"
    rules.stop_shadow(ada, version)
    assert not propose().policy_checks.exists()
    assert stage_of(version) == "backtested"


def test_one_shadow_follows_another(ada: Actor) -> None:
    first = backtested(rules.draft(ada, **WORDING))
    second = backtested(rules.draft(ada, **WORDING | {"effect": "block"}))
    rules.start_shadow(ada, first)
    rules.start_shadow(ada, second)
    assert (stage_of(first), stage_of(second)) == ("backtested", "shadow")


def test_another_admin_countersigns_and_then_it_decides(
    ada: Actor, bea: Actor, propose: Propose
) -> None:
    version = backtested(rules.draft(ada, **WORDING))
    change = changes.propose_activation(ada, version, "the limit of the handbook")
    item = item_of(change)
    assert (item.kind, change.status, change.target) == (
        "rule_change",
        "in_review",
        "rule/refund-limit",
    )
    assert change.args["backtest"] == rules.newest_backtest(version).pk  # type: ignore[union-attr]
    assert stage_of(version) == "backtested"
    decide(bea, change)
    work_all()
    change.refresh_from_db()
    assert (change.status, stage_of(version)) == ("executed", "active")
    assert propose().status == "in_review"
    entry = AuditEntry.objects.get(verb="rule.activated")
    assert entry.user == bea.user


def test_neither_author_nor_asker_nor_reviewer_may_agree(
    ada: Actor, bea: Actor, cast: Cast
) -> None:
    version = backtested(rules.draft(ada, **WORDING))
    change = changes.propose_activation(bea, version, "as agreed")
    for actor, match in ((bea, "asked for it"), (ada, "wrote this version")):
        with pytest.raises(NotAllowed, match=match):
            decide(actor, change)
    assert item_of(change).is_waiting
    with pytest.raises(NotAllowed, match="Changes of Countersign"):
        decide(Actor(cast.rita), change)


def test_who_asked_can_take_it_back(ada: Actor, bea: Actor) -> None:
    version = backtested(rules.draft(ada, **WORDING))
    for actor in (ada, bea):
        change = changes.propose_activation(bea, version, "as agreed")
        decide(actor, change, "reject", "duplicate_or_stale")
        change.refresh_from_db()
        assert change.status == "rejected"


def test_a_full_house_still_changes_what_is_in_it(ada: Actor, settings: Settings) -> None:
    settings.RULES_ACTIVE_MAX = 1
    rules.activate(ada, rules.draft(ada, **WORDING))
    rules.activate(ada, rules.draft(ada, **WORDING | {"effect": "block"}))
    with pytest.raises(BadInput, match="RULES_ACTIVE_MAX"):
        rules.activate(ada, rules.draft(ada, **WORDING | {"slug": "another"}))


def test_a_change_that_cannot_be_made_is_refused_and_not_lost(
    ada: Actor, bea: Actor, settings: Settings
) -> None:
    version = backtested(rules.draft(ada, **WORDING))
    change = changes.propose_activation(ada, version, "as agreed")
    rules.activate(ada, rules.draft(ada, **WORDING | {"slug": "another"}))
    settings.RULES_ACTIVE_MAX = 1
    decide(bea, change)
    work_all()
    change.refresh_from_db()
    assert change.status == "failed"
    assert "RULES_ACTIVE_MAX" in change.effect.error["reason"]


def test_a_contract_cannot_take_an_action_out_of_the_rules_for_its_tier(
    ada: Actor, settings: Settings
) -> None:
    rules.activate(ada, rules.draft(ada, **WORDING | {"applies_to": {"tiers": ["normal", "high"]}}))
    words: dict[str, Any] = {
        "kind": "action",
        "name": "refund.create",
        "schema": {"type": "object"},
        "timeout_s": 60,
    }
    with pytest.raises(BadInput, match=r"refund-limit decide by it"):
        contracts.save(ada, tier="low", **words)
    contracts.save(ada, **words)
    settings.RULES_FOUR_EYES = False
    contracts.save(ada, tier="low", **words)
    detail = AuditEntry.objects.filter(verb="contract.saved").latest("pk").detail
    assert detail["tier"] == {"before": "normal", "after": "low"}


def test_a_contract_cannot_stand_in_the_way_of_a_change(ada: Actor) -> None:
    with pytest.raises(BadInput, match="has no contract"):
        contracts.save(ada, kind="action", name="countersign.rule.activate", schema={}, timeout_s=1)


def test_what_is_masked_is_in_no_reason_either(ada: Actor, propose: Propose) -> None:
    contracts.save(
        ada,
        kind="action",
        name="refund.create",
        schema={
            "type": "object",
            "properties": {"card": {"type": "string"}, "amount_minor": {"type": "integer"}},
        },
        timeout_s=60,
        masked=["/card"],
    )
    message = "card {proposal.args.card} is over"
    rules.activate(ada, rules.draft(ada, **WORDING | {"message": message}))
    proposal = propose(args={"amount_minor": 184_000, "card": "4111111111111111"})
    item = proposal.review_items.get()
    assert item.opened_because == ["refund-limit: card (masked) is over"]
    assert proposal.dispositions.get().reasons == item.opened_because


def test_a_single_admin_can_be_allowed_to(ada: Actor, settings: Settings) -> None:
    settings.RULES_FOUR_EYES = False
    version = backtested(rules.draft(ada, **WORDING))
    decide(ada, changes.propose_activation(ada, version, "I am alone"))
    work_all()
    assert stage_of(version) == "active"


def test_a_rejected_change_changes_nothing(ada: Actor, bea: Actor) -> None:
    version = backtested(rules.draft(ada, **WORDING))
    change = changes.propose_activation(ada, version, "as agreed")
    decide(bea, change, "reject", "wrong_value")
    work_all()
    assert stage_of(version) == "backtested"
    assert changes.propose_activation(ada, version, "again").pk != change.pk


def test_one_change_of_a_rule_waits_at_a_time(ada: Actor) -> None:
    version = backtested(rules.draft(ada, **WORDING))
    changes.propose_activation(ada, version, "as agreed")
    with pytest.raises(ChangeWaiting, match="already waits"):
        changes.propose_activation(ada, version, "again")


def test_what_was_agreed_to_is_refused_when_the_rule_moved_on(ada: Actor, bea: Actor) -> None:
    first = backtested(rules.draft(ada, **WORDING))
    change = changes.propose_activation(ada, first, "as agreed")
    second = rules.draft(ada, **WORDING | {"effect": "block"})
    rules.activate(ada, second)
    decide(bea, change)
    work_all()
    change.refresh_from_db()
    assert (change.status, stage_of(first), stage_of(second)) == ("failed", "backtested", "active")
    assert "became active meanwhile" in change.effect.error["reason"]


def test_going_back_needs_no_new_backtest_but_another_admin(ada: Actor, bea: Actor) -> None:
    first = rules.draft(ada, **WORDING)
    rules.activate(ada, first)
    second = rules.draft(ada, **WORDING | {"effect": "block"})
    rules.activate(ada, second)
    with pytest.raises(StageWrong, match="never active"):
        changes.roll_back(bea, rules.draft(ada, **WORDING | {"effect": "flag"}), "no")
    decide(bea, changes.roll_back(ada, first, "too strict"))
    work_all()
    assert (stage_of(first), stage_of(second)) == ("active", "retired")


def test_a_change_that_is_made_again_undoes_nothing_that_came_after(ada: Actor, bea: Actor) -> None:
    first = rules.draft(ada, **WORDING)
    rules.activate(ada, first)
    second = backtested(rules.draft(ada, **WORDING | {"effect": "block"}))
    change = changes.propose_activation(ada, second, "as agreed")
    decide(bea, change)
    call = call_of(change)
    receipt = changes.EXECUTORS["countersign"].call(call)
    rules.activate(ada, first)
    assert changes.EXECUTORS["countersign"].call(call) == receipt
    assert (stage_of(first), stage_of(second)) == ("active", "retired")
    assert AuditEntry.objects.get(verb="rule.change_made").detail["effect"] == change.effect.pk


def call_of(change: Proposal) -> EffectCall:
    """As the worker makes it, after each crash again."""
    return EffectCall(
        key=change.effect.pk,
        action=change.action,
        target=change.target,
        args=change.args,
        payload=change.payload,
    )


def test_a_rule_is_retired_like_it_was_activated(ada: Actor, bea: Actor, propose: Propose) -> None:
    version = rules.draft(ada, **WORDING)
    rules.activate(ada, version)
    decide(bea, changes.propose_retirement(ada, version, "no longer needed"))
    work_all()
    assert stage_of(version) == "retired"
    assert propose().status == "accepted"


def test_a_rule_that_holds_everything_does_not_lock_its_own_repair(ada: Actor, bea: Actor) -> None:
    broken = rules.draft(
        ada, **WORDING | {"effect": "block", "condition": "false", "applies_to": {}}
    )
    rules.activate(ada, broken)
    decide(bea, changes.propose_retirement(ada, broken, "it blocks everything"))
    work_all()
    assert stage_of(broken) == "retired"


def test_agents_cannot_propose_changes_of_rules(cast: Cast, ada: Actor) -> None:
    with pytest.raises(BadInput, match="only people may change"):
        proposals.submit(ada, Suggestion(agent="x", action="countersign.rule.activate"))
