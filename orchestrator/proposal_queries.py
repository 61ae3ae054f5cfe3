"""Which proposals a list shows: by the same words by which the reports count them."""

from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from orchestrator.core import typeid
from orchestrator.core.policy.changes import RESERVED
from orchestrator.core.statistics import outcomes
from orchestrator.models import PolicyCheck, Proposal, RuleVersion, WorkflowVersion
from orchestrator.report_queries.scope import start_of

_STATUS = Proposal.Status
_ACCEPTED = tuple(outcomes.RAN)
_REFUSED = (_STATUS.REJECTED, _STATUS.BLOCKED, _STATUS.EXPIRED, _STATUS.WITHDRAWN)
_WITH_PEOPLE = (_STATUS.RECEIVED, _STATUS.IN_REVIEW)
_BY_ITSELF = Q(disposition="accept")
_EDITED = Q(edited_by__isnull=False)

# As `core.statistics.outcomes.ending` tells them apart, and the sums that reports make of them.
ENDINGS: dict[str, Q] = {
    "automatic": Q(status__in=_ACCEPTED) & _BY_ITSELF,
    "by_people": Q(status__in=_ACCEPTED) & ~_BY_ITSELF & ~_EDITED,
    "after_edit": Q(status__in=_ACCEPTED) & ~_BY_ITSELF & _EDITED,
    "rejected": Q(status=_STATUS.REJECTED),
    "blocked": Q(status=_STATUS.BLOCKED),
    "expired": Q(status=_STATUS.EXPIRED),
    "withdrawn": Q(status=_STATUS.WITHDRAWN),
    "replaced": Q(status=_STATUS.SUPERSEDED),
    "with_agent": Q(status=_STATUS.REVISION_REQUESTED),
    "with_people": Q(status__in=_WITH_PEOPLE),
    "accepted_unchanged": Q(status__in=_ACCEPTED) & (_BY_ITSELF | ~_EDITED),
    "refused": Q(status__in=_REFUSED),
    "undecided": Q(status__in=(*_WITH_PEOPLE, _STATUS.REVISION_REQUESTED)),
}
RAN: dict[str, tuple[str, ...]] = {
    name: tuple(status for status, ran in outcomes.RAN.items() if ran == name)
    for name in dict.fromkeys(outcomes.RAN.values())
}
# `people` is what both send to people.
DISPOSITIONS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in ("accept", "revise", "escalate", "hold", "block")},
    "people": ("hold", "escalate"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalFilter:
    """What is empty does not filter. Days are those of UTC, both included."""

    since: date | None = None
    until: date | None = None
    status: str = ""
    action: str = ""
    agent: str = ""
    version: str = ""
    model: str = ""
    tier: str = ""
    workflow: str = ""
    # The slug of a rule that did not let them pass where it decided, and the number of its version.
    rule: str = ""
    rule_version: int | None = None
    disposition: str = ""
    ending: str = ""
    ran: str = ""
    # agents, or people who edited.
    by: str = ""
    # As reports count: without changes of Countersign itself.
    counted: bool = False

    @property
    def is_narrow(self) -> bool:
        return any(getattr(self, one.name) for one in fields(self))


def listed(wanted: ProposalFilter) -> QuerySet[Proposal]:
    """In no order: whoever pages through them knows theirs."""
    found = Proposal.objects.filter(_of_columns(wanted), _of_days(wanted))
    if wanted.counted:
        found = found.exclude(action__startswith=RESERVED)
    if wanted.workflow:
        versions = WorkflowVersion.objects.filter(workflow__slug=wanted.workflow)
        found = found.filter(run__workflow_version__in=list(versions.values_list("pk", flat=True)))
    if wanted.rule:
        found = found.filter(pk__in=_stopped_by(wanted))
    return found


def _of_columns(wanted: ProposalFilter) -> Q:
    named = {
        "status": wanted.status,
        "action": wanted.action,
        "agent": wanted.agent,
        "agent_version": wanted.version,
        "model": wanted.model,
    }
    found = Q(**{name: text for name, text in named.items() if text})
    if wanted.tier:
        found &= _of_tier(wanted.tier)
    if wanted.disposition:
        found &= Q(disposition__in=DISPOSITIONS[wanted.disposition])
    if wanted.ending:
        found &= ENDINGS[wanted.ending]
    if wanted.ran:
        found &= Q(status__in=RAN[wanted.ran])
    if wanted.by:
        found &= _EDITED if wanted.by == "people" else ~_EDITED
    return found


def _of_tier(tier: str) -> Q:
    """What no contract describes is of normal risk."""
    named = Q(contract_version__tier=tier)
    return named | Q(contract_version=None) if tier == "normal" else named


def _of_days(wanted: ProposalFilter) -> Q:
    """Keys are in the order of time, so days are a range of keys."""
    found = Q()
    if wanted.since:
        found &= Q(pk__gte=_first_key(wanted.since))
    if wanted.until:
        found &= Q(pk__lt=_first_key(wanted.until + timedelta(days=1)))
    return found


def _first_key(day: date) -> str:
    return typeid.make("prp", at_ms=int(start_of(day).timestamp() * 1_000), entropy=0)


def _stopped_by(wanted: ProposalFilter) -> QuerySet[PolicyCheck, Any]:
    """By the last thing that each version said about a proposal: it may have been asked more than once."""
    versions = RuleVersion.objects.filter(rule__slug=wanted.rule)
    if wanted.rule_version:
        versions = versions.filter(number=wanted.rule_version)
    ids = list(versions.values_list("pk", flat=True))
    later = PolicyCheck.objects.filter(
        proposal=OuterRef("proposal"), rule_version=OuterRef("rule_version"), pk__gt=OuterRef("pk")
    )
    hits = PolicyCheck.objects.filter(rule_version__in=ids, enforced=True)
    hits = hits.exclude(result=PolicyCheck.Result.PASS).filter(~Exists(later))
    if wanted.since:
        # They are asked when the proposal comes, or later.
        hits = hits.filter(created_at__gte=start_of(wanted.since) - timedelta(minutes=1))
    return hits.values("proposal")
