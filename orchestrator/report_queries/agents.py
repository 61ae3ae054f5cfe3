"""Agents by version: how often they are right, whether that has changed, what they cost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, LiteralString, NamedTuple

from django.conf import settings

from orchestrator.core import typeid
from orchestrator.core.statistics.calibration import Reliability, reliability
from orchestrator.core.statistics.figures import Outcomes
from orchestrator.core.statistics.intervals import Bounds, Rate, difference
from orchestrator.core.statistics.judged import Judged
from orchestrator.core.statistics.latency import Latency
from orchestrator.report_queries import counted
from orchestrator.report_queries.counted import Name
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
    # Calls whose price nobody knows, with those: the money below is that of the others.
    unpriced: int
    tokens_in: int
    tokens_out: int
    # Millionths of the unit that agents are priced in.
    money_micros: int
    latency: Latency


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
    # To the version in this list that came before it; None of the first.
    difference: Difference | None
    # None where nothing was recorded, which is unknown and not 0. Not told apart by action or tier.
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
    most = counted.busiest(scope, VERSIONS_MAX)
    shown = most[:VERSIONS_MAX]
    lines: dict[Name, list[tuple[Any, ...]]] = {}
    ended = counted.ended(replace(scope, rule=""), names=counted.NAME, only=shown)
    for agent, version, *line in ended:
        lines.setdefault((agent, version), []).append(tuple(line))
    known, costs = _known(shown), _costs(scope, shown)
    names = sorted(lines, key=lambda name: (name[0], known[name].first_at, name[1]))
    found: list[AgentVersion] = []
    for name in names:
        before = found[-1] if found and found[-1].agent == name[0] else None
        found.append(_version(name, lines[name], known[name], costs.get(name), before))
    return Agents(
        scope=scope,
        versions=tuple(found),
        has_more=len(most) > VERSIONS_MAX,
        ignored=scope.ignored(KNOWN),
    )


class _Known(NamedTuple):
    """What does not depend on any scope."""

    models: tuple[str, ...]
    first_at: datetime


def _known(names: Sequence[Name]) -> dict[Name, _Known]:
    segments = counted.rows(
        f"""
        SELECT {counted.NAME}, array_remove(array_agg(DISTINCT s.model ORDER BY s.model), ''),
               min(s.first_at)
          FROM orchestrator_segment s
         WHERE {counted.AMONG} AND s.first_at IS NOT NULL GROUP BY {counted.NAME}
        """,
        {**counted.among(names)},
    )
    return {(agent, version): _Known(tuple(models), at) for agent, version, models, at in segments}


def _version(
    name: Name,
    lines: list[tuple[Any, ...]],
    known: _Known,
    cost: Cost | None,
    before: AgentVersion | None,
) -> AgentVersion:
    found, amounts = counted.outcomes_of(lines)
    return AgentVersion(
        agent=name[0],
        agent_version=name[1],
        models=known.models,
        first_seen=known.first_at.astimezone(UTC).date(),
        proposed=_proposed(lines),
        outcomes=found,
        amounts=amounts,
        difference=_difference(found.acceptance, before) if before else None,
        cost=cost,
    )


def _proposed(lines: list[tuple[Any, ...]]) -> Tally:
    tallies = (Tally(int(n), {code: int(amount)} if code else {}) for *_, code, n, amount in lines)
    return sum(tallies, Tally())


def _difference(rate: Rate, before: AgentVersion) -> Difference:
    other = before.outcomes.acceptance
    share = None if rate.share is None or other.share is None else rate.share - other.share
    bounds = difference(rate.k, rate.n, other.k, other.n)
    return Difference(to=before.agent_version, share=share, bounds=bounds)


def costs(scope: Scope, agents: Sequence[str]) -> dict[Name, Cost]:
    """Of all versions of these agents that were called, whether they ever proposed anything or not."""
    return _sums(scope, "s.agent = ANY(%(agents)s)", {"agents": list(agents)})


def _costs(scope: Scope, names: Sequence[Name]) -> dict[Name, Cost]:
    return _sums(scope, counted.AMONG, counted.among(names))


def _sums(scope: Scope, which: LiteralString, values: dict[str, list[str]]) -> dict[Name, Cost]:
    sums = counted.rows(
        f"""
        SELECT {counted.NAME}, sum(c.calls), sum(c.failed), sum(c.unknown), sum(c.unpriced), sum(c.tokens_in), sum(c.tokens_out),
               sum(c.money_micros), sum(c.took_ms), sum(c.within_1s), sum(c.within_5s), sum(c.within_15s),
               sum(c.within_60s)
          FROM orchestrator_callday c JOIN orchestrator_segment s ON s.id = c.segment_id
         WHERE {counted.within(scope, apart=True)} AND {which} GROUP BY {counted.NAME}
        """,
        counted.values_of(scope, **values),
    )
    return {(agent, version): _cost(*map(int, numbers)) for agent, version, *numbers in sums}


def _cost(calls: int, *more: int) -> Cost:
    failed, unknown, unpriced, tokens_in, tokens_out, money_micros, took_ms, *within = more
    latency = Latency(calls, took_ms, tuple(within))
    return Cost(calls, failed, unknown, unpriced, tokens_in, tokens_out, money_micros, latency)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What agents' own scores mean, from what people said. Mean scores and shares are weighted.

    Only of labels that chance or a rule brought about; what somebody picked to be judged is left out.
    """

    reliability: Reliability
    # Labels that were read: the newest CALIBRATION_LABELS_MAX (setting), and whether there were more.
    labels: int
    is_capped: bool


def calibration(scope: Scope, bins: int = 10) -> Calibration:
    """Best asked of one agent version; of several it mixes what differs."""
    most = settings.CALIBRATION_LABELS_MAX
    # By keys, which are in the order of time: the newest are at one end of an index.
    values = counted.values_of(
        scope,
        most=most + 1,
        first=typeid.make("prp", at_ms=_ms(scope.starts_at), entropy=0),
        beyond=typeid.make("prp", at_ms=_ms(scope.ends_at), entropy=0),
    )
    labels = counted.rows(
        f"""
        SELECT c.confidence, c.should_run, c.chance
          FROM orchestrator_label c
         WHERE c.proposal_id >= %(first)s AND c.proposal_id < %(beyond)s AND c.chance > 0
           AND {counted.segments(scope, apart=True)}
         ORDER BY c.proposal_id DESC LIMIT %(most)s
        """,
        values,
    )
    is_capped = len(labels) > most
    judged = [Judged(score, right, chance) for score, right, chance in labels[:most]]
    return Calibration(reliability(judged, bins), labels=len(judged), is_capped=is_capped)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000)
