from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core import controller
from orchestrator.core import events as ev
from orchestrator.core import state as st_
from orchestrator.core.codec import canonical
from orchestrator.core.commands import RunEffect
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


def approved(by: str = "rita", **changes: str) -> ev.ProposalApproved:
    values = {"item": "i1", "decision": "d1", "digest": DIGEST, "effect": "e1"} | changes
    return ev.ProposalApproved(proposal="p1", by=by, **values)


def given_by(by: str) -> ev.ApprovalGiven:
    return ev.ApprovalGiven(proposal="p1", item="i1", decision="d0", by=by, digest=DIGEST)


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


def test_only_accepting_emits_a_command() -> None:
    for disposition in ("revise", "escalate", "hold", "block"):
        assert controller.step(after(), disposed(disposition))[1] == []
    for event in (REJECTED, EXPIRED):
        assert controller.step(after(disposed("hold")), event)[1] == []


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
    *(disposed(kind) for kind in ("accept", "revise", "escalate", "hold", "block")),
    approved(),
    given_by("rita"),
    REJECTED,
    EXPIRED,
    STARTED_EFFECT,
    DONE,
    FAILED,
    LOST,
]


def test_every_pair_of_status_and_event_is_decided() -> None:
    """Either the table names it, or it is refused: nothing is ignored."""
    reachable = {
        "received": after(),
        "in_review": after(disposed("hold")),
        "revision_requested": after(disposed("revise")),
        "accepted": after(disposed("accept")),
        "executing": after(disposed("accept"), STARTED_EFFECT),
        "executed": after(disposed("accept"), STARTED_EFFECT, DONE),
        "failed": after(disposed("accept"), STARTED_EFFECT, FAILED),
        "unknown": after(disposed("accept"), STARTED_EFFECT, LOST),
        "rejected": after(disposed("hold"), REJECTED),
        "expired": after(disposed("hold"), EXPIRED),
        "blocked": after(disposed("block")),
    }
    for (name, before), event in product(reachable.items(), ANY):
        assert before.proposals["p1"].status == name
        if (event.kind, name) in controller.TRANSITIONS:
            controller.step(before, event)
        else:
            with pytest.raises(IllegalTransition):
                controller.step(before, event)


@given(st.lists(st.sampled_from(ANY), max_size=12))
def test_no_order_of_events_runs_what_was_not_accepted(events: list[ev.Event]) -> None:
    """A hostile order: refused events change nothing, and at most one effect is ever released."""
    state, released = st_.RunState(), []
    for event in events:
        try:
            state, commands = controller.step(state, event)
        except IllegalTransition:
            continue
        released += commands
        assert st_.from_json(st_.to_json(state)) == state
    assert len(released) <= 1
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
