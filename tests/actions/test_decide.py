from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError, transaction
from django.utils import timezone

from orchestrator.actions import reviews, tokens
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import AlreadyDecided, BadInput, ItemChanged, NotAllowed, NotFound
from orchestrator.models import AuditEntry, Command, Decision, Effect, Proposal, ReviewItem
from tests.conftest import SYSTEM, Cast

Propose = Callable[..., Proposal]
Activate = Callable[..., None]


@pytest.fixture
def item(propose: Propose, rule: Activate) -> ReviewItem:
    rule()
    return propose().review_items.get()


def decide(user: Any, item: ReviewItem, verdict: str = "approve", **changes: Any) -> Decision:
    values = {"version": item.version, "idempotency_key": f"{user.pk}-{verdict}"} | changes
    return reviews.decide(Actor(user), item.pk, verdict=verdict, **values)


def test_approving_releases_the_stored_payload(cast: Cast, item: ReviewItem) -> None:
    decision = decide(cast.rita, item, note="seen the photo")
    item.refresh_from_db()
    assert (item.status, item.closed_because) == ("decided", "approved")
    effect = Effect.objects.get(proposal=item.proposal)
    assert effect.decision == decision
    assert effect.payload_digest == decision.payload_digest == item.proposal.digest
    assert Command.objects.get().payload.count(item.proposal.digest) == 1
    assert AuditEntry.objects.get(verb="review_item.approved").user == cast.rita


def test_rejecting_runs_nothing(cast: Cast, item: ReviewItem) -> None:
    decide(cast.rita, item, "reject", reason="missing_evidence")
    assert Proposal.objects.get().status == "rejected"
    assert not Effect.objects.exists()
    assert not Command.objects.exists()


def test_the_second_decider_is_told_who_won(cast: Cast, item: ReviewItem) -> None:
    decide(cast.rita, item)
    with pytest.raises(AlreadyDecided, match="rita was first: approved at"):
        decide(cast.rolf, item, "reject", reason="wrong_value")
    assert Decision.objects.count() == 1


def test_the_same_click_twice_is_one_decision(cast: Cast, item: ReviewItem) -> None:
    assert decide(cast.rita, item) == decide(cast.rita, item)
    assert Command.objects.count() == 1


def test_a_stale_version_is_refused(cast: Cast, item: ReviewItem) -> None:
    with pytest.raises(ItemChanged, match="version 7"):
        decide(cast.rita, item, version=7)


def test_two_people_means_two_people(cast: Cast, propose: Propose, rule: Activate) -> None:
    rule(effect="two_person")
    item = propose().review_items.get()
    decide(cast.rita, item)
    assert Proposal.objects.get().status == "in_review"
    assert not Effect.objects.exists()
    item.refresh_from_db()
    with pytest.raises(NotAllowed, match="twice"):
        decide(cast.rita, item, idempotency_key="again")
    decide(cast.rolf, item)
    assert Proposal.objects.get().status == "accepted"
    assert Effect.objects.count() == 1


def test_one_of_two_may_still_reject(cast: Cast, propose: Propose, rule: Activate) -> None:
    rule(effect="two_person")
    item = propose().review_items.get()
    decide(cast.rita, item)
    item.refresh_from_db()
    decide(cast.rolf, item, "reject", reason="wrong_target")
    assert Proposal.objects.get().status == "rejected"


@pytest.mark.parametrize("who", ["max", "agents"])
def test_who_may_not_decide_is_refused(cast: Cast, item: ReviewItem, who: str) -> None:
    with pytest.raises(NotAllowed, match="reviewer or admin"):
        decide(getattr(cast, who), item)


def test_a_role_taken_away_counts_at_once(cast: Cast, item: ReviewItem) -> None:
    cast.rita.groups.remove(Group.objects.get(name="reviewer"))
    with pytest.raises(NotAllowed):
        decide(cast.rita, item)


def test_a_disabled_person_decides_nothing(cast: Cast, item: ReviewItem) -> None:
    cast.rita.is_active = False
    with pytest.raises(NotAllowed):
        decide(cast.rita, item)


def test_nobody_approves_their_own_proposal(cast: Cast, rule: Activate, propose: Propose) -> None:
    rule()
    own = tokens.find(tokens.issue(SYSTEM, owner=cast.rita, name="mine", scopes=["propose"]))
    proposal = propose()
    Proposal.objects.filter(pk=proposal.pk).update(token=own)
    with pytest.raises(NotAllowed, match="own token"):
        decide(cast.rita, proposal.review_items.get())


@pytest.mark.parametrize(
    ("verdict", "changes", "field"),
    [
        ("merge", {}, "verdict"),
        ("reject", {}, "reason"),
        ("reject", {"reason": "because"}, "reason"),
        ("reject", {"reason": "other"}, "note"),
        ("approve", {"note": "x" * 5_001}, "note"),
        ("approve", {"note": "a\x00b"}, "note"),
        ("approve", {"idempotency_key": ""}, "idempotency_key"),
        ("approve", {"idempotency_key": "k" * 256}, "idempotency_key"),
    ],
)
def test_bad_input_names_its_field(
    cast: Cast, item: ReviewItem, verdict: str, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(BadInput) as caught:
        decide(cast.rita, item, verdict, **changes)
    assert caught.value.field == field


def test_an_unknown_item(cast: Cast) -> None:
    with pytest.raises(NotFound):
        reviews.decide(
            Actor(cast.rita), "rev_nope", verdict="approve", version=1, idempotency_key="k"
        )


def test_a_deadline_that_passed_is_a_no_even_before_the_sweep(cast: Cast, item: ReviewItem) -> None:
    ReviewItem.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(AlreadyDecided, match="deadline"):
        decide(cast.rita, item)


def test_the_database_itself_refuses_another_payload(cast: Cast, item: ReviewItem) -> None:
    decision = decide(cast.rita, item)
    effect = Effect.objects.get()
    with pytest.raises(DatabaseError, match="effect_same_payload"), transaction.atomic():
        Effect.objects.filter(pk=effect.pk).update(payload_digest="sha256:other")
        Effect.objects.raw("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(DatabaseError, match="never changes"), transaction.atomic():
        Proposal.objects.filter(pk=item.proposal_id).update(payload="{}")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        Decision.objects.filter(pk=decision.pk).update(verdict="reject")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        AuditEntry.objects.all().delete()
