"""What claimed commands need to be run, read set-wise, so that whoever runs them needs no database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator import handed_queries
from orchestrator.core import events as core_events
from orchestrator.core import tasks
from orchestrator.core.codec import Json, read
from orchestrator.engine import agents, observations, sql, turns
from orchestrator.engine.agent_configs import Resolved
from orchestrator.engine.claim import Claimed
from orchestrator.engine.memory import VALUE_LENGTH_MAX, Memory
from orchestrator.engine.plans import definition_of, plan_of
from orchestrator.engine.turns import NO_TURN, TurnBefore
from orchestrator.models import Effect

_EVENTS = """
    SELECT e.run_id, e.seq, e.kind, e.payload
      FROM unnest(%(runs)s::text[], %(seqs)s::integer[]) AS t(run, seq)
      JOIN orchestrator_event e ON e.run_id = t.run AND e.seq = t.seq
"""
MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class ForAgent:
    definition: Mapping[str, Any]
    intent: Json
    inputs: dict[str, Json]
    item: Json
    # What the turn before left.
    before: TurnBefore = NO_TURN
    # Where the definition names an agent that is kept here.
    agent: Resolved | None = None
    # Of a shadow: what the answer that counted says.
    answered: Json = None
    # Of the memory that its stage declares.
    handed: observations.Handed | None = None


type Values = dict[tuple[str, int], Json]


def load_for_agents(claims: Sequence[Claimed], memory: Memory) -> dict[int, ForAgent]:
    values, before = _load_values(claims, memory), turns.load(claims)
    resolved = agents.resolve(claims)
    handed = observations.load(claims, _data_of(resolved))
    return {
        claimed.id: replace(
            _for_agent(claimed, values, resolved.get(claimed.id), handed.get(claimed.id)),
            before=before.get(claimed.id, NO_TURN),
        )
        for claimed in claims
    }


def load_for_shadows(claims: Sequence[Claimed], memory: Memory) -> dict[int, ForAgent]:
    values = _load_values(claims, memory)
    resolved = agents.resolve(claims, as_shadow=True)
    handed = observations.load(claims, _data_of(resolved))
    return {
        claimed.id: replace(
            _for_agent(claimed, values, resolved.get(claimed.id), handed.get(claimed.id)),
            answered=values[claimed.run, claimed.payload["answer"]],
        )
        for claimed in claims
    }


def _data_of(resolved: Mapping[int, Resolved]) -> dict[int, frozenset[str]]:
    return {claim: agent.data for claim, agent in resolved.items()}


def load_for_effects(claims: Sequence[Claimed]) -> dict[int, Effect]:
    wanted = {claimed.payload["effect"]: claimed.id for claimed in claims}
    found = Effect.objects.select_related("proposal__contract_version").filter(pk__in=wanted)
    return {wanted[effect.pk]: effect for effect in found}


def _for_agent(
    claimed: Claimed, values: Values, agent: Resolved | None, handed: observations.Handed | None
) -> ForAgent:
    definition = definition_of(claimed.version)
    task = tasks.read_task(
        plan_of(claimed.version),
        definition,
        claimed.payload,
        lambda seq: values[claimed.run, seq],
        handed_queries.sent_back,
    )
    inputs = task.inputs | ({MEMORY: handed.told} if handed is not None else {})
    return ForAgent(definition, task.intent, inputs, task.item, agent=agent, handed=handed)


def _load_values(claims: Sequence[Claimed], memory: Memory) -> Values:
    places = {(claimed.run, seq) for claimed in claims for seq in _named(claimed)}
    values = {place: memory.values[place] for place in places if place in memory.values}
    return values | _read_values(places - values.keys(), memory)


def _named(claimed: Claimed) -> Iterable[int]:
    yield from tasks.events_of(claimed.payload)
    if "answer" in claimed.payload:
        yield claimed.payload["answer"]


def _read_values(places: set[tuple[str, int]], memory: Memory) -> Values:
    values: Values = {}
    if not places:
        return values
    wanted = {"runs": [run for run, _ in places], "seqs": [seq for _, seq in places]}
    for run, seq, kind, payload in sql.execute(_EVENTS, wanted).fetchall():
        data = read(payload)
        event = core_events.from_json(kind, data if isinstance(data, dict) else {})
        values[run, seq] = core_events.value_of(event)
        if len(payload) <= VALUE_LENGTH_MAX:
            memory.values[run, seq] = values[run, seq]
    return values
