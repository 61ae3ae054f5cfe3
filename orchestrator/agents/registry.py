"""Which kinds of agents exist, what their definitions look like, and where their calls run."""

from functools import cache
from importlib import import_module
from typing import Any

from orchestrator.agents import function, http, named_agent, recorded, scripted
from orchestrator.agents.base import Agent
from orchestrator.agents.isolated import ISOLATION
from orchestrator.core.errors import AgentUnknown
from orchestrator.core.plan import queue_of
from orchestrator.plugins import load

AGENTS: dict[str, Agent] = {
    "scripted": scripted.Scripted(),
    "function": function.Function(),
    "http": http.Http(),
    "recorded": recorded.Recorded(),
}
# Imported when a worker is first asked for one: it takes seconds and some hundred megabytes, which
# processes that serve pages never pay.
LATER = {"llm": ("orchestrator.agents.llm.agent", "Llm")}

# Of the "agent" object of a workflow definition, by its "kind". What is asked over the network is in none:
# its endpoint, with the data that it may see, belongs to a version of an agent, which a stage names.
SCHEMAS: dict[str, dict[str, Any]] = {
    "scripted": scripted.SCHEMA,
    "function": function.SCHEMA,
    # Becomes one of the others before the call: see engine/agents.py.
    "agent": named_agent.SCHEMA,
    "recorded": recorded.SCHEMA,
}


def find(config: dict[str, Any]) -> Agent:
    kind = config.get("kind")
    if kind in LATER:
        return _imported(kind)
    if kind not in AGENTS:
        known = ", ".join(sorted({*AGENTS, *LATER}))
        raise AgentUnknown(f"it has agents of the kinds {known}, and none of the kind {kind!r}.")
    return ISOLATION if queue_of(config) == "isolated" else AGENTS[kind]


@cache
def _imported(kind: str) -> Agent:
    module, name = LATER[kind]
    made: Agent = getattr(import_module(module), name)()
    return made


def named() -> list[str]:
    """Agents of your own, by name: what a policy can have judge a proposal."""
    return sorted(load().agents)
