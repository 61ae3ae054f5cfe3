"""What a config says of the model and of where it is asked, read once and checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings

from orchestrator.agents.keys import key_of
from orchestrator.core.errors import AgentError
from orchestrator.outside import Place, Refused, place_of

MICROS = 1_000_000
# Written down so that no variable of the environment can send anything elsewhere.
VENDORS = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "google": "https://generativelanguage.googleapis.com",
    "mistral": "https://api.mistral.ai",
    "groq": "https://api.groq.com/openai/v1",
}
# Speaks the chat-completions protocol at an address of its own.
COMPATIBLE = "openai_compatible"
OUTPUTS = ("tool", "native")


class Price(NamedTuple):
    """Of a million tokens, in millionths."""

    tokens_in: int
    tokens_out: int

    def of(self, tokens_in: int, tokens_out: int) -> int:
        return -(-(tokens_in * self.tokens_in + tokens_out * self.tokens_out) // MICROS)


@dataclass(frozen=True, slots=True)
class Endpoint:
    slug: str
    provider: str
    base_url: str
    api_key: str = field(repr=False)
    price: Price | None
    # How an output is asked for that has a schema: as the arguments of a tool, or natively.
    output: str
    is_streamed: bool

    @property
    def place(self) -> Place:
        try:
            return place_of(self.base_url, settings.ENDPOINT_HOSTS_TRUSTED)
        except Refused as error:
            raise AgentError(f"the address of its endpoint may not be called: {error}") from error

    @property
    def is_vendor(self) -> bool:
        """Whose prices are known: not everything that speaks a vendor's language is the vendor."""
        return _is_vendor(self.provider, self.base_url)


def read(config: Mapping[str, Any]) -> Endpoint:
    told = config.get("endpoint")
    if not isinstance(told, Mapping):
        raise AgentError(
            "it has no endpoint. A language model is asked through a version of an agent, which names one."
        )
    wishes = config.get("settings") or {}
    provider = str(told.get("provider", ""))
    if provider not in {*VENDORS, COMPATIBLE}:
        known = ", ".join((*VENDORS, COMPATIBLE))
        raise AgentError(f"its endpoint is of the provider {provider!r}; known are {known}.")
    output = wishes.get("output") or OUTPUTS[0]
    if output not in OUTPUTS:
        raise AgentError(f"its settings ask for outputs by {output!r}; known are tool and native.")
    if told.get("auth") == "hmac":
        raise AgentError("its endpoint signs with its key, which no language model can check.")
    base_url = _base_url(provider, str(told.get("base_url") or ""))
    is_vendor = _is_vendor(provider, base_url)
    return Endpoint(
        slug=str(told.get("slug", "")),
        provider=provider,
        base_url=base_url,
        api_key="" if told.get("auth") == "none" else key_of(told, base_url, is_vendor=is_vendor),
        price=_price(told.get("price")),
        output=output,
        is_streamed=bool(wishes.get("stream", False)),
    )


def _base_url(provider: str, told: str) -> str:
    if not told and provider == COMPATIBLE:
        raise AgentError("its endpoint has no base_url, such as http://localhost:11434/v1.")
    return (told or VENDORS[provider]).rstrip("/")


def _is_vendor(provider: str, base_url: str) -> bool:
    vendor = VENDORS.get(provider)
    return vendor is not None and urlsplit(base_url).hostname == urlsplit(vendor).hostname


def _price(told: Mapping[str, Any] | None) -> Price | None:
    if not told:
        return None
    return Price(int(told["input_micros_per_mtok"]), int(told["output_micros_per_mtok"]))
