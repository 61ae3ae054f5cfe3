"""What a worker does with commands that need no agent and no target: each is one transaction.

And what the worker of long jobs does besides the engine's own.
"""

from collections.abc import Callable

from orchestrator.actions import messages, proposals, reviews, runs, tools
from orchestrator.core.commands import (
    AskPerson,
    CancelRun,
    Dispose,
    Propose,
    Publish,
    StartChild,
    TellParent,
)
from orchestrator.engine.background import Job
from orchestrator.engine.claim import Claimed

DESK: dict[str, Callable[[Claimed], None]] = {
    Propose.kind: proposals.propose,
    Dispose.kind: proposals.dispose,
    AskPerson.kind: reviews.ask_person,
    StartChild.kind: runs.start_child,
    CancelRun.kind: runs.cancel_child,
    Publish.kind: messages.publish,
    TellParent.kind: runs.tell_parent,
}

BACKGROUND: tuple[Job, ...] = (tools.sync_next,)
