"""Real threads on real locks: the promises that a single connection cannot test."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.db import connection

from orchestrator.actions import users
from orchestrator.core.errors import AlreadyDecided, HeldByOther
from orchestrator.models import Command, Decision, Effect, Proposal
from tests import deciding
from tests.conftest import SYSTEM, Cast

REVIEWERS = 12


@pytest.mark.django_db(transaction=True)
def test_of_many_deciders_one_wins(
    cast: Cast, propose: Callable[..., Proposal], rule: Callable[..., None]
) -> None:
    rule()
    item = propose().review_items.get()
    people = [
        users.create(SYSTEM, username=f"r{number}", password="x", role="reviewer")
        for number in range(REVIEWERS)
    ]
    start = threading.Barrier(REVIEWERS)

    def decide(person: User) -> str:
        verdict = "approve" if person.pk % 2 else "reject"
        start.wait()
        try:
            deciding.decide(person, item, verdict, reason="wrong_value")
        except AlreadyDecided as refusal:
            return refusal.winner
        except HeldByOther as refusal:
            return refusal.holder
        finally:
            connection.close()
        return "won"

    with ThreadPoolExecutor(REVIEWERS) as pool:
        answers = list(pool.map(decide, people))
    winner = Decision.objects.get().reviewer.get_username()
    assert answers.count("won") == 1
    assert set(answers) == {"won", winner}
    assert Effect.objects.count() == Command.objects.count() <= 1
