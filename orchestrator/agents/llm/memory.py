"""What a conversation keeps between two turns: what was said since the task, and which asks are out.

The prompt and the task are not kept: the next turn is handed them again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter

from orchestrator.core.codec import Json
from orchestrator.core.errors import AgentError

FORMAT = "conversation-1"


@dataclass(frozen=True, slots=True)
class Out:
    """An ask whose answer the model waits for."""

    key: str
    call_id: str
    tool: str


def write(said: Sequence[ModelMessage], out: Sequence[Out]) -> Json:
    messages: Json = ModelMessagesTypeAdapter.dump_python(list(said), mode="json")
    asks: list[Json] = [{"key": one.key, "call_id": one.call_id, "tool": one.tool} for one in out]
    return {"format": FORMAT, "messages": messages, "asks": asks}


def read(memory: Json) -> tuple[list[ModelMessage], list[Out]]:
    if not isinstance(memory, dict) or memory.get("format") != FORMAT:
        raise AgentError(
            "what it kept of its last turn cannot be read; its work has to begin anew."
        )
    asks: Any = memory["asks"]
    try:
        messages = ModelMessagesTypeAdapter.validate_python(memory["messages"])
    except ValidationError as error:
        raise AgentError(
            f"what it kept of its last turn cannot be read ({error.error_count()} problems); "
            "its work has to begin anew."
        ) from error
    return messages, [Out(**one) for one in asks]
