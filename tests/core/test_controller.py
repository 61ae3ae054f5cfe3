from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core import controller
from orchestrator.core import events as ev
from orchestrator.core import state as st_
from orchestrator.core.codec import canonical
from orchestrator.core.commands import Dispose, RunEffect, Validate
from orchestrator.core.errors import IllegalTransition
from orchestrator.core.plan import DIRECT

DIGEST = "sha256:aa"
STARTED = ev.RunStarted(workflow="support", version=1, pattern="direct")
RECEIVED = ev.ProposalReceived(
    proposal="p1",
    action="refund.create",
    digest=DIGEST,
    agent="a",
    agent_version="1",
    model="m",
)
STARTED_EFFECT = ev.EffectStarted(proposal="p1", effect="e1", digest=DIGEST, executor="ledger")
DONE = ev.EffectSucceeded(proposal="p1", effect="e1", receipt={"entry": 1})
FAILED = ev.EffectFailed(proposal="p1", effect="e1", error={"code": "x"})
LOST = ev.EffectLost(proposal="p1", effect="e1", error={"code": "x"})
EXPIRED = ev.ProposalExpired(proposal="p1", item="i1")


def disposed(disposition: str, approvals_needed: int = 1) -> ev.ProposalDisposed:
    accepted = disposition == "accept"
    return ev.ProposalDisposed(
        proposal="p1",
        disposition=disposition,
        score=0.5,
        policy_version=1,
        rules=({"rule": "r", "version": 1, "result": "pass"},),
        approvals_needed=0 if accepted else approvals_needed,
        item=None if accepted else "i1",
        effect="e1" if accepted else None,
    )


def approved(by: str = "rita", **changes: Any) -> ev.ProposalApproved:
    values: dict[str, Any] = {"item": "i1", "decision": "d1", "digest": DIGEST}
    values |= {"effect": "e1"} | changes
    return ev.ProposalApproved(proposal="p1", by=by, **values)


def given_by(by: str) -> ev.ApprovalGiven:
    return ev.ApprovalGiven(proposal="p1", item="i1", decision="d0", by=by, digest=DIGEST)


UNDONE = ev.DecisionUndone(proposal="p1", item="i1", decision="d1", by="rita")
SENT_BACK = ev.RevisionRequested(
    proposal="p1", item="i1", decision="d1", by="rita", text="Half of it."
)
SUPERSEDED = ev.ProposalSuperseded(proposal="p1", revision="p2", by="rita", item="i1")
ROLL_BACK = ev.RollbackRequested(proposal="p1", effect="e1", by="ada", reason="wrong customer")
ROLLED_BACK = ev.RollbackDone(proposal="p1", effect="e1", receipt={"entry": 2})
NOT_ROLLED_BACK = ev.RollbackFailed(proposal="p1", effect="e1", error={"code": "x"})
ASKED = ev.ValidationRequested(
    proposal="p1", policy_version=2, validators=("tone", "facts"), due_s=60
)
TONE = ev.ValidationFinished(
    proposal="p1", validator="tone", policy_version=2, score=0.9, verdict="pass", reasons=("kind",)
)
NO_FACTS = ev.ValidationFailed(
    proposal="p1", validator="facts", policy_version=2, error={"code": "x"}
)
WITHDRAWN = ev.ProposalWithdrawn(proposal="p1", reason="given up")
REJECTED = ev.ProposalRejected(proposal="p1", item="i1", decision="d1", by="rita", reason="other")


def after(*events: ev.Event) -> st_.RunState:
    told = (STARTED, RECEIVED, *events)
    return controller.fold((event, st_.Moment(seq, 0)) for seq, event in enumerate(told, start=1))


def status(*events: ev.Event) -> str:
    return after(*events).proposals["p1"].status


def test_accepting_releases_exactly_one_effect_bound_to_the_digest() -> None:
    for before, event in ((after(), disposed("accept")), (after(disposed("hold")), approved())):
        _, commands = controller.step(before, event)
        assert commands == [RunEffect(proposal="p1", effect="e1", digest=DIGEST)]
        assert commands[0].key == "run_effect:e1"


@pytest.mark.parametrize(
    ("disposition", "expected"),
    [
        ("accept", "accepted"),
        ("revise", "revision_requested"),
        ("escalate", "in_review"),
        ("hold", "in_review"),
        ("block", "blocked"),
    ],
)
def test_each_disposition_leads_to_one_status(disposition: str, expected: str) -> None:
    assert status(disposed(disposition)) == expected


