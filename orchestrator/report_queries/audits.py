"""Audits: how much of what nobody looked at was wrong."""

from dataclasses import dataclass
from typing import LiteralString

from orchestrator.core.statistics import strata
from orchestrator.core.statistics.assurance import Assurance, assure
from orchestrator.core.statistics.intervals import Rate
from orchestrator.core.statistics.strata import Weighted
from orchestrator.report_queries import counted
from orchestrator.report_queries.scope import OF_PROPOSALS, Scope

KNOWN = OF_PROPOSALS


@dataclass(frozen=True, slots=True)
class Stratum:
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
    # Only accepts; by agent, version, action.
    accepted: tuple[Stratum, ...]
    # Blind labels of what was not accepted, where any were drawn.
    others: tuple[Stratum, ...]
    disputed: int
    unsettled: int
    open: int
    expired: int
    ignored: tuple[str, ...]


def audits(scope: Scope) -> Audits:
    found = _strata(scope)
    accepted = tuple(one for one in found if one.disposition == "accept")
    pooled = strata.pooled(
        (one.chance, strata.Stratum(one.total, one.examined, one.wrong)) for one in accepted
    )
    return Audits(
        scope=scope,
        assurance=assure(pooled, watched=True),
        estimate=strata.weigh(pooled),
        accepted=accepted,
        others=tuple(one for one in found if one.disposition != "accept" and one.drawn),
        disputed=sum(one.disputed for one in found),
        unsettled=sum(one.unsettled for one in found),
        open=sum(one.open for one in found),
        expired=sum(one.expired for one in found),
        ignored=scope.ignored(KNOWN),
    )


type Key = tuple[str, str, str, str, float]
_KEY: LiteralString = "s.agent, s.agent_version, s.action, c.disposition, c.chance"


def totals(scope: Scope) -> dict[Key, int]:
    """All proposals by agent, version, action, disposition and the chance with which they were drawn."""
    sums = counted.rows(
        f"""
        SELECT {_KEY}, sum(c.proposals)
          FROM (SELECT c.segment_id, c.disposition, c.chance, sum(c.proposals) AS proposals
                  FROM orchestrator_proposalday c WHERE {counted.within(scope, apart=True)}
                 GROUP BY c.segment_id, c.disposition, c.chance) AS c
          JOIN orchestrator_segment s ON s.id = c.segment_id
         GROUP BY {_KEY} ORDER BY {_KEY}
        """,
        counted.values_of(scope),
    )
    return {tuple(key): int(count) for *key, count in sums}


def _drawn(scope: Scope) -> dict[Key, dict[str, int]]:
    sums = counted.rows(
        f"""
        SELECT {_KEY}, c.outcome, sum(c.items)
          FROM orchestrator_auditday c JOIN orchestrator_segment s ON s.id = c.segment_id
         WHERE {counted.within(scope, apart=True)}
         GROUP BY {_KEY}, c.outcome
        """,
        counted.values_of(scope),
    )
    found: dict[Key, dict[str, int]] = {}
    for *key, outcome, count in sums:
        found.setdefault(tuple(key), {})[outcome] = int(count)
    return found


def _strata(scope: Scope) -> list[Stratum]:
    drawn = _drawn(scope)
    return [_stratum(key, total, drawn.get(key, {})) for key, total in totals(scope).items()]


def _stratum(key: Key, total: int, outcomes: dict[str, int]) -> Stratum:
    of = {name: outcomes.get(name, 0) for name in _OUTCOMES}
    agent, agent_version, action, disposition, chance = key
    return Stratum(
        agent=agent,
        agent_version=agent_version,
        action=action,
        disposition=disposition,
        chance=chance,
        total=total,
        drawn=sum(outcomes.values()),
        examined=of["right"] + of["wrong"],
        wrong=of["wrong"],
        disputed=of["disputed"],
        unsettled=of["unsettled"],
        open=of["open"],
        expired=of["expired"],
    )


_OUTCOMES = ("right", "wrong", "disputed", "unsettled", "open", "expired")
