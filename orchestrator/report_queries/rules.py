"""Rules by version: what they stopped, how often people agreed, what that cost people."""

from dataclasses import dataclass

from orchestrator.core.statistics.figures import Held
from orchestrator.core.statistics.intervals import Rate
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
    raise NotImplementedError
