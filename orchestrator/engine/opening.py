"""How a review item comes to be. Nothing else makes one.

What lists filter and sort by is copied here once, so that no list reads a proposal; who may decide
and what may be done with it are settled here too, by what was in force when it opened.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User

from orchestrator import team_queries
from orchestrator.core.policy import display, priority
from orchestrator.engine import notices
from orchestrator.models import Command, ContractVersion, Proposal, ReviewItem, Run, Team


def open_item(
    run: Run,
    kind: str,
    *,
    because: Sequence[str],
    due_at: datetime,
    proposal: Proposal | None = None,
    command: Command | None = None,
    fired: Sequence[str] = (),
    has_error: bool = False,
    approvals_needed: int = 1,
    **more: Any,
) -> ReviewItem:
    """Put something before people. `fired` names the rules that did not let it pass."""
    tier = _tier_of(proposal)
    parts = priority.parts_of(
        kind=kind,
        is_escalated="escalated_at" in more,
        tier=tier,
        approvals_needed=approvals_needed,
        has_error=has_error,
        is_tainted=bool(proposal and proposal.tainted),
    )
    item = ReviewItem.objects.create(
        run=run,
        proposal=proposal,
        command=command,
        kind=kind,
        opened_because=list(because),
        due_at=due_at,
        approvals_needed=approvals_needed,
        priority=priority.score(parts),
        priority_because=[list(part) for part in parts],
        fired=sorted(set(fired)),
        tier=tier,
        asked_by=_asked_by(run, proposal),
        **_copied(proposal),
        **({"team": _team_of(run, proposal, fired)} | more),
    )
    notices.opened([item])
    return item


def _copied(proposal: Proposal | None) -> dict[str, Any]:
    if proposal is None:
        return {}
    contract = proposal.contract_version
    terms = display.read_review(contract.review) if contract else display.DEFAULT
    return {
        "action": proposal.action,
        "agent": proposal.agent,
        "target": proposal.target,
        "allows": list(terms.verbs),
        "undo_s": settings.UNDO_S if terms.undo_s is None else terms.undo_s,
    }


def _tier_of(proposal: Proposal | None) -> str:
    version = proposal.contract_version if proposal else None
    return str(version.tier if version else ContractVersion.Tier.NORMAL.value)


def _asked_by(run: Run, proposal: Proposal | None) -> User | None:
    token = (proposal.token if proposal else None) or run.token
    return token.owner if token else run.started_by


def _team_of(run: Run, proposal: Proposal | None, fired: Sequence[str]) -> Team | None:
    return team_queries.team_for(
        action=proposal.action if proposal else "",
        rules=fired,
        workflow=run.workflow_version.workflow.slug,
    )
