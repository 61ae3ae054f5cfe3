"""Counters of the reports: equal to a recount of everything, whatever happened and whenever they looked."""

import logging
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone
from pytest_django import Settings

from orchestrator import audit_queries
from orchestrator.actions import (
    audits,
    claims,
    confirmations,
    contracts,
    proposals,
    reviews,
    revisions,
    rollbacks,
    runs,
    users,
)
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import CountersignError
from orchestrator.engine import audits as drawing
from orchestrator.engine import rollups, sweep
from orchestrator.models import (
    ChangedDay,
    Decision,
    Proposal,
    ProposalDay,
    ReviewItem,
    Segment,
    ids,
)
from orchestrator.report_queries.freshness import counted_until
from tests.conftest import SYSTEM, Cast
from tests.deciding import decide, look
from tests.recount import recount, stored
from tests.runs import WORKFLOWS, save
from tests.work import work_all

Propose = Callable[..., Proposal]
Activate = Callable[..., None]
Owner = Callable[[], AbstractContextManager[CursorWrapper]]

STEPS = 120
REFUND = {
    "type": "object",
    "properties": {"amount_minor": {"type": "integer"}, "currency": {"type": "string"}},
}
MONEY = {
    "shows": {"/amount_minor": {"as": "money", "currency": "/currency"}},
    "verbs": ["approve", "edit", "respond", "reject"],
}


def is_equal() -> bool:
    """Said line by line where it is not."""
    counted, wanted = stored(), recount()
    for table, lines in wanted.items():
        assert counted[table] == lines, table
    return True


@pytest.fixture(autouse=True)
def _new_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "_pace", rollups.Pace())


# Random histories -------------------------------------------------------------------------------


