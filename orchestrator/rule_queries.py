"""Reads of rules: their versions, how often they object, and what people made of it.

Figures cost the same however many proposals there are: what is many is counted up to a limit and then
said to be more.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Case, IntegerField, Q, QuerySet, Value, When

from orchestrator.core.codec import read
from orchestrator.core.policy import changes
from orchestrator.core.statistics.intervals import Rate
from orchestrator.models import (
    Decision,
    PolicyCheck,
    Proposal,
    ReviewItem,
    Rule,
    RuleVersion,
    Snapshot,
)

HIT_DAYS = 7
HITS_A_DAY_MAX = 500
JUDGED_DAYS = 30
JUDGED_MAX = 500
STALE_DAYS = 30
# A version stands in the list for its rule: the one that decides, else the one that watches.
_WEIGHTS = (RuleVersion.Stage.ACTIVE, RuleVersion.Stage.SHADOW)
RECENT_MAX = 2_000
ACTIVATIONS_READ_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFilter:
    """Which rules to list; what is empty does not filter."""

    stage: str = ""
    effect: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one rule did of late, in all of its versions, where it decided and did not only watch."""

    # Oldest day first; a day that has more than HITS_A_DAY_MAX has one more than that.
    hits_a_day: tuple[int, ...] = (0,) * HIT_DAYS
    # Of the newest JUDGED_MAX objections of JUDGED_DAYS.
    objections: int = 0
    approved: int = 0
    rejected: int = 0

    @property
    def hits(self) -> int:
        return sum(min(count, HITS_A_DAY_MAX) for count in self.hits_a_day)

    @property
    def has_more(self) -> bool:
        return any(count > HITS_A_DAY_MAX for count in self.hits_a_day)

    @property
    def rejection(self) -> Rate:
        """Of what people decided, how much they rejected: the rule was right to ask them."""
        return Rate(self.rejected, self.approved + self.rejected)


# Versions ---------------------------------------------------------------------------------------


def rule_lines(wanted: RuleFilter, *, after: str = "", at_most: int) -> list[RuleVersion]:
    """Of each rule, by name, the version that stands for it."""
    standing = _by_weight(RuleVersion.objects.filter(rule__slug__gt=after)).distinct("rule__slug")
    rows = RuleVersion.objects.filter(pk__in=standing.values("pk"))
    if wanted.stage:
        rows = rows.filter(stage=wanted.stage)
    if wanted.effect:
        rows = rows.filter(effect=wanted.effect)
    if wanted.action:
        rows = rows.filter(_is_asked_about(wanted.action))
    return list(_whole(rows).order_by("rule__slug")[:at_most])


def newest_versions(rules: Collection[int]) -> dict[int, RuleVersion]:
    """By rule: the last thing that somebody wrote."""
    rows = _whole(RuleVersion.objects.filter(rule__in=rules))
    found = rows.order_by("rule_id", "-number").distinct("rule_id")
    return {version.rule_id: version for version in found}


def rule_version(slug: str, number: int | None = None) -> RuleVersion | None:
    """One version, or the one that stands for the rule."""
    rows = RuleVersion.objects.filter(rule__slug=slug)
    return _by_weight(rows if number is None else rows.filter(number=number)).first()


def rule_versions(slug: str, *, at_most: int) -> list[RuleVersion]:
    """Newest first."""
    rows = RuleVersion.objects.filter(rule__slug=slug)
    return list(_whole(rows).order_by("-number")[:at_most])


def newest_number(slug: str) -> int:
    """0 when there is no such rule."""
    rows = RuleVersion.objects.filter(rule__slug=slug).order_by("-number")
    return rows.values_list("number", flat=True).first() or 0


def active_version(slug: str) -> RuleVersion | None:
    rows = RuleVersion.objects.filter(rule__slug=slug, stage=RuleVersion.Stage.ACTIVE)
    return _whole(rows).first()


def exists(slug: str) -> bool:
    return Rule.objects.filter(slug=slug).exists()


