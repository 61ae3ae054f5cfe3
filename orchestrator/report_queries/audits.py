"""Audits: how much of what nobody looked at was wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from orchestrator.core.statistics import strata
from orchestrator.core.statistics.assurance import Assurance, assure
from orchestrator.core.statistics.intervals import Rate
from orchestrator.core.statistics.strata import Weighted
from orchestrator.report_queries import counted
from orchestrator.report_queries.scope import OF_PROPOSALS, Scope

KNOWN = OF_PROPOSALS
# Two tables hold no more together. Agents name themselves, so nobody knows how many there are.
STRATA_MAX = 500


@dataclass(frozen=True, slots=True)
class AuditedStratum:
    """Proposals of these days of one agent version and action that the policy treated alike.

    Of `examined` those that are `wrong` were settled for good. Whatever is in dispute, unsettled, open or
    expired is examined by nobody yet, and stands in no rate.
    """

    agent: str
    agent_version: str
    action: str
    disposition: str
    # With which chance each was drawn: 0 where none could be, UNKNOWN_CHANCE where it was not stored then.
    chance: float
    # All proposals of the stratum, drawn or not.
    total: int
    drawn: int
    examined: int
    wrong: int
    disputed: int
    unsettled: int
    open: int
    expired: int

    @property
    def error(self) -> Rate:
        return Rate(self.wrong, self.examined)


@dataclass(frozen=True, slots=True)
class Audits:
    scope: Scope
    # Of everything accepted by itself in the scope. `watched`: the bound holds for whoever looks every day.
    assurance: Assurance
    # The same error as an estimate: `share` times 1,000 is the "per 1,000" of the page.
    estimate: Weighted
    # Only accepts; what most is known of comes first.
    accepted: tuple[AuditedStratum, ...]
    # Blind labels of what was not accepted, where any were drawn.
    others: tuple[AuditedStratum, ...]
    # There were more strata than STRATA_MAX; every sum is over all of them.
    has_more: bool
    disputed: int
    unsettled: int
    open: int
    expired: int
    ignored: tuple[str, ...]


def audits(scope: Scope) -> Audits:
    found = _strata(scope)
    pools = _pools(scope)
    pooled = strata.pooled(
        (one.chance, strata.Stratum(one.total, one.examined, one.wrong))
        for one in pools
        if one.disposition == "accept"
    )
    shown = found[:STRATA_MAX]
    return Audits(
        scope=scope,
        assurance=assure(pooled, watched=True),
        estimate=strata.weigh(pooled),
        accepted=tuple(one for one in shown if one.disposition == "accept"),
        others=tuple(one for one in shown if one.disposition != "accept" and one.drawn),
        has_more=len(found) > STRATA_MAX,
        disputed=sum(one.disputed for one in pools),
        unsettled=sum(one.unsettled for one in pools),
        open=sum(one.open for one in pools),
        expired=sum(one.expired for one in pools),
        ignored=scope.ignored(KNOWN),
    )


_POOL: LiteralString = "c.disposition, c.chance"
_KEY: LiteralString = f"s.agent, s.agent_version, s.action, {_POOL}"


def _strata(scope: Scope) -> list[AuditedStratum]:
    """What most is known of comes first, then what there is most of; one more where there are more."""
    found = counted.rows(
        f"""
        SELECT {_KEY}, {_SUMS}
          FROM ({_counted(scope)}) AS c
          JOIN orchestrator_segment s ON s.id = c.segment_id
         GROUP BY {_KEY}
         ORDER BY sum(c."right" + c.wrong) DESC, sum(c.drawn) DESC, sum(c.proposals) DESC, {_KEY}
         LIMIT %(most)s
        """,
        counted.values_of(scope, most=STRATA_MAX + 1),
    )
    return [_stratum(line) for line in found]


def _pools(scope: Scope) -> list[AuditedStratum]:
    """All there is, with those in one that the same chance was drawn from; they have no names."""
    found = counted.rows(
        f"""
        SELECT '', '', '', {_POOL}, {_SUMS}
          FROM ({_counted(scope)}) AS c GROUP BY {_POOL} ORDER BY {_POOL}
        """,
        counted.values_of(scope),
    )
    return [_stratum(line) for line in found]


def _counted(scope: Scope) -> LiteralString:
    """By segment first, which are few numbers, and by their names then."""
    condition = counted.within(scope, apart=True)
    return f"""
        SELECT c.segment_id, {_POOL}, sum(c.proposals) AS proposals, 0 AS drawn, {_NOTHING}
          FROM orchestrator_proposalday c WHERE {condition} GROUP BY c.segment_id, {_POOL}
         UNION ALL
        SELECT c.segment_id, {_POOL}, 0, sum(c.items), {_BY_OUTCOME}
          FROM orchestrator_auditday c WHERE {condition} GROUP BY c.segment_id, {_POOL}
    """


_OUTCOMES: tuple[LiteralString, ...] = (
    "right",
    "wrong",
    "disputed",
    "unsettled",
    "open",
    "expired",
)
_NOTHING: LiteralString = ", ".join(f'0 AS "{name}"' for name in _OUTCOMES)
_BY_OUTCOME: LiteralString = ", ".join(
    f"coalesce(sum(c.items) FILTER (WHERE c.outcome = '{name}'), 0)" for name in _OUTCOMES
)
_SUMS: LiteralString = ", ".join(
    f'sum(c."{name}")::bigint' for name in ("proposals", "drawn", *_OUTCOMES)
)


def _stratum(line: Sequence[Any]) -> AuditedStratum:
    agent, agent_version, action, disposition, chance, total, drawn, *counts = line
    of = dict(zip(_OUTCOMES, counts, strict=True))
    return AuditedStratum(
        agent=agent,
        agent_version=agent_version,
        action=action,
        disposition=disposition,
        chance=chance,
        total=total,
        drawn=drawn,
        examined=of["right"] + of["wrong"],
        wrong=of["wrong"],
        disputed=of["disputed"],
        unsettled=of["unsettled"],
        open=of["open"],
        expired=of["expired"],
    )
