"""The classes of data that came into a run from outside: with what another run handed on, or from a shared memory.

What a definition says of its own works stands in the definition and not here. Nothing takes a class away.
"""

from dataclasses import replace

from orchestrator.core import events as ev
from orchestrator.core.state import RunState


def follow(after: RunState, event: ev.Event) -> RunState:
    came = set(getattr(event, "classes", ())).difference(after.classes)
    return replace(after, classes=tuple(sorted({*after.classes, *came}))) if came else after
