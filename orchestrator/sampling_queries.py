"""What came before a proposal, as far as it says how likely the next draw is.

Counting stops where more would change nothing, so it costs the same at a million proposals. It walks
the index proposal_by_stratum, in which keys, and so time, come last.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import LiteralString

from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from orchestrator.core import typeid
from orchestrator.core.policy import sampling
from orchestrator.core.policy.sampling import Past, Plan
from orchestrator.models import Proposal, ReviewItem

RAISED_OVER = timedelta(days=1)


def past_of(proposal: Proposal, dispositions: Sequence[str], plan: Plan, period_days: int) -> Past:
    """Of the same agent version and action; of the stratum, what the policy treated alike."""
    last, this = sampling.periods(timezone.now(), period_days)
    values = {
        "agent": proposal.agent,
        "agent_version": proposal.agent_version,
        "action": proposal.action,
        "dispositions": list(dispositions),
        "before": proposal.pk,
        "last": first_key(last),
        "this": first_key(this),
        "new_first": plan.new_first,
        "last_max": plan.last_period_max,
        "this_max": plan.this_period_max,
    }
    with connection.cursor() as cursor:
        cursor.execute(_PAST, values)
        return Past(*cursor.fetchone())


def first_key(at: datetime) -> str:
    """The least key that a proposal of that moment can have."""
    return typeid.make("prp", at_ms=int(at.timestamp() * 1_000), entropy=0)


def raised(proposal: Proposal, kind: str, above: float, *, at_most: int) -> int:
    """How many were drawn of late only because their chance was raised; stops at the limit.

    Of all that came with its token, because how an agent calls itself is its own word; inside, of the agent.
    """
    drawn: QuerySet[ReviewItem] = ReviewItem.objects.filter(
        kind=kind, created_at__gte=timezone.now() - RAISED_OVER, chance__gt=above
    )
    if proposal.token_id is not None:
        drawn = drawn.filter(proposal__token=proposal.token_id)
    else:
        drawn = drawn.filter(agent=proposal.agent)
    return drawn.order_by()[:at_most].count()


# Whoever has met the floor by the period before is not counted in this one.
_PAST: LiteralString = """
    WITH last AS (
        SELECT count(*) AS n FROM (
            SELECT FROM orchestrator_proposal
             WHERE agent = %(agent)s AND agent_version = %(agent_version)s
               AND action = %(action)s AND disposition = ANY (%(dispositions)s)
               AND id >= %(last)s AND id < %(this)s
             LIMIT %(last_max)s) AS counted
    )
    SELECT (SELECT count(*) FROM (
                SELECT FROM orchestrator_proposal
                 WHERE agent = %(agent)s AND agent_version = %(agent_version)s
                   AND action = %(action)s AND id < %(before)s
                 LIMIT %(new_first)s) AS counted),
           last.n,
           (SELECT count(*) FROM (
                SELECT FROM orchestrator_proposal
                 WHERE agent = %(agent)s AND agent_version = %(agent_version)s
                   AND action = %(action)s AND disposition = ANY (%(dispositions)s)
                   AND id >= %(this)s AND id < %(before)s
                 LIMIT (SELECT CASE WHEN n < %(last_max)s THEN %(this_max)s ELSE 0 END FROM last)
                ) AS counted)
      FROM last
"""
