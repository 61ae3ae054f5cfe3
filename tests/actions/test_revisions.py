"""Revisions: what stands in the place of a proposal is checked like any other, and approved anew."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from orchestrator.actions import claims, proposals, revisions, runs, workflows
from orchestrator.actions.actor import Actor
from orchestrator.core.errors import (
    AlreadyDecided,
    BadInput,
    NotAllowed,
    NotFound,
    NotWaitingForRevision,
    RevisionBlocked,
)
from orchestrator.models import (
    Command,
    Decision,
    Effect,
    LedgerEntry,
    Proposal,
    ReviewItem,
    Run,
    Team,
)
from tests.conftest import SYSTEM, Cast
from tests.deciding import decide, look
from tests.runs import REFUND, stage
from tests.work import work_all

Propose = Callable[..., Proposal]
Activate = Callable[..., None]
LESS = {"amount_minor": 90_000, "currency": "EUR"}
LITTLE = {"amount_minor": 100, "currency": "EUR"}


@pytest.fixture
def item(propose: Propose, rule: Activate) -> ReviewItem:
    rule()
    return propose().review_items.get()


def edit(cast: Cast, item: ReviewItem, args: dict[str, Any], **more: Any) -> Proposal:
    seen = more.pop("seen", None) or look(cast.rita, item)
    values = {"idempotency_key": "edit", "reason": "wrong_value"} | more
    return revisions.edit(Actor(cast.rita), item.pk, args=args, seen=seen, **values)


class TestEdit:
    def test_it_puts_a_checked_revision_in_its_place(self, cast: Cast, item: ReviewItem) -> None:
        revision = edit(cast, item, LESS)
        old = Proposal.objects.get(pk=item.proposal_id)
        item.refresh_from_db()
        assert (old.status, item.closed_because) == ("superseded", "edited")
        assert (revision.revises, revision.revision, revision.edited_by) == (old, 2, cast.rita)
        assert (revision.args, revision.status) == (LESS, "in_review")
        anew = revision.review_items.get()
        assert (anew.holder, anew.fired) == (cast.rita, ["refund-limit"])
        assert anew.opened_because == ["refund-limit: the amount 90000 is over 50000"]

    def test_approved_it_runs_as_edited_and_not_as_proposed(
        self, cast: Cast, item: ReviewItem
    ) -> None:
        revision = edit(cast, item, LESS)
        decide(cast.rita, revision.review_items.get())
        work_all()
        assert Run.objects.get().status == "completed"
        assert '"amount_minor":90000' in LedgerEntry.objects.get().payload
        assert Effect.objects.get().payload_digest == revision.digest

    def test_what_no_rule_holds_any_more_still_wants_a_yes(
        self, cast: Cast, item: ReviewItem
    ) -> None:
        revision = edit(cast, item, LITTLE)
        assert revision.status == "in_review"
        reasons = revision.review_items.get().opened_because
        assert reasons == ["rita edited it; no rule holds it any more"]

    def test_types_stay_what_they_were(self, cast: Cast, item: ReviewItem) -> None:
        args = {"amount_minor": 2**60 + 1, "currency": "EUR", "is_partial": True, "note": "5"}
        assert edit(cast, item, args).args == args

    def test_an_earlier_approval_is_void(
        self, cast: Cast, propose: Propose, rule: Activate
    ) -> None:
        rule(effect="two_person")
        item = propose().review_items.get()
        decide(cast.rolf, item)
        anew = edit(cast, item, LESS).review_items.get()
        decide(cast.rita, anew)
        assert Proposal.objects.get(pk=anew.proposal_id).status == "in_review"
        decide(cast.rolf, anew)
        assert Proposal.objects.get(pk=anew.proposal_id).status == "accepted"

    def test_what_a_rule_blocks_as_edited_is_refused_and_nothing_kept(
        self, cast: Cast, item: ReviewItem, rule: Activate
    ) -> None:
        rule(slug="never", effect="block", condition="proposal.args.amount_minor != 90000")
        with pytest.raises(RevisionBlocked, match="never"):
            edit(cast, item, LESS)
        assert Proposal.objects.count() == 1
        assert not Decision.objects.exists()
        item.refresh_from_db()
        assert item.is_waiting

    def test_of_high_risk_the_editor_does_not_sign_alone(
        self, cast: Cast, item: ReviewItem, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("orchestrator.engine.opening._tier_of", lambda proposal: "high")
        anew = edit(cast, item, LESS).review_items.get()
        assert anew.holder is None
        with pytest.raises(NotAllowed, match="They edited it"):
            claims.take(Actor(cast.rita), anew.pk)
        decide(cast.rolf, anew)
        assert Proposal.objects.get(pk=anew.proposal_id).status == "accepted"

    def test_it_stays_with_whom_it_was_handed_to(self, cast: Cast, item: ReviewItem) -> None:
        team = Team.objects.create(slug="leads", name="Leads")
        team.members.set([cast.rita])
        ReviewItem.objects.update(team=team, escalated_at=timezone.now())
        anew = edit(cast, item, LESS).review_items.get()
        assert (anew.team, anew.holder) == (team, cast.rita)
        assert anew.escalated_at is not None
        assert [50, "somebody escalated it"] in anew.priority_because

    @pytest.mark.parametrize(
        ("args", "more", "field"),
        [
            ({"amount_minor": 184_000, "currency": "EUR"}, {}, "args"),
            (LESS, {"reason": ""}, "reason"),
            (LESS, {"note": "a\x00b"}, "note"),
        ],
    )
    def test_bad_input_names_its_field(
        self, cast: Cast, item: ReviewItem, args: Any, more: dict[str, str], field: str
    ) -> None:
        with pytest.raises(BadInput) as caught:
            edit(cast, item, args, **more)
        assert caught.value.field == field
        assert Proposal.objects.count() == 1

    def test_what_is_not_open_to_edits(self, cast: Cast, item: ReviewItem) -> None:
        ReviewItem.objects.update(allows=["approve", "reject"])
        with pytest.raises(BadInput, match="cannot be edited"):
            edit(cast, item, LESS)

    def test_the_same_click_twice_is_one_edit(self, cast: Cast, item: ReviewItem) -> None:
        seen = look(cast.rita, item)
        assert edit(cast, item, LESS, seen=seen) == edit(cast, item, LESS, seen=seen)

    def test_of_two_who_edit_one_is_first(self, cast: Cast, item: ReviewItem) -> None:
        seen = look(cast.rita, item)
        edit(cast, item, LESS, seen=seen)
        with pytest.raises(AlreadyDecided, match="rita was first: edited"):
            decide(cast.rolf, item)

    @pytest.mark.pulls("REVISIONS_MAX")
    def test_rounds_are_bounded(
        self, cast: Cast, item: ReviewItem, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(settings, "REVISIONS_MAX", 2)
        for amount in (70_000, 80_000):
            revision = edit(
                cast, item, LESS | {"amount_minor": amount}, idempotency_key=str(amount)
            )
            item = revision.review_items.get()
        with pytest.raises(BadInput, match="revised 2 times"):
            edit(cast, item, LESS)


class TestRespond:
    def test_the_agents_answer_comes_back_to_people(
        self, cast: Cast, item: ReviewItem, agent: Actor
    ) -> None:
        decide(cast.rita, item, "respond", note="Refund half of it.")
        old = Proposal.objects.get()
        assert old.status == "revision_requested"
        assert old.due_at is not None
        revision = revisions.revise(agent, old.pk, again(args=LITTLE))
        assert revision.status == "in_review"
        assert revision.review_items.get().opened_because == [
            "refund-agent was asked to change it; no rule holds it any more"
        ]
        old.refresh_from_db()
        assert old.status == "superseded"
        decide(cast.rita, revision.review_items.get())
        work_all()
        assert '"amount_minor":100,' in LedgerEntry.objects.get().payload

    def test_it_takes_words(self, cast: Cast, item: ReviewItem) -> None:
        with pytest.raises(BadInput) as caught:
            decide(cast.rita, item, "respond", note=" ")
        assert caught.value.field == "note"

    def test_a_band_that_sends_back_lets_a_better_one_through(
        self, cast: Cast, propose: Propose, agent: Actor
    ) -> None:
        old = propose(confidence=0.7)
        assert old.status == "revision_requested"
        assert revisions.revise(agent, old.pk, again()).status == "accepted"

    def test_rounds_that_are_used_up_are_a_persons_to_decide(
        self, cast: Cast, propose: Propose, agent: Actor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(settings, "REVISIONS_MAX", 2)
        proposal = propose(confidence=0.7)
        for _ in range(2):
            assert proposal.status == "revision_requested"
            proposal = revisions.revise(agent, proposal.pk, again(confidence=0.7))
        assert (proposal.revision, proposal.status, proposal.disposition) == (
            3,
            "in_review",
            "escalate",
        )
        disposition = proposal.dispositions.get()
        assert (disposition.band, disposition.reasons) == (
            "revise",
            [
                "revised 2 times, and no round of revision is left",
                "score 0.7 is over 0.6 but not over 0.9",
            ],
        )
        item = proposal.review_items.get()
        assert item.opened_because == disposition.reasons
        with pytest.raises(BadInput, match="revised 2 times"):
            decide(cast.rita, item, "respond", note="Once more.")
        decide(cast.rita, item)
        work_all()
        assert LedgerEntry.objects.count() == 1

    def test_only_what_was_asked_for_and_only_by_whoever_proposed_it(
        self, cast: Cast, item: ReviewItem, agent: Actor, token: Callable[..., str]
    ) -> None:
        with pytest.raises(NotWaitingForRevision):
            revisions.revise(agent, item.proposal_id, again())
        decide(cast.rita, item, "respond", note="which?")
        with pytest.raises(NotFound):
            revisions.revise(agent, "prp_nope", again())
        with pytest.raises(BadInput, match="stays with the action"):
            revisions.revise(agent, item.proposal_id, again(action="refund.cancel"))
        assert Proposal.objects.count() == 1


def again(**changes: Any) -> proposals.Suggestion:
    values = {
        "agent": "refund-agent",
        "action": "refund.create",
        "target": "order/A-20931",
        "args": LESS,
        "confidence": 0.97,
    }
    return proposals.Suggestion(**(values | changes))


class TestWithinARun:
    @pytest.fixture
    def asked(self, rule: Activate) -> ReviewItem:
        rule()
        suggesting = stage("suggest", REFUND, proposes=True, attempts=3)
        saying = {"pattern": "pipeline", "stages": [suggesting, stage("after", {"ok": True})]}
        workflows.save(SYSTEM, "refunds", saying)
        runs.start(SYSTEM, workflow="refunds", intent=None)
        work_all()
        return ReviewItem.objects.get()

    def test_the_run_waits_for_what_stands_in_its_place(
        self, cast: Cast, asked: ReviewItem
    ) -> None:
        revision = edit(cast, asked, LESS)
        assert Run.objects.get().status == "waiting"
        decide(cast.rita, revision.review_items.get())
        work_all()
        assert Run.objects.get().status == "completed"
        assert LedgerEntry.objects.count() == 1

    def test_its_agent_is_asked_again(self, cast: Cast, asked: ReviewItem) -> None:
        decide(cast.rita, asked, "respond", note="Half of it.")
        assert Run.objects.get().status == "running"
        finish_retries()
        new = Proposal.objects.order_by("pk").last()
        assert new is not None
        assert (new.revises_id, new.revision) == (asked.proposal_id, 2)
        decide(cast.rita, new.review_items.get())
        work_all()
        assert Run.objects.get().status == "completed"


def finish_retries() -> None:
    """The agent's second attempt waits a moment; not here."""
    Command.objects.filter(status="pending").update(not_before="2020-01-01T00:00:00Z")
    work_all()
