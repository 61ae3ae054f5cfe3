"""What an agent asks for before it goes on: each ask is a proposal, and all of them are settled first.

An agent is answered, whatever becomes of an ask: that people said no is no failure of its work.
"""

from dataclasses import replace

from orchestrator.core import events as ev
from orchestrator.core.errors import IllegalTransition
from orchestrator.core.state import AskState, Moment, Part, RunState, WorkState

# What became of a proposal for good, as far as whoever asked for it is concerned.
SETTLED = frozenset(
    {"executed", "rejected", "blocked", "expired", "withdrawn", "failed", "revision_requested"}
)


def ask(
    state: RunState, known: WorkState, event: ev.WorkAsked, moment: Moment
) -> tuple[RunState, WorkState]:
    """What is refused already is answered by the event itself."""
    asks = tuple(AskState("", moment.seq if "error" in one else 0) for one in event.asks)
    part = known.parts[event.index]
    part = replace(part, status="asking", asked=moment.seq, asks=asks)
    return _with_part(state, known, event.index, part)


def refuse(
    state: RunState, name: str, known: WorkState, event: ev.AskRefused, moment: Moment
) -> tuple[RunState, WorkState]:
    index, place = _find(known, event)
    part = known.parts[index]
    if part.asks[place].proposal:
        raise IllegalTransition(part.asks[place].proposal, "proposed already", event.kind)
    return _with_part(state, known, index, _with_ask(part, place, AskState("", moment.seq)))


def receive(state: RunState, known: WorkState, event: ev.ProposalReceived) -> RunState:
    """A revision stands where what it revises stood; anything else has to find the place empty."""
    index, place = _find(known, event)
    part = known.parts[index]
    if part.asks[place].proposal not in {"", event.revises}:
        raise IllegalTransition(event.proposal, "not asked for", event.kind)
    part = _with_ask(part, place, AskState(event.proposal, 0))
    return state.with_work(event.work, _with(known, index, part))


def follow(state: RunState, name: str, known: WorkState, proposal: str, moment: Moment) -> RunState:
    """A proposal moved. If an ask waits for it and it is settled, that is its answer."""
    if state.proposals[proposal].status not in SETTLED:
        return state
    for index, part in enumerate(known.parts):
        for place, one in enumerate(part.asks):
            if part.status == "asking" and one.proposal == proposal and not one.seq:
                answered = _with_ask(part, place, replace(one, seq=moment.seq))
                state, known = _with_part(state, known, index, answered)
                return state.with_work(name, known)
    return state


def _find(known: WorkState, event: ev.AskRefused | ev.ProposalReceived) -> tuple[int, int]:
    """The call and the ask that an event is about: one that is still out."""
    for index, part in enumerate(known.parts):
        place = event.ask - 1
        is_open = part.status == "asking" and part.asked == event.asked
        if is_open and 0 <= place < len(part.asks) and not part.asks[place].seq:
            return index, place
    raise IllegalTransition(f"ask {event.ask} of event {event.asked}", "not out", event.kind)


def _with_part(
    state: RunState, known: WorkState, index: int, part: Part
) -> tuple[RunState, WorkState]:
    """When the last of its asks is settled, the call goes on: another turn, and another call to pay for."""
    if part.status != "asking" or not all(one.seq for one in part.asks):
        return state, _with(known, index, part)
    part = replace(part, status="running", attempt=1, turn=part.turn + 1)
    spent = replace(state.spent, agent_calls=state.spent.agent_calls + 1)
    known = replace(_with(known, index, part), calls=known.calls + 1)
    return replace(state, spent=spent), known


def _with(known: WorkState, index: int, part: Part) -> WorkState:
    return replace(known, parts=(*known.parts[:index], part, *known.parts[index + 1 :]))


def _with_ask(part: Part, place: int, one: AskState) -> Part:
    return replace(part, asks=(*part.asks[:place], one, *part.asks[place + 1 :]))
