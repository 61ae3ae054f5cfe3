"""Auditors are tried on what is settled, cannot tell it from an audit, and change nothing by it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import Settings

from orchestrator import audit_queries, gold_queries
from orchestrator.actions import audits, gold, tokens, users
from orchestrator.actions.actor import Actor
from orchestrator.actions.proposals import Suggestion, submit
from orchestrator.core.errors import AlreadyDecided, BadInput, NotAllowed, NotFound
from orchestrator.engine.sweep import sweep
from orchestrator.gold_queries import Tried
from orchestrator.models import (
    AuditEntry,
    Evaluation,
    GoldItem,
    GoldLook,
    Proposal,
    ReviewItem,
    Team,
)
from tests.actions.test_audits import judge
from tests.conftest import SYSTEM, Cast
from tests.deciding import decide

Propose = Callable[..., Proposal]
HARMLESS = {"amount_minor": 1_990, "currency": "EUR"}
DAY = timedelta(days=1)
WHY = "The parcel was nine days late."


@pytest.fixture(autouse=True)
def _always_gold(settings: Settings) -> None:
    settings.AUDIT_SHARE = settings.GOLD_SHARE = 1.0


@pytest.fixture
def uma(cast: Cast) -> User:
    return users.create(SYSTEM, username="uma", password="x", role="reviewer")


@pytest.fixture
def settled(cast: Cast, propose: Propose) -> Proposal:
    """Approved by Rita."""
    proposal = propose(confidence=0.1, target="order/settled")
    decide(cast.rita, proposal.review_items.get())
    return proposal


@pytest.fixture
def golden(cast: Cast, settled: Proposal) -> GoldItem:
    return gold.add(Actor(cast.ada), settled.pk, why=WHY)


@pytest.fixture
def waiting(propose: Propose) -> ReviewItem:
    """An audit that anybody could be handed."""
    return propose(args=HARMLESS, target="order/new").review_items.get()


# What is one ----------------------------------------------------------------------------------------


def test_its_answer_is_what_people_settled_on(cast: Cast, golden: GoldItem) -> None:
    assert (golden.should_run, golden.said_by, golden.why) == (True, "review", WHY)
    entry = AuditEntry.objects.get(verb="gold.added")
    assert (entry.user, entry.object_id) == (cast.ada, golden.proposal_id)


@pytest.mark.parametrize("why", ["", "  ", "x" * 2_001, "a\x00b"])
def test_it_needs_a_reason(cast: Cast, settled: Proposal, why: str) -> None:
    with pytest.raises(BadInput) as caught:
        gold.add(Actor(cast.ada), settled.pk, why=why)
    assert caught.value.field == "why"


def test_what_people_still_judge_is_none(cast: Cast, propose: Propose) -> None:
    for proposal in (propose(confidence=0.1), propose(args=HARMLESS)):
        with pytest.raises(BadInput, match="not settled"):
            gold.add(Actor(cast.ada), proposal.pk, why=WHY)


def test_there_is_one_of_each_and_not_too_many(
    settings: Settings, cast: Cast, golden: GoldItem, propose: Propose
) -> None:
    with pytest.raises(BadInput, match="already"):
        gold.add(Actor(cast.ada), golden.proposal_id, why=WHY)
    settings.GOLD_MAX = 1
    other = propose(confidence=0.1)
    decide(cast.rita, other.review_items.get())
    with pytest.raises(BadInput, match="there are 1"):
        gold.add(Actor(cast.ada), other.pk, why=WHY)
    with pytest.raises(NotFound):
        gold.add(Actor(cast.ada), "prp_" + "0" * 26, why=WHY)


@pytest.mark.parametrize("who", ["rita", "max"])
def test_only_admins_keep_them(cast: Cast, golden: GoldItem, who: str) -> None:
    actor = Actor(getattr(cast, who))
    with pytest.raises(NotAllowed):
        gold.add(actor, golden.proposal_id, why=WHY)
    with pytest.raises(NotAllowed):
        gold.retire(actor, golden.pk, why=WHY)


def test_what_is_taken_back_stays_on_record(
    cast: Cast, golden: GoldItem, waiting: ReviewItem
) -> None:
    gold.retire(Actor(cast.ada), golden.pk, why="It was the other parcel.")
    kept = GoldItem.objects.get()
    assert (kept.retired_by, kept.retired_why) == (cast.ada, "It was the other parcel.")
    with pytest.raises(AlreadyDecided):
        gold.retire(Actor(cast.ada), golden.pk, why=WHY)
    assert audits.take_next(Actor(cast.rolf)) == waiting
    # And may be one again.
    assert gold.add(Actor(cast.ada), golden.proposal_id, why=WHY).pk != golden.pk


# Who is handed one ------------------------------------------------------------------------------------


def test_it_comes_in_the_place_of_an_audit(
    cast: Cast, golden: GoldItem, waiting: ReviewItem
) -> None:
    item = audits.take_next(Actor(cast.rolf))
    assert item is not None
    assert (item.kind, item.proposal, item.holder) == ("gold", golden.proposal, cast.rolf)
    # Nothing tells it apart: it is as old as the one that would have come, by its id as well.
    assert (item.created_at, item.due_at) == (waiting.created_at, waiting.due_at)
    assert item.pk[4:12] == waiting.pk[4:12]
    assert (item.team, item.priority, item.is_held) == (waiting.team, waiting.priority, True)
    # It hides what was decided, as an audit does, and is handed out again until it is judged.
    assert audit_queries.held_about(cast.rolf, golden.proposal_id) == item.pk
    assert audits.take_next(Actor(cast.rolf)) == item


def test_without_an_audit_there_is_none(cast: Cast, golden: GoldItem) -> None:
    assert audits.take_next(Actor(cast.rolf)) is None


def test_never_who_decided_about_it(cast: Cast, golden: GoldItem, waiting: ReviewItem) -> None:
    assert audits.take_next(Actor(cast.rita)) == waiting


def test_never_who_knows_the_answers(cast: Cast, golden: GoldItem, waiting: ReviewItem) -> None:
    assert audits.take_next(Actor(cast.ada)) == waiting


def test_never_who_reads_the_answers_in_the_log(
    cast: Cast, uma: User, golden: GoldItem, waiting: ReviewItem
) -> None:
    users.set_roles(Actor(cast.ada), uma.pk, ["reviewer", "manager"])
    assert audits.take_next(Actor(uma)) == waiting


def test_never_who_asked_for_it(
    cast: Cast, uma: User, waiting: ReviewItem, propose: Propose
) -> None:
    propose(args=HARMLESS, target="order/newer")
    token = tokens.find(tokens.issue(SYSTEM, owner=cast.rolf, name="mine", scopes=["propose"]))
    own = submit(
        Actor(cast.rolf, token),
        Suggestion(agent="a", action="refund.create", args=HARMLESS, confidence=0.1),
    )
    decide(cast.rita, own.review_items.get())
    gold.add(Actor(cast.ada), own.pk, why=WHY)
    assert audits.take_next(Actor(cast.rolf)) == waiting
    found = audits.take_next(Actor(uma))
    assert found is not None
    assert found.proposal == own


def test_what_is_a_teams_is_for_its_people(
    cast: Cast, uma: User, golden: GoldItem, waiting: ReviewItem, propose: Propose
) -> None:
    propose(args=HARMLESS, target="order/newer")
    team = Team.objects.create(slug="payments", name="Payments")
    team.members.add(uma)
    golden.proposal.review_items.update(team=team)
    assert audits.take_next(Actor(cast.rolf)) == waiting
    found = audits.take_next(Actor(uma))
    assert found is not None
    assert found.kind == "gold"


def test_never_twice_to_the_same_person(
    cast: Cast, uma: User, golden: GoldItem, waiting: ReviewItem
) -> None:
    judge(cast.rolf)
    assert GoldLook.objects.get().reviewer == cast.rolf
    assert audits.take_next(Actor(cast.rolf)) == waiting
    # Also when it was taken back and added anew.
    gold.retire(Actor(cast.ada), golden.pk, why=WHY)
    gold.add(Actor(cast.ada), golden.proposal_id, why=WHY)
    held = audits.take_next(Actor(cast.rolf))
    assert held == waiting
    audits.put_back(Actor(cast.rolf), waiting.pk, held.lease)
    assert audits.take_next(Actor(cast.rolf)) is None


def test_what_was_put_back_is_not_handed_out_again(
    cast: Cast, uma: User, golden: GoldItem, waiting: ReviewItem, propose: Propose
) -> None:
    propose(args=HARMLESS, target="order/newer")
    held = audits.take_next(Actor(cast.rolf))
    assert held is not None
    audits.put_back(Actor(cast.rolf), held.pk, held.lease)
    assert ReviewItem.objects.get(pk=held.pk).status == "withdrawn"
    assert audits.take_next(Actor(cast.rolf)) == waiting
    # Somebody else is handed one of their own, also while others have it before them.
    other = audits.take_next(Actor(uma))
    assert other is not None
    assert (other.kind, other.pk != held.pk) == ("gold", True)


def test_several_have_the_same_before_them(
    cast: Cast, uma: User, golden: GoldItem, waiting: ReviewItem
) -> None:
    items = [audits.take_next(Actor(person)) for person in (cast.rolf, uma)]
    assert [item and item.kind for item in items] == ["gold", "gold"]
    assert len(set(items)) == 2


def test_a_hold_that_ran_out_is_nobody_elses(
    cast: Cast, uma: User, golden: GoldItem, waiting: ReviewItem
) -> None:
    item = audits.take_next(Actor(cast.rolf))
    assert item is not None
    gold.retire(Actor(cast.ada), golden.pk, why=WHY)
    ReviewItem.objects.filter(pk=item.pk).update(lease_until=timezone.now() - DAY)
    assert audits.take_next(Actor(uma)) == waiting
    assert audits.take_next(Actor(cast.rolf)) == item


def test_the_share_is_drawn_by_chance_and_asking_again_changes_nothing(
    settings: Settings, cast: Cast, golden: GoldItem, propose: Propose
) -> None:
    settings.GOLD_SHARE = 0.5
    people = [
        users.create(SYSTEM, username=f"person{n}", password="x", role="reviewer")
        for n in range(16)
    ]
    for number in range(16):
        propose(args=HARMLESS, target=f"order/{number}")
    first = {person: audits.take_next(Actor(person)) for person in people}
    kinds = [item.kind for item in first.values() if item]
    assert 2 <= kinds.count("gold") <= 14
    assert {person: audits.take_next(Actor(person)) for person in people} == first


def test_what_people_settle_otherwise_meanwhile_tries_nobody(
    cast: Cast, settled: Proposal, waiting: ReviewItem
) -> None:
    GoldItem.objects.create(
        proposal=settled,
        should_run=False,
        said_by="review",
        why=WHY,
        added_by=cast.ada,
    )
    assert audits.take_next(Actor(cast.rolf)) == waiting


# What is said of it ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "closed"), [("approve", "as known"), ("reject", "not as known")]
)
def test_it_says_something_about_the_auditor_alone(
    cast: Cast, golden: GoldItem, waiting: ReviewItem, *, verdict: str, closed: str
) -> None:
    before = audit_queries.truth_of(golden.proposal)
    strata = audit_queries.strata(timezone.now() - DAY)
    judge(cast.rolf, verdict)
    item = ReviewItem.objects.get(kind="gold")
    assert (item.status, item.closed_because) == ("decided", closed)
    assert audit_queries.truth_of(golden.proposal) == before
    assert audit_queries.strata(timezone.now() - DAY) == strata
    assert not ReviewItem.objects.filter(kind="adjudication").exists()
    assert not Evaluation.objects.filter(evaluator="person").exists()


def test_it_says_how_often_it_was_judged_and_agreed_with(
    cast: Cast, uma: User, golden: GoldItem, waiting: ReviewItem
) -> None:
    judge(cast.rolf, "reject")
    judge(uma, "approve")
    assert gold_queries.tried([golden]) == {golden.pk: Tried(judged=2, agreed=1)}


def test_what_nobody_judged_in_time_says_nothing(
    cast: Cast, golden: GoldItem, waiting: ReviewItem
) -> None:
    item = audits.take_next(Actor(cast.rolf))
    assert item is not None
    ReviewItem.objects.filter(pk=item.pk).update(due_at=timezone.now() - DAY)
    sweep()
    assert ReviewItem.objects.get(pk=item.pk).closed_because == "deadline"
    assert gold_queries.tried([golden]) == {}
