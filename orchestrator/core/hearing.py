"""Where in the log of a run stands what came into it from tools, so that it can be followed without searching.

It comes with answers of agents, with what another run handed on, and with messages of others.
"""

from dataclasses import replace

from orchestrator.core import events as ev
from orchestrator.core.state import Moment, RunState


def follow(before: RunState, after: RunState, event: ev.Event, moment: Moment) -> RunState:
    """The newest turn of a call says all that earlier ones did, and stands for them."""
    if not (getattr(event, "untrusted", ()) or getattr(event, "taints_all", False)):
        return after
    said_again = _turn_before(before, event)
    heard = (*(seq for seq in after.heard if seq != said_again), moment.seq)
    return replace(after, heard=heard)


def _turn_before(state: RunState, event: ev.Event) -> int:
    if not isinstance(event, ev.WorkAsked | ev.WorkFinished) or event.turn == 1:
        return 0
    known = state.works.get(event.work)
    if known is None or known.visit != event.visit or event.index >= len(known.parts):
        return 0
    return known.parts[event.index].asked
