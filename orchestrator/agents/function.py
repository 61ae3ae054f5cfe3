"""Agents that are Python functions of your own, found by name in the modules of AGENT_MODULES.

`"isolated": true`, the default, runs them in a process that can be killed (see `isolated.py`);
this module runs them where it is called.
"""

from dataclasses import replace
from typing import Any

from orchestrator.agents.base import AgentAnswer, AgentCall, accountable, describe
from orchestrator.agents.envelope import read_answer, write_answer
from orchestrator.core.errors import AgentUnknown
from orchestrator.plugins import load

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["kind", "name"],
    "additionalProperties": False,
    "properties": {
        "kind": {"const": "function"},
        "name": {"type": "string", "minLength": 1, "maxLength": 100},
        "isolated": {"type": "boolean"},
        # Handed to the function as it stands, in call.config["options"].
        "options": {"type": "object"},
    },
}


class Function:
    """In the worker's own process: quick, and trusted to end, to stay alive and to keep its memory."""

    def call(self, call: AgentCall) -> AgentAnswer:
        with accountable(call.config):
            # Through the same gate as an isolated answer, so that both take the same values.
            return read_answer(write_answer(ask(call)))


def ask(call: AgentCall) -> AgentAnswer:
    with accountable(call.config):
        name = call.config["name"]
        function = load().agents.get(name)
        if function is None:
            raise AgentUnknown(
                f"{name!r} is in the AGENTS of none of its AGENT_MODULES. Add the module to "
                "AGENT_MODULES and start the worker again."
            )
        said = function(call)
        answer = said if isinstance(said, AgentAnswer) else AgentAnswer(said)
        known = describe(call.config) | {"module": function.__module__}
        return replace(answer, agent=known | answer.agent)
