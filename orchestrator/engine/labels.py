"""Labels: what people said of proposals, taken in as it becomes final, each under the next number.

One gatherer at a time, so that numbers grow in the order in which they can be read. What is known of
a proposal may change (an auditor disagrees, a third person settles it): then its label changes, and
whatever was counted from the old one is counted anew.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction

from orchestrator import audit_queries
from orchestrator.core.policy.terms import Scope
from orchestrator.engine import sql
from orchestrator.models import (
    Decision,
    Disposition,
    Proposal,
    ReviewItem,
    TrackedLabel,
    TrackRecord,
)

BATCH = 500
# An arbitrary number that stands for gathering among the advisory locks.
_GATHERING = 0x1ABE1

# Final: closed, and the time in which it could be taken back is over. From a day before the newest that
# is known, since what can be taken back for long, or was committed late, comes in after others.
_FRESH = """
    SELECT i.proposal_id, max(i.closed_at)
      FROM orchestrator_reviewitem i
      LEFT JOIN orchestrator_trackedlabel l ON l.proposal_id = i.proposal_id
     WHERE i.status = 'decided' AND i.kind = ANY(%(kinds)s)
       AND i.closed_at > coalesce((SELECT max(judged_at) FROM orchestrator_trackedlabel) - interval '1 day',
                                  '-infinity')
       AND i.closed_at + make_interval(secs => i.undo_s) <= statement_timestamp()
       AND (l.proposal_id IS NULL OR l.judged_at < i.closed_at)
     GROUP BY i.proposal_id ORDER BY max(i.closed_at) LIMIT %(at_most)s
"""
# Nobody would have let it run as it was.
_CHANGED = (Decision.Verdict.EDIT, Decision.Verdict.RESPOND)


class _Said(NamedTuple):
    right: bool | None
    said_by: str


def gather() -> bool:
    """One batch of what was judged since. False when there is nothing new, or somebody else is at it."""
    with transaction.atomic():
        (is_ours,) = sql.execute(
            "SELECT pg_try_advisory_xact_lock(%(key)s)", {"key": _GATHERING}
        ).fetchone() or (False,)
        if not is_ours:
            return False
        values: dict[str, Any] = {
            "kinds": [str(kind) for kind in audit_queries.TELLING],
            "at_most": BATCH,
        }
        fresh: dict[str, datetime] = dict(sql.execute(_FRESH, values).fetchall())
        if fresh:
            _take_in(fresh)
    return bool(fresh)


def _take_in(fresh: Mapping[str, datetime]) -> None:
    proposals = Proposal.objects.in_bulk(fresh)
    said, chances = _said_of(fresh), _chances(fresh)
    records = _records_of(proposals.values())
    found = [
        TrackedLabel(
            record=records[_scope_of(proposals[pk])],
            proposal=proposals[pk],
            score=proposals[pk].confidence,
            right=said[pk].right,
            said_by=said[pk].said_by,
            chance=chances.get(pk),
            judged_at=judged_at,
        )
        for pk, judged_at in fresh.items()
    ]
    known = {one.proposal_id: one for one in TrackedLabel.objects.filter(proposal__in=fresh)}
    TrackedLabel.objects.bulk_create(one for one in found if one.proposal_id not in known)
    for one in found:
        if before := known.get(one.proposal_id):
            _change(before, one)
    TrackRecord.objects.filter(pk__in={one.pk for one in records.values()}).update(is_due=True)


def _change(before: TrackedLabel, after: TrackedLabel) -> None:
    """It keeps its number. What the watch made of it is forgotten, so that it begins anew."""
    TrackedLabel.objects.filter(pk=before.pk).update(
        right=after.right, said_by=after.said_by, judged_at=after.judged_at
    )
    if before.right != after.right:
        TrackRecord.objects.filter(pk=after.record_id, watched_up_to__gte=before.number).update(
            watch={}, watched_up_to=0
        )


def _scope_of(proposal: Proposal) -> Scope:
    return Scope(proposal.agent, proposal.agent_version, proposal.action)


def _records_of(proposals: Iterable[Proposal]) -> dict[Scope, TrackRecord]:
    return {scope: record_for(scope) for scope in {_scope_of(one) for one in proposals}}


def record_for(scope: Scope) -> TrackRecord:
    """The one there is, or a new one."""
    found, _ = TrackRecord.objects.get_or_create(
        agent=scope.agent, agent_version=scope.agent_version, action=scope.action
    )
    return found


def _said_of(fresh: Collection[str]) -> dict[str, _Said]:
    """Whoever edited it, or sent it back, has said that it should not run as it was proposed."""
    truths, changed = audit_queries.truths_of(fresh), _changed(fresh)
    found: dict[str, _Said] = {}
    for pk in fresh:
        if truth := truths.get(pk):
            found[pk] = _Said(truth.should_run, truth.said_by)
        else:
            found[pk] = _Said(False, "review") if pk in changed else _Said(None, "")
    return found


def _changed(fresh: Collection[str]) -> set[str]:
    decisions = Decision.objects.filter(
        item__proposal__in=fresh,
        item__kind__in=audit_queries.JUDGED_OPENLY,
        verdict__in=_CHANGED,
        undone_at=None,
    )
    return set(decisions.values_list("item__proposal", flat=True))


def _chances(fresh: Collection[str]) -> Mapping[str, float]:
    """With which the policy, or chance, put each before people. What somebody picked has none.

    Nor has what a rule held whatever its score: its items are of another kind.
    """
    escalated = ReviewItem.objects.filter(proposal__in=fresh, kind=ReviewItem.Kind.ESCALATION)
    drawn = ReviewItem.objects.filter(
        proposal__in=fresh, kind__in=audit_queries.SAMPLED, chance__gt=0
    ).exclude(proposal__disposition=Disposition.Verdict.BLOCK)
    found = {pk: chance or 0.0 for pk, chance in drawn.values_list("proposal", "chance")}
    return found | dict.fromkeys(escalated.values_list("proposal", flat=True), 1.0)
