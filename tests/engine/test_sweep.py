import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from orchestrator import queue
from orchestrator.actions.actor import Actor
from orchestrator.engine import perform
from orchestrator.engine.sweep import Swept, sweep
from orchestrator.models import (
    AuditEntry,
    Command,
    Effect,
    IdempotencyRecord,
    LedgerEntry,
    Proposal,
    ReviewItem,
)
from tests import deciding
from tests.conftest import Cast
from tests.roles import as_owner
from tests.work import claim_one, run

Propose = Callable[..., Proposal]
LONG_AGO = timezone.now() - timedelta(days=3)


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids that were rung for, at the seam to Redis."""
    heard: list[int] = []
    monkeypatch.setattr(queue, "ring", lambda name, ids: heard.extend(ids))
    return heard


def test_a_lost_bell_is_rung_again(propose: Propose, rung: list[int]) -> None:
    propose()
    assert sweep() == Swept(leases=0, rings=0, expired=0)
    Command.objects.update(rung_at=LONG_AGO)
    assert sweep().rings == 1
    assert rung == [Command.objects.get().pk]
    assert sweep().rings == 0


def test_a_dead_workers_command_is_taken_over(propose: Propose, rung: list[int]) -> None:
    propose()
    dead = claim_one(worker="dead")
    assert sweep().leases == 0
    Command.objects.update(lease_until=LONG_AGO)
    assert sweep().leases == 1
    assert rung == [Command.objects.get().pk]
    successor = claim_one(worker="alive")
    assert dead is not None
    assert successor is not None
    assert successor.token == dead.token + 1
    run(successor)
    run(dead)
    assert Proposal.objects.get().status == "executed"
    assert LedgerEntry.objects.count() == 1


@pytest.fixture
def stuck(propose: Propose, rung: list[int], settings: Settings) -> Command:
    """A command that three workers did not survive."""
    propose()
    for _ in range(settings.COMMAND_CRASHES_MAX):
        assert claim_one(worker="doomed")
        Command.objects.update(lease_until=LONG_AGO)
        sweep()
    return Command.objects.get()


def test_a_command_that_kills_its_workers_is_put_before_a_person(stuck: Command) -> None:
    assert stuck.status == "quarantined"
    assert claim_one(worker="next") is None
    item = ReviewItem.objects.get()
    assert (item.kind, item.command, item.run_id) == ("stuck_command", stuck, stuck.run_id)
    assert "workers stopped 3 times" in item.opened_because[0]
    assert Proposal.objects.get().status == "accepted", "nothing was decided for the person"
    sweep()
    assert ReviewItem.objects.count() == 1


def settle(person: User, verdict: str) -> None:
    item = ReviewItem.objects.get()
    deciding.decide(Actor(person), item.pk, verdict=verdict, idempotency_key="k", note="I looked")


def test_the_person_has_it_tried_again(stuck: Command, cast: Cast) -> None:
    settle(cast.rita, "retry")
    again = claim_one(worker="alive")
    assert again is not None
    run(again)
    assert Proposal.objects.get().status == "executed"


def test_the_person_gives_it_up(stuck: Command, cast: Cast) -> None:
    settle(cast.rita, "give_up")
    assert Command.objects.get().status == "failed"
    assert Proposal.objects.get().status == "failed"
    assert Effect.objects.get().error["reason"] == "rita gave it up: I looked"


def test_given_up_in_the_middle_of_a_call_is_unknown_not_failed(
    propose: Propose,
    rung: list[int],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    cast: Cast,
) -> None:
    propose()
    monkeypatch.setattr(perform, "_call", lambda *_: sys.exit("the worker dies here"))
    for _ in range(settings.COMMAND_CRASHES_MAX):
        doomed = claim_one(worker="doomed")
        assert doomed is not None
        with pytest.raises(SystemExit):
            run(doomed)
        Command.objects.update(lease_until=LONG_AGO)
        sweep()
    settle(cast.rita, "give_up")
    assert Effect.objects.get().status == "unknown"
    assert Proposal.objects.get().status == "unknown"
    assert ReviewItem.objects.get(status="waiting").kind == "unknown_effect"


@pytest.mark.broken_log
def test_one_bad_row_stops_neither_the_sweeper_nor_its_neighbours(
    propose: Propose, rung: list[int]
) -> None:
    bad, good = propose(confidence=0.7), propose(confidence=0.7)
    with as_owner() as cursor:
        cursor.execute(
            "UPDATE orchestrator_run SET state = '{', seq = 0, head = '' WHERE id = %s",
            [bad.run_id],
        )
    Proposal.objects.update(due_at=LONG_AGO)
    late = propose(confidence=0.5)
    ReviewItem.objects.update(due_at=LONG_AGO)
    sweep()
    assert Proposal.objects.get(pk=late.pk).status == "expired"
    assert Proposal.objects.get(pk=good.pk).status == "expired"
    assert Proposal.objects.get(pk=bad.pk).status == "revision_requested"


def test_a_deadline_expires_to_no(
    propose: Propose, rule: Callable[..., None], rung: list[int]
) -> None:
    rule()
    proposal = propose()
    assert sweep().expired == 0
    ReviewItem.objects.update(due_at=LONG_AGO)
    assert sweep().expired == 1
    item = ReviewItem.objects.get()
    assert (item.status, item.closed_because, item.version) == ("expired", "deadline", 2)
    assert Proposal.objects.get().status == "expired"
    assert not Effect.objects.exists()
    assert AuditEntry.objects.filter(object_id=proposal.pk, verb="review_item.expired").exists()
    assert sweep().expired == 0


def test_an_unanswered_revision_expires(propose: Propose, rung: list[int]) -> None:
    proposal = propose(confidence=0.7)
    assert proposal.status == "revision_requested"
    Proposal.objects.update(due_at=LONG_AGO)
    assert sweep().expired == 1
    assert Proposal.objects.get().status == "expired"


def test_old_answers_are_forgotten(agent: Any, rung: list[int]) -> None:
    for key, age in (("old", LONG_AGO), ("new", timezone.now())):
        IdempotencyRecord.objects.create(
            token=agent.token, key=key, request_hash="h", status=201, body="{}", created_at=age
        )
    sweep()
    assert [record.key for record in IdempotencyRecord.objects.all()] == ["new"]


def test_the_command_sweeps_once(db: None) -> None:
    call_command("sweep", "--once")
