"""Runs from their start to their end, through the real engine, in the test's own thread."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django import Settings

from orchestrator.actions import runs, workflows
from orchestrator.actions.actor import Actor
from orchestrator.core import events as ev
from orchestrator.core.errors import (
    AlreadyDecided,
    BadInput,
    IllegalTransition,
    NotAllowed,
    NotFound,
    QueueFull,
)
from orchestrator.engine.advance import Step, advance
from orchestrator.engine.sweep import sweep
from orchestrator.models import (
    AuditEntry,
    Command,
    Effect,
    Event,
    Notice,
    Proposal,
    ReviewItem,
    Run,
)
from tests import deciding
from tests.conftest import Cast
from tests.work import output_of, work_all, work_shift

SYSTEM = Actor(None)
LONG_AGO = timezone.now() - timedelta(days=3)


def says(value: Any, **more: Any) -> dict[str, Any]:
    return {"kind": "scripted", "name": "tester", "says": value, **more}


def stage(name: str, value: Any = "ok", **more: Any) -> dict[str, Any]:
    return {"name": name, "agent": says(value, **more.pop("agent", {})), **more}


def pipeline(*stages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"pattern": "pipeline", "stages": list(stages), **more}


@pytest.fixture
def start(db: None) -> Callable[..., Run]:
    def begin(
        definition: dict[str, Any], intent: Any = None, *, slug: str = "w", actor: Actor = SYSTEM
    ) -> Run:
        workflows.save(SYSTEM, slug, definition)
        return runs.start(actor, workflow=slug, intent=intent)

    return begin


def now(run: Run) -> Run:
    run.refresh_from_db()
    return run


def error_of(run: Run) -> dict[str, Any]:
    return dict(now(run).canonical_state.error or {})


SUGGESTION = {"action": "refund.create", "target": "order/1", "args": {"amount_minor": 100}}


def test_outputs_pass_from_stage_to_stage(start: Callable[..., Run]) -> None:
    run = start(
        pipeline(stage("list", {"items": ["a", "b"]}), stage("echo", {"echo": "inputs"})), {"go": 1}
    )
    work_all()
    assert now(run).status == "completed"
    assert output_of(run) == {"list": {"items": ["a", "b"]}}
    assert AuditEntry.objects.filter(verb="run.started", object_id=run.pk).exists()


def test_an_intent_that_does_not_fit_is_refused_with_its_place(start: Callable[..., Run]) -> None:
    schema = {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]}
    with pytest.raises(BadInput, match="intent/order"):
        start(pipeline(stage("a"), intent=schema), {"order": 7})
    assert not Run.objects.exists()


def test_an_output_that_does_not_fit_goes_no_further(start: Callable[..., Run]) -> None:
    run = start(pipeline(stage("a", "text", output={"type": "integer"}, attempts=1), stage("b")))
    work_all()
    assert now(run).status == "failed"
    error = error_of(run)
    assert (error["code"], error["who"], error["cause"]["code"]) == (
        "work-failed",
        "a",
        "output-invalid",
    )
    assert error["cause"]["where"]


def test_a_retry_waits_and_resumes_without_repeating_what_is_done(
    start: Callable[..., Run],
) -> None:
    fails = [{"attempt": 1, "code": "agent-unavailable", "reason": "busy"}]
    run = start(pipeline(stage("a"), stage("b", agent={"fails": fails}, attempts=2)))
    work_all()
    assert now(run).status == "running"
    waiting = Command.objects.get(run=run, status="pending")
    assert waiting.not_before > timezone.now()
    Command.objects.filter(pk=waiting.pk).update(not_before=LONG_AGO)
    work_all()
    assert now(run).status == "completed"
    assert Command.objects.filter(run=run, payload__contains='"work":"a"').count() == 1


def test_an_optional_stage_is_left_out(start: Callable[..., Run]) -> None:
    fails = [{"attempt": 1, "code": "agent-refused", "reason": "no"}]
    run = start(
        pipeline(stage("a", agent={"fails": fails}, optional=True), stage("b", {"echo": "inputs"}))
    )
    work_all()
    assert now(run).status == "completed"
    assert run.canonical_state.works["a"].status == "skipped"
    assert output_of(run) == {"a": None}


def test_only_a_saved_plan_can_be_started(db: None) -> None:
    with pytest.raises(NotFound):
        runs.start(SYSTEM, workflow="nowhere", intent=None)
    workflows.version_for(SYSTEM, "support")
    with pytest.raises(BadInput, match="only carries proposals"):
        runs.start(SYSTEM, workflow="support", intent=None)


def test_a_run_keeps_to_the_version_it_started_with(start: Callable[..., Run]) -> None:
    old = start(pipeline(stage("a", "old"), stage("b", "old")))
    work_shift("agents", at_most=1)
    new = start(pipeline(stage("a", "new"), stage("b", "new")))
    work_all()
    assert (output_of(now(old)), output_of(now(new))) == ("old", "new")


class TestBackpressure:
    @pytest.mark.pulls("QUEUE_PENDING_MAX")
    def test_of_a_queue(self, start: Callable[..., Run], settings: Settings) -> None:
        settings.QUEUE_PENDING_MAX = 1
        start(pipeline(stage("a")))
        with pytest.raises(QueueFull, match="agents"):
            runs.start(SYSTEM, workflow="w", intent=None)

    @pytest.mark.pulls("RUNS_OPEN_PER_WORKFLOW_MAX")
    def test_of_a_workflow(self, start: Callable[..., Run], settings: Settings) -> None:
        settings.RUNS_OPEN_PER_WORKFLOW_MAX = 1
        start(pipeline(stage("a")))
        with pytest.raises(QueueFull, match="runs of w"):
            runs.start(SYSTEM, workflow="w", intent=None)
        work_all()
        runs.start(SYSTEM, workflow="w", intent=None)

    @pytest.mark.pulls("RUNS_OPEN_PER_TOKEN_MAX")
    def test_of_a_token(self, start: Callable[..., Run], agent: Actor, settings: Settings) -> None:
        settings.RUNS_OPEN_PER_TOKEN_MAX = 1
        start(pipeline(stage("a")), actor=agent)
        with pytest.raises(QueueFull, match="runs of this token"):
            runs.start(agent, workflow="w", intent=None)
        runs.start(SYSTEM, workflow="w", intent=None)


class TestSignals:
    WAITING = pipeline({"name": "wait", "signal": {"name": "go"}}, stage("b", {"echo": "inputs"}))

    def test_it_goes_on_with_what_it_was_told(self, start: Callable[..., Run]) -> None:
        run = start(self.WAITING)
        assert now(run).status == "waiting"
        runs.signal(SYSTEM, run.pk, name="go", data={"n": 1})
        work_all()
        assert output_of(now(run)) == {"wait": {"n": 1}}

    def test_another_name_and_a_second_time_are_refused(self, start: Callable[..., Run]) -> None:
        run = start(self.WAITING)
        with pytest.raises(IllegalTransition, match="not waiting for 'stop'"):
            runs.signal(SYSTEM, run.pk, name="stop", data=None)
        runs.signal(SYSTEM, run.pk, name="go", data=None)
        with pytest.raises(IllegalTransition):
            runs.signal(SYSTEM, run.pk, name="go", data=None)
        assert AuditEntry.objects.filter(verb="run.signalled").count() == 1

    def test_of_many_a_refused_one_holds_up_no_other(self, start: Callable[..., Run]) -> None:
        one, other = start(self.WAITING), start(self.WAITING)
        runs.signal(SYSTEM, one.pk, name="go", data=None)
        refused = runs.signal_many(SYSTEM, [runs.Signal(run.pk, "go") for run in (one, other)])
        assert set(refused) == {one.pk}
        assert now(other).status == "running"

    def test_silence_until_the_deadline_is_a_no(self, start: Callable[..., Run]) -> None:
        """A real second: the deadline is in the log, and nobody can write there."""
        wait = {"name": "wait", "signal": {"name": "go", "due_seconds": 1}}
        run = start(pipeline(wait))
        assert sweep().expired == 0
        time.sleep(1.05)
        assert sweep().expired == 1
        assert now(run).status == "failed"
        assert error_of(run)["code"] == "deadline"


class TestApproval:
    ASKING = pipeline(
        stage("a"), {"name": "ask", "approval": {"question": "Go on?", "approvals": 2}}, stage("b")
    )

    def decide(self, person: Any, verdict: str, **more: Any) -> None:
        deciding.decide(person, ReviewItem.objects.get(), verdict, **more)

    def test_two_people_let_it_go_on(self, start: Callable[..., Run], cast: Cast) -> None:
        run = start(self.ASKING)
        work_all()
        item = ReviewItem.objects.get()
        assert (item.kind, item.question, item.work) == ("approval", "Go on?", "ask")
        self.decide(cast.rita, "approve")
        assert now(run).status == "waiting"
        with pytest.raises(NotAllowed):
            self.decide(cast.rita, "approve")
        self.decide(cast.rolf, "approve")
        work_all()
        assert now(run).status == "completed"

    def test_one_no_ends_it(self, start: Callable[..., Run], cast: Cast) -> None:
        run = start(self.ASKING)
        work_all()
        self.decide(cast.rita, "reject", reason="policy_breach")
        assert now(run).status == "failed"
        assert error_of(run)["code"] == "rejected"
        with pytest.raises(AlreadyDecided, match="rita was first"):
            self.decide(cast.rolf, "approve")

    def test_silence_until_the_deadline_is_told_and_written_down(
        self, start: Callable[..., Run], cast: Cast
    ) -> None:
        asking = {"name": "ask", "approval": {"question": "Go on?", "due_seconds": 1}}
        start(pipeline(asking), actor=Actor(cast.rita))
        work_all()
        item = ReviewItem.objects.get()
        time.sleep(1.05)
        sweep()
        item.refresh_from_db()
        assert (item.status, item.closed_because) == ("expired", "deadline")
        entry = AuditEntry.objects.get(verb="review_item.expired")
        assert (entry.object_id, entry.detail) == (item.run_id, {"item": item.pk})
        told = Notice.objects.filter(user=cast.rita, kind="item_expired")
        assert told.get().text.startswith("Nobody decided about the question of a run in time")

    def test_whoever_started_it_may_not_decide_it(
        self, start: Callable[..., Run], cast: Cast
    ) -> None:
        start(self.ASKING, actor=Actor(cast.rita))
        work_all()
        with pytest.raises(NotAllowed, match="asked for it"):
            self.decide(cast.rita, "approve")

    def test_a_cancelled_run_asks_nobody_any_more(
        self, start: Callable[..., Run], cast: Cast
    ) -> None:
        run = start(self.ASKING)
        work_all()
        runs.cancel(Actor(cast.ada), run.pk, reason="a mistake")
        assert ReviewItem.objects.get().status == "withdrawn"
        with pytest.raises(AlreadyDecided, match="The run was first"):
            self.decide(cast.rita, "approve")

    def test_verdicts_of_other_kinds_are_refused(
        self, start: Callable[..., Run], cast: Cast
    ) -> None:
        start(self.ASKING)
        work_all()
        with pytest.raises(BadInput, match="approve, reject"):
            self.decide(cast.rita, "happened", note="so it was")


class TestProposals:
    PROPOSING = pipeline(
        stage("suggest", {**SUGGESTION, "confidence": 0.95}, proposes=True),
        stage("after", {"echo": "inputs"}),
    )

    def test_accepted_it_runs_before_the_run_goes_on(self, start: Callable[..., Run]) -> None:
        run = start(self.PROPOSING)
        work_all()
        assert now(run).status == "completed"
        proposal = Proposal.objects.get(run=run)
        assert (proposal.status, proposal.agent) == ("executed", "tester")
        kinds = list(Event.objects.filter(run=run).order_by("seq").values_list("kind", flat=True))
        assert kinds.index("effect_succeeded") < kinds.index("work_finished", 2)

    def test_held_it_waits_for_a_person(
        self, start: Callable[..., Run], rule: Callable[..., None], cast: Cast
    ) -> None:
        rule(condition="proposal.args.amount_minor <= 50")
        run = start(self.PROPOSING)
        work_all()
        assert now(run).status == "waiting"
        item = ReviewItem.objects.get()
        deciding.decide(
            Actor(cast.rita), item.pk, verdict="reject", idempotency_key="k", reason="wrong_value"
        )
        assert now(run).status == "failed"
        assert error_of(run)["code"] == "proposal-rejected"
        assert not Effect.objects.exists()

    def test_sent_back_the_agent_is_asked_again_and_told_why(
        self, start: Callable[..., Run]
    ) -> None:
        run = start(
            pipeline(stage("suggest", {**SUGGESTION, "confidence": 0.7}, proposes=True, attempts=2))
        )
        work_all()
        again = Command.objects.get(run=run, status="pending")
        assert "sent_back" in again.payload
        Command.objects.filter(pk=again.pk).update(not_before=LONG_AGO)
        work_all()
        assert Proposal.objects.filter(run=run).count() == 2
        # The rounds are used up: a person decides about it as it is.
        assert now(run).status == "waiting"
        assert ReviewItem.objects.get().opened_because == [
            "revised 1 time, and no round of revision is left",
            "score 0.7 is over 0.6 but not over 0.9",
        ]

    def test_nothing_of_a_cancelled_run_is_approved_any_more(
        self, start: Callable[..., Run], cast: Cast
    ) -> None:
        run = start(pipeline(stage("suggest", {**SUGGESTION, "confidence": 0.5}, proposes=True)))
        work_all()
        item = ReviewItem.objects.get()
        runs.cancel(Actor(cast.ada), run.pk, reason="a mistake")
        for verdict in ("approve", "reject"):
            with pytest.raises(
                AlreadyDecided, match=r"The run was first: over \(the run cancelled\)"
            ):
                deciding.decide(Actor(cast.rita), item.pk, verdict=verdict, reason="wording")
        work_all()
        assert Proposal.objects.get().status == "withdrawn"
        assert ReviewItem.objects.get().status == "withdrawn"
        assert not Effect.objects.exists()

    def test_what_is_no_suggestion_fails_its_stage(self, start: Callable[..., Run]) -> None:
        run = start(pipeline(stage("suggest", "no object", proposes=True)))
        work_all()
        assert now(run).status == "failed"
        assert error_of(run)["cause"]["code"] == "bad-input"


class TestChildren:
    def test_a_child_hands_back_its_output(self, start: Callable[..., Run]) -> None:
        workflows.save(SYSTEM, "inner", pipeline(stage("x", {"echo": "intent"})))
        run = start(
            pipeline(
                stage("a", {"n": 1}),
                {"name": "inside", "workflow": "inner"},
                stage("b", {"echo": "inputs"}),
            )
        )
        work_all()
        assert output_of(now(run)) == {"inside": {"n": 1}}
        child = Run.objects.get(parent=run)
        assert (child.status, child.workflow_version.workflow.slug) == ("completed", "inner")

    def test_it_is_cancelled_with_the_run_that_waits_for_it(
        self, start: Callable[..., Run], cast: Cast
    ) -> None:
        waiting = pipeline({"name": "wait", "signal": {"name": "go"}})
        workflows.save(SYSTEM, "inner", waiting)
        run = start(pipeline({"name": "inside", "workflow": "inner"}))
        work_all()
        runs.cancel(Actor(cast.ada), run.pk, reason="enough")
        assert set(Run.objects.values_list("status", flat=True)) == {"cancelled"}
        work_all()

    def test_what_it_had_spent_counts_in_the_run_that_waited(
        self, start: Callable[..., Run], cast: Cast
    ) -> None:
        usage = {"tokens_in": 40, "tokens_out": 2, "money_micros": 900}
        costly = stage("think", agent={"usage": usage})
        waiting = pipeline(costly, {"name": "wait", "signal": {"name": "go"}})
        workflows.save(SYSTEM, "inner", waiting)
        run = start(pipeline({"name": "inside", "workflow": "inner"}))
        work_all()
        assert now(run).canonical_state.spent.tokens == 0
        runs.cancel(Actor(cast.ada), run.pk, reason="enough")
        work_all()
        spent = now(run).canonical_state.spent
        assert (spent.tokens, spent.money_micros) == (42, 900)
        assert Event.objects.filter(run=run, kind="child_spent").count() == 1
        assert not Command.objects.filter(status="failed").exists()

    def test_one_that_nobody_waits_for_any_more_is_cancelled(
        self, start: Callable[..., Run], settings: Settings
    ) -> None:
        """With what it had proposed, and with the runs below it that it waits for itself."""
        held = stage("suggest", {**SUGGESTION, "confidence": 0.5}, proposes=True)
        workflows.save(SYSTEM, "inner", pipeline(held))
        workflows.save(SYSTEM, "middle", pipeline({"name": "inside", "workflow": "inner"}))
        run = start(
            {
                "pattern": "machine",
                "initial": "wait",
                "states": {
                    "wait": {
                        "run": {"workflow": "middle"},
                        "on": {
                            "done": [{"to": "good"}],
                            "failed": [{"to": "bad"}],
                            "enough": [{"to": "good"}],
                        },
                    },
                    "good": {"end": "completed"},
                    "bad": {"end": "failed"},
                },
            }
        )
        work_all()
        assert ReviewItem.objects.get().status == "waiting"
        runs.signal(SYSTEM, run.pk, name="enough", data=None)
        assert Command.objects.get(run=run, kind="cancel_run").status == "pending"
        work_all()
        assert now(run).status == "completed"
        below = Run.objects.exclude(pk=run.pk)
        assert [*below.values_list("status", flat=True)] == ["cancelled", "cancelled"]
        assert Proposal.objects.get().status == "withdrawn"
        assert ReviewItem.objects.get().status == "withdrawn"
        assert AuditEntry.objects.filter(verb="run.cancelled", user=None).count() == 2

    def test_one_that_was_never_waited_for_runs_on(
        self, start: Callable[..., Run], cast: Cast
    ) -> None:
        workflows.save(SYSTEM, "inner", pipeline({"name": "wait", "signal": {"name": "go"}}))
        run = start(
            pipeline({"name": "aside", "workflow": "inner", "wait": False}, stage("x", "done"))
        )
        work_all()
        assert now(run).status == "completed"
        assert Run.objects.get(parent=run).status == "waiting"

    def test_a_circle_is_noticed_and_its_chain_is_kept(self, start: Callable[..., Run]) -> None:
        workflows.save(SYSTEM, "b", pipeline({"name": "back", "workflow": "a"}))
        run = start(pipeline({"name": "on", "workflow": "b"}), slug="a")
        work_all()
        assert now(run).status == "failed"
        chain, error = [], error_of(run)
        while error:
            chain.append(error["code"])
            error = error.get("cause") or {}
        assert chain == ["run-failed", "run-failed", "cycle"]

    def test_deeper_than_the_budget_is_refused(
        self, start: Callable[..., Run], settings: Settings
    ) -> None:
        settings.RUN_DEPTH_MAX = 2
        for outer, inner in (("d", "c"), ("c", "b")):
            workflows.save(SYSTEM, outer, pipeline({"name": "down", "workflow": inner}))
        workflows.save(SYSTEM, "b", pipeline(stage("x")))
        run = start(pipeline({"name": "down", "workflow": "d"}), slug="e")
        work_all()
        assert now(run).status == "failed"
        assert "budget of 2 depth" in str(error_of(run))


def test_a_cancelled_run_begins_nothing_more(start: Callable[..., Run], cast: Cast) -> None:
    run = start(pipeline(stage("a"), stage("b")))
    runs.cancel(Actor(cast.ada), run.pk, reason="not needed")
    assert work_shift("agents") == 0
    assert Command.objects.get(run=run).status == "cancelled"
    assert (now(run).status, error_of(run)["who"]) == ("cancelled", "ada")
    with pytest.raises(IllegalTransition):
        runs.cancel(Actor(cast.ada), run.pk, reason="again")


def test_a_machine_follows_its_guards(start: Callable[..., Run]) -> None:
    machine = {
        "pattern": "machine",
        "initial": "look",
        "states": {
            "look": {
                "run": {"agent": says({"score": 7})},
                "on": {
                    "done": [{"if": "data.look.score > 5.0", "to": "good"}, {"to": "bad"}],
                    "failed": [{"to": "bad"}],
                },
            },
            "good": {"end": "completed"},
            "bad": {"end": "failed"},
        },
    }
    run = start(machine)
    work_all()
    assert (now(run).status, run.canonical_state.position) == ("completed", "good")


@pytest.mark.pulls("SHORT_OUTPUT_BYTES_MAX")
def test_a_machine_keeps_no_more_than_it_may(start: Callable[..., Run], settings: Settings) -> None:
    settings.SHORT_OUTPUT_BYTES_MAX = 1_000
    ways = {"done": [{"to": "end"}], "failed": [{"to": "end"}]}
    machine = {
        "pattern": "machine",
        "initial": "talk",
        "states": {
            "talk": {"run": {"agent": says("x" * 1_000), "attempts": 1}, "on": ways},
            "end": {"end": "failed"},
        },
    }
    run = start(machine)
    work_all()
    assert error_of(run)["cause"]["code"] == "output-invalid"
    with pytest.raises(BadInput, match="intent"):
        runs.start(SYSTEM, workflow="w", intent="x" * 1_000)


class TestLostEffect:
    """Nobody knows what became of it; a person finds out."""

    @pytest.fixture
    def lost(self, propose: Callable[..., Proposal]) -> Proposal:
        proposal = propose()
        effect, digest = proposal.effect, proposal.digest
        started = ev.EffectStarted(
            proposal=proposal.pk, effect=effect.pk, digest=digest, executor="ledger"
        )
        error = {"code": "effect-interrupted", "reason": "no answer"}
        gone = ev.EffectLost(proposal=proposal.pk, effect=effect.pk, error=error)
        Command.objects.update(status="failed")
        advance([Step(proposal.run_id, started), Step(proposal.run_id, gone)])
        return proposal

    @pytest.mark.parametrize(
        ("verdict", "status", "effect"),
        [("happened", "executed", "done"), ("not_happened", "failed", "failed")],
    )
    def test_it_is_settled(
        self, lost: Proposal, cast: Cast, verdict: str, status: str, effect: str
    ) -> None:
        self.settle(cast, verdict)
        lost.refresh_from_db()
        assert (lost.status, Effect.objects.get().status) == (status, effect)
        assert ReviewItem.objects.get().status == "decided"

    def test_it_is_run_again_with_the_same_key(self, lost: Proposal, cast: Cast) -> None:
        key = Effect.objects.get().idempotency_key
        self.settle(cast, "retry")
        work_all()
        lost.refresh_from_db()
        assert (lost.status, Effect.objects.get().idempotency_key) == ("executed", key)

    def test_it_says_how_it_knows(self, lost: Proposal, cast: Cast) -> None:
        with pytest.raises(BadInput, match="how you know"):
            self.settle(cast, "happened", note=" ")

    def test_silence_settles_nothing(self, lost: Proposal) -> None:
        ReviewItem.objects.update(due_at=LONG_AGO)
        sweep()
        assert ReviewItem.objects.get().status == "waiting"

    def settle(self, cast: Cast, verdict: str, note: str = "I looked") -> None:
        item = ReviewItem.objects.get()
        deciding.decide(Actor(cast.rita), item.pk, verdict=verdict, idempotency_key="k", note=note)


@pytest.mark.parametrize("past", [{"seq": 1}, {"head": "x"}, {"state": "{}"}, {"status": "failed"}])
def test_a_run_begins_without_a_past(db: None, past: dict[str, Any]) -> None:
    version = workflows.version_for(SYSTEM, "support")
    with pytest.raises(IntegrityError), transaction.atomic():
        Run.objects.create(workflow_version=version, **past)
