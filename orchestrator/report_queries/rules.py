"""Rules by version: what they stopped, how often people agreed, what that cost people."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import Q

from orchestrator.core.statistics.figures import Held
from orchestrator.core.statistics.intervals import Rate
from orchestrator.core.statistics.outcomes import RAN
from orchestrator.models import Decision, PolicyCheck, Proposal, RuleVersion
from orchestrator.report_queries import counted
from orchestrator.report_queries.scope import OF_PROPOSALS, Scope, Tally

KNOWN = OF_PROPOSALS | {"rule"}


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """Of proposals of these days, where the version decided; what it said in the shadow stands apart."""

    slug: str
    number: int
    title: str
    effect: str
    # As it is now: active, shadow, retired...
    stage: str
    # What it did not let pass, errors included; and in how many it could not be evaluated.
    hits: Tally
    errors: int
    # The same while it only watched.
    shadow_hits: int
    # Of agents' own proposals that were held while this rule objected; several rules may hold one.
    # Edited: a person wrote another in its place. Undecided: also what expired, or went back to its agent.
    held: Held
    # On what it held: decisions, how many of them with a measured time, and what they took in all.
    decisions: int
    measured: int
    minutes: float


@dataclass(frozen=True, slots=True)
class Rules:
    scope: Scope
    # By slug and number.
    versions: tuple[RuleFigures, ...]
    # All proposals of the scope: what the hits are a part of.
    proposed: int
    ignored: tuple[str, ...]

    def hit_rate(self, of: RuleFigures) -> Rate:
        return Rate(of.hits.proposals, self.proposed)


def rules(scope: Scope) -> Rules:
    """Every version that decides or watches now, or did not let something pass in these days."""
    lines: dict[int, list[_Line]] = {}
    for version, *line in _lines(scope):
        lines.setdefault(version, []).append(_Line(*line))
    named = Q(pk__in=lines) | Q(stage__in=[RuleVersion.Stage.ACTIVE, RuleVersion.Stage.SHADOW])
    versions = RuleVersion.objects.filter(named).select_related("rule")
    if scope.rule:
        versions = versions.filter(rule__slug=scope.rule)
    return Rules(
        scope=scope,
        versions=tuple(
            _figures(version, lines.get(version.pk, []))
            for version in versions.order_by("rule__slug", "number")
        ),
        proposed=_proposed(scope),
        ignored=scope.ignored(KNOWN),
    )


class _Line(NamedTuple):
    enforced: bool
    result: str
    disposition: str
    status: str
    edited: bool
    said: str
    currency: str
    proposals: int
    amount: int
    decisions: int
    measured: int
    handled_ms: int


def _lines(scope: Scope) -> list[tuple[Any, ...]]:
    return counted.rows(
        f"""
        SELECT c.rule_version_id, c.enforced, c.result, c.disposition, c.status, c.edited, c.said,
               s.currency, sum(c.proposals)::bigint, sum(c.amount), sum(c.decisions)::bigint,
               sum(c.measured)::bigint, sum(c.handled_ms)::bigint
          FROM orchestrator_ruleday c JOIN orchestrator_segment s ON s.id = c.segment_id
         WHERE {counted.within(scope, apart=True)}
         GROUP BY c.rule_version_id, c.enforced, c.result, c.disposition, c.status, c.edited, c.said,
                  s.currency
        """,
        counted.values_of(scope),
    )


def _proposed(scope: Scope) -> int:
    ((count,),) = counted.rows(
        f"""SELECT coalesce(sum(c.proposals), 0)::bigint FROM orchestrator_proposalday c
             WHERE {counted.within(scope)}""",
        counted.values_of(scope),
    )
    return int(count)


def _figures(version: RuleVersion, lines: Sequence[_Line]) -> RuleFigures:
    decided = [line for line in lines if line.enforced]
    held = [line for line in decided if line.disposition == "hold"]
    measured, decisions = sum(one.measured for one in held), sum(one.decisions for one in held)
    measured_minutes = sum(one.handled_ms for one in held) / 60_000
    return RuleFigures(
        slug=version.rule.slug,
        number=version.number,
        title=version.title,
        effect=version.effect,
        stage=version.stage,
        hits=sum(map(_tally, decided), Tally()),
        errors=sum(line.proposals for line in decided if line.result == PolicyCheck.Result.ERROR),
        shadow_hits=sum(line.proposals for line in lines if not line.enforced),
        held=_held(held) if version.effect in _HOLDS else Held(),
        decisions=decisions,
        measured=measured,
        minutes=measured_minutes + (decisions - measured) * settings.REVIEW_MINUTES,
    )


_HOLDS = (RuleVersion.Effect.HOLD, RuleVersion.Effect.TWO_PERSON)


def _tally(line: _Line) -> Tally:
    return Tally(line.proposals, {line.currency: int(line.amount)} if line.currency else {})


def _held(lines: Iterable[_Line]) -> Held:
    """What people wrote themselves is left out: the rule held what the agent had proposed before it."""
    counts = dict.fromkeys(Held.__slots__, 0)
    for line in lines:
        if not line.edited:
            counts[_became(line)] += line.proposals
    return Held(**counts)


def _became(line: _Line) -> str:
    if line.status == Proposal.Status.REJECTED:
        return "rejected"
    if line.status in RAN:
        return "approved_unchanged"
    was_edited = line.status == Proposal.Status.SUPERSEDED and line.said == Decision.Verdict.EDIT
    return "approved_edited" if was_edited else "undecided"
