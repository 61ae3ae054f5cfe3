"""What backtests found, and what a rule in shadow would have done: reads for pages and API alike."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from orchestrator.core.policy.backtest import Effects, Findings, Tally, find
from orchestrator.core.policy.panel import OUT
from orchestrator.core.policy.second_look import Effect, Shares, effect_of
from orchestrator.models import (
    Backtest,
    BacktestFlip,
    EvaluationPolicy,
    PolicyCheck,
    Proposal,
    RuleVersion,
)

# Fewer days say little about a day: a rush of one hour is not how it always is.
DAYS_MIN = 1.0
SECONDS_OF_A_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Report:
    """A backtest with what it found, or has found so far."""

    backtest: Backtest
    findings: Findings
    # Why the version could not be asked, the commonest first.
    reasons: Sequence[tuple[str, int]]
    # The oldest proposal it looked at; the window may reach further back than that.
    oldest: datetime | None
    flips_listed: int
    # Of a policy: what becomes of how many, and what is drawn for audits.
    effect: Effect | None = None

    @property
    def share_done(self) -> float:
        total = self.backtest.total
        return min(1.0, self.backtest.done / total) if total else float(self.backtest.has_ended)

    @property
    def flips_left_out(self) -> int:
        """Counted, but not kept to be opened: there were too many of their kind."""
        return self.findings.flips_total - self.flips_listed

    @property
    def is_capped(self) -> bool:
        """It looked at the newest of more."""
        return self.backtest.done >= self.backtest.proposals_max


def backtest(pk: str) -> Backtest | None:
    return _backtests().filter(pk=pk).first()


def backtests_of(version: RuleVersion | EvaluationPolicy, *, at_most: int) -> list[Backtest]:
    """Newest first."""
    return list(_backtests().filter(_about(version)).order_by("-pk")[:at_most])


def newest_done(version: RuleVersion | EvaluationPolicy) -> Backtest | None:
    """What an approval of this version can rest on."""
    done = _backtests().filter(_about(version), status=Backtest.Status.DONE)
    return done.order_by("-pk").first()


def _about(version: RuleVersion | EvaluationPolicy) -> Q:
    return Q(policy=version) if isinstance(version, EvaluationPolicy) else Q(version=version)


def report_on(found: Backtest) -> Report:
    stored: dict[str, Any] = found.counts
    tally = Tally.from_json(stored.get("cells", {}))
    oldest = datetime.fromisoformat(stored["oldest"]) if stored.get("oldest") else None
    reasons: dict[str, int] = stored.get("reasons", {})
    flips, days = tally.flips(), _days(found, oldest)
    effect = _effect(found, tally, days) if found.policy else None
    return Report(
        backtest=found,
        findings=effect.findings if effect else _findings(found, tally, days),
        effect=effect,
        reasons=sorted(reasons.items(), key=lambda one: -one[1]),
        oldest=oldest,
        flips_listed=sum(min(count, settings.BACKTEST_FLIPS_MAX) for count in flips.values()),
    )


def _findings(found: Backtest, tally: Tally, days: float) -> Findings:
    version, against = found.rule_version, found.against
    return find(
        tally,
        looked_at=found.done,
        effects=Effects(version.effect, against.effect if against else ""),
        days=days,
        review_minutes=settings.REVIEW_MINUTES,
    )


def _effect(found: Backtest, tally: Tally, days: float) -> Effect:
    return effect_of(
        tally,
        looked_at=found.done,
        days=days,
        review_minutes=settings.REVIEW_MINUTES,
        shares=shares(),
    )


def shares() -> Shares:
    """How much is drawn to be judged blind, by what the policy made of it."""
    labels = settings.LABEL_SHARE
    return Shares(accept=settings.AUDIT_SHARE, revise=labels, block=labels)


def flips_of(
    found: Backtest,
    *,
    with_waiting: bool,
    without: Collection[str] = (),
    before: str = "",
    after: str = "",
    at_most: int,
) -> list[BacktestFlip]:
    """Next to a place in the list, which goes by proposal: newest first, or oldest first after a place.

    Without those whose proposal waits for a person, for readers who may have to judge it, and without
    those that the reader must not know anything of just now.
    """
    rows = BacktestFlip.objects.filter(backtest=found).select_related("proposal")
    if without:
        rows = rows.exclude(proposal__in=without)
    if not with_waiting:
        rows = rows.exclude(proposal__status=Proposal.Status.IN_REVIEW)
    if after:
        return list(rows.filter(proposal__gt=after).order_by("proposal_id")[:at_most])
    if before:
        rows = rows.filter(proposal__lt=before)
    return list(rows.order_by("-proposal_id")[:at_most])


def count_waiting_flips(found: Backtest) -> int:
    waiting = Proposal.Status.IN_REVIEW
    return BacktestFlip.objects.filter(backtest=found, proposal__status=waiting).count()


def _backtests() -> QuerySet[Backtest]:
    return Backtest.objects.select_related(
        "version__rule", "against__rule", "policy", "requested_by"
    )


def _days(found: Backtest, oldest: datetime | None) -> float:
    """The time that was really looked at: what a day brings is told by nothing else."""
    span = found.until - (oldest or found.since)
    return max(DAYS_MIN, span.total_seconds() / SECONDS_OF_A_DAY)


# Shadow ---------------------------------------------------------------------------------------

SHADOW_DAYS_ENOUGH = 7
SHADOW_HITS_ENOUGH = 50
SHADOW_COUNTED_MAX = 10_000
# Checks that one page looks at: two versions may agree about nearly everything.
SHADOW_LOOKED_MAX = 2_000
# Versions of one rule that may have been in force while another was in shadow.
SHADOW_RIVALS_MAX = 20


@dataclass(frozen=True, slots=True)
class Shadow:
    """How long a version has been watching; counting stops one above SHADOW_COUNTED_MAX."""

    since: datetime
    seen: int
    hits: int

    @property
    def days(self) -> float:
        return (timezone.now() - self.since).total_seconds() / SECONDS_OF_A_DAY

    @property
    def is_enough(self) -> bool:
        """A suggestion and no more: nothing forbids to activate it earlier, or to wait."""
        return self.days >= SHADOW_DAYS_ENOUGH or self.hits >= SHADOW_HITS_ENOUGH


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A proposal of which the version in shadow says something else than the one in force.

    None stands for a version that was not asked: it is not in its scope, or none was in force.
    """

    key: int
    at: datetime
    proposal: Proposal
    shadow: PolicyCheck | None
    active: PolicyCheck | None

    @property
    def shadow_result(self) -> str:
        return self.shadow.result if self.shadow else OUT

    @property
    def active_result(self) -> str:
        return self.active.result if self.active else OUT

    @property
    def reason(self) -> str:
        """Why the one that objects does."""
        return (self.shadow and self.shadow.reason) or (self.active.reason if self.active else "")


