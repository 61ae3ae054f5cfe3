"""Which kinds of agents exist, what their definitions look like, and where their calls run."""

from typing import Any

from orchestrator.agents import function, scripted
from orchestrator.agents.base import Agent
from orchestrator.agents.isolated import ISOLATION
from orchestrator.core.errors import AgentUnknown
from orchestrator.core.plan import queue_of
from orchestrator.plugins import load

AGENTS: dict[str, Agent] = {
    "scripted": scripted.Scripted(),
    "function": function.Function(),
}

# Of the "agent" object of a workflow definition, by its "kind".
SCHEMAS: dict[str, dict[str, Any]] = {
    "scripted": scripted.SCHEMA,
    "function": function.SCHEMA,
}


def find(config: dict[str, Any]) -> Agent:
    kind = config.get("kind")
    if kind not in AGENTS:
        known = ", ".join(sorted(AGENTS))
        raise AgentUnknown(f"it has agents of the kinds {known}, and none of the kind {kind!r}.")
    return ISOLATION if queue_of(config) == "isolated" else AGENTS[kind]


def named() -> list[str]:
    """Agents of your own, by name: what a policy can have judge a proposal."""
    return sorted(load().agents)
