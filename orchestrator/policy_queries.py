"""Reads of evaluation policies: what is in force for what, what came before, and what they did of late."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection
from django.db.models import Max, QuerySet

from orchestrator import score_queries
from orchestrator.backtest_queries import DAYS_MIN, SECONDS_OF_A_DAY, shares
from orchestrator.core.policy import changes
from orchestrator.core.policy.score_histogram import Histogram, histogram
from orchestrator.core.policy.second_look import Effect, effect_of, tally_of
from orchestrator.core.policy.terms import Scope, Terms, decides_about, most_specific
from orchestrator.core.statistics.intervals import Rate
from orchestrator.models import Decision, EvaluationPolicy, Proposal, ReviewItem

# Of each policy so many of its newest dispositions are counted.
LATELY_MAX = 500


# Which one decides -----------------------------------------------------------------------------


def policy(number: int) -> EvaluationPolicy | None:
    return _whole().filter(number=number).first()


def decides(proposal: Scope) -> EvaluationPolicy | None:
    """The one in force for such a proposal; None before the first proposal of all."""
    active = _whole().filter(stage=EvaluationPolicy.Stage.ACTIVE)
    return most_specific(((one.scope, one) for one in active), proposal)


def wider(scope: Scope) -> EvaluationPolicy | None:
    """The one in force that would decide if none of exactly this scope did."""
    active = _whole().filter(stage=EvaluationPolicy.Stage.ACTIVE)
    others = ((one.scope, one) for one in active if one.scope != scope)
    return most_specific(others, scope)


def active_version(scope: Scope) -> EvaluationPolicy | None:
    return _of(scope).filter(stage=EvaluationPolicy.Stage.ACTIVE).first()


def newest_number(scope: Scope) -> int:
    """0 when nobody wrote any."""
    numbers = _of(scope).order_by("-number").values_list("number", flat=True)
    return numbers.first() or 0


def versions(scope: Scope, *, at_most: int) -> list[EvaluationPolicy]:
    """Newest first."""
    return list(_of(scope).order_by("-number")[:at_most])


def version_before(policy: EvaluationPolicy) -> EvaluationPolicy | None:
    """The one that it was written after."""
    return _of(policy.scope).filter(number__lt=policy.number).order_by("-number").first()


def pending_change(scope: Scope) -> Proposal | None:
    """The proposal to change what is in force for the scope that waits for somebody's decision."""
    waiting = ReviewItem.objects.waiting().filter(
        kind=ReviewItem.Kind.RULE_CHANGE, proposal__target=scope.target
    )
    item = waiting.select_related("proposal").order_by("pk").first()
    return item.proposal if item else None


def approver_of(policy: EvaluationPolicy) -> str:
    """Who agreed that it decides, the last time; empty when it was put into force in another way."""
    asked = Proposal.objects.filter(
        action=changes.ACTIVATE_POLICY,
        target=policy.scope.target,
        status=Proposal.Status.EXECUTED,
    )
    for proposal in asked.order_by("-pk")[:LATELY_MAX]:
        if proposal.args.get("policy") == policy.number:
            decisions = Decision.objects.filter(item__proposal=proposal).select_related("reviewer")
            last = decisions.order_by("-pk").first()
            return last.reviewer.get_username() if last else ""
    return ""


# The list --------------------------------------------------------------------------------------

# Of each scope the version in force, else the newest. By scope, everything first.
_LINES = """
    SELECT DISTINCT ON (agent, agent_version, action, tier) id
      FROM orchestrator_evaluationpolicy
     WHERE %(after)s::text[] IS NULL OR ARRAY[agent, agent_version, action, tier]::text[] > %(after)s::text[]
     ORDER BY agent, agent_version, action, tier, (stage = 'active') DESC, number DESC
     LIMIT %(at_most)s
"""


