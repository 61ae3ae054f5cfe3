"""Reads of audits: who may judge what, who must not see what, and what became of it all."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from orchestrator import queue_queries
from orchestrator.core.policy import auditing
from orchestrator.models import AuditEntry, Decision, Effect, Proposal, ReviewItem

_KIND, _STATUS = ReviewItem.Kind, ReviewItem.Status
SAMPLED = (_KIND.AUDIT, _KIND.BLIND_LABEL)
DISPUTES = (_KIND.ADJUDICATION,)
# Where people judge whether something should run and see what others made of it.
JUDGED_OPENLY = (_KIND.GUARDRAIL_FAILURE, _KIND.ESCALATION)
PUT_BACK = "audit.put_back"
_JUDGEMENTS = (Decision.Verdict.APPROVE, Decision.Verdict.REJECT)


# Who may judge what ---------------------------------------------------------------------------


def auditable_by(
    user: User, capabilities: frozenset[str], kinds: Collection[str] = ReviewItem.BLIND
) -> QuerySet[ReviewItem]:
    """Blind items that this person could judge with fresh eyes.

    Not what they or their token asked for, edited, or have decided about under any item: so the third
    person in a dispute is neither the auditor nor anybody who decided at first. Not what they put back.
    """
    spoken = Decision.objects.filter(item__proposal=OuterRef("proposal"), reviewer=user)
    put_back = AuditEntry.objects.filter(object_id=OuterRef("pk"), user=user, verb=PUT_BACK)
    items = ReviewItem.objects.waiting().filter(kind__in=kinds)
    fresh = items.filter(~Exists(spoken), ~Exists(put_back)).exclude(proposal__edited_by=user)
    return queue_queries.decidable_by(fresh, user, capabilities)


def held_by(user: Any) -> ReviewItem | None:
    """The blind item this person was handed last and has not judged, though their hold may have run out."""
    items = ReviewItem.objects.waiting().filter(kind__in=ReviewItem.BLIND, holder=user.pk)
    return items.order_by("-lease_until").first()


# Who must not see what ------------------------------------------------------------------------


def veiled_runs(user: Any) -> frozenset[str]:
    """Runs with something that this person was handed to judge blind: until they have, nothing shows.

    Whatever else such a run asked or suggested would tell what became of it.
    """
    held = ReviewItem.objects.waiting().filter(kind__in=ReviewItem.BLIND, holder=user.pk)
    return frozenset(held.values_list("run", flat=True))


def veiled_proposals(user: Any) -> frozenset[str]:
    runs = veiled_runs(user)
    found = Proposal.objects.filter(run__in=runs).values_list("pk", flat=True)
    return frozenset(found) if runs else frozenset()


def unveiled(items: QuerySet[ReviewItem], user: Any) -> QuerySet[ReviewItem]:
    """Without those of veiled runs. Who audits nothing just now is asked about no run."""
    runs = veiled_runs(user)
    return items.exclude(run__in=runs) if runs else items


def held_about(user: Any, key: str) -> str | None:
    """The blind item a person holds that is about the same as an id: a proposal, its run, items, decisions."""
    held = ReviewItem.objects.waiting().filter(kind__in=ReviewItem.BLIND, holder=user.pk)
    rows = list(held.values_list("pk", "proposal", "run"))
    if not rows:
        return None
    names = _names_of(key)
    return next((pk for pk, *about in rows if names & set(about)), None)


def _names_of(key: str) -> set[str]:
    """The proposal and the run that an id leads to."""
    prefix = key.partition("_")[0]
    found: dict[str, Iterable[tuple[str | None, ...]]] = {
        "prp": Proposal.objects.filter(pk=key).values_list("pk", "run"),
        "rev": ReviewItem.objects.filter(pk=key).values_list("proposal", "run"),
        "dec": ReviewItem.objects.filter(decisions=key).values_list("proposal", "run"),
    }
    rows = found.get(prefix, [(key,)])
    return {name for row in rows for name in row if name}


# What became of it ----------------------------------------------------------------------------


def was_let_run(proposal: Proposal) -> bool:
    """What was done, by a policy or by people: an effect was released and not taken back."""
    effects = Effect.objects.filter(proposal=proposal)
    return effects.exclude(status=Effect.Status.WITHDRAWN).exists()


@dataclass(frozen=True, slots=True)
class Truth:
    """Whether a proposal should have run, and who said so last: a third person, an auditor or the queue."""

    should_run: bool
    said_by: str


def truth_of(proposal: Proposal) -> Truth | None:
    return truths_of([proposal.pk]).get(proposal.pk)


def truths_of(proposals: Collection[str]) -> Mapping[str, Truth]:
    """In one query. A verdict in dispute is no truth: whoever disagrees has to be settled first."""
    judged = Decision.objects.filter(
        item__proposal__in=proposals,
        item__status=_STATUS.DECIDED,
        item__kind__in=[*JUDGED_OPENLY, *ReviewItem.BLIND],
        verdict__in=_JUDGEMENTS,
        undone_at=None,
    )
    rows = judged.order_by("pk").values_list(
        "item__proposal", "item__kind", "item__closed_because", "verdict"
    )
    found: dict[str, dict[str, Truth | None]] = {}
    for proposal, kind, closed_because, verdict in rows:
        source = _source_of(kind)
        is_disputed = closed_because == auditing.OVERTURNED
        truth = Truth(verdict == Decision.Verdict.APPROVE, source)
        found.setdefault(proposal, {})[source] = None if is_disputed else truth
    strongest = {proposal: _strongest(by_source) for proposal, by_source in found.items()}
    return {proposal: truth for proposal, truth in strongest.items() if truth}


_SOURCES = ("adjudication", "audit", "review")


def _source_of(kind: str) -> str:
    if kind in DISPUTES:
        return "adjudication"
    return "audit" if kind in SAMPLED else "review"


def _strongest(by_source: Mapping[str, Truth | None]) -> Truth | None:
    return next((by_source[source] for source in _SOURCES if source in by_source), None)


@dataclass(frozen=True, slots=True)
class Stratum:
    """What was drawn of the proposals of one agent version and action that the policy treated alike.

    Of `audited` those that were `overturned` are wrong for good; a dispute counts as neither until it
    is settled, and as `unsettled` when nobody settled it in time.
    """

    agent: str
    agent_version: str
    action: str
    disposition: str
    audited: int
    overturned: int
    disputed: int
    unsettled: int
    open: int
    expired: int


_OF_STRATUM = ("agent", "proposal__agent_version", "action", "proposal__disposition")
_COUNTED = {
    "audited": Q(closed_because=auditing.CONFIRMED)
    | Q(disputes__closed_because__in=[auditing.FOR_THE_FIRST, auditing.FOR_THE_AUDITOR]),
    "overturned": Q(disputes__closed_because=auditing.FOR_THE_AUDITOR),
    "disputed": Q(disputes__status=_STATUS.WAITING),
    "unsettled": Q(disputes__status=_STATUS.EXPIRED),
    "open": Q(status=_STATUS.WAITING),
    "expired": Q(status=_STATUS.EXPIRED),
}


def strata(since: datetime) -> list[Stratum]:
    """What chance drew since then, counted; what somebody picked by hand is left out."""
    drawn = ReviewItem.objects.filter(
        kind__in=SAMPLED, created_at__gte=since, opened_because=[auditing.DRAWN]
    )
    counts = {name: Count("pk", filter=condition) for name, condition in _COUNTED.items()}
    rows = drawn.values_list(*_OF_STRATUM).annotate(**counts).order_by(*_OF_STRATUM)
    return [Stratum(*row) for row in rows]
