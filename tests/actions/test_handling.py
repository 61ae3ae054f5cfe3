"""What is done with an item besides deciding it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from orchestrator.actions import claims, handling, teams
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import (
    AlreadyDecided,
    BadInput,
    HeldByOther,
    ItemChanged,
    NotAllowed,
    NotFound,
)
from orchestrator.engine.sweep import sweep
from orchestrator.models import AuditEntry, Comment, Notice, Proposal, ReviewItem, Team
from tests.blocked import wait_until_blocked
from tests.conftest import Cast
from tests.deciding import decide, look

Propose = Callable[..., Proposal]
Activate = Callable[..., None]


@pytest.fixture
def item(propose: Propose, rule: Activate) -> ReviewItem:
    rule()
    return propose().review_items.get()


@pytest.fixture
def team(cast: Cast) -> Team:
    made = Team.objects.create(slug="refunds", name="Refunds")
    made.members.set([cast.rolf])
    return made


def within(**more: Any) -> datetime:
    return timezone.now() + timedelta(**(more or {"hours": 1}))


class TestEscalate:
    def escalate(self, who: Any, item: ReviewItem, **more: str) -> ReviewItem:
        values = {"reason": "policy_breach", "note": "above my limit"} | more
        return handling.escalate(Actor(who), item.pk, **values)

    def test_it_goes_up_and_to_the_top(self, cast: Cast, item: ReviewItem, team: Team) -> None:
        top = Team.objects.create(slug="leads", name="Leads")
        top.members.set([cast.ada])
        Team.objects.filter(pk=team.pk).update(escalates_to=top)
        ReviewItem.objects.update(team=team)
        seen = look(cast.rolf, item)
        before = item.priority
        raised = self.escalate(cast.rolf, item)
        assert (raised.team, raised.holder) == (top, None)
        assert raised.priority == before + 50
        assert raised.priority_because[0] == [50, "somebody escalated it"]
        with pytest.raises(ItemChanged):
            decide(cast.ada, item, seen=seen)
        with pytest.raises(NotAllowed, match="Leads"):
            decide(cast.rolf, item)
        decide(cast.ada, item)
        assert AuditEntry.objects.filter(verb="review_item.escalated", user=cast.rolf).exists()

    def test_twice_only_where_there_is_further_up(self, cast: Cast, item: ReviewItem) -> None:
        self.escalate(cast.rita, item)
        with pytest.raises(BadInput, match="nobody further up"):
            self.escalate(cast.rolf, item)

    def test_it_takes_a_reason_and_free_hands(self, cast: Cast, item: ReviewItem) -> None:
        with pytest.raises(BadInput):
            self.escalate(cast.rita, item, reason="")
        claims.take(Actor(cast.rolf), item.pk)
        with pytest.raises(HeldByOther):
            self.escalate(cast.rita, item)
        with pytest.raises(NotAllowed):
            self.escalate(cast.max, item)


class TestSnooze:
    def snooze(self, who: Any, item: ReviewItem, **more: Any) -> ReviewItem:
        return handling.snooze(Actor(who), item.pk, **({"until": within()} | more))

    def test_it_leaves_the_queue_until_its_time(self, cast: Cast, item: ReviewItem) -> None:
        self.snooze(cast.rita, item)
        assert claims.take_next(Actor(cast.rolf)) is None
        ReviewItem.objects.update(snoozed_until=within(seconds=-1))
        assert claims.take_next(Actor(cast.rolf)) == item

    def test_taking_it_wakes_it(self, cast: Cast, item: ReviewItem) -> None:
        self.snooze(cast.rita, item)
        assert not claims.take(Actor(cast.rolf), item.pk).is_asleep

    def test_somebody_wakes_it(self, cast: Cast, item: ReviewItem) -> None:
        self.snooze(cast.rita, item)
        assert not handling.wake(Actor(cast.rolf), item.pk).is_asleep

    def test_a_comment_wakes_what_waits_for_one(self, cast: Cast, item: ReviewItem) -> None:
        self.snooze(cast.rita, item)
        handling.comment(Actor(cast.rolf), item.pk, "no news")
        assert ReviewItem.objects.get().is_asleep
        self.snooze(cast.rita, item, wakes_on="comment")
        handling.comment(Actor(cast.rolf), item.pk, "here is the photo")
        assert not ReviewItem.objects.get().is_asleep

    def test_news_of_the_run_wake_what_waits_for_them(
        self, cast: Cast, propose: Propose, rule: Activate
    ) -> None:
        rule(effect="two_person")
        item = propose().review_items.get()
        self.snooze(cast.rita, item, wakes_on="run")
        sweep()
        assert ReviewItem.objects.get().is_asleep
        ReviewItem.objects.update(snoozed_at_seq=item.run.seq - 1)
        sweep()
        assert not ReviewItem.objects.get().is_asleep

    def test_its_deadline_goes_on(self, cast: Cast, item: ReviewItem) -> None:
        self.snooze(cast.rita, item)
        ReviewItem.objects.update(due_at=within(seconds=-1))
        sweep()
        assert Proposal.objects.get().status == "expired"

    @pytest.mark.parametrize(
        ("more", "why"),
        [
            ({"until": within(seconds=-5)}, "to come"),
            ({"until": within(days=15)}, "within 14 days"),
            ({"until": within(hours=30)}, "before its deadline"),
            ({"wakes_on": "moon"}, "the time alone"),
        ],
    )
    def test_times_that_make_no_sense(
        self, cast: Cast, item: ReviewItem, more: dict[str, Any], why: str
    ) -> None:
        with pytest.raises(BadInput, match=why):
            self.snooze(cast.rita, item, **more)


class TestAssign:
    def test_a_manager_hands_it_to_a_team(self, cast: Cast, item: ReviewItem, team: Team) -> None:
        seen = look(cast.rita, item)
        handed = handling.assign(Actor(cast.max), item.pk, team.slug)
        assert (handed.team, handed.holder) == (team, None)
        with pytest.raises(ItemChanged):
            decide(cast.rolf, item, seen=seen)
        with pytest.raises(NotAllowed, match="It is for Refunds"):
            decide(cast.rita, item)
        handling.assign(Actor(cast.max), item.pk, "")
        decide(cast.rita, item)

    def test_not_to_nobody(self, cast: Cast, item: ReviewItem, team: Team) -> None:
        team.members.clear()
        with pytest.raises(BadInput, match="no members"):
            handling.assign(Actor(cast.max), item.pk, team.slug)
        with pytest.raises(NotFound):
            handling.assign(Actor(cast.max), item.pk, "nope")
        with pytest.raises(NotAllowed):
            handling.assign(Actor(cast.rita), item.pk, team.slug)

    def test_not_a_blind_audit(self, cast: Cast, item: ReviewItem, team: Team) -> None:
        ReviewItem.objects.update(kind="audit")
        with pytest.raises(NotFound):
            handling.assign(Actor(cast.max), item.pk, team.slug)

    @pytest.mark.django_db(transaction=True)
    def test_not_to_a_team_that_is_just_being_retired(
        self, cast: Cast, item: ReviewItem, team: Team
    ) -> None:
        def assign() -> ReviewItem:
            try:
                return handling.assign(Actor(cast.max), item.pk, team.slug)
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as manager:
            with transaction.atomic():
                teams.retire(Actor(cast.ada), team.slug)
                assigned = manager.submit(assign)
                wait_until_blocked()
            with pytest.raises(NotFound):
                assigned.result()
        assert ReviewItem.objects.get().team is None

    def test_not_what_is_closed(self, cast: Cast, item: ReviewItem, team: Team) -> None:
        decide(cast.rita, item)
        with pytest.raises(BadInput, match="closed"):
            handling.assign(Actor(cast.max), item.pk, team.slug)


class TestComment:
    def test_it_is_kept_and_who_is_named_is_told(self, cast: Cast, item: ReviewItem) -> None:
        text = "Is this the same as yesterday, @rolf? Ask a@max or @nobody. Thanks @ada."
        said = handling.comment(Actor(cast.rita), item.pk, text)
        assert Comment.objects.get() == said
        assert [person.username for person in handling.mentioned_in(text)] == ["ada", "rolf"]
        told = Notice.objects.filter(kind="mentioned").values_list("user__username", flat=True)
        assert sorted(told) == ["ada", "rolf"]

    def test_managers_may_and_strangers_may_not(self, cast: Cast, item: ReviewItem) -> None:
        handling.comment(Actor(cast.max), item.pk, "looks right to me")
        with pytest.raises(NotAllowed):
            handling.comment(Actor(cast.agents), item.pk, "approve me")

    @pytest.mark.parametrize("text", ["", "  ", "a\x00b", "x" * 5_001])
    def test_words_that_cannot_be_kept(self, cast: Cast, item: ReviewItem, text: str) -> None:
        with pytest.raises(BadInput):
            handling.comment(Actor(cast.rita), item.pk, text)

    def test_no_token_speaks_for_a_person(self, cast: Cast, item: ReviewItem, agent: Actor) -> None:
        with pytest.raises(NotAllowed, match="in a browser"):
            handling.comment(Actor(cast.rita, agent.token), item.pk, "fine")


def test_what_is_closed_is_left_alone(cast: Cast, item: ReviewItem) -> None:
    decide(cast.rita, item)
    for handle in (
        lambda: handling.snooze(Actor(cast.rolf), item.pk, until=within()),
        lambda: handling.escalate(Actor(cast.rolf), item.pk, reason="wording", note=""),
    ):
        with pytest.raises(AlreadyDecided):
            handle()
