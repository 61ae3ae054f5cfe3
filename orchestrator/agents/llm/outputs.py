"""An output with a schema: how it is asked for, and how it is read."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.tools import ToolDefinition

from orchestrator.agents.offered import Offered
from orchestrator.core import schemas
from orchestrator.core.codec import Json, JsonLimits, safe_json
from orchestrator.core.errors import BadJson, OutputInvalid

# The tool whose arguments are the output.
FINAL = "final_answer"
WRAPPED = "output"
_DESCRIPTION = "Give your answer. Call this once, when you are done."
_FENCE = "```"


@dataclass(frozen=True, slots=True)
class Expected:
    """What an answer has to look like; without a schema it is plain text."""

    schema: dict[str, Json] | None
    is_native: bool

    def parameters(self, offered: Offered) -> ModelRequestParameters:
        tools = [
            ToolDefinition(
                name=name,
                description=spec.description,
                parameters_json_schema=dict(spec.parameters),
            )
            for name, spec in offered.tools.items()
        ]
        if self.schema is None:
            return ModelRequestParameters(function_tools=tools)
        if self.is_native:
            made = OutputObjectDefinition(name=FINAL, json_schema=self._asked_for())
            return ModelRequestParameters(
                function_tools=tools, output_mode="native", output_object=made
            )
        final = ToolDefinition(
            name=FINAL, description=_DESCRIPTION, parameters_json_schema=self._asked_for()
        )
        return ModelRequestParameters(
            function_tools=tools,
            output_mode="tool",
            output_tools=[final],
            allow_text_output=False,
        )

    def read_text(self, text: str) -> Json:
        if self.schema is None:
            if not text.strip():
                raise OutputInvalid("it said nothing.")
            return text
        return self._check(parse(_unfenced(text)))

    def read_call(self, part: ToolCallPart) -> Json:
        return self._check(arguments_of(part))

    def _asked_for(self) -> dict[str, Any]:
        """Vendors take objects alone, so anything else is put into one. References keep their way."""
        schema: dict[str, Any] = dict(self.schema or {})
        if not self._is_wrapped:
            return schema
        around: dict[str, Any] = {
            name: schema.pop(name) for name in ("$defs", "definitions") if name in schema
        }
        return {
            "type": "object",
            "properties": {WRAPPED: schema},
            "required": [WRAPPED],
            "additionalProperties": False,
            **around,
        }

    @property
    def _is_wrapped(self) -> bool:
        return self.schema is not None and self.schema.get("type") != "object"

    def _check(self, value: Json) -> Json:
        if self._is_wrapped and isinstance(value, dict) and value.keys() == {WRAPPED}:
            value = value[WRAPPED]
        problems = schemas.check(self.schema or {}, value)
        if problems:
            raise OutputInvalid(problems[0].reason, pointer=problems[0].pointer)
        return value


def _unfenced(text: str) -> str:
    """Without the fence of Markdown that many models put around JSON. By hand: what is long must not be slow."""
    within = text.strip()
    if len(within) < 2 * len(_FENCE) or not (within.startswith(_FENCE) and within.endswith(_FENCE)):
        return text
    first, feed, rest = within[len(_FENCE) : -len(_FENCE)].partition("\n")
    return rest if feed and first.strip() in {"", "json"} else text


def arguments_of(part: ToolCallPart) -> Json:
    if isinstance(part.args, str):
        return parse(part.args or "{}")
    found: Json = part.args or {}
    return found


def parse(text: str) -> Json:
    """Through the gate for outside data."""
    limits = JsonLimits(settings.JSON_BYTES_MAX, settings.JSON_DEPTH_MAX, settings.JSON_NODES_MAX)
    try:
        return safe_json(text.encode(errors="replace"), limits)
    except BadJson as error:
        raise OutputInvalid(error.reason) from error