class History:
    """People, agents and the clock, each doing something now and then."""

    def __init__(self, cast: Cast, agent: Actor, seed: int, clock: SimpleNamespace) -> None:
        self.chance = random.Random(seed)  # noqa: S311  (a history that can be repeated)
        self.agent = agent
        self.clock = clock
        self.cast = cast
        uma = users.create(SYSTEM, username="uma", password="x", role="reviewer")
        self.people = [cast.rita, cast.rolf, uma]
        self.number = 0

    def go_on(self) -> None:
        self.number += 1
        # On any of some days: keys tell the time, everything else is now.
        self.clock.days = self.chance.choice([0, 0, 1, 2, 9])
        steps = {
            self.propose: 8,
            self.say: 6,
            self.edit: 2,
            self.revise: 2,
            self.undo: 2,
            self.judge: 5,
            self.pick: 1,
            self.expire: 1,
            self.work: 3,
            self.roll_back: 1,
            self.start: 2,
        }
        step = self.chance.choices(list(steps), list(steps.values()))[0]
        # Many steps are not possible just then, and refused.
        with suppress(CountersignError), transaction.atomic():
            step()

    def propose(self) -> None:
        action = self.chance.choice(["refund.create", "refund.create", "note.add"])
        currency = self.chance.choice(["EUR", "JPY", "euro"])
        proposals.submit(
            self.agent,
            proposals.Suggestion(
                agent=self.chance.choice(["till", "desk"]),
                agent_version=self.chance.choice(["1", "2"]),
                model=self.chance.choice(["", "m"]),
                action=action,
                target=f"order/{self.number}",
                args={"amount_minor": self.chance.randrange(200_000), "currency": currency},
                confidence=self.chance.choice([None, 0.07, 0.3, 0.6, 0.61, 0.9, 0.95, 0.97, 1.0]),
            ),
        )

    def waiting(self, *kinds: str) -> ReviewItem:
        items = list(ReviewItem.objects.waiting().filter(kind__in=kinds).order_by("pk"))
        if not items:
            raise Impossible
        return self.chance.choice(items)

    def say(self) -> None:
        item = self.waiting("guardrail_failure", "escalation", "approval", "unknown_effect")
        verdict = self.chance.choice(["approve", "approve", "reject", "respond"])
        if item.kind == "unknown_effect":
            verdict = "happened"
        reason = "wrong_value" if verdict == "reject" else ""
        decide(
            self.chance.choice(self.people),
            item,
            verdict,
            reason=reason,
            note="So it was.",
            idempotency_key=f"say-{self.number}",
        )

    def edit(self) -> None:
        item, person = self.waiting("guardrail_failure", "escalation"), self.people[0]
        revisions.edit(
            Actor(person),
            item.pk,
            args={"amount_minor": self.number, "currency": "EUR"},
            seen=look(person, item),
            idempotency_key=f"edit-{self.number}",
            reason="wrong_value",
        )

    def revise(self) -> None:
        asked = Proposal.objects.filter(status="revision_requested", token=self.agent.token)
        old = asked.order_by("?").first()
        if old is None:
            raise Impossible
        confidence = self.chance.choice([0.5, 0.7, 0.99])
        values = {"agent": old.agent, "action": old.action, "args": {"amount_minor": 1}}
        suggestion = proposals.Suggestion(**values, confidence=confidence)  # type: ignore[arg-type]
        revisions.revise(self.agent, old.pk, suggestion)

    def undo(self) -> None:
        decision = Decision.objects.filter(undone_at=None, undo_until__gt=timezone.now()).last()
        if decision is None:
            raise Impossible
        reviews.undo(Actor(decision.reviewer), decision.pk)

    def judge(self) -> None:
        actor = Actor(self.chance.choice(self.people))
        # As if what they sleep for had come about: whoever decides openly has, or never will.
        asleep = ReviewItem.objects.waiting().filter(kind__in=audit_queries.HANDED_OUT)
        asleep.update(snoozed_until=None)
        item = audits.take_next(
            actor, kinds=self.chance.choice([audit_queries.HANDED_OUT, audit_queries.DISPUTES])
        )
        if item is None:
            raise Impossible
        verdict = self.chance.choice(["approve", "reject"])
        audits.judge(
            actor,
            item.pk,
            verdict=verdict,
            seen=confirmations.seen(actor, item),
            idempotency_key=f"judge-{self.number}",
            reason="wrong_value" if verdict == "reject" else "",
        )

    def pick(self) -> None:
        drawing.open_for(Proposal.objects.filter(disposition="accept").order_by("?")[:1])

    def expire(self) -> None:
        ReviewItem.objects.filter(pk=self.waiting(*ReviewItem.Kind.values).pk).update(
            due_at=timezone.now() - timedelta(hours=1)
        )
        sweep.sweep()

    def work(self) -> None:
        # Whatever waits for its window to end.
        work_all()

    def roll_back(self) -> None:
        done = Proposal.objects.filter(status="executed").order_by("?").first()
        if done is None:
            raise Impossible
        rollbacks.request(Actor(self.cast.ada), done.pk, reason="The wrong customer.")

    def start(self) -> None:
        runs.start(
            SYSTEM, workflow=self.chance.choice(["refunds", "invoices", "failing"]), intent=None
        )


class Impossible(CountersignError):
    """Nothing is there that it could be done with."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Keys are made as if it were some days ago."""
    found = SimpleNamespace(days=0)
    found.time_ns = lambda: time.time_ns() - found.days * 86_400 * 10**9
    monkeypatch.setattr(ids, "time", found)
    return found


@pytest.fixture
def ruled(rule: Activate, cast: Cast, settings: Settings) -> None:
    settings.AUDIT_SHARE = settings.LABEL_SHARE = settings.SECOND_REVIEW_SHARE = 0.6
    settings.UNDO_S = 2
    contract = {"kind": "action", "name": "refund.create", "schema": REFUND, "timeout_s": 60}
    contracts.save(SYSTEM, **contract, review=MONEY, tier="low")
    rule()
    rule(
        slug="tiny",
        effect="block",
        condition="proposal.args.amount_minor > 20000",
        message="tiny",
        applies_to={},
    )
    rule(
        slug="two",
        effect="two_person",
        condition="proposal.args.amount_minor <= 150000",
        message="much",
        applies_to={"actions": ["refund.create"]},
    )
    rule(
        slug="broken",
        effect="hold",
        condition="proposal.args.nothing == 1 || agent.name != 'desk' || agent.version == '1'",
        message="broken",
        applies_to={"actions": ["note.add"]},
    )
    for name in ("refunds", "invoices", "failing"):
        save(name, WORKFLOWS[name])


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_a_recount_finds_the_same(
    seed: int, cast: Cast, agent: Actor, clock: SimpleNamespace, ruled: None
) -> None:
    history = History(cast, agent, seed, clock)
    for number in range(STEPS):
        history.go_on()
        if history.chance.random() < 0.15:
            rollups.refresh()
            if number % 3 == 0:
                assert is_equal()
    rollups.refresh()
    assert is_equal()
    assert not ChangedDay.objects.exists()
    kinds = {name: len(lines) for name, lines in stored().items()}
    assert all(kinds.values()), kinds
    for day in rollups.all_days():
        wrong = rollups.check_day(day)
        assert wrong is not None and not any(wrong.values())


