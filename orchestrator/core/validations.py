"""Validators of a proposal: who is asked, who has answered, and until when the rest may.

Nothing here knows what they said. Where each answer stands in the log is enough to tell when all of
them are there, and for whoever disposes of the proposal to read them.
"""

from collections.abc import Mapping
from dataclasses import replace

from orchestrator.core import events as ev
from orchestrator.core.commands import Command, Dispose, Validate
from orchestrator.core.errors import IllegalTransition
from orchestrator.core.state import Moment, ProposalState, RunState

EVALUATING = "evaluating"
_TIMER = "validation:"


def ask(state: RunState, event: ev.ValidationRequested, moment: Moment) -> RunState:
    asked = dict.fromkeys(event.validators, 0)
    if not asked:
        raise IllegalTransition(event.proposal, "without validators", event.kind)
    due = moment.at_ms + event.due_s * 1000
    timers = {**state.timers, timer_of(event.proposal): due}
    state = replace(state, timers=timers)
    return state.with_proposal(event.proposal, status=EVALUATING, validations=asked)


def answer(
    state: RunState, event: ev.ValidationFinished | ev.ValidationFailed, moment: Moment
) -> RunState:
    """An answer counts once, and only from whoever was asked."""
    known = state.proposals[event.proposal].validations
    if known.get(event.validator) != 0:
        found = "answered already" if event.validator in known else "not asked"
        raise IllegalTransition(f"the validator {event.validator!r}", found, event.kind)
    return _heard(state, event.proposal, {**known, event.validator: moment.seq})


def reach_time(state: RunState, timer: str, moment: Moment) -> RunState:
    """Whoever is still out has said nothing; this is where it says so."""
    proposal = timer.removeprefix(_TIMER)
    known = state.proposals[proposal].validations
    return _heard(state, proposal, {name: seq or moment.seq for name, seq in known.items()})


def timer_of(proposal: str) -> str:
    return _TIMER + proposal


def is_timer(timer: str) -> bool:
    return timer.startswith(_TIMER)


def is_out(proposal: ProposalState) -> bool:
    """Whether anybody is still to be heard."""
    return not all(proposal.validations.values())


def stop(state: RunState) -> RunState:
    """The run is over: nobody is heard any more, and nothing comes of what was to be evaluated."""
    for name, proposal in state.proposals.items():
        if proposal.status == EVALUATING:
            state = state.with_proposal(name, status="withdrawn")
    return state


def commands(before: RunState, after: RunState, event: ev.Event) -> list[Command]:
    """Ask each validator, and go on once the last of them was heard."""
    if isinstance(event, ev.ValidationRequested):
        asked = after.proposals[event.proposal].validations
        return [
            Validate(proposal=event.proposal, validator=name, policy=event.policy_version)
            for name in asked
        ]
    if after.proposals is before.proposals:
        return []
    return [
        Dispose(proposal=name)
        for name, now in after.proposals.items()
        if now.status == EVALUATING and _is_heard_now(before.proposals, name, now)
    ]


def _is_heard_now(before: Mapping[str, ProposalState], name: str, now: ProposalState) -> bool:
    was = before.get(name)
    return was is not None and was is not now and is_out(was) and not is_out(now)


def _heard(state: RunState, proposal: str, known: dict[str, int]) -> RunState:
    state = state.with_proposal(proposal, validations=known)
    return state.without_timer(timer_of(proposal)) if all(known.values()) else state
