"""Models by the name of their provider, made once and kept: their clients hold the open connections."""

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple

from openai import AsyncOpenAI
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles import merge_profile
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers import Provider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider
from pydantic_ai.settings import ModelSettings

from orchestrator.agents.llm.endpoint import Endpoint
from orchestrator.agents.llm.transport import client_for
from orchestrator.core.errors import AgentError

KEPT_MAX = 256
# An empty key would make the client look for one in the environment.
NO_KEY = "none"


class Vendor(NamedTuple):
    """Speaks a language of its own, through an extra of pydantic-ai that has to be installed."""

    extra: str
    model: str
    provider: str


VENDORS = {
    "anthropic": Vendor("anthropic", "AnthropicModel", "AnthropicProvider"),
    "google": Vendor("google", "GoogleModel", "GoogleProvider"),
    "mistral": Vendor("mistral", "MistralModel", "MistralProvider"),
}
# Some clients would try again by themselves, past our deadlines.
ONCE = ModelSettings(max_retries=0)


@lru_cache(maxsize=KEPT_MAX)
def model_of(endpoint: Endpoint, name: str) -> Model[Any]:
    """Threads may make it twice; the one that is kept is the one that is used from then on."""
    vendor = VENDORS.get(endpoint.provider)
    return _chat_model(endpoint, name) if vendor is None else _vendor_model(endpoint, name, vendor)


def _chat_model(endpoint: Endpoint, name: str) -> Model[Any]:
    client = AsyncOpenAI(
        base_url=endpoint.base_url,
        api_key=endpoint.api_key or NO_KEY,
        organization="",
        project="",
        max_retries=0,
        http_client=client_for(endpoint.place),
    )
    provider: Provider[AsyncOpenAI]
    if endpoint.is_vendor and endpoint.provider == "openai":
        provider = OpenAIProvider(openai_client=client)
    else:
        # A vendor's list of prices goes by the vendor's name.
        called = endpoint.provider if endpoint.is_vendor else endpoint.slug or endpoint.provider
        provider = OpenAICompatibleProvider(called, openai_client=client)
    # A stream that ends without saying why was cut.
    strict = OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)
    return OpenAIChatModel(
        name, provider=provider, profile=merge_profile(provider.model_profile(name), strict)
    )


def _vendor_model(endpoint: Endpoint, name: str, vendor: Vendor) -> Model[Any]:
    if not endpoint.api_key:
        raise AgentError(
            f"its endpoint {endpoint.slug} has no key, and {endpoint.provider} needs one."
        )
    provider = _load("providers", vendor, vendor.provider)(
        api_key=endpoint.api_key,
        base_url=endpoint.base_url,
        http_client=client_for(endpoint.place),
    )
    made: Model[Any] = _load("models", vendor, vendor.model)(name, provider=provider, settings=ONCE)
    return made


def _load(package: str, vendor: Vendor, name: str) -> Callable[..., Any]:
    try:
        module = import_module(f"pydantic_ai.{package}.{vendor.extra}")
    except ImportError as error:
        raise AgentError(
            f"models of {vendor.extra} need their vendor's client, which is not installed here: "
            "pip install -r requirements-vendors.txt."
        ) from error
    found: Callable[..., Any] = getattr(module, name)
    return found
