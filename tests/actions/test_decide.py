from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError
from django.utils import timezone

from orchestrator.actions import proposals, tokens
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import (
    AlreadyDecided,
    BadInput,
    ItemChanged,
    KeyReused,
    NotAllowed,
    NotFound,
)
from orchestrator.engine.sweep import sweep
from orchestrator.models import AuditEntry, Command, Decision, Effect, Proposal, ReviewItem
from orchestrator.models.ids import new_id
from tests.conftest import SYSTEM, Cast
from tests.deciding import decide, look
from tests.roles import as_owner

Propose = Callable[..., Proposal]
Activate = Callable[..., None]


@pytest.fixture
def item(propose: Propose, rule: Activate) -> ReviewItem:
    rule()
    return propose().review_items.get()


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
    seen = look(cast.rita, item)
    assert decide(cast.rita, item, seen=seen) == decide(cast.rita, item, seen=seen)
    assert Command.objects.count() == 1


def test_a_stale_version_is_refused(cast: Cast, item: ReviewItem) -> None:
    seen = replace(look(cast.rita, item), version=7)
    with pytest.raises(ItemChanged, match="version 7"):
        decide(cast.rita, item, seen=seen)


def test_two_people_means_two_people(cast: Cast, propose: Propose, rule: Activate) -> None:
    rule(effect="two_person")
    item = propose().review_items.get()
    decide(cast.rita, item)
    assert Proposal.objects.get().status == "in_review"
    assert not Effect.objects.exists()
    item.refresh_from_db()
    with pytest.raises(NotAllowed, match="another person"):
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


def test_nobody_approves_their_own_proposal(cast: Cast) -> None:
    own = tokens.find(tokens.issue(SYSTEM, owner=cast.rita, name="mine", scopes=["propose"]))
    suggestion = proposals.Suggestion(agent="a", action="b")
    proposal = proposals.submit(Actor(cast.rita, own), suggestion)
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
        decide(cast.rita, "rev_nope")


def test_a_deadline_that_passed_is_a_no_even_before_the_sweep(cast: Cast, item: ReviewItem) -> None:
    ReviewItem.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(AlreadyDecided, match="deadline"):
        decide(cast.rita, item)


def test_after_the_deadline_nobody_is_named_the_winner(
    cast: Cast, propose: Propose, rule: Activate
) -> None:
    rule(effect="two_person")
    item = propose().review_items.get()
    decide(cast.rita, item)
    ReviewItem.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    sweep()
    with pytest.raises(AlreadyDecided, match="The deadline was first: expired"):
        decide(cast.rolf, item)


def test_one_key_is_one_decision(cast: Cast, propose: Propose, rule: Activate) -> None:
    rule()
    one, other = propose().review_items.get(), propose().review_items.get()
    seen = look(cast.rita, one)
    decide(cast.rita, one, seen=seen, idempotency_key="click")
    with pytest.raises(KeyReused):
        decide(cast.rita, one, "reject", seen=seen, idempotency_key="click", reason="wrong_value")
    with pytest.raises(KeyReused):
        decide(cast.rita, other, idempotency_key="click")
    assert Decision.objects.count() == 1


def refused(statement: str, *values: object) -> bool:
    """Whether the database itself says no, even to the owner of its tables."""
    try:
        with as_owner() as cursor:
            cursor.execute(statement, values)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except DatabaseError as error:
        return "never changes" in str(error) or "not allowed" in str(error)
    return False


def test_the_database_itself_keeps_what_was_written(cast: Cast, item: ReviewItem) -> None:
    decide(cast.rita, item)
    for column in ("payload", "digest", "action", "rationale", "evidence", "agent"):
        assert refused(f"UPDATE orchestrator_proposal SET {column} = 'x'"), column
    assert refused("UPDATE orchestrator_ruleversion SET condition = 'true'")
    assert not refused("UPDATE orchestrator_ruleversion SET stage = 'retired'")
    for table in ("event", "auditentry", "decision", "snapshot", "disposition", "policycheck"):
        changed = "note = 'x'" if table == "decision" else "id = id"
        assert refused(f"UPDATE orchestrator_{table} SET {changed}"), table
        assert refused(f"DELETE FROM orchestrator_{table}"), table


def test_the_database_itself_refuses_an_effect_that_nothing_allows(
    cast: Cast, item: ReviewItem, propose: Propose, rule: Activate
) -> None:
    insert = (
        "INSERT INTO orchestrator_effect (id, proposal_id, payload_digest, disposition_id,"
        " decision_id, executor, idempotency_key, status, may_have_happened, created_at)"
        " SELECT %s, p.id, p.digest, %s, %s, 'ledger', 'k', 'pending', false, now()"
        " FROM orchestrator_proposal p WHERE p.id = %s"
    )
    held, accepted = item.proposal, propose(action="email.send")
    rejection = decide(cast.rita, item, "reject", reason="wrong_value")
    own = held.dispositions.get().pk
    someone_elses = accepted.dispositions.get().pk
    for disposition, decision in ((own, None), (someone_elses, None), (None, rejection.pk)):
        assert refused(insert, new_id("eff"), disposition, decision, held.pk)