def test_each_validator_is_asked_and_the_last_to_be_heard_lets_it_go_on() -> None:
    asked, commands = controller.step(after(), ASKED)
    assert commands == [
        Validate(proposal="p1", validator=name, policy=2) for name in ("tone", "facts")
    ]
    assert {command.queue for command in commands} == {"agents"}
    assert asked.proposals["p1"].is_open
    heard, commands = controller.step(asked, TONE, moment=st_.Moment(4, 0))
    assert (heard.status, commands) == ("running", [])
    heard, commands = controller.step(heard, NO_FACTS, moment=st_.Moment(5, 0))
    assert commands == [Dispose(proposal="p1")]
    assert commands[0].queue == "effects"
    assert heard.timers == {}
    _, commands = controller.step(heard, disposed("accept"))
    assert commands == [RunEffect(proposal="p1", effect="e1", digest=DIGEST)]


@pytest.mark.parametrize(
    "event",
    [TONE, replace(TONE, validator="else"), disposed("accept"), disposed("escalate"), ASKED],
    ids=["answered already", "not asked", "too early", "too early as well", "asked already"],
)
def test_a_validator_counts_once_and_nobody_is_faster(event: ev.Event) -> None:
    with pytest.raises(IllegalTransition):
        controller.step(after(ASKED, TONE), event)


def test_who_says_nothing_in_time_is_not_waited_for() -> None:
    asked = after(ASKED, TONE)
    assert asked.wakes_at_ms == 60_000
    late = st_.Moment(5, 60_000)
    heard, commands = controller.step(asked, ev.TimeReached(), plan=DIRECT, moment=late)
    assert heard.proposals["p1"].validations == {"tone": 4, "facts": 5}
    assert (heard.timers, commands) == ({}, [Dispose(proposal="p1")])
    with pytest.raises(IllegalTransition):
        controller.step(heard, NO_FACTS)


def test_nobody_is_asked_by_a_request_that_names_nobody() -> None:
    with pytest.raises(IllegalTransition):
        controller.step(after(), replace(ASKED, validators=()))


def test_only_accepting_emits_a_command() -> None:
    for disposition in ("revise", "escalate", "hold", "block"):
        assert controller.step(after(), disposed(disposition))[1] == []
    for event in (REJECTED, EXPIRED):
        assert controller.step(after(disposed("hold")), event)[1] == []


def settled(verdict: str) -> ev.RollbackSettled:
    return ev.RollbackSettled(
        proposal="p1", effect="e1", item="i2", decision="d2", by="rita", verdict=verdict
    )


def test_an_answer_counts_for_the_question_that_is_open() -> None:
    """Of an effect that was lost twice, and of an undoing that failed twice."""

    def lost(item: str) -> ev.EffectLost:
        return ev.EffectLost(proposal="p1", effect="e1", error={"code": "x"}, item=item)

    def found(verdict: str, item: str, effect: str = "e1") -> ev.EffectSettled:
        return ev.EffectSettled(
            proposal="p1", effect=effect, item=item, decision="d", by="rita", verdict=verdict
        )

    once = (disposed("accept"), STARTED_EFFECT, lost("i7"))
    twice = after(*once, found("retry", "i7"), STARTED_EFFECT, lost("i8"))
    for stale in (found("happened", "i7"), found("happened", "i1"), found("happened", "i8", "e2")):
        with pytest.raises(IllegalTransition):
            controller.step(twice, stale)
    settled_then = controller.step(twice, found("happened", "i8"))[0].proposals["p1"]
    assert settled_then.status == "executed"

    stuck = replace(NOT_ROLLED_BACK, item="i9")
    state = after(disposed("accept"), STARTED_EFFECT, DONE, ROLL_BACK, stuck)
    for wrong in (settled("happened"), replace(settled("happened"), item="i9", effect="e2")):
        with pytest.raises(IllegalTransition):
            controller.step(state, wrong)
    answered = replace(settled("happened"), item="i9")
    assert controller.step(state, answered)[0].proposals["p1"].status == "rolled_back"
    given_up, _ = controller.step(state, replace(answered, verdict="give_up"))
    with pytest.raises(IllegalTransition):
        controller.step(given_up, answered)


