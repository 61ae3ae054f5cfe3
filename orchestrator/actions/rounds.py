"""How often a proposal may still be sent back. After that a person decides about it as it is."""

from django.conf import settings

from orchestrator.engine.plans import plan_of
from orchestrator.models import Proposal


def left(proposal: Proposal, work: str = "") -> int:
    """By the setting; in a run also by how often its agent may still be asked. The caller holds the run."""
    most: int = settings.REVISIONS_MAX + 1 - proposal.revision
    known = proposal.run.canonical_state.works.get(work) if work else None
    if known is None or not known.parts:
        return most
    planned = plan_of(proposal.run.workflow_version_id).works[work]
    return min(most, planned.attempts - known.parts[0].attempt)


def used_up(proposal: Proposal) -> str:
    times = proposal.revision - 1
    done = f"revised {times} time{'s' if times > 1 else ''}" if times else "not revised"
    return f"{done}, and no round of revision is left"