def pending_change(slug: str) -> Proposal | None:
    """The proposal to activate or retire a version that waits for somebody's decision."""
    waiting = ReviewItem.objects.waiting().filter(
        kind=ReviewItem.Kind.RULE_CHANGE, proposal__target=f"rule/{slug}"
    )
    item = waiting.select_related("proposal").order_by("pk").first()
    return item.proposal if item else None


@dataclass(frozen=True, slots=True)
class Activation:
    """How a version came into force: who agreed, and on which evidence."""

    proposal: str
    approver: str
    backtest: str


def activation_of(version: RuleVersion) -> Activation | None:
    """The newest that was agreed to; None when it was put into force in another way, or never."""
    asked = Proposal.objects.filter(
        action=changes.ACTIVATE_RULE,
        target=f"rule/{version.rule.slug}",
        status=Proposal.Status.EXECUTED,
    )
    for proposal in asked.order_by("-pk")[:ACTIVATIONS_READ_MAX]:
        if proposal.args.get("version") == version.number:
            return _activation(proposal)
    return None


def _activation(proposal: Proposal) -> Activation:
    decisions = Decision.objects.filter(item__proposal=proposal).select_related("reviewer")
    last = decisions.order_by("-pk").first()
    return Activation(
        proposal.pk,
        last.reviewer.get_username() if last else "",
        str(proposal.args.get("backtest") or ""),
    )


def _by_weight(rows: QuerySet[RuleVersion]) -> QuerySet[RuleVersion]:
    weight = Case(
        *(When(stage=stage, then=Value(place)) for place, stage in enumerate(_WEIGHTS)),
        default=Value(len(_WEIGHTS)),
        output_field=IntegerField(),
    )
    return _whole(rows).alias(weight=weight).order_by("rule__slug", "weight", "-number")


def _whole(rows: QuerySet[RuleVersion]) -> QuerySet[RuleVersion]:
    return rows.select_related("rule", "created_by")


def _is_asked_about(action: str) -> Q:
    parts = action.split(".")
    families = [".".join([*parts[:count], "*"]) for count in range(1, len(parts))]
    return Q(applies_to__actions__isnull=True) | Q(
        applies_to__actions__has_any_keys=["*", action, *families]
    )


# Figures ----------------------------------------------------------------------------------------

# Each walks the index policy_check_hits of a version from its newest end, and stops at the limit.
# Versions that never decided have nothing to be counted.
_HITS = """
SELECT rule.id, day.number, hits.count
FROM unnest(%s::bigint[]) AS rule(id)
CROSS JOIN generate_series(0, %s - 1) AS day(number)
CROSS JOIN LATERAL (
    SELECT count(*) AS count FROM (
        SELECT 1
        FROM orchestrator_ruleversion version
        CROSS JOIN LATERAL (
            SELECT 1
            FROM orchestrator_policycheck said
            WHERE said.rule_version_id = version.id AND NOT (said.result = 'pass')
              AND said.enforced
              AND said.created_at > %s::timestamptz - interval '1 day' * (day.number + 1)
              AND said.created_at <= %s::timestamptz - interval '1 day' * day.number
            ORDER BY said.created_at DESC
            LIMIT %s
        ) hit
        WHERE version.rule_id = rule.id AND version.activated_at IS NOT NULL
        LIMIT %s
    ) counted
) hits
"""
_JUDGED = """
SELECT rule.id, count(*), count(*) FILTER (WHERE NOT judged.rejected),
       count(*) FILTER (WHERE judged.rejected)
FROM unnest(%s::bigint[]) AS rule(id)
CROSS JOIN LATERAL (
    SELECT newest.proposal_id
    FROM orchestrator_ruleversion version
    CROSS JOIN LATERAL (
        SELECT said.proposal_id, said.created_at
        FROM orchestrator_policycheck said
        WHERE said.rule_version_id = version.id AND NOT (said.result = 'pass') AND said.enforced
          AND said.created_at > %s
        ORDER BY said.created_at DESC
        LIMIT %s
    ) newest
    WHERE version.rule_id = rule.id AND version.activated_at IS NOT NULL
    GROUP BY newest.proposal_id
    ORDER BY max(newest.created_at) DESC
    LIMIT %s
) objection
LEFT JOIN LATERAL (
    SELECT bool_or(decision.verdict = 'reject') AS rejected
    FROM orchestrator_reviewitem item
    JOIN orchestrator_decision decision ON decision.item_id = item.id
    WHERE item.proposal_id = objection.proposal_id AND item.status = 'decided'
      AND item.kind IN ('guardrail_failure', 'escalation')
) judged ON true
GROUP BY rule.id
"""

