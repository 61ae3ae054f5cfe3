"""An agent for benchmarks: says when it was called."""

import time

from orchestrator.agents.base import AgentCall
from orchestrator.core.codec import Json


def tell_time(call: AgentCall) -> Json:
    return time.time()


AGENTS = {"tell_time": tell_time}
