"""What calls of named agents need to know: what was deployed when their runs started, and what it says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from orchestrator import tool_queries
from orchestrator.core.codec import Json, read
from orchestrator.core.policy import agent_versions as core
from orchestrator.core.policy.agent_versions import CANARY, SHADOW, Choice, Deployed
from orchestrator.engine import sql
from orchestrator.engine.claim import Claimed
from orchestrator.engine.plans import definition_of
from orchestrator.models import AgentVersion
from orchestrator.tool_queries import Offered

_IN_FORCE = """
    SELECT t.run, t.agent, a.id, a.tier, s.number, c.number, d.share, h.number
      FROM unnest(%(runs)s::text[], %(agents)s::text[]) AS t(run, agent)
      JOIN orchestrator_run r ON r.id = t.run
      JOIN orchestrator_agent a ON a.slug = t.agent
      JOIN LATERAL (SELECT * FROM orchestrator_deployment
                     WHERE agent_id = a.id AND at <= r.created_at
                     ORDER BY number DESC LIMIT 1) d ON true
      JOIN orchestrator_agentversion s ON s.id = d.stable_id
      LEFT JOIN orchestrator_agentversion c ON c.id = d.canary_id
      LEFT JOIN orchestrator_agentversion h ON h.id = d.shadow_id
"""
# What is said of the data of a run holds for the runs that it starts.
_ABOVE = """
    WITH RECURSIVE up AS (
        SELECT id AS run, parent_id FROM orchestrator_run WHERE id = ANY(%(runs)s::text[])
        UNION ALL
        SELECT up.run, p.parent_id FROM up JOIN orchestrator_run p ON p.id = up.parent_id
    )
    SELECT up.run, p.workflow_version_id FROM up JOIN orchestrator_run p ON p.id = up.parent_id
"""
_FAILED = """
    SELECT e.run_id, e.payload FROM orchestrator_event e
     WHERE e.run_id = ANY(%(runs)s::text[]) AND e.kind = 'work_failed'
"""


class KnownAgent(NamedTuple):
    """As it was deployed when the run started; its tier is that of now."""

    id: int
    tier: str
    deployed: Deployed


@dataclass(frozen=True, slots=True)
class KnownVersion:
    """What never changes of a version."""

    number: int
    tier: str
    adapter: str
    model: str
    prompt: str
    # Their names: what they say and do is looked up when they are offered.
    tools: tuple[str, ...]
    data_classes: frozenset[str]
    limits: dict[str, Any]
    parameters: dict[str, Any]
    schema: dict[str, Json] | None
    endpoints: tuple[int, ...]
    # Nothing is asked in the name of a version that is not what was deployed.
    is_sound: bool


@dataclass(slots=True)
class Known:
    """Read once for all claims of a batch."""

    agents: dict[tuple[str, str], KnownAgent] = field(default_factory=dict)
    above: dict[str, set[str]] = field(default_factory=dict)
    failed: set[tuple[str, str, int, int]] = field(default_factory=set)


class Wanted(NamedTuple):
    claimed: Claimed
    name: str
    choice: Choice
    version: KnownVersion
    agent: KnownAgent
    data: frozenset[str]
    # Asked by another agent, as a tool.
    is_behind: bool = False
    tools: Offered = Offered()
    # Told to who is asked over HTTP.
    traceparent: str = ""

    @property
    def key(self) -> tuple[int, str]:
        return self.claimed.id, self.name

    @property
    def tier(self) -> str:
        """The lower of the two: a version keeps what it was written with, and an agent can be lowered at once."""
        both = {self.agent.tier, self.version.tier}
        return core.READ_ONLY if core.READ_ONLY in both else core.ELEVATED

    @property
    def tier_here(self) -> str:
        """A shadow, and whoever is asked as a tool, may look and not touch, whatever its tier."""
        looks_only = self.is_behind or self.choice.role == SHADOW
        return core.READ_ONLY if looks_only else self.tier


def read_known(named_claims: Sequence[tuple[Claimed, str]]) -> Known:
    known = Known()
    read_deployed({(claimed.run, name) for claimed, name in named_claims}, known)
    runs = sorted({claimed.run for claimed, _ in named_claims})
    for run, version in sql.execute(_ABOVE, {"runs": runs}):
        known.above.setdefault(run, set()).update(definition_of(version).get("data", ()))
    # Attempts are counted anew in every turn, and the stable version is not left again.
    again = {
        claimed.run
        for claimed, _ in named_claims
        if claimed.payload.get("attempt", 1) > 1 or claimed.payload.get("turn", 1) > 1
    }
    canaries = {run for (run, _), agent in known.agents.items() if agent.deployed.canary}
    if both := sorted(again & canaries):
        known.failed = _failed_canaries(both)
    return known


def read_deployed(wanted: set[tuple[str, str]], known: Known) -> None:
    pairs = sorted(wanted - known.agents.keys())
    if not pairs:
        return
    values = {"runs": [run for run, _ in pairs], "agents": [name for _, name in pairs]}
    for run, name, pk, tier, stable, canary, share, shadow in sql.execute(_IN_FORCE, values):
        known.agents[run, name] = KnownAgent(pk, tier, Deployed(stable, canary, share, shadow))


def _failed_canaries(runs: list[str]) -> set[tuple[str, str, int, int]]:
    """Works at which a canary failed already: the log says so, and nothing else has to."""
    found = set()
    for run, text in sql.execute(_FAILED, {"runs": runs}):
        said: Any = read(text)
        if said.get("agent", {}).get("as") == CANARY:
            found.add((run, said["work"], said.get("visit", 0), said.get("index", 0)))
    return found


@lru_cache(maxsize=1_000)
def version_of(agent: int, number: int) -> KnownVersion:
    rows = AgentVersion.objects.select_related("contract__contract")
    row = rows.prefetch_related("endpoints__endpoint").get(agent=agent, number=number)
    return KnownVersion(
        number=row.number,
        tier=row.tier,
        adapter=row.adapter,
        model=row.model,
        prompt=row.prompt,
        tools=tuple(row.tools),
        data_classes=frozenset(row.data_classes),
        limits=row.limits,
        parameters=row.parameters,
        schema=row.contract.parsed if row.contract else None,
        endpoints=tuple(one.endpoint_id for one in row.endpoints.all()),
        is_sound=core.content_hash(row.content) == row.content_hash,
    )


def with_tools(wanted: Sequence[Wanted]) -> list[Wanted]:
    offers = _offers(wanted)
    return [one._replace(tools=_its_tools(one, offers)) for one in wanted]


def _offers(wanted: Sequence[Wanted]) -> dict[str, Offered]:
    """By tier, what of all the tools that are named may be used just now: one look for all that share it."""
    names: dict[str, set[str]] = {}
    for one in wanted:
        names.setdefault(one.tier_here, set()).update(one.version.tools)
    return {
        tier: tool_queries.offered(sorted(found), read_only=tier == core.READ_ONLY)
        for tier, found in names.items()
        if found
    }


def _its_tools(wanted: Wanted, offers: Mapping[str, Offered]) -> Offered:
    all_of_them = offers.get(wanted.tier_here, Offered())
    specs = {spec.name: spec for spec in all_of_them.specs}
    names = wanted.version.tools
    return Offered(
        [specs[name] for name in names if name in specs],
        {name: why for name in names if (why := all_of_them.refused.get(name))},
    )
