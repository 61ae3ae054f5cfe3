"""The version of an agent, as its config has it: prompt, model, limits and wishes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from django.conf import settings
from pydantic_ai.settings import ModelSettings

from orchestrator.agents.base import describe
from orchestrator.agents.llm import endpoint as endpoints
from orchestrator.agents.llm.endpoint import Endpoint
from orchestrator.core.codec import digest
from orchestrator.core.errors import AgentError

# What a version may wish of its model. Deadlines, headers and retries are not among it.
WISHES = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "stop_sequences",
        "parallel_tool_calls",
        "thinking",
    }
)
OF_ENDPOINT = frozenset({"output", "stream"})


class Limits(NamedTuple):
    """Of one call: what a request may hand over and bring back, and how many there may be."""

    tokens_in: int
    tokens_out: int
    requests: int
    # Zero is without end.
    money_micros: int


@dataclass(frozen=True, slots=True)
class Version:
    model: str
    prompt: str
    endpoint: Endpoint
    limits: Limits
    wishes: ModelSettings
    # Who answered, as events say it.
    told: Mapping[str, str]


def read(config: Mapping[str, Any]) -> Version:
    endpoint = endpoints.read(config)
    model, prompt = str(config.get("model") or ""), str(config.get("prompt") or "")
    if not model:
        raise AgentError("its version names no model.")
    limits = _limits(config.get("limits") or {})
    told = describe(dict(config)) | {
        "model": model,
        "prompt_hash": digest(prompt),
        "provider": endpoint.provider,
        "endpoint": endpoint.slug,
    }
    if "version" in config:
        told["version"] = str(config["version"])
    return Version(model, prompt, endpoint, limits, _wishes(config, limits), told)


def _limits(told: Mapping[str, Any]) -> Limits:
    """As the version says, and never more than this instance allows."""
    return Limits(
        tokens_in=_at_most(told.get("tokens_in"), settings.MODEL_TOKENS_IN_MAX),
        tokens_out=_at_most(told.get("tokens_out"), settings.MODEL_TOKENS_OUT_MAX),
        requests=_at_most(told.get("requests"), settings.MODEL_REQUESTS_MAX),
        money_micros=told.get("money_micros") or 0,
    )


def _at_most(told: int | None, most: int) -> int:
    return min(told, most) if told else most


def _wishes(config: Mapping[str, Any], limits: Limits) -> ModelSettings:
    told = {**(config.get("settings") or {})}
    if unknown := sorted(told.keys() - WISHES - OF_ENDPOINT):
        raise AgentError(
            f"its settings name {', '.join(unknown)}; known are {', '.join(sorted(WISHES | OF_ENDPOINT))}."
        )
    wishes = {name: value for name, value in told.items() if name in WISHES}
    return cast(ModelSettings, {**wishes, "max_tokens": limits.tokens_out})
