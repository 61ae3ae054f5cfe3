"""Two dozen people reach for the same items at once: each item is held by one of them, and by no other."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.db import connection

from orchestrator.actions import claims, users
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import HeldByOther
from orchestrator.models import Proposal, ReviewItem
from tests.conftest import SYSTEM

THREADS, ITEMS = 24, 50

type Hold = tuple[str, str, int]


@pytest.fixture
def people(transactional_db: None, propose: Callable[..., Proposal]) -> list[User]:
    for number in range(ITEMS):
        propose(target=f"order/{number}", confidence=0.3)
    assert ReviewItem.objects.waiting().count() == ITEMS
    return [
        users.create(SYSTEM, username=f"r{number}", password=None, role="reviewer")
        for number in range(THREADS)
    ]


def all_at_once(people: list[User], reach: Callable[[User], Iterator[ReviewItem]]) -> list[Hold]:
    """What each of them was told that they hold."""
    start = threading.Barrier(THREADS)

    def work(person: User) -> list[Hold]:
        start.wait()
        try:
            return [(item.pk, item.lease, person.pk) for item in reach(person)]
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        return [hold for holds in pool.map(work, people) for hold in holds]


def stored() -> set[Hold]:
    held = ReviewItem.objects.filter(lease_until__isnull=False)
    return set(held.values_list("pk", "lease", "holder"))


def test_nobody_is_handed_what_another_holds(people: list[User]) -> None:
    def take_all(person: User) -> Iterator[ReviewItem]:
        while item := claims.take_next(Actor(person)):
            yield item

    holds = all_at_once(people, take_all)
    assert len(holds) == len({item for item, _, _ in holds}) == ITEMS
    assert set(holds) == stored()
    assert len({person for _, _, person in holds}) > 1


def test_of_those_who_open_the_same_link_one_holds_it(people: list[User]) -> None:
    items = list(ReviewItem.objects.values_list("pk", flat=True))
    lost: list[str] = []

    def take_each(person: User) -> Iterator[ReviewItem]:
        first = people.index(person) * ITEMS // THREADS
        for item in items[first:] + items[:first]:
            try:
                yield claims.take(Actor(person), item)
            except HeldByOther as refusal:
                lost.append(refusal.holder)

    holds = all_at_once(people, take_each)
    assert len(holds) == len({item for item, _, _ in holds}) == ITEMS
    assert set(holds) == stored()
    assert len(lost) == ITEMS * (THREADS - 1)
