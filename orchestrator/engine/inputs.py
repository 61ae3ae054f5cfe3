"""What claimed commands need to be run, read set-wise, so that whoever runs them needs no database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator import revision_queries
from orchestrator.core import definitions
from orchestrator.core import events as core_events
from orchestrator.core.codec import Json, read
from orchestrator.core.handing import fill_in, find, places
from orchestrator.core.patterns.router import ROUTE
from orchestrator.engine import agents, observations, sql, turns
from orchestrator.engine.agent_configs import Resolved
from orchestrator.engine.claim import Claimed
from orchestrator.engine.memory import VALUE_LENGTH_MAX, Memory
from orchestrator.engine.plans import definition_of, plan_of
from orchestrator.engine.turns import NO_TURN, TurnBefore
from orchestrator.models import Effect, Proposal

_EVENTS = """
    SELECT e.run_id, e.seq, e.kind, e.payload
      FROM unnest(%(runs)s::text[], %(seqs)s::integer[]) AS t(run, seq)
      JOIN orchestrator_event e ON e.run_id = t.run AND e.seq = t.seq
"""
INTENT = 1
SENT_BACK = "sent_back"
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
    intent, definition = values[claimed.run, INTENT], definition_of(claimed.version)

    def filled(form: Json) -> Json:
        return fill_in(form, lambda seq: values[claimed.run, seq], definition)

    inputs = {
        name: _sent_back(form) if name == SENT_BACK else filled(form)
        for name, form in claimed.payload.get("inputs", {}).items()
    }
    given = claimed.payload.get("item")
    item = filled(given) if given else _item(claimed, intent, inputs)
    if definition["pattern"] == "router" and claimed.payload["work"] == ROUTE:
        inputs["workers"] = definitions.descriptions(definition)
    if handed is not None:
        inputs[MEMORY] = handed.told
    return ForAgent(definition, intent, inputs, item, agent=agent, handed=handed)


def _item(claimed: Claimed, intent: Json, inputs: dict[str, Json]) -> Json:
    """The element of the list before that this call of a fan-out is about."""
    work = plan_of(claimed.version).works[claimed.payload["work"]]
    if work.for_each is None:
        return None
    came = inputs.get(work.needs[0]) if work.needs else intent
    items = find(came, work.for_each)
    return items[claimed.payload.get("index", 0)] if isinstance(items, list) else None


def _load_values(claims: Sequence[Claimed], memory: Memory) -> Values:
    places = {(claimed.run, seq) for claimed in claims for seq in _named(claimed)}
    values = {place: memory.values[place] for place in places if place in memory.values}
    return values | _read_values(places - values.keys(), memory)


def _named(claimed: Claimed) -> Iterable[int]:
    yield INTENT
    yield from places(claimed.payload.get("item"))
    if "answer" in claimed.payload:
        yield claimed.payload["answer"]
    for name, form in claimed.payload.get("inputs", {}).items():
        if name != SENT_BACK:
            yield from places(form)


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


def _sent_back(proposal: str) -> Json:
    """What was proposed, and why it was sent back: by its score, or by a person in words."""
    found = Proposal.objects.get(pk=proposal)
    request = revision_queries.request_of(found)
    handed: dict[str, Json] = {
        "proposal": read(found.payload),
        "reasons": [reason.to_json() for reason in request.reasons],
        "round": request.round,
    }
    return handed | ({"asked": request.asked} if request.asked else {})