_NEWEST = """
SELECT newest.id
FROM orchestrator_ruleversion version
CROSS JOIN LATERAL (
    SELECT said.id, said.created_at
    FROM orchestrator_policycheck said
    WHERE said.rule_version_id = version.id AND NOT (said.result = 'pass') AND said.enforced
    ORDER BY said.created_at DESC
    LIMIT %s
) newest
WHERE version.rule_id = %s AND version.activated_at IS NOT NULL
ORDER BY newest.created_at DESC, newest.id DESC
LIMIT %s
"""


def figures_of(rules: Sequence[int], now: datetime) -> dict[int, Figures]:
    """By rule, in two statements for all of them."""
    days: dict[int, list[int]] = {rule: [0] * HIT_DAYS for rule in rules}
    limit = HITS_A_DAY_MAX + 1
    for rule, day, count in _rows(_HITS, [list(rules), HIT_DAYS, now, now, limit, limit]):
        days[rule][HIT_DAYS - 1 - day] = count
    since = now - timedelta(days=JUDGED_DAYS)
    judged = {
        rule: counts
        for rule, *counts in _rows(_JUDGED, [list(rules), since, JUDGED_MAX, JUDGED_MAX])
    }
    return {rule: Figures(tuple(days[rule]), *judged.get(rule, (0, 0, 0))) for rule in rules}


def newest_objections(rule: int, *, at_most: int) -> list[PolicyCheck]:
    """What its versions did not let pass where they decided, newest first."""
    keys = [key for (key,) in _rows(_NEWEST, [at_most, rule, at_most])]
    rows = PolicyCheck.objects.select_related("proposal", "rule_version").in_bulk(keys)
    return [rows[key] for key in keys]


def is_stale(version: RuleVersion, figures: Figures, now: datetime) -> bool:
    """It has decided for a month, and objected to nothing."""
    since = version.activated_at
    is_old = since is not None and now - since >= timedelta(days=STALE_DAYS)
    return version.stage == RuleVersion.Stage.ACTIVE and is_old and not figures.objections


def _rows(statement: str, values: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


# Recorded proposals -----------------------------------------------------------------------------


def recorded_proposals(actions: Sequence[str], *, at_most: int) -> list[Proposal]:
    """The newest that a rule of this scope could be tried on; of families, among recent ones."""
    newest = Proposal.objects.order_by("-pk")
    if not actions or "*" in actions:
        return list(newest[:at_most])
    found = {
        proposal.pk: proposal
        for action in actions
        for proposal in _of_action(newest, action)[:at_most]
    }
    return [found[key] for key in sorted(found, reverse=True)][:at_most]


def _of_action(newest: QuerySet[Proposal], action: str) -> QuerySet[Proposal]:
    if not action.endswith(".*"):
        return newest.filter(action=action)
    recent = newest.values("pk")[:RECENT_MAX]
    return newest.filter(pk__in=recent, action__startswith=action[:-1])


def recorded_inputs(proposal: str) -> dict[str, Any] | None:
    """What the rules saw when it was last decided about; None when nothing was recorded."""
    rows = Snapshot.objects.filter(proposal=proposal).order_by("-pk")
    text = rows.values_list("inputs", flat=True).first()
    found = read(text) if text else None
    return found if isinstance(found, dict) else None
