"""Which version of a named agent is asked, and through which endpoint: settled before the call, set-wise.

A run keeps to the deployment that was in force when it started. Endpoints are looked at as they are now:
one that was retired, or may see less, is not called by anybody any more.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from django.conf import settings

from orchestrator.agents.base import describe
from orchestrator.core import definitions
from orchestrator.core.codec import read
from orchestrator.core.errors import AgentError, AgentUnknown
from orchestrator.core.policy import agent_versions as core
from orchestrator.core.policy.agent_versions import CANARY, SHADOW, STABLE, Choice
from orchestrator.engine import callers, sql
from orchestrator.engine.agent_configs import Resolved, as_called
from orchestrator.engine.claim import Claimed
from orchestrator.engine.deployed import (
    Known,
    KnownAgent,
    Wanted,
    read_deployed,
    read_known,
    version_of,
    with_tools,
)
from orchestrator.engine.plans import definition_of, plan_of
from orchestrator.models import Endpoint
from orchestrator.tool_queries import Offered

KIND = "agent"
# What the others read, they read by themselves.
_USING_TOOLS = frozenset({"llm"})
_NOBODY = "no version of {} was deployed when the run started, or it is too deep (TOOL_DEPTH_MAX)"

# Of an answer, what nobody but the engine says.
_SAID_HERE = frozenset({"as", "instead_of", "falls_back_to", "endpoint"})

_SAID = """
    SELECT e.payload FROM orchestrator_event e WHERE e.run_id = %(run)s AND e.seq = %(seq)s
