import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from orchestrator import queue
from orchestrator.engine import claim, execute
from orchestrator.engine.sweep import Swept, sweep
from orchestrator.models import (
    AuditEntry,
    Command,
    Effect,
    IdempotencyRecord,
    LedgerEntry,
    Proposal,
    ReviewItem,
    Run,
)

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
    dead = claim.claim("effects", worker="dead")
    assert sweep().leases == 0
    Command.objects.update(lease_until=LONG_AGO)
    assert sweep().leases == 1
    assert rung == [Command.objects.get().pk]
    successor = claim.claim("effects", worker="alive")
    assert dead is not None
    assert successor is not None
    assert successor.token == dead.token + 1
    execute.run(successor)
    execute.run(dead)
    assert Proposal.objects.get().status == "executed"
    assert LedgerEntry.objects.count() == 1


def test_a_command_that_kills_its_workers_is_given_up(
    propose: Propose, rung: list[int], settings: Settings
) -> None:
    propose()
    for _ in range(settings.COMMAND_CRASHES_MAX):
        assert claim.claim("effects", worker="doomed")
        Command.objects.update(lease_until=LONG_AGO)
        sweep()
    assert Command.objects.get().status == "failed"
    assert Proposal.objects.get().status == "failed"
    assert "its lease ran out 3 times" in Effect.objects.get().error["reason"]
    assert claim.claim("effects", worker="next") is None


@pytest.mark.broken_log
def test_one_bad_row_stops_neither_the_sweeper_nor_its_neighbours(
    propose: Propose, rung: list[int], settings: Settings
) -> None:
    settings.COMMAND_CRASHES_MAX = 1
    bad, good = propose(), propose()
    Run.objects.filter(pk=bad.run_id).update(state="", seq=0, head="")
    for _ in range(2):
        claim.claim("effects", worker="doomed")
    Command.objects.update(lease_until=LONG_AGO)
    late = propose(confidence=0.7)
    Proposal.objects.filter(pk=late.pk).update(due_at=LONG_AGO)
    swept = sweep()
    assert (swept.leases, swept.expired) == (2, 1)
    assert set(Command.objects.values_list("status", flat=True)) == {"failed"}
    assert Proposal.objects.get(pk=good.pk).status == "failed"
    assert Proposal.objects.get(pk=bad.pk).status == "accepted"


def test_given_up_in_the_middle_of_a_call_is_unknown_not_failed(
    propose: Propose, rung: list[int], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    propose()
    monkeypatch.setattr(execute, "_call", lambda effect: sys.exit("the worker dies here"))
    for _ in range(settings.COMMAND_CRASHES_MAX):
        doomed = claim.claim("effects", worker="doomed")
        assert doomed is not None
        with pytest.raises(SystemExit):
            execute.run(doomed)
        Command.objects.update(lease_until=LONG_AGO)
        sweep()
    assert Effect.objects.get().status == "unknown"
    assert Proposal.objects.get().status == "unknown"


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
