"""Validators: heard before anything runs that nobody would look at, and never believed in doubt."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from orchestrator import plugins
from orchestrator.actions import contracts, revisions, runs, workflows
from orchestrator.actions.actor import Actor
from orchestrator.core.codec import canonical, digest, read
from orchestrator.core.errors import NotWaitingForRevision
from orchestrator.engine import quarantine
from orchestrator.engine.advance import advance
from orchestrator.engine.crew import Crew
from orchestrator.engine.sweep import sweep
from orchestrator.models import (
    AuditEntry,
    Command,
    Effect,
    Evaluation,
    Event,
    Proposal,
    ReviewItem,
    Run,
)
from tests import judges
from tests.actions.test_revisions import again
from tests.conftest import SYSTEM, Cast
from tests.deciding import decide
from tests.judges import put_in_force
from tests.runs import REFUND, stage
from tests.work import claim_one, crew, work_all, work_shift

Propose = Callable[..., Proposal]
Activate = Callable[..., None]
LITTLE = {"amount_minor": 100, "currency": "EUR"}


@pytest.fixture(autouse=True)
def _judges(settings: Settings, cast: Cast) -> Iterator[None]:
    settings.AGENT_MODULES = ["tests.judges"]
    plugins.load.cache_clear()
    judges.ASKED.clear()
    yield
    plugins.load.cache_clear()


def told(proposal: Proposal) -> list[str]:
    events = Event.objects.filter(run=proposal.run_id).order_by("seq")
    return list(events.values_list("kind", flat=True))


def reasons_of(proposal: Proposal) -> list[str]:
    return list(proposal.dispositions.get().reasons)


def worked(proposal: Proposal) -> Proposal:
    work_all()
    return Proposal.objects.get(pk=proposal.pk)


class TestAsking:
    def test_nothing_follows_before_the_last_of_them_was_heard(self, propose: Propose) -> None:
        put_in_force("calm", "lukewarm", accept_above=0.65, escalate_at_or_below=0.5)
        proposal = propose()
        assert (proposal.status, proposal.disposition) == ("evaluating", "")
        assert told(proposal) == ["run_started", "proposal_received", "validation_requested"]
        assert not proposal.policy_checks.exists()
        work_shift("agents", at_most=1)
        assert work_shift("effects") == 0
        assert Run.objects.get().status == "running"
        done = worked(proposal)
        assert (done.status, done.disposition) == ("executed", "accept")
        assert told(proposal)[3:] == [
            "validation_finished",
            "validation_finished",
            "proposal_disposed",
            "effect_started",
            "effect_succeeded",
        ]
        assert Run.objects.get().wakes_at is None

    def test_each_is_kept_with_its_version_its_inputs_and_its_cost(self, propose: Propose) -> None:
        policy = put_in_force("calm")
        proposal = worked(propose(context={"days": 9}))
        kept = proposal.evaluations.get(evaluator=Evaluation.Evaluator.VALIDATOR)
        assert (kept.name, kept.version, kept.score) == ("calm", "7", 0.95)
        known = {"name": "calm", "version": "7", "model": "small-1", "prompt_hash": "sha256:ab"}
        (call,) = judges.ASKED
        assert kept.raw.pop("took_ms") >= 0
        assert kept.raw == {
            "policy": policy.number,
            "agent": {"kind": "function", "module": "tests.judges"} | known,
            "inputs": digest(canonical(call.inputs)),
            "seed": call.seed,
            "tokens_in": 900,
            "tokens_out": 40,
            "money_micros": 1_300,
            "verdict": "pass",
            "reasons": ["It is polite."],
        }
        seen: Any = read(kept.snapshot.inputs)
        shown = {"proposal": seen["proposal"], "context": {"days": 9}}
        assert call.inputs == {"rubric": "Is it polite?", **shown}

    def test_the_lowest_score_of_all_counts(self, propose: Propose) -> None:
        put_in_force("calm", "lukewarm")
        proposal = worked(propose(confidence=0.97))
        assert (proposal.status, proposal.disposition) == ("revision_requested", "revise")
        assert proposal.dispositions.get().score == 0.7
        assert proposal.due_at is not None

    def test_they_see_what_is_masked_as_it_is_stored(self, propose: Propose) -> None:
        fields = {"amount_minor": {"type": "integer"}, "card": {"type": "string"}}
        schema = {"type": "object", "properties": fields}
        wording = {"schema": schema, "timeout_s": 30, "masked": ["/card"]}
        contracts.save(SYSTEM, kind="action", name="refund.create", **wording)
        put_in_force("calm")
        worked(propose(args={"amount_minor": 100, "card": "4111-1111"}))
        assert "4111" not in canonical(judges.ASKED[0].inputs)

    @pytest.mark.parametrize("confidence", [0.5, None])
    def test_what_people_see_anyway_is_worth_no_money(
        self, propose: Propose, rule: Activate, confidence: float | None
    ) -> None:
        put_in_force("calm")
        assert propose(confidence=confidence).status == "in_review"
        rule()
        assert propose().status == "in_review"
        assert not Command.objects.exists()

    def test_a_better_answer_of_an_agent_is_validated_as_well(
        self, propose: Propose, agent: Actor
    ) -> None:
        put_in_force("lukewarm")
        first = worked(propose())
        put_in_force("calm", number=3)
        second = revisions.revise(agent, first.pk, again())
        assert second.status == "evaluating"
        with pytest.raises(NotWaitingForRevision):
            revisions.revise(agent, second.pk, again())
        assert worked(second).status == "executed"

    def test_a_full_queue_refuses_and_keeps_nothing(
        self, propose: Propose, settings: Settings
    ) -> None:
        put_in_force("calm")
        propose()
        settings.QUEUE_PENDING_MAX = 1
        with pytest.raises(Exception, match="agents"):
            propose()
        assert Proposal.objects.count() == 1


class TestDoubt:
    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("stern", "the validator stern does not let it pass"),
            ("babbling", "gave no answer that counts: .*/score"),
            ("broken", "ZeroDivisionError"),
            ("away", "could not be reached: no line"),
            ("costly", "cost 90,000 millionths, and may cost 5,000"),
            ("slow", "did not answer within 1 s"),
            ("nobody", "does not know the agent"),
        ],
    )
    def test_whatever_goes_wrong_is_before_a_person(
        self, propose: Propose, name: str, reason: str
    ) -> None:
        put_in_force("calm", name)
        proposal = worked(propose())
        assert (proposal.status, proposal.disposition) == ("in_review", "escalate")
        item = proposal.review_items.get()
        assert item.kind == ReviewItem.Kind.ESCALATION
        (because,) = item.opened_because
        assert re.search(reason, because), because
        assert not Effect.objects.exists()

    def test_what_it_cost_is_kept_though_it_does_not_count(self, propose: Propose) -> None:
        put_in_force("costly")
        proposal = worked(propose())
        kept = proposal.evaluations.get(name="costly")
        assert (kept.score, kept.raw["money_micros"]) == (None, 90_000)
        assert "verdict" not in kept.raw

    def test_a_person_may_let_it_run_all_the_same(self, propose: Propose, cast: Cast) -> None:
        put_in_force("stern")
        proposal = worked(propose())
        decide(cast.rita, proposal.review_items.get())
        assert worked(proposal).status == "executed"

    def test_whoever_hangs_is_given_up_on(self, propose: Propose) -> None:
        put_in_force("calm")
        proposal = propose()
        claimed = claim_one("agents")
        assert claimed is not None
        job = crew("agents")._job(claimed, crew("agents")._load_each([claimed]))
        assert job is not None
        assert job.timeout_s == 1
        advance(endings=[job.overdue()])
        assert "gave up waiting" in reasons_of(worked(proposal))[0]

    def test_nobody_who_comes_in_time(self, propose: Propose, settings: Settings) -> None:
        settings.VALIDATION_DUE_S = 0
        put_in_force("calm")
        proposal = propose()
        assert sweep().expired == 1
        work_shift("effects")
        proposal.refresh_from_db()
        assert proposal.status == "in_review"
        assert reasons_of(proposal) == [
            "the validator calm gave no answer that counts: it was not heard of in time"
        ]
        # Whoever comes now need not spend anything on it.
        work_all()
        assert (judges.ASKED, Command.objects.get(kind="validate").status) == ([], "failed")

    def test_workers_that_stop_at_it(self, propose: Propose, settings: Settings) -> None:
        put_in_force("calm")
        proposal = propose()
        Command.objects.update(crashes=settings.COMMAND_CRASHES_MAX)
        sweep()
        assert not ReviewItem.objects.exists()
        assert "workers stopped 3 times" in reasons_of(worked(proposal))[0]


class TestMeanwhile:
    def test_rules_are_asked_again(self, propose: Propose, rule: Activate) -> None:
        put_in_force("calm")
        proposal = propose()
        rule()
        held = worked(proposal)
        assert (held.status, held.disposition) == ("in_review", "hold")
        assert reasons_of(held) == ["refund-limit: the amount 184000 is over 50000"]
        assert held.policy_checks.count() == 1
        # What was heard is kept for whoever decides.
        assert held.evaluations.filter(name="calm").exists()

    def test_of_two_that_wait_at_once_one_is_within_the_limit(
        self, propose: Propose, rule: Activate
    ) -> None:
        accepted = {"actions": ["refund.create"], "status": "accepted"}
        rule(
            condition="history.refunds < 1",
            message="{history.refunds} already",
            history={"refunds": {"count": accepted, "within": "24h"}},
        )
        put_in_force("calm")
        both = [propose(), propose()]
        assert {one.status for one in both} == {"evaluating"}
        assert [worked(one).disposition for one in both] == ["accept", "hold"]

    def test_bands_that_changed_count_and_what_was_heard_too(self, propose: Propose) -> None:
        put_in_force("lukewarm")
        proposal = propose()
        put_in_force("lukewarm", number=3, accept_above=0.65)
        done = worked(proposal)
        assert (done.status, done.dispositions.get().policy.number) == ("executed", 3)

    def test_who_is_wanted_by_now_and_was_not_asked_is_a_doubt(self, propose: Propose) -> None:
        put_in_force("calm")
        proposal = propose()
        put_in_force("calm", "stern", number=3)
        assert reasons_of(worked(proposal)) == [
            "the validator stern is wanted by now and was not asked"
        ]

    def test_another_rubric_is_another_question(self, propose: Propose) -> None:
        put_in_force("calm")
        proposal = propose()
        other = [judges.validator("calm", rubric="Is it true?")]
        put_in_force(number=3, validators=other)
        assert "not asked" in reasons_of(worked(proposal))[0]

    def test_a_stale_answer_changes_nothing(self, propose: Propose) -> None:
        put_in_force("calm", "lukewarm")
        proposal = propose()
        slow = claim_one("agents", worker="slow")
        assert slow is not None
        Command.objects.filter(pk=slow.id).update(lease_until="2020-01-01T00:00:00Z")
        sweep()
        work_shift("agents")
        before = told(proposal)
        Crew("agents", threads=1, desk={}).run(slow)
        assert told(proposal) == before
        assert len(judges.ASKED) == 2


class TestInRuns:
    def start(self, **changes: Any) -> Run:
        suggesting = stage("suggest", REFUND | {"args": LITTLE}, proposes=True, **changes)
        stages = [suggesting, stage("after", {"ok": True})]
        workflows.save(SYSTEM, "refunds", {"pattern": "pipeline", "stages": stages})
        return runs.start(SYSTEM, workflow="refunds", intent=None)

    def test_the_work_waits_and_goes_on(self) -> None:
        put_in_force("calm")
        run = self.start()
        work_shift("agents", at_most=2)
        run.refresh_from_db()
        assert run.status == "waiting"
        work_all()
        run.refresh_from_db()
        assert run.status == "completed"

    def test_the_agent_is_told_who_objects(self) -> None:
        put_in_force("lukewarm")
        self.start(attempts=3)
        work_all()
        Command.objects.filter(status="pending").update(not_before=timezone.now())
        claimed = claim_one("agents")
        assert claimed is not None
        given = crew("agents")._load_each([claimed])[claimed.id]
        handed = given.inputs["sent_back"]
        assert handed["round"] == 1
        assert handed["reasons"] == [
            {"code": "validator", "validator": "lukewarm", "text": "The tone is curt."},
            {"code": "validator", "validator": "lukewarm", "text": "<b>Greet them.</b>"},
            {
                "code": "band",
                "band": "revise",
                "text": "score 0.7 is over 0.6 but not over 0.9",
            },
        ]

    def test_without_an_attempt_left_a_person_decides(self, cast: Cast) -> None:
        put_in_force("lukewarm")
        run = self.start(attempts=1)
        work_all()
        run.refresh_from_db()
        assert run.status == "waiting"
        item = ReviewItem.objects.get()
        assert item.opened_because[0] == "not revised, and no round of revision is left"
        decide(cast.rita, item)
        work_all()
        run.refresh_from_db()
        assert run.status == "completed"

    def test_a_run_that_is_over_hears_nobody(self, cast: Cast) -> None:
        put_in_force("calm", "lukewarm")
        run = self.start()
        work_shift("agents", at_most=2)
        held = claim_one("agents")
        assert held is not None
        runs.cancel(Actor(cast.ada), run.pk, reason="a mistake")
        assert Proposal.objects.get().status == "withdrawn"
        Crew("agents", threads=1, desk={}).run(held)
        work_all()
        run.refresh_from_db()
        assert (run.status, run.wakes_at) == ("cancelled", None)
        assert not Effect.objects.exists()
        assert not Evaluation.objects.exists()


class TestDisposing:
    def test_what_cannot_be_disposed_of_is_put_before_a_person(
        self, propose: Propose, cast: Cast
    ) -> None:
        put_in_force("calm")
        proposal = propose()
        work_shift("agents")
        Command.objects.filter(kind="dispose").update(crashes=3)
        assert quarantine.set_apart() == 1
        item = ReviewItem.objects.get(kind=ReviewItem.Kind.STUCK_COMMAND)
        decide(cast.rita, item, "give_up", note="it never works")
        proposal.refresh_from_db()
        assert proposal.status == "withdrawn"
        assert Run.objects.get().status == "completed"
        assert not Effect.objects.exists()

    def test_it_is_written_down(self, propose: Propose) -> None:
        put_in_force("calm")
        worked(propose())
        verbs = AuditEntry.objects.filter(verb__startswith="proposal.").order_by("pk")
        assert list(verbs.values_list("verb", flat=True)) == [
            "proposal.submitted",
            "proposal.evaluated",
        ]
