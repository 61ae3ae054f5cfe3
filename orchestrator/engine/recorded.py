"""Recorded proposals, read back in batches as they were when they were first decided about.

Newest first, by key, so that a page costs the same wherever it begins. Inputs may be a megabyte each:
they are read only of those that somebody asks about, and never more at once than `BYTES_MAX`.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.core.policy.queue_load import Objection
from orchestrator.engine import sql
from orchestrator.models import ReviewItem

BYTES_MAX = 8_000_000
# Kinds of review items at which somebody decides whether a proposal may go on.
_DECIDES = (ReviewItem.Kind.GUARDRAIL_FAILURE, ReviewItem.Kind.ESCALATION)


@dataclass(frozen=True, slots=True)
class Line:
    """A proposal with its first disposition. No snapshot means that it was never decided about."""

    id: str
    at: datetime
    action: str
    agent: str
    snapshot: int | None
    length: int
    band: str


# DISTINCT ON and not LIMIT 1 in a subquery, for which the planner may walk the wrong index.
_LINES = """
    SELECT DISTINCT ON (p.id) p.id, p.created_at, p.action, p.agent, d.snapshot_id,
           coalesce(octet_length(s.inputs), 0), coalesce(d.band, '')
      FROM (SELECT id, created_at, action, agent FROM orchestrator_proposal
             WHERE id < %(before)s::text AND id >= %(since)s::text
             ORDER BY id DESC LIMIT %(at_most)s::integer) AS p
      LEFT JOIN orchestrator_disposition d ON d.proposal_id = p.id
      LEFT JOIN orchestrator_snapshot s ON s.id = d.snapshot_id
     ORDER BY p.id DESC, d.id
"""
_COUNT = """
    SELECT count(*) FROM (SELECT FROM orchestrator_proposal
                           WHERE id < %(before)s::text AND id >= %(since)s::text
                           LIMIT %(at_most)s::integer) AS p
"""
_INPUTS = "SELECT id, inputs FROM orchestrator_snapshot WHERE id = ANY(%(ids)s::bigint[])"

# The newest closed item, and the decision that closed it: of two people the last one's.
_VERDICTS = """
    SELECT DISTINCT ON (i.proposal_id) i.proposal_id, d.verdict
      FROM orchestrator_reviewitem i JOIN orchestrator_decision d ON d.item_id = i.id
     WHERE i.proposal_id = ANY(%(ids)s::text[]) AND i.status = 'decided'
       AND i.kind = ANY(%(kinds)s::text[])
     ORDER BY i.proposal_id, i.id DESC, d.id DESC
"""
_OBJECTIONS = """
    SELECT c.snapshot_id, v.rule_id, c.effect, c.result
      FROM orchestrator_policycheck c JOIN orchestrator_ruleversion v ON v.id = c.rule_version_id
     WHERE c.snapshot_id = ANY(%(ids)s::bigint[]) AND c.enforced AND c.result <> 'pass'
"""
_ASKED = """
    SELECT c.snapshot_id, v.id, c.enforced
      FROM orchestrator_policycheck c
      JOIN orchestrator_ruleversion v ON v.id = c.rule_version_id
      JOIN orchestrator_rule r ON r.id = v.rule_id
     WHERE c.snapshot_id = ANY(%(ids)s::bigint[]) AND r.slug = ANY(%(slugs)s::text[])
"""


def count(before: str, since: str, *, at_most: int) -> int:
    values: dict[str, Any] = {"before": before, "since": since, "at_most": at_most}
    (found,) = sql.execute(_COUNT, values).fetchone() or (0,)
    return int(found)


def lines(before: str, since: str, *, at_most: int) -> list[Line]:
    values: dict[str, Any] = {"before": before, "since": since, "at_most": at_most}
    return [Line(*row) for row in sql.execute(_LINES, values)]


def inputs_of(snapshots: Collection[int]) -> Iterator[tuple[int, str]]:
    yield from sql.execute(_INPUTS, {"ids": list(snapshots)})


def verdicts_on(proposals: Sequence[str]) -> dict[str, str]:
    """What a person decided in the end; nothing for those that nobody decided."""
    values: dict[str, Any] = {"ids": list(proposals), "kinds": [str(kind) for kind in _DECIDES]}
    return dict(sql.execute(_VERDICTS, values).fetchall())


def objections_to(snapshots: Collection[int]) -> Mapping[int, list[Objection]]:
    """What rules in force said against them at the time."""
    found: dict[int, list[Objection]] = defaultdict(list)
    for snapshot, rule, effect, result in sql.execute(_OBJECTIONS, {"ids": list(snapshots)}):
        found[snapshot].append(Objection(rule, effect, result))
    return found


def versions_asked(
    snapshots: Collection[int], slugs: Collection[str]
) -> Mapping[int, list[tuple[int, bool]]]:
    """Which versions of these rules were asked at the time, and whether they were in force."""
    found: dict[int, list[tuple[int, bool]]] = defaultdict(list)
    values: dict[str, Any] = {"ids": list(snapshots), "slugs": list(slugs)}
    for snapshot, version, enforced in sql.execute(_ASKED, values):
        found[snapshot].append((version, enforced))
    return found
