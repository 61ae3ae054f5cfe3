"""Another agent as a tool. How one is asked comes from above, with the use; here is only how far that may go.

An agent that is asked by itself, over however many others, would never end, and so would a chain
that always finds another one.
"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from orchestrator.core.errors import AgentError, ToolError, ToolRefused
from orchestrator.tools.base import ALONE, Question, ToolResult, ToolSpec, Use


class Agent:
    def call(
        self, spec: ToolSpec, args: Mapping[str, Any], *, timeout_s: float, use: Use = ALONE
    ) -> ToolResult:
        name = str(spec.backend.get("agent"))
        if use.ask is None:
            raise ToolRefused(spec.name, "an agent is behind it, and nobody here can ask one.")
        _check_chain(spec, name, use.agents)
        try:
            return ToolResult(use.ask(Question(name, dict(args), use.agents, timeout_s)))
        except AgentError as error:
            raise ToolError(spec.name, str(error), retryable=error.retryable) from error


TOOL = Agent()


def _check_chain(spec: ToolSpec, name: str, agents: tuple[str, ...]) -> None:
    chain = " → ".join((*agents, name))
    if name in agents:
        raise ToolRefused(spec.name, f"the agents would ask each other in a circle: {chain}.")
    most = settings.TOOL_DEPTH_MAX
    # The first one is asked by a run and not by another agent.
    if len(agents) > most:
        raise ToolRefused(
            spec.name,
            f"at most {most} agents may be asked by one another (TOOL_DEPTH_MAX): {chain}.",
        )