"""


def named(claimed: Claimed) -> str:
    """The agent that the work of a claim names; empty where the definition says all itself."""
    payload = claimed.payload
    config = definitions.agent_config(
        definition_of(claimed.version), payload["work"], payload.get("who", "")
    )
    return str(config["name"]) if config.get("kind") == KIND else ""


def resolve(claims: Sequence[Claimed], *, as_shadow: bool = False) -> dict[int, Resolved]:
    """By claim, of those that name an agent. Of shadows, the version that their command names."""
    by_claim = {claimed.id: name for claimed in claims if (name := named(claimed))}
    mine = [claimed for claimed in claims if claimed.id in by_claim]
    if not mine:
        return {}
    known = read_known([(claimed, by_claim[claimed.id]) for claimed in mine])
    wanted: list[Wanted] = []
    found: dict[int, Resolved] = {}
    for claimed in mine:
        name = by_claim[claimed.id]
        agent = known.agents.get((claimed.run, name))
        if agent is None:
            found[claimed.id] = _unknown(name)
            continue
        choice = _shadow_of(claimed) if as_shadow else _choice(claimed, name, agent, known)
        version = version_of(agent.id, choice.number)
        wanted.append(Wanted(claimed, name, choice, version, agent, _data(claimed, known)))
    asking = with_tools(wanted)
    return found | _settled(*_told_their_trace(asking, _behind(asking, known)))


def _unknown(name: str) -> Resolved:
    error = AgentUnknown(f"no version of {name} was deployed when the run started.", who=name)
    return Resolved({"kind": KIND, "name": name}, {"name": name}, refusal=error)


def _choice(claimed: Claimed, name: str, agent: KnownAgent, known: Known) -> Choice:
    payload = claimed.payload
    place = (claimed.run, payload["work"], payload["visit"], payload.get("index", 0))
    if not _may_try_again(claimed):
        return Choice(agent.deployed.stable, STABLE)
    key = core.key_from(settings.SECRET_KEY)
    return core.choose(agent.deployed, key, name, claimed.run, has_failed=place in known.failed)


def _may_try_again(claimed: Claimed) -> bool:
    """A canary whose failure nobody could make good is not asked."""
    work = plan_of(claimed.version).works[claimed.payload["work"]]
    member = work.members.get(claimed.payload.get("who", ""))
    return (member.attempts if member else work.attempts) > 1


def _shadow_of(claimed: Claimed) -> Choice:
    return Choice(claimed.payload["shadow"], SHADOW)


def _data(claimed: Claimed, known: Known) -> frozenset[str]:
    """What was said of the work, by default DATA_CLASSES_DEFAULT, and what came into the run since."""
    payload = claimed.payload
    definition = definition_of(claimed.version)
    said = definitions.data_of(definition, payload["work"], payload.get("who", ""))
    said |= known.above.get(claimed.run, set())
    return (said or frozenset(settings.DATA_CLASSES_DEFAULT)).union(payload.get("classes", ()))


def _told_their_trace(*groups: Sequence[Wanted]) -> Iterator[list[Wanted]]:
    claims = {
        one.claimed.id: one.claimed
        for group in groups
        for one in group
        if one.version.adapter == "http"
    }
    traces = callers.traceparents([*claims.values()])
    for group in groups:
        yield [one._replace(traceparent=traces.get(one.claimed.id, "")) for one in group]


def _settled(asking: Sequence[Wanted], behind: Sequence[Wanted]) -> dict[int, Resolved]:
    """Each with those whom its tools may lead to, and without the tools that lead to nobody."""
    endpoints = Endpoint.objects.in_bulk(
        {pk for one in (*asking, *behind) for pk in one.version.endpoints}
    )
    refusals = {one.key: as_called(one, endpoints).refusal for one in behind}
    handed: dict[int, dict[str, Any]] = {}
    for one in behind:
        if refusals[one.key] is None:
            resolved = as_called(_without_closed(one, refusals), endpoints)
            handed.setdefault(one.claimed.id, {})[one.name] = _as_handed(resolved)
    return {
        one.claimed.id: as_called(
            _without_closed(one, refusals), endpoints, handed.get(one.claimed.id)
        )
        for one in asking
    }


def canary_behind(claimed: Claimed) -> Resolved | None:
    """The canary that said what this command could not propose: its failure as much as one to answer."""
    values = {"run": claimed.run, "seq": claimed.payload["output"]}
    row = sql.execute(_SAID, values).fetchone()
    said: Any = read(row[0]) if row else {}
    if said.get("agent", {}).get("as") != CANARY:
        return None
    return resolve([claimed]).get(claimed.id)


def told_of(
    resolved: Resolved | None,
    said: Mapping[str, str],
    config: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, str]:
    """What an event says of who answered: what is known here counts, whatever the answer claims.

    An agent that its definition brings whole, in `config`, may say which version of itself it is. Nothing
    that is bound to versions kept here goes by that: see `actions/proposals.py`.
    """
    said = {name: text for name, text in said.items() if name not in _SAID_HERE}
    if resolved is None:
        return said | describe(config)
    other = said.get("model", "")
    known = resolved.told
    if other and other != known.get("model"):
        known = known | {"answered_as": other}
    return {**said, **known}


# Agents behind tools -------------------------------------------------------------------------------


def _behind(asking: Sequence[Wanted], known: Known) -> list[Wanted]:
    """Whom the tools of these lead to, and the tools of those, as deep as may be asked: a look for each depth.

    It is the stable version that answers: nobody could tell what a canary did there, nor follow it up.
    """
    found: dict[tuple[int, str], Wanted] = {}
    level = asking
    for _ in range(settings.TOOL_DEPTH_MAX):
        fresh = {
            (one.claimed.id, name): one
            for one in level
            for name in _asked_by(one).values()
            if (one.claimed.id, name) not in found
        }
        if not fresh:
            break
        read_deployed({(one.claimed.run, name) for (_, name), one in fresh.items()}, known)
        level = with_tools(
            [
                _stable_behind(one, name, agent)
                for (_, name), one in fresh.items()
                if (agent := known.agents.get((one.claimed.run, name)))
            ]
        )
        found |= {one.key: one for one in level}
    return list(found.values())


def _stable_behind(asking: Wanted, name: str, agent: KnownAgent) -> Wanted:
    choice = Choice(agent.deployed.stable, STABLE)
    version = version_of(agent.id, choice.number)
    return Wanted(asking.claimed, name, choice, version, agent, asking.data, is_behind=True)


def _asked_by(wanted: Wanted) -> dict[str, str]:
    """The agent behind each tool that has one. Who uses no tools within a call is handed nobody's key."""
    if wanted.version.adapter not in _USING_TOOLS:
        return {}
    return {
        spec.name: str(spec.backend.get("agent"))
        for spec in wanted.tools.specs
        if spec.kind == "read" and spec.backend.get("kind") == "agent"
    }


def _without_closed(
    wanted: Wanted, refusals: Mapping[tuple[int, str], AgentError | None]
) -> Wanted:
    """A tool whose agent may not be asked about these data is none, and the event says why."""
    why: dict[str, str] = {}
    for tool, name in _asked_by(wanted).items():
        key = (wanted.claimed.id, name)
        if key not in refusals:
            why[tool] = _NOBODY.format(name)
        elif refusal := refusals[key]:
            why[tool] = str(refusal)
    specs = [spec for spec in wanted.tools.specs if spec.name not in why]
    return wanted._replace(tools=Offered(specs, {**wanted.tools.refused, **why}))


def _as_handed(resolved: Resolved) -> dict[str, Any]:
    return {"config": resolved.config, "output": resolved.schema, "told": resolved.told}
