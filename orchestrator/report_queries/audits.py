"""Audits: how much of what nobody looked at was wrong."""

from dataclasses import dataclass

from orchestrator.core.statistics.assurance import Assurance
from orchestrator.core.statistics.intervals import Rate
from orchestrator.core.statistics.strata import Weighted
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
    # With which chance each was drawn; 0 where none could be.
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
    # Blind labels of what was not accepted.
    others: tuple[Stratum, ...]
    disputed: int
    unsettled: int
    open: int
    expired: int
    ignored: tuple[str, ...]


def audits(scope: Scope) -> Audits:
    raise NotImplementedError


def totals(scope: Scope) -> dict[tuple[str, str, str, str, float], int]:
    """All proposals by agent, version, action, disposition and the chance with which they were drawn."""
    raise NotImplementedError
