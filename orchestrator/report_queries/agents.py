"""Agents by version: how often they are right, whether that has changed, what they cost."""

from dataclasses import dataclass
from datetime import date

from orchestrator.core.statistics.calibration import Reliability
from orchestrator.core.statistics.figures import Outcomes
from orchestrator.core.statistics.intervals import Bounds
from orchestrator.report_queries.scope import OF_PROPOSALS, Scope, Tally

KNOWN = OF_PROPOSALS
# One chart and one table hold no more.
VERSIONS_MAX = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """Of the acceptance rate from that of another version, as shares from -1 to 1 (Newcombe, 95 %)."""

    to: str
    # None where one of the two has nothing decided.
    share: float | None
    bounds: Bounds


@dataclass(frozen=True, slots=True)
class Cost:
    """Of the calls of an agent inside runs. Agents outside say nothing of theirs, and have none."""

    calls: int
    failed: int
    # Calls about which neither tokens nor money were reported: in no sum below.
    unknown: int
    tokens_in: int
    tokens_out: int
    # Millionths of the unit that agents are priced in.
    money_micros: int


@dataclass(frozen=True, slots=True)
class AgentVersion:
    agent: str
    agent_version: str
    models: tuple[str, ...]
    # The first day on which it ever proposed anything.
    first_seen: date
    proposed: Tally
    outcomes: Outcomes
    amounts: dict[str, Outcomes]
    # To the version that came before it; None of the first.
    difference: Difference | None
    # None where nothing was recorded.
    cost: Cost | None


@dataclass(frozen=True, slots=True)
class Agents:
    scope: Scope
    # By agent, and of each the oldest version first.
    versions: tuple[AgentVersion, ...]
    # There were more than VERSIONS_MAX; those with the fewest proposals were left out.
    has_more: bool
    ignored: tuple[str, ...]


def agents(scope: Scope) -> Agents:
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the scores in a scope mean, from what people said. Mean scores and shares are weighted."""

    reliability: Reliability
    # Labels that were read: the newest CALIBRATION_LABELS_MAX (setting), and whether there were more.
    labels: int
    is_capped: bool


def calibration(scope: Scope, bins: int = 10) -> Calibration:
    """Best asked of one agent version; of several it mixes what differs."""
    raise NotImplementedError