@dataclass(frozen=True, slots=True)
class Disagreements:
    lines: Sequence[Disagreement]
    # Where to go on; None at the end. A page may be short, or empty, and not the last.
    next: int | None


def shadow_of(version: RuleVersion) -> Shadow | None:
    """None when it never was in shadow."""
    if version.shadowed_at is None:
        return None
    watched = PolicyCheck.objects.filter(
        rule_version=version, enforced=False, created_at__gte=version.shadowed_at
    )
    hits = watched.exclude(result=PolicyCheck.Result.PASS)
    most = SHADOW_COUNTED_MAX + 1
    return Shadow(version.shadowed_at, watched[:most].count(), hits[:most].count())


def shadow_disagreements(
    version: RuleVersion, *, before: int | None = None, at_most: int
) -> Disagreements:
    """Newest first. `before` is the key of the last line, or the `next` of the page before."""
    if version.shadowed_at is None:
        return Disagreements((), None)
    watches = version.stage == RuleVersion.Stage.SHADOW
    rows = _look(version, before)
    found = [row for row in rows if _differ(row, watches)][:at_most]
    if len(found) == at_most:
        return Disagreements(_load(found), found[-1].key)
    return Disagreements(_load(found), rows[-1].key if len(rows) == SHADOW_LOOKED_MAX else None)


