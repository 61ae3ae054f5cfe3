"""What a run asked for and waits for no longer: while nobody has accepted it, it is withdrawn.

Else the work that is done in place of the one that was given up could ask for the same once more, and
people would approve both.
"""

from orchestrator.core import validations
from orchestrator.core.patterns.work import OVER
from orchestrator.core.state import RunState

UNDECIDED = frozenset({"received", "evaluating", "in_review", "revision_requested"})


def withdraw(state: RunState) -> RunState:
    """What was accepted still runs. Runs from before withdrew nothing."""
    if not state.withdraws:
        return state
    for name, proposal in state.proposals.items():
        if proposal.status in UNDECIDED and not is_waited_for(state, name):
            state = state.with_proposal(name, status="withdrawn", approvals=())
            state = state.without_timer(validations.timer_of(name))
    return state


def is_waited_for(state: RunState, name: str) -> bool:
    """By the work that proposed it, or by a call that asked for it. What was sent back may still be
    answered for as long as its work goes on."""
    proposal = state.proposals[name]
    known = state.works.get(proposal.work)
    if state.has_ended or known is None or known.status in OVER:
        return False
    if proposal.status == "revision_requested" or known.proposal == name:
        return True
    asking = (part for part in known.parts if part.status == "asking")
    return any(ask.proposal == name for part in asking for ask in part.asks)