def policy_lines(*, after: int | None = None, at_most: int) -> list[EvaluationPolicy]:
    """`after` is the number of the last one of the page before."""
    last = policy(after) if after is not None else None
    scope = last.scope if last else None
    place = [scope.agent, scope.agent_version, scope.action, scope.tier] if scope else None
    with connection.cursor() as cursor:
        cursor.execute(_LINES, {"after": place, "at_most": at_most})
        keys = [key for (key,) in cursor.fetchall()]
    found = _whole().in_bulk(keys)
    return [found[key] for key in keys]


def newest_numbers(scopes: Collection[Scope]) -> dict[Scope, int]:
    """By scope, the last thing that somebody wrote. In one statement, by the names of their agents."""
    rows = EvaluationPolicy.objects.filter(agent__in={scope.agent for scope in scopes})
    names = ("agent", "agent_version", "action", "tier")
    found = rows.values_list(*names).annotate(newest=Max("number")).order_by()
    return {Scope(*place): number for *place, number in found}


@dataclass(frozen=True, slots=True)
class Lately:
    """What became of the newest proposals that a policy decided about, at most LATELY_MAX."""

    verdicts: Mapping[str, int]

    @property
    def count(self) -> int:
        return sum(self.verdicts.values())

    @property
    def accepted(self) -> Rate:
        return Rate(self.verdicts.get("accept", 0), self.count)

    @property
    def before_people(self) -> Rate:
        """By their score or by a rule."""
        asked = self.verdicts.get("escalate", 0) + self.verdicts.get("hold", 0)
        return Rate(asked, self.count)


# Walks the index disposition_of_policy of each from its newest end, and stops.
_LATELY = """
    SELECT asked.id, newest.verdict, count(*)
      FROM unnest(%(ids)s::bigint[]) AS asked(id),
           LATERAL (SELECT verdict FROM orchestrator_disposition
                     WHERE policy_id = asked.id ORDER BY id DESC LIMIT %(at_most)s) AS newest
     GROUP BY asked.id, newest.verdict
"""


def lately(policies: Collection[int]) -> dict[int, Lately]:
    with connection.cursor() as cursor:
        cursor.execute(_LATELY, {"ids": list(policies), "at_most": LATELY_MAX})
        rows = cursor.fetchall()
    return {
        key: Lately({verdict: count for found, verdict, count in rows if found == key})
        for key in policies
    }


# The editor ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Preview:
    """What terms would do, before they are saved."""

    histogram: Histogram
    effect: Effect
    # Proposals of the scope, how many were looked at to find them, and whether there are more.
    count: int
    looked_at: int
    is_capped: bool


def preview(scope: Scope, terms: Terms, since: datetime, until: datetime) -> Preview:
    """Of the newest proposals that these terms would decide about."""
    recorded = score_queries.of_scope(scope, since, until, terms=terms)
    in_force = [one.scope for one in EvaluationPolicy.objects.active()]
    # Many proposals, few scopes.
    scopes = {one.scope for one in recorded.seen}
    its_own = {one for one in scopes if decides_about(scope, in_force, one)}
    seen = [one for one in recorded.seen if one.scope in its_own]
    # What was really looked at: of a busy scope that is less than was asked for.
    begin = recorded.oldest if recorded.is_capped and recorded.oldest else since
    days = max(DAYS_MIN, (until - begin).total_seconds() / SECONDS_OF_A_DAY)
    effect = effect_of(
        tally_of(terms, ((one, 1) for one in seen)),
        looked_at=len(seen),
        days=days,
        review_minutes=settings.REVIEW_MINUTES,
        shares=shares(),
    )
    return Preview(
        histogram=histogram(terms, seen),
        effect=effect,
        count=len(seen),
        looked_at=recorded.looked_at,
        is_capped=recorded.is_capped,
    )


def _of(scope: Scope) -> QuerySet[EvaluationPolicy]:
    return _whole().filter(
        agent=scope.agent,
        agent_version=scope.agent_version,
        action=scope.action,
        tier=scope.tier,
    )


def _whole() -> QuerySet[EvaluationPolicy]:
    return EvaluationPolicy.objects.select_related("created_by")