def test_what_is_taken_back_is_released_again_under_another_command() -> None:
    """The same effect with the same key, so that nothing can run twice."""
    held = after(disposed("hold"), approved())
    undone, commands = controller.step(held, UNDONE)
    assert (undone.proposals["p1"].status, commands) == ("in_review", [])
    assert undone.proposals["p1"].approvals == ()
    _, commands = controller.step(undone, approved())
    assert commands == [RunEffect(proposal="p1", effect="e1", digest=DIGEST, again=1)]
    assert commands[0].key == "run_effect:e1:1"


def test_what_can_be_taken_back_waits_for_its_window() -> None:
    _, commands = controller.step(after(disposed("hold")), approved(undo_s=8))
    assert commands[0].delay_ms == 8_000


@pytest.mark.parametrize("said", [REJECTED, SENT_BACK])
def test_a_no_that_is_taken_back_opens_the_run_again(said: ev.Event) -> None:
    state = after(disposed("hold"), said, UNDONE)
    assert (state.status, state.proposals["p1"].status) == ("running", "in_review")


def test_of_two_approvals_only_ones_own_is_taken_back() -> None:
    state = after(disposed("hold", approvals_needed=2), given_by("rolf"), given_by("rita"), UNDONE)
    assert state.proposals["p1"].approvals == ("rolf",)


def test_what_runs_is_not_taken_back() -> None:
    with pytest.raises(IllegalTransition):
        controller.step(after(disposed("hold"), approved(), STARTED_EFFECT), UNDONE)


def test_a_revision_stands_only_where_something_made_room() -> None:
    revision = replace(RECEIVED, proposal="p2", revises="p1")
    with pytest.raises(IllegalTransition):
        controller.step(after(disposed("hold")), revision)
    state = after(disposed("hold", approvals_needed=2), given_by("rita"), SUPERSEDED, revision)
    assert state.proposals["p1"].approvals == ()
    assert (state.status, state.proposals["p2"].status) == ("running", "received")


@pytest.mark.parametrize(
    ("verdict", "became", "count"),
    [("retry", "rolling_back", 1), ("happened", "rolled_back", 0), ("give_up", "executed", 0)],
)
def test_a_rollback_that_failed_is_settled(verdict: str, became: str, count: int) -> None:
    failed = after(disposed("accept"), STARTED_EFFECT, DONE, ROLL_BACK, NOT_ROLLED_BACK)
    assert failed.proposals["p1"].status == "executed"
    state, commands = controller.step(failed, settled(verdict))
    assert (state.proposals["p1"].status, len(commands)) == (became, count)


def test_each_rollback_is_a_command_of_its_own() -> None:
    done = after(disposed("accept"), STARTED_EFFECT, DONE)
    state, first = controller.step(done, ROLL_BACK)
    state, _ = controller.step(state, NOT_ROLLED_BACK)
    _, second = controller.step(state, ROLL_BACK)
    assert [command.key for command in (*first, *second)] == ["roll_back:e1:1", "roll_back:e1:2"]


def test_the_whole_way_ends_the_run() -> None:
    end = after(disposed("hold"), approved(), STARTED_EFFECT, DONE)
    assert end.status == "completed"
    assert end.proposals["p1"].status == "executed"


def test_a_second_attempt_after_a_crash_is_not_a_second_effect() -> None:
    assert status(disposed("accept"), STARTED_EFFECT, STARTED_EFFECT, DONE) == "executed"


def test_two_people_are_two_different_people() -> None:
    held = after(disposed("hold", approvals_needed=2))
    with pytest.raises(IllegalTransition, match="2 approvals"):
        controller.step(held, approved())
    once, commands = controller.step(held, given_by("rita"))
    assert commands == []
    with pytest.raises(IllegalTransition, match="2 approvals"):
        controller.step(once, approved(by="rita"))
    _, commands = controller.step(once, approved(by="rolf"))
    assert len(commands) == 1


@pytest.mark.parametrize(
    "decision",
    [approved(digest="sha256:other"), approved(item="i2")],
    ids=["another payload", "another item"],
)
def test_a_decision_counts_only_for_what_was_looked_at(decision: ev.Event) -> None:
    with pytest.raises(IllegalTransition):
        controller.step(after(disposed("hold")), decision)


@pytest.mark.parametrize(
    "event",
    [
        ev.EffectStarted(proposal="p1", effect="e2", digest=DIGEST, executor="ledger"),
        ev.EffectStarted(proposal="p1", effect="e1", digest="sha256:bb", executor="ledger"),
        ev.EffectStarted(proposal="p2", effect="e1", digest=DIGEST, executor="ledger"),
    ],
    ids=["another effect", "another payload", "another proposal"],
)
def test_only_what_was_released_may_start(event: ev.Event) -> None:
    with pytest.raises(IllegalTransition):
        controller.step(after(disposed("accept")), event)