@dataclass(frozen=True, slots=True)
class _Row:
    """A check that did not let a proposal pass, of either version, and what both said about it."""

    key: int
    is_shadows: bool
    shadow: int | None
    shadow_result: str | None
    active: int | None
    active_result: str | None


def _differ(row: _Row, watches: bool) -> bool:
    if row.shadow is None:
        # Not in its scope; or, once it watches no more, simply too late.
        return watches
    if not row.is_shadows and row.shadow_result != "pass":
        # Both object. The check of the shadow says so already.
        return False
    return row.shadow_result != row.active_result


# Walks the index policy_check_hits of each version from its newest end, and looks up what the other one
# said about the same snapshot. So it costs the same whatever the tables hold.
_LOOK = """
    WITH place AS (
        SELECT coalesce((SELECT created_at FROM orchestrator_policycheck WHERE id = %(before)s),
                        'infinity') AS at
    ), looked AS (
        SELECT hit.id, hit.created_at, hit.snapshot_id, hit.rule_version_id, hit.result
          FROM place, unnest(%(versions)s::bigint[]) AS asked(version),
               LATERAL (SELECT c.id, c.created_at, c.snapshot_id, c.rule_version_id, c.result
                          FROM orchestrator_policycheck c
                         WHERE c.rule_version_id = asked.version AND c.result <> 'pass'
                           AND c.created_at >= %(since)s AND c.created_at <= place.at
                           AND (c.created_at, c.id) < (place.at, coalesce(%(before)s, 0))
                           AND c.enforced = (asked.version <> %(shadow)s)
                         ORDER BY c.created_at DESC, c.id DESC LIMIT %(at_most)s) AS hit
         ORDER BY hit.created_at DESC, hit.id DESC LIMIT %(at_most)s
    )
    SELECT looked.id, looked.rule_version_id = %(shadow)s,
           shadow.id, shadow.result, active.id, active.result
      FROM looked
      LEFT JOIN orchestrator_policycheck shadow
        ON shadow.snapshot_id = looked.snapshot_id AND shadow.rule_version_id = %(shadow)s
      LEFT JOIN LATERAL (
           SELECT c.id, c.result FROM orchestrator_policycheck c
            WHERE c.snapshot_id = looked.snapshot_id AND c.enforced
              AND c.rule_version_id = ANY(%(rivals)s::bigint[]) LIMIT 1) AS active ON true
     ORDER BY looked.created_at DESC, looked.id DESC
"""


def _look(version: RuleVersion, before: int | None) -> list[_Row]:
    rivals = _rivals_of(version)
    values: dict[str, Any] = {
        "before": before,
        "since": version.shadowed_at,
        "shadow": version.pk,
        "rivals": rivals,
        "versions": [version.pk, *rivals],
        "at_most": SHADOW_LOOKED_MAX,
    }
    with connection.cursor() as cursor:
        cursor.execute(_LOOK, values)
        return [_Row(*row) for row in cursor.fetchall()]


def _rivals_of(version: RuleVersion) -> list[int]:
    """Versions of the same rule that may have been in force since then."""
    others = RuleVersion.objects.filter(rule=version.rule_id, activated_at__isnull=False)
    newest = others.exclude(pk=version.pk).order_by("-activated_at")
    return list(newest.values_list("pk", flat=True)[:SHADOW_RIVALS_MAX])


def _load(rows: Sequence[_Row]) -> list[Disagreement]:
    keys = {row.key for row in rows} | {
        key for row in rows for key in (row.shadow, row.active) if key
    }
    checks = PolicyCheck.objects.select_related("proposal", "rule_version__rule").in_bulk(keys)
    return [
        Disagreement(
            row.key,
            checks[row.key].created_at,
            checks[row.key].proposal,
            checks[row.shadow] if row.shadow else None,
            checks[row.active] if row.active else None,
        )
        for row in rows
    ]