# When it looks ------------------------------------------------------------------------------------


def test_a_sweep_counts_what_changed(propose: Propose) -> None:
    propose()
    sweep.sweep()
    assert ProposalDay.objects.filter(segment__agent="refund-agent").get().proposals == 1
    propose()
    sweep.sweep()
    # Not yet: it looks again in REPORTS_REFRESH_S.
    assert ProposalDay.objects.filter(segment__agent="refund-agent").get().proposals == 1
    rollups._pace.again_at = 0.0
    sweep.sweep()
    assert ProposalDay.objects.filter(segment__agent="refund-agent").get().proposals == 2


def test_it_is_busy_for_so_long_and_goes_on_in_the_next_sweep(
    propose: Propose, clock: SimpleNamespace, settings: Settings
) -> None:
    settings.REPORTS_REFRESH_MS = 1
    for clock.days in (5, 3, 1):
        propose()
    days = len(rollups.changed_days())
    assert days >= 3
    assert [rollups.follow() for _ in range(days)] == [1] * days
    assert not ChangedDay.objects.exists()
    assert is_equal()


def test_it_says_up_to_when_everything_is_counted(propose: Propose) -> None:
    before = timezone.now()
    propose()
    after = timezone.now()
    until = counted_until()
    # A test is one transaction, and marks are as old as theirs.
    assert until is not None and until <= after
    rollups.refresh()
    until = counted_until()
    assert until is not None and until >= before
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orchestrator_changedday (day, at) VALUES ('2026-01-01', to_timestamp(0))"
        )
    assert counted_until() is None


