"""Standing down: an auditor overturns an automatic accept, and people decide until one approves again."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from pytest_django import Settings

from orchestrator.actions import audits, confirmations, stand_downs, tokens, users
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import (
    BadInput,
    NotAllowed,
    NotFound,
    StandDownGrew,
    StandDownLifted,
)
from orchestrator.models import (
    AuditEntry,
    Notice,
    Proposal,
    ReviewItem,
    StandDown,
    StandDownCause,
)
from tests.blocked import wait_until_blocked
from tests.conftest import SYSTEM, Cast
from tests.work import work_all

Propose = Callable[..., Proposal]
HARMLESS = {"amount_minor": 1_990, "currency": "EUR"}
keys: Iterator[int] = count()


@pytest.fixture(autouse=True)
def _everything_is_drawn(settings: Settings) -> None:
    settings.AUDIT_SHARE = settings.LABEL_SHARE = 1.0


@pytest.fixture
def uma(cast: Cast) -> User:
    return users.create(SYSTEM, username="uma", password="x", role="reviewer")


@pytest.fixture
def harmless(propose: Propose) -> Propose:
    return lambda **changes: propose(**{"args": HARMLESS, "agent_version": "4"} | changes)


def judge(person: User, verdict: str, **more: Any) -> None:
    item = audits.take_next(Actor(person), **more)
    assert item is not None
    audits.judge(
        Actor(person),
        item.pk,
        verdict=verdict,
        seen=confirmations.seen(Actor(person), item),
        idempotency_key=f"stand-down-{next(keys)}",
        reason="wrong_value" if verdict == "reject" else "",
    )


def verdict_of(proposal: Proposal) -> tuple[str, list[str]]:
    disposition = proposal.dispositions.get()
    return disposition.verdict, disposition.reasons


def test_an_overturn_stands_it_down_at_once(cast: Cast, harmless: Propose) -> None:
    first = harmless()
    judge(cast.rita, "reject")
    found = StandDown.objects.get()
    assert (found.record.scope.agent_version, found.record.action) == ("4", first.action)
    assert found.causes.get().proposal == first
    verdict, reasons = verdict_of(harmless(target="order/B"))
    assert verdict == "escalate"
    assert "stands down" in reasons[0]


@pytest.mark.parametrize(
    "changes", [{"agent_version": "5"}, {"action": "mail.send"}, {"agent": "other"}]
)
def test_nothing_else_stands_down(cast: Cast, harmless: Propose, changes: dict[str, Any]) -> None:
    harmless()
    judge(cast.rita, "reject")
    assert verdict_of(harmless(**changes))[0] == "accept"


def test_a_confirmed_accept_stands_nothing_down(cast: Cast, harmless: Propose) -> None:
    harmless()
    judge(cast.rita, "approve")
    assert not StandDown.objects.exists()


def test_what_would_have_been_let_run_is_no_reason(cast: Cast, propose: Propose) -> None:
    """A label of the revise band overturns no accept."""
    propose(args=HARMLESS, confidence=0.7)
    judge(cast.rita, "approve")
    assert ReviewItem.objects.filter(kind="adjudication").exists()
    assert not StandDown.objects.exists()


def test_it_can_be_turned_off(cast: Cast, harmless: Propose, settings: Settings) -> None:
    settings.STAND_DOWN = False
    harmless()
    judge(cast.rita, "reject")
    assert not StandDown.objects.exists()
    assert verdict_of(harmless())[0] == "accept"


def test_lower_bands_and_rules_are_as_before(
    cast: Cast, harmless: Propose, rule: Callable[..., None]
) -> None:
    rule()
    harmless()
    judge(cast.rita, "reject")
    assert verdict_of(harmless(confidence=0.7))[0] == "revise"
    assert verdict_of(harmless(args={**HARMLESS, "amount_minor": 90_000}))[0] == "hold"


def test_the_third_person_sides_with_what_was_done(
    cast: Cast, uma: User, harmless: Propose
) -> None:
    harmless()
    judge(cast.rita, "reject")
    judge(uma, "approve", kinds=["adjudication"])
    found = StandDown.objects.get()
    assert (found.lifted_by, found.lifted_because) == (None, stand_downs.SETTLED)
    assert verdict_of(harmless())[0] == "accept"


def test_it_stands_while_one_cause_is_left(cast: Cast, uma: User, harmless: Propose) -> None:
    harmless()
    harmless(target="order/B")
    judge(cast.rita, "reject", kinds=["audit"])
    judge(cast.rita, "reject", kinds=["audit"])
    assert StandDownCause.objects.count() == 2
    judge(uma, "approve", kinds=["adjudication"])
    assert StandDown.objects.get().lifted_at is None
    judge(uma, "approve", kinds=["adjudication"])
    assert StandDown.objects.get().lifted_at is not None


def test_the_third_person_sides_with_the_auditor(cast: Cast, uma: User, harmless: Propose) -> None:
    harmless()
    judge(cast.rita, "reject")
    judge(uma, "reject", kinds=["adjudication"])
    assert StandDown.objects.get().lifted_at is None


# Lifting --------------------------------------------------------------------------------------


@pytest.fixture
def standing(cast: Cast, harmless: Propose) -> StandDown:
    harmless()
    judge(cast.rita, "reject")
    return StandDown.objects.get()


def test_an_admin_approves_of_it_again(cast: Cast, standing: StandDown, harmless: Propose) -> None:
    stand_downs.lift(Actor(cast.ada), standing.pk, reason="The prompt was mended.")
    standing.refresh_from_db()
    assert (standing.lifted_by, standing.lifted_because) == (cast.ada, "The prompt was mended.")
    assert verdict_of(harmless())[0] == "accept"
    entry = AuditEntry.objects.get(verb="stand_down.lifted")
    assert (entry.user, entry.object_id) == (cast.ada, standing.record_id)
    # The next overturn opens another one.
    judge(cast.rolf, "reject", kinds=["audit"])
    assert StandDown.objects.standing().exclude(pk=standing.pk).count() == 1


@pytest.mark.parametrize("who", ["rita", "max"])
def test_only_admins_lift_it(cast: Cast, standing: StandDown, who: str) -> None:
    with pytest.raises(NotAllowed, match="admin"):
        stand_downs.lift(Actor(getattr(cast, who)), standing.pk, reason="why not")


def test_no_token_lifts_it(cast: Cast, standing: StandDown) -> None:
    token = tokens.find(tokens.issue(SYSTEM, owner=cast.ada, name="a", scopes=["admin"]))
    with pytest.raises(NotAllowed, match="Only a person"):
        stand_downs.lift(Actor(cast.ada, token), standing.pk, reason="why not")


def test_it_is_lifted_once_and_with_a_reason(cast: Cast, standing: StandDown) -> None:
    with pytest.raises(BadInput, match="say why"):
        stand_downs.lift(Actor(cast.ada), standing.pk, reason=" ")
    with pytest.raises(NotFound):
        stand_downs.lift(Actor(cast.ada), "std_none", reason="x")
    stand_downs.lift(Actor(cast.ada), standing.pk, reason="mended")
    with pytest.raises(StandDownLifted, match="ada"):
        stand_downs.lift(Actor(cast.ada), standing.pk, reason="mended")


def test_admins_are_told_and_nothing_tells_which_audit_it_was(
    cast: Cast, standing: StandDown
) -> None:
    notice = Notice.objects.get(kind="stood_down")
    assert (notice.user, notice.item) == (cast.ada, None)
    assert "stands down" in notice.text
    proposal = standing.causes.get().proposal_id
    for entry in AuditEntry.objects.filter(verb="stand_down.opened"):
        assert proposal not in f"{entry.object_id} {entry.detail}"


def test_what_was_overturned_since_is_looked_at_first(cast: Cast, harmless: Propose) -> None:
    harmless()
    harmless(target="order/B")
    judge(cast.rita, "reject", kinds=["audit"])
    judge(cast.rita, "reject", kinds=["audit"])
    standing = StandDown.objects.get()
    with pytest.raises(StandDownGrew, match="have overturned 2 by now"):
        stand_downs.lift(Actor(cast.ada), standing.pk, reason="mended", overturned=1)
    assert StandDown.objects.standing().exists()
    stand_downs.lift(Actor(cast.ada), standing.pk, reason="mended", overturned=2)
    assert not StandDown.objects.standing().exists()


# Races ----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_no_accept_slips_by_an_overturn(cast: Cast, harmless: Propose) -> None:
    """Whoever accepts at the very moment waits for the overturn, and then reads that it stands down."""
    harmless()

    def accept() -> str:
        try:
            return harmless(target="order/B").disposition
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            judge(cast.rita, "reject")
            later = pool.submit(accept)
            wait_until_blocked()
        assert later.result() == "escalate"
    work_all()


@pytest.mark.django_db(transaction=True)
def test_an_overturn_waits_for_accepts_under_way(cast: Cast, harmless: Propose) -> None:
    harmless()

    def overturn() -> None:
        try:
            judge(cast.rita, "reject", kinds=["audit"])
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            second = harmless(target="order/B")
            later = pool.submit(overturn)
            wait_until_blocked()
            assert second.disposition == "accept"
            assert not StandDown.objects.exists()
        later.result()
    assert StandDown.objects.standing().count() == 1
    assert verdict_of(harmless(target="order/C"))[0] == "escalate"
    work_all()


@pytest.mark.django_db(transaction=True)
def test_two_overturns_at_once_give_one(cast: Cast, harmless: Propose) -> None:
    harmless()
    harmless(target="order/B")
    start = Barrier(2)

    def overturn(person: User) -> None:
        try:
            item = audits.take_next(Actor(person), kinds=["audit"])
            assert item is not None
            seen = confirmations.seen(Actor(person), item)
            start.wait()
            audits.judge(
                Actor(person),
                item.pk,
                verdict="reject",
                reason="wrong_value",
                seen=seen,
                idempotency_key=person.username,
            )
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(overturn, [cast.rita, cast.rolf]))
    assert StandDown.objects.standing().count() == 1
    assert StandDownCause.objects.count() == 2
    assert Notice.objects.filter(kind="stood_down").count() == 1
    work_all()