ANY = [
    STARTED,
    RECEIVED,
    ASKED,
    TONE,
    NO_FACTS,
    WITHDRAWN,
    *(disposed(kind) for kind in ("accept", "revise", "escalate", "hold", "block")),
    approved(),
    given_by("rita"),
    REJECTED,
    EXPIRED,
    STARTED_EFFECT,
    DONE,
    FAILED,
    LOST,
    UNDONE,
    SENT_BACK,
    SUPERSEDED,
    ROLL_BACK,
    ROLLED_BACK,
    NOT_ROLLED_BACK,
    *(settled(verdict) for verdict in ("retry", "happened", "give_up")),
]


def _disposes(event: ev.Event, status: str) -> bool:
    return isinstance(event, ev.ProposalDisposed) and status == "evaluating"


def test_every_pair_of_status_and_event_is_decided() -> None:
    """Either the table names it, or it is refused: nothing is ignored."""
    reachable = {
        "received": after(),
        "evaluating": after(ASKED),
        "in_review": after(disposed("hold")),
        "revision_requested": after(disposed("hold"), SENT_BACK),
        "accepted": after(disposed("hold"), approved()),
        "executing": after(disposed("accept"), STARTED_EFFECT),
        "executed": after(disposed("accept"), STARTED_EFFECT, DONE),
        "failed": after(disposed("accept"), STARTED_EFFECT, FAILED),
        "unknown": after(disposed("accept"), STARTED_EFFECT, LOST),
        "rejected": after(disposed("hold"), REJECTED),
        "expired": after(disposed("hold"), EXPIRED),
        "blocked": after(disposed("block")),
        "superseded": after(disposed("hold"), SUPERSEDED),
        "rolling_back": after(disposed("accept"), STARTED_EFFECT, DONE, ROLL_BACK),
        "rolled_back": after(disposed("accept"), STARTED_EFFECT, DONE, ROLL_BACK, ROLLED_BACK),
    }
    for (name, before), event in product(reachable.items(), ANY):
        assert before.proposals["p1"].status == name
        if (event.kind, name) in controller.TRANSITIONS:
            # Who waits for validators is not disposed of before they were heard.
            is_heard = _disposes(event, name)
            controller.step(after(ASKED, TONE, NO_FACTS) if is_heard else before, event)
        else:
            with pytest.raises(IllegalTransition):
                controller.step(before, event)


@given(st.lists(st.sampled_from(ANY), max_size=12))
def test_no_order_of_events_runs_what_was_not_accepted(events: list[ev.Event]) -> None:
    """A hostile order: refused events change nothing, and an effect is released again only if it was taken back."""
    state, released, undone = st_.RunState(), [], 0
    for event in events:
        try:
            state, commands = controller.step(state, event)
        except IllegalTransition:
            continue
        undone += event is UNDONE
        released += [command for command in commands if isinstance(command, RunEffect)]
        assert st_.from_json(st_.to_json(state)) == state
    assert len(released) <= 1 + undone
    assert len({command.key for command in released}) == len(released)
    executing = [p for p in state.proposals.values() if p.status in {"executing", "executed"}]
    assert bool(executing) <= bool(released)


def test_events_survive_storing() -> None:
    for event in ANY:
        assert ev.from_json(event.kind, ev.to_json(event)) == event


def test_unknown_fields_of_a_later_version_are_left_out() -> None:
    stored = {**ev.to_json(DONE), "added_later": 1}
    assert ev.from_json(DONE.kind, stored) == DONE


def test_a_step_is_what_the_event_makes_of_the_state_and_what_that_asks_for() -> None:
    before, event, moment = after(), disposed("accept"), st_.Moment(3, 1_000)
    state, commands = controller.step(before, event, plan=DIRECT, moment=moment)
    assert state == controller.evolve(DIRECT, before, event, moment)
    assert commands == controller.decide(DIRECT, before, state, event)
    assert (before, controller.decide(DIRECT, state, state, RECEIVED)) == (after(), [])


def test_the_stored_state_is_the_same_text_every_time() -> None:
    one = canonical(st_.to_json(after(disposed("hold"), approved())))
    assert one == canonical(st_.to_json(after(disposed("hold"), approved())))
