"""What a worker does with commands that need no agent and no target: each is one transaction."""

from collections.abc import Callable

from orchestrator.actions import proposals, reviews, runs
from orchestrator.core.commands import AskPerson, Dispose, Propose, StartChild, TellParent
from orchestrator.engine.claim import Claimed

DESK: dict[str, Callable[[Claimed], None]] = {
    Propose.kind: proposals.propose,
    Dispose.kind: proposals.dispose,
    AskPerson.kind: reviews.ask_person,
    StartChild.kind: runs.start_child,
    TellParent.kind: runs.tell_parent,
}