def test_what_cannot_be_counted_keeps_its_mark_and_stops_no_other(
    propose: Propose,
    clock: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for clock.days in (5, 1):
        propose()
    last = rollups.changed_days()[0]
    count_day = rollups.count_day

    def stumble(day: Any) -> Any:
        if day == last:
            raise ZeroDivisionError
        return count_day(day)

    monkeypatch.setattr(rollups, "count_day", stumble)
    with caplog.at_level(logging.ERROR):
        rollups.refresh()
    assert rollups.changed_days() == [last]
    assert "could not be counted" in caplog.text
    monkeypatch.undo()
    rollups.refresh()
    assert is_equal()


def test_only_what_changed_is_written(propose: Propose) -> None:
    propose()
    rollups.refresh()
    propose(agent="other")
    (day,) = rollups.changed_days()
    changed = rollups.count_day(day)
    assert changed is not None
    # The line of the new agent, and the one that holds everything.
    assert changed["orchestrator_proposalday"] == 2
    assert changed["orchestrator_itemday"] == 0


def test_counting_again_uses_up_no_numbers(propose: Propose) -> None:
    """A day is counted thousands of times, and the numbers of segments are finite."""
    propose()
    rollups.refresh()
    for number in range(3):
        propose(target=f"order/{number}")
        rollups.refresh()
    newest = Segment.objects.order_by("-pk").values_list("pk", flat=True)[0]
    propose(agent="other")
    rollups.refresh()
    assert Segment.objects.order_by("-pk").values_list("pk", flat=True)[0] == newest + 1


# Commits in any order -----------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_what_began_before_and_commits_after_is_not_missed(cast: Cast, propose: Propose) -> None:
    """The look falls between the writing of a change and its commit, with newer changes counted before."""
    propose(agent="first")
    written, looked = threading.Event(), threading.Event()

    def late() -> None:
        try:
            with transaction.atomic():
                propose(agent="late")
                written.set()
                assert looked.wait(20)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(late)
        assert written.wait(20)
        propose(agent="quick")
        rollups.refresh()
        assert not ChangedDay.objects.exists()
        counted = ProposalDay.objects.exclude(segment__workflow="")
        assert set(counted.values_list("segment__agent", flat=True)) == {"first", "quick"}
        looked.set()
        waiting.result()
    assert ChangedDay.objects.exists()
    rollups.refresh()
    assert is_equal()
    assert ProposalDay.objects.filter(segment__agent="late").exists()


@pytest.mark.django_db(transaction=True)
def test_what_commits_while_a_day_is_counted_is_not_missed(
    cast: Cast, propose: Propose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the marks were taken away, and even after the day was read."""
    propose()

    def commit_another(name: str) -> None:
        if name == "day-counted-in-transaction" and Proposal.objects.count() == 1:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(in_thread, lambda: propose(agent="another")).result()

    monkeypatch.setattr(rollups, "failpoint", commit_another)
    rollups.refresh()
    assert not ProposalDay.objects.filter(segment__agent="another").exists()
    assert ChangedDay.objects.exists()
    rollups.refresh()
    assert ProposalDay.objects.filter(segment__agent="another").exists()
    assert is_equal()


@pytest.mark.django_db(transaction=True)
def test_of_several_sweepers_one_counts_at_a_time(
    cast: Cast, propose: Propose, rule: Activate, clock: SimpleNamespace
) -> None:
    rule()
    for clock.days in (0, 1, 2, 3):
        propose()
    clock.days = 0
    stop = threading.Event()

    def count() -> int:
        counted = 0
        while not stop.is_set():
            counted += rollups.refresh()
        return counted

    with ThreadPoolExecutor(4) as pool:
        sweepers = [pool.submit(in_thread, count) for _ in range(3)]
        for item in ReviewItem.objects.waiting():
            decide(cast.rita, item)
            propose(confidence=0.3)
        stop.set()
        assert sum(sweeper.result() for sweeper in sweepers) > 0
    rollups.refresh()
    assert not ChangedDay.objects.exists()
    assert is_equal()


def in_thread[T](work: Callable[[], T]) -> T:
    try:
        return work()
    finally:
        connection.close()


# The command --------------------------------------------------------------------------------------


def test_the_command_says_what_was_wrong_and_mends_it(propose: Propose) -> None:
    propose()
    rollups.refresh()
    out = StringIO()
    call_command("rollups", check=True, stdout=out)
    assert "as a recount says" in out.getvalue()
    ProposalDay.objects.update(proposals=7)
    with pytest.raises(CommandError, match="2 lines of proposalday"):
        call_command("rollups", check=True, stdout=StringIO())
    assert set(ProposalDay.objects.values_list("proposals", flat=True)) == {7}
    out = StringIO()
    call_command("rollups", recount=True, stdout=out)
    assert "2 lines of proposalday" in out.getvalue()
    assert is_equal()


def test_an_empty_instance_has_nothing_to_count(db: None) -> None:
    assert rollups.refresh() == 0
    assert rollups.all_days() == []
    out = StringIO()
    call_command("rollups", recount=True, stdout=out)
    assert "nothing" in out.getvalue()


# Handling -----------------------------------------------------------------------------------------


def test_the_time_in_somebodys_hands_is_kept_with_the_decision(
    cast: Cast, propose: Propose, rule: Activate
) -> None:
    rule()
    item = propose().review_items.get()
    held = claims.take(Actor(cast.rita), item.pk)
    assert held.held_since is not None
    ReviewItem.objects.update(held_since=timezone.now() - timedelta(seconds=90))
    # Taking it again goes on with the same hold.
    decision = decide(cast.rita, item)
    assert decision.handled_ms is not None
    assert 90_000 <= decision.handled_ms < 120_000
