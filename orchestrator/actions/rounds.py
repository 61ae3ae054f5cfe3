"""How often a proposal may still be sent back. After that a person decides about it as it is."""

from django.conf import settings

from orchestrator.engine.plans import plan_of
from orchestrator.models import Proposal


def left(proposal: Proposal, work: str = "", *, asked: int = 0) -> int:
    """By the setting; in a run also by how often its agent may still be asked. The caller holds the run.

    `asked` is the event in which its agent asked for it: then it is turns that are left, or none.
    """
    most: int = settings.REVISIONS_MAX + 1 - proposal.revision
    known = proposal.run.canonical_state.works.get(work) if work else None
    if known is None or not known.parts:
        return most
    plan = plan_of(proposal.run.workflow_version_id)
    if asked:
        turn = next((part.turn for part in known.parts if part.asked == asked), plan.budget.turns)
        return min(most, plan.budget.turns - turn)
    planned = plan.works[work]
    return min(most, planned.attempts - known.parts[0].attempt)


def used_up(proposal: Proposal) -> str:
    times = proposal.revision - 1
    done = f"revised {times} time{'s' if times > 1 else ''}" if times else "not revised"
    return f"{done}, and no round of revision is left"
