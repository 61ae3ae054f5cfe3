"""What has to be true, beside a good score, before anything runs without a person.

Nobody has stood it down, and where the policy names a target, a certificate in force covers the score.
Whatever is missing is a doubt, so a person decides. Nothing is computed here: background work has, and
what it found is read by its key.
"""

from dataclasses import dataclass, replace

from orchestrator import calibration_queries
from orchestrator.core.policy.evaluation import Bands
from orchestrator.core.policy.terms import Terms
from orchestrator.core.statistics.assurance import percent
from orchestrator.engine import sql
from orchestrator.models import Proposal, TrackRecord

STANDS_DOWN = (
    # The agent reads it, too, and is not told what is audited.
    "automatic accepting of this action by this agent version stands down until a person allows "
    "it again"
)
# An arbitrary number that stands for stand-downs among the advisory locks.
_STANDING = 0x57D0


@dataclass(frozen=True, slots=True)
class Limits:
    """The bands as far as they are covered, and why nothing may be accepted at all."""

    bands: Bands
    doubts: tuple[str, ...] = ()
    # What an accept rests on besides its score.
    because: tuple[str, ...] = ()


def limits_for(proposal: Proposal, terms: Terms) -> Limits:
    """To be asked for what would be accepted otherwise, in the transaction that accepts it.

    The lock is shared with everybody who accepts, and whoever stands it down has it alone. So an accept
    either has committed before that, or waits here and then reads that it stands down.
    """
    scope = (proposal.agent, proposal.agent_version, proposal.action)
    sql.execute(_SHARE, {"key": _STANDING, "scope": "\x1f".join(scope)})
    record = calibration_queries.record_of(proposal.scope)
    if calibration_queries.stands_down(record):
        return Limits(terms.bands, doubts=(STANDS_DOWN,))
    if terms.target_error is None:
        return Limits(terms.bands)
    return _certified(proposal, terms, record, terms.target_error)


_SHARE = "SELECT pg_advisory_xact_lock_shared(%(key)s::int4, hashtext(%(scope)s))"
_ALONE = "SELECT pg_advisory_xact_lock(%(key)s::int4, hashtext(%(scope)s))"


def lock_alone(proposal: Proposal) -> None:
    """Wait for those who are accepting this very moment, and let nobody begin before we are done."""
    scope = (proposal.agent, proposal.agent_version, proposal.action)
    sql.execute(_ALONE, {"key": _STANDING, "scope": "\x1f".join(scope)})


def _certified(
    proposal: Proposal, terms: Terms, record: TrackRecord | None, target: float
) -> Limits:
    contract = proposal.contract_version
    none = f"no threshold is certified yet for an error below {percent(target)}"
    if record is None:
        return Limits(terms.bands, doubts=(none,))
    found = calibration_queries.certificate_for(
        record,
        target=target,
        score=terms.score,
        tier=proposal.scope.tier,
        contract=contract,
    )
    if found is None:
        return Limits(terms.bands, doubts=(none,))
    if stale := calibration_queries.stale_because(found, record, contract):
        why = "; ".join(stale)
        return Limits(terms.bands, doubts=(f"the certified threshold holds no longer: {why}",))
    if found.accept_above is None:
        return Limits(terms.bands, doubts=(found.sentence,))
    above = max(terms.bands.accept_above, found.accept_above)
    return Limits(replace(terms.bands, accept_above=above), because=(found.sentence,))
