"""Holds: of any number of people who reach for an item, one gets it."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from orchestrator.actions import claims, confirmations, handling, reviews, teams, users
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import BadInput, HeldByOther, HoldLost, NotAllowed, NotFound
from orchestrator.engine import audits
from orchestrator.models import Proposal, ReviewItem
from tests.conftest import SYSTEM, Cast
from tests.deciding import decide, look

Propose = Callable[..., Proposal]
Activate = Callable[..., None]


@pytest.fixture
def item(propose: Propose, rule: Activate) -> ReviewItem:
    rule()
    return propose().review_items.get()


def lapse() -> None:
    ReviewItem.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


def test_who_holds_it_decides_it(cast: Cast, item: ReviewItem) -> None:
    seen = look(cast.rita, item)
    with pytest.raises(HeldByOther, match="rita holds this item until"):
        claims.take(Actor(cast.rolf), item.pk)
    decide(cast.rita, item, seen=seen)


def test_taking_twice_keeps_the_hold_and_its_name(cast: Cast, item: ReviewItem) -> None:
    first = claims.take(Actor(cast.rita), item.pk)
    assert claims.take(Actor(cast.rita), item.pk).lease == first.lease


def test_a_hold_ends_by_itself(cast: Cast, item: ReviewItem) -> None:
    seen = look(cast.rita, item)
    lapse()
    decide(cast.rolf, item)
    with pytest.raises(Exception, match="rolf was first: approved"):
        reviews.decide(
            Actor(cast.rita), item.pk, verdict="approve", seen=seen, idempotency_key="late"
        )


def test_a_hold_that_nobody_took_over_is_still_good(cast: Cast, item: ReviewItem) -> None:
    seen = look(cast.rita, item)
    lapse()
    decide(cast.rita, item, seen=seen)


def test_who_lost_it_is_told_who_has_it(cast: Cast, item: ReviewItem) -> None:
    seen = look(cast.rita, item)
    lapse()
    claims.take(Actor(cast.rolf), item.pk)
    with pytest.raises(HeldByOther, match="rolf holds"):
        decide(cast.rita, item, seen=seen)
    with pytest.raises(HeldByOther, match="rolf holds"):
        claims.keep(Actor(cast.rita), item.pk, seen.lease)


def test_a_sign_of_life_begins_the_lease_anew(cast: Cast, item: ReviewItem) -> None:
    held = claims.take(Actor(cast.rita), item.pk)
    lapse()
    kept = claims.keep(Actor(cast.rita), item.pk, held.lease)
    assert kept.is_held
    with pytest.raises(HoldLost):
        claims.keep(Actor(cast.rita), item.pk, "another")


def test_letting_go_makes_it_free(cast: Cast, item: ReviewItem) -> None:
    held = claims.take(Actor(cast.rita), item.pk)
    claims.release(Actor(cast.rolf), item.pk, held.lease)
    with pytest.raises(HeldByOther):
        claims.take(Actor(cast.rolf), item.pk)
    claims.release(Actor(cast.rita), item.pk, held.lease)
    assert claims.take(Actor(cast.rolf), item.pk).holder == cast.rolf


def test_without_a_hold_nothing_is_decided(cast: Cast, item: ReviewItem) -> None:
    rita = Actor(cast.rita)
    seen = confirmations.seen(rita, item)
    with pytest.raises(BadInput) as caught:
        decide(rita, item, seen=seen)
    assert caught.value.field == "lease"


@pytest.mark.parametrize("changes", [{"confirmation": "0" * 64}, {"confirmation": ""}])
def test_a_confirmation_that_was_made_up(
    cast: Cast, item: ReviewItem, changes: dict[str, str]
) -> None:
    seen = replace(look(cast.rita, item), **changes)
    with pytest.raises(BadInput, match="open the item again"):
        decide(cast.rita, item, seen=seen)


def test_a_confirmation_is_its_persons_alone(cast: Cast, item: ReviewItem) -> None:
    seen = look(cast.rita, item)
    lapse()
    taken = claims.take(Actor(cast.rolf), item.pk)
    with pytest.raises(BadInput, match="open the item again"):
        decide(cast.rolf, item, seen=replace(seen, lease=taken.lease))


def test_no_token_holds_confirms_or_decides(cast: Cast, item: ReviewItem, agent: Actor) -> None:
    for_rita = Actor(cast.rita, agent.token)
    with pytest.raises(NotAllowed, match="in a browser"):
        claims.take(for_rita, item.pk)
    with pytest.raises(NotAllowed, match="in a browser"):
        confirmations.seen(for_rita, item)
    seen = look(cast.rita, item)
    with pytest.raises(NotAllowed, match="in a browser"):
        reviews.decide(for_rita, item.pk, verdict="approve", seen=seen, idempotency_key="k")


def test_the_next_is_the_most_urgent_that_is_free(
    cast: Cast, propose: Propose, rule: Activate
) -> None:
    rule()
    items = [propose().review_items.get() for _ in range(4)]
    ReviewItem.objects.filter(pk=items[2].pk).update(priority=90)
    ReviewItem.objects.filter(pk=items[1].pk).update(due_at=timezone.now() + timedelta(hours=1))
    ReviewItem.objects.filter(pk=items[0].pk).update(
        snoozed_until=timezone.now() + timedelta(hours=1)
    )
    rita, rolf = Actor(cast.rita), Actor(cast.rolf)
    assert claims.take_next(rita) == items[2]
    assert claims.take_next(rolf) == items[1]
    assert claims.take_next(rita) == items[3]
    assert claims.take_next(rolf) is None


def test_the_next_is_one_that_they_may_decide(cast: Cast, propose: Propose, rule: Activate) -> None:
    rule(effect="two_person")
    item = propose().review_items.get()
    decide(cast.rita, item)
    assert claims.take_next(Actor(cast.rita)) is None
    assert claims.take_next(Actor(cast.rolf)) == item
    with pytest.raises(NotAllowed):
        claims.take_next(Actor(cast.max))


def test_a_team_decides_what_is_its(cast: Cast, item: ReviewItem) -> None:
    team = teams.create(Actor(cast.ada), name="Refunds")
    team.members.set([cast.rolf])
    ReviewItem.objects.update(team=team)
    with pytest.raises(NotAllowed, match="It is for Refunds to decide: rolf"):
        claims.take(Actor(cast.rita), item.pk)
    assert claims.take_next(Actor(cast.rita)) is None
    seen = look(cast.rolf, item)
    team.members.clear()
    with pytest.raises(NotAllowed, match="nobody is in it yet"):
        decide(cast.rolf, item, seen=seen)


def test_an_audit_is_handed_out_and_not_reached_for(cast: Cast, propose: Propose) -> None:
    """Not even its own hold can be taken by its id: who may have it is settled where it is handed out."""
    audit = audits.open_for([propose()])[0]
    for who in (cast.rita, cast.ada):
        with pytest.raises(NotFound):
            claims.take(Actor(who), audit.pk)
        with pytest.raises(NotFound):
            handling.comment(Actor(who), audit.pk, "what is this?")
    assert claims.take_next(Actor(cast.rita)) is None


def test_an_item_that_does_not_exist(cast: Cast) -> None:
    for reach in (claims.take, lambda actor, pk: claims.keep(actor, pk, "lease")):
        with pytest.raises(NotFound):
            reach(Actor(cast.rita), "rev_nope")


@pytest.mark.django_db(transaction=True)
def test_of_many_who_reach_at_once_nobody_gets_the_same(
    cast: Cast, propose: Propose, rule: Activate
) -> None:
    rule()
    for _ in range(60):
        propose()
    people = [
        users.create(SYSTEM, username=f"r{number}", password="x", role="reviewer")
        for number in range(24)
    ]
    start = threading.Barrier(len(people))

    def reach(person: User) -> list[str]:
        taken = []
        start.wait()
        try:
            while item := claims.take_next(Actor(person)):
                taken.append(item.pk)
        finally:
            connection.close()
        return taken

    with ThreadPoolExecutor(len(people)) as pool:
        taken = Counter(pk for found in pool.map(reach, people) for pk in found)
    assert len(taken) == 60
    assert set(taken.values()) == {1}
