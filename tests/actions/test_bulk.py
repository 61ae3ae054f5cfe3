"""Several items with one click: what the dry run says, what is decided, and taking it all back."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from orchestrator.actions import bulk, claims, teams
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import BadInput, BatchChanged, KeyReused, NotAllowed, NotFound
from orchestrator.models import Batch, Decision, Effect, Proposal, ReviewItem
from orchestrator.models.ids import new_id
from tests.conftest import SYSTEM, Cast
from tests.deciding import decide

Propose = Callable[..., Proposal]
QUERIES_MAX = 12


@pytest.fixture
def rita(cast: Cast) -> Actor:
    return Actor(cast.rita)


@pytest.fixture
def waiting(rule: Callable[..., None], propose: Propose) -> Callable[..., list[ReviewItem]]:
    """Refunds of 600.00, 600.01, … that one rule holds."""
    rule()

    def submit(count: int = 3, **changes: Any) -> list[ReviewItem]:
        made = [
            propose(
                target=f"order/{number}",
                args={"amount_minor": 60_000 + number, "currency": "EUR"},
                **changes,
            )
            for number in range(count)
        ]
        return [proposal.review_items.get() for proposal in made]

    return submit


def pks(items: list[ReviewItem]) -> list[str]:
    return [item.pk for item in items]


def run(actor: Actor, items: list[ReviewItem], verdict: str = "approve", **more: Any) -> Batch:
    listed = {item.pk: item.version for item in items}
    sent = {"key": new_id("bat"), "listed": listed} | more
    return bulk.run(actor, verdict=verdict, **sent)


def change(item: ReviewItem, **facts: Any) -> None:
    ReviewItem.objects.filter(pk=item.pk).update(**facts)


# The dry run


def test_the_dry_run_says_how_many_and_how_much_and_changes_nothing(
    rita: Actor, waiting: Callable[..., list[ReviewItem]]
) -> None:
    found = bulk.preview(rita, pks(waiting()), "approve")
    assert (len(found.fitting), found.skipped, found.missing) == (3, [], 0)
    assert found.amounts == {"EUR": 180_003}
    assert not Decision.objects.exists()
    assert not ReviewItem.objects.filter(holder__isnull=False).exists()


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        ({"status": "decided", "closed_because": "approved"}, "approved"),
        ({"due_at": "past"}, "its deadline has passed"),
        ({"kind": "unknown_effect"}, "decided one by one"),
        ({"tier": "high"}, "high risk: decided one by one"),
        ({"approvals_needed": 2}, "two people decide it"),
        ({"allows": ["reject"]}, "does not let people approve it"),
        ({"snoozed_until": "future"}, "snoozed"),
        ({"action": "another.action"}, "another action than refund.create"),
        ({"fired": ["another-rule"]}, "held by other rules"),
        ({"asked_by": "rita"}, "you asked for it"),
        ({"holder": "rolf", "lease": "x", "lease_until": "future"}, "held by rolf"),
    ],
)
def test_it_skips_what_has_to_be_looked_at_alone_and_says_why(
    cast: Cast,
    rita: Actor,
    waiting: Callable[..., list[ReviewItem]],
    facts: dict[str, Any],
    cause: str,
) -> None:
    now = timezone.now()
    meant = {"past": now - timedelta(hours=1), "future": now + timedelta(hours=1)}
    meant |= {"rita": cast.rita, "rolf": cast.rolf}
    facts = {
        name: meant.get(fact, fact) if isinstance(fact, str) else fact
        for name, fact in facts.items()
    }
    if facts.get("status") == "decided":
        facts["closed_at"] = now
    items = waiting()
    change(items[1], **facts)
    found = bulk.preview(rita, pks(items), "approve")
    assert [item.pk for item in found.fitting] == [items[0].pk, items[2].pk]
    assert cause in found.skipped[0].skipped
    change(items[1], status="waiting", closed_at=None, kind="guardrail_failure")


def test_items_of_another_team_are_skipped(
    cast: Cast, rita: Actor, waiting: Callable[..., list[ReviewItem]]
) -> None:
    team = teams.create(Actor(cast.ada), "Refunds")
    teams.set_members(Actor(cast.ada), team.slug, add=["rolf"])
    items = waiting()
    change(items[0], team=team)
    found = bulk.preview(rita, pks(items), "approve")
    assert [line.skipped for line in found.lines] == ["another team decides this", "", ""]


def test_what_decides_the_likeness_is_the_first_that_can_be_decided(
    rita: Actor, waiting: Callable[..., list[ReviewItem]]
) -> None:
    items = waiting()
    change(items[0], tier="high", action="another.action")
    found = bulk.preview(rita, pks(items), "approve")
    assert [item.pk for item in found.fitting] == pks(items[1:])


def test_blind_items_and_made_up_ids_are_not_found(
    rita: Actor, waiting: Callable[..., list[ReviewItem]]
) -> None:
    items = waiting()
    change(items[2], kind="audit")
    listed = [*pks(items), "nonsense", "rev_00000000000000000000000000"]
    found = bulk.preview(rita, listed, "approve")
    assert (len(found.lines), found.missing) == (2, 3)


@pytest.mark.parametrize(
    ("ids", "verdict", "says"),
    [
        ([], "approve", "at least one"),
        (["x"], "retry", "choose among"),
        (["x"], "", "choose among"),
    ],
)
def test_it_refuses_what_is_no_selection(
    rita: Actor, ids: list[str], verdict: str, says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        bulk.preview(rita, ids, verdict)


def test_there_is_a_most(rita: Actor, settings: Settings) -> None:
    settings.BULK_MAX = 2
    with pytest.raises(BadInput, match="3 are selected, and at most 2"):
        bulk.preview(rita, ["a", "b", "c"], "approve")


def test_only_people_who_may_decide_ask(cast: Cast, rita: Actor) -> None:
    for nobody in (Actor(cast.max), SYSTEM):
        with pytest.raises(NotAllowed):
            bulk.preview(nobody, ["x"], "approve")


def test_more_items_cost_no_more_questions(
    rita: Actor,
    waiting: Callable[..., list[ReviewItem]],
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    listed = pks(waiting(8))
    with django_assert_max_num_queries(QUERIES_MAX):
        assert len(bulk.preview(rita, listed, "approve").fitting) == 8


# Deciding


def test_it_decides_what_it_said_it_would(
    rita: Actor, waiting: Callable[..., list[ReviewItem]]
) -> None:
    items = waiting()
    batch = run(rita, items, note="As agreed.")
    assert batch.outcomes == [[item.pk, bulk.DECIDED] for item in items]
    decisions = list(batch.decisions.all())
    assert {(one.verdict, one.note, one.reviewer) for one in decisions} == {
        ("approve", "As agreed.", rita.user)
    }
    assert Effect.objects.count() == 3
    assert not ReviewItem.objects.waiting().exists()


def test_a_rejection_needs_a_reason(rita: Actor, waiting: Callable[..., list[ReviewItem]]) -> None:
    items = waiting()
    with pytest.raises(BadInput, match="choose one of the reasons"):
        run(rita, items, "reject")
    assert not Batch.objects.exists()
    batch = run(rita, items, "reject", reason="wrong_value")
    assert set(batch.decisions.values_list("verdict", "reason")) == {("reject", "wrong_value")}


def test_the_same_key_again_is_the_same_batch(
    rita: Actor, waiting: Callable[..., list[ReviewItem]]
) -> None:
    items = waiting()
    key = new_id("bat")
    first, again = run(rita, items, key=key), run(rita, items, key=key)
    assert first == again
    assert again.outcomes == first.outcomes
    assert Decision.objects.count() == 3


def test_a_key_is_one_persons_and_one_verdicts(
    cast: Cast, rita: Actor, waiting: Callable[..., list[ReviewItem]]
) -> None:
    items = waiting()
    key = new_id("bat")
    run(rita, items, key=key)
    with pytest.raises(KeyReused):
        run(Actor(cast.rolf), items, key=key)
    with pytest.raises(KeyReused):
        run(rita, items, "reject", key=key, reason="wrong_value")
    with pytest.raises(BadInput):
        run(rita, items, key="made-up")


def test_it_refuses_when_the_dry_run_would_say_something_else_by_now(
    cast: Cast, rita: Actor, waiting: Callable[..., list[ReviewItem]]
) -> None:
    items = waiting()
    decide(cast.rolf, items[0])
    with pytest.raises(BatchChanged, match="3 would have been decided, now it is 2"):
        run(rita, items)
    assert Decision.objects.count() == 1


def test_an_item_that_changed_since_the_dry_run_is_skipped(
    rita: Actor, waiting: Callable[..., list[ReviewItem]]
) -> None:
    items = waiting()
    listed = {item.pk: item.version for item in items} | {items[1].pk: 99}
    batch = run(rita, items, listed=listed)
    outcomes = dict(batch.outcomes)
    assert outcomes[items[0].pk] == outcomes[items[2].pk] == bulk.DECIDED
    assert "changed while you looked" in outcomes[items[1].pk]
    items[1].refresh_from_db()
    assert (items[1].status, items[1].is_held) == ("waiting", False)


def test_what_was_skipped_stays_as_it_was_even_if_it_would_fit_by_now(
    cast: Cast, rita: Actor, waiting: Callable[..., list[ReviewItem]]
) -> None:
    items = waiting()
    held = claims.take(Actor(cast.rolf), items[2].pk)
    fitting = bulk.preview(rita, pks(items), "approve").fitting
    assert pks(fitting) == pks(items[:2])
    claims.release(Actor(cast.rolf), held.pk, held.lease)
    claims.take(Actor(cast.rolf), items[0].pk)
    with pytest.raises(BatchChanged, match="2 would have been decided, now it is 1"):
        run(rita, fitting)
    batch = run(rita, items[1:2])
    assert batch.outcomes == [[items[1].pk, bulk.DECIDED]]
    assert list(Decision.objects.values_list("item", flat=True)) == [items[1].pk]


@pytest.mark.parametrize("reason", ["a\x00b", "x" * 41, "wrong_value"])
def test_only_a_rejection_keeps_a_reason(
    rita: Actor, waiting: Callable[..., list[ReviewItem]], reason: str
) -> None:
    batch = run(rita, waiting(1), reason=reason)
    assert batch.reason == ""
    assert batch.decisions.get().reason == ""


def test_what_somebody_audits_blindly_is_not_found_with_the_rest_of_its_run(
    cast: Cast, rita: Actor, waiting: Callable[..., list[ReviewItem]]
) -> None:
    items = waiting()
    blind = {"kind": "audit", "holder": cast.rita, "lease": "x"}
    ReviewItem.objects.create(
        run=items[0].run, proposal=items[0].proposal, due_at=items[0].due_at, **blind
    )
    found = bulk.preview(rita, pks(items), "approve")
    assert (pks(found.fitting), found.missing) == (pks(items[1:]), 1)


def test_a_batch_that_was_interrupted_is_gone_on_with(
    rita: Actor, waiting: Callable[..., list[ReviewItem]]
) -> None:
    items = waiting()
    key = new_id("bat")
    run(rita, items[:1], key=key)
    left = [[items[0].pk, bulk.DECIDED], [items[1].pk, ""], [items[2].pk, ""]]
    Batch.objects.filter(pk=key).update(outcomes=left)
    batch = run(rita, items, key=key)
    assert batch.outcomes == [[item.pk, bulk.DECIDED] for item in items]
    assert batch.decisions.count() == 3


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_once_decide_each_item_once(
    rita: Actor, waiting: Callable[..., list[ReviewItem]]
) -> None:
    items = waiting(4)
    key, together = new_id("bat"), Barrier(2)

    def click() -> Batch:
        together.wait(timeout=10)
        try:
            return run(rita, items, key=key)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as hands:
        clicks = [hands.submit(click) for _ in range(2)]
    assert {one.result() for one in clicks} == {Batch.objects.get(pk=key)}
    assert Decision.objects.count() == 4
    assert {outcome for _, outcome in Batch.objects.get(pk=key).outcomes} == {bulk.DECIDED}


# Taking back


def test_all_are_taken_back_with_one_click(
    rita: Actor, waiting: Callable[..., list[ReviewItem]]
) -> None:
    items = waiting()
    ReviewItem.objects.update(undo_s=60)
    batch = run(rita, items)
    assert bulk.undo(rita, batch.pk) == dict.fromkeys(pks(items), "")
    back = ReviewItem.objects.waiting()
    assert set(back.values_list("pk", "holder", "lease")) == {(pk, None, "") for pk in pks(items)}
    assert Decision.objects.filter(undone_at=None).count() == 0
    assert bulk.undo(rita, batch.pk) == {}


def test_what_it_is_too_late_for_stays_and_says_so(
    rita: Actor, waiting: Callable[..., list[ReviewItem]]
) -> None:
    items = waiting(2)
    change(items[0], undo_s=60)
    change(items[1], undo_s=0)
    outcomes = bulk.undo(rita, run(rita, items).pk)
    assert outcomes[items[0].pk] == ""
    assert "too late" in outcomes[items[1].pk]


def test_nobody_else_takes_it_back(
    cast: Cast, rita: Actor, waiting: Callable[..., list[ReviewItem]]
) -> None:
    batch = run(rita, waiting())
    with pytest.raises(NotFound):
        bulk.undo(Actor(cast.rolf), batch.pk)
    with pytest.raises(NotFound):
        bulk.of(Actor(cast.ada), batch.pk)
