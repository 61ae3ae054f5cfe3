"""What a vendor charges by its list, where no price was given and the vendor itself was asked."""

import httpx2
import pytest

from orchestrator.agents.base import Usage
from orchestrator.agents.llm import endpoint, transport
from orchestrator.agents.llm.agent import Llm
from tests.agents.conftest import make_call
from tests.agents.model_fixtures import nothing_is_left, stay_here  # noqa: F401  (fixtures)
from tests.agents.test_vendors import CHAT

MODELS = {"openai": "gpt-4o", "groq": "llama-3.3-70b-versatile"}


def asked_at(url: str, vendor: str, monkeypatch: pytest.MonkeyPatch) -> Usage:
    """A vendor that answers in this process, as nothing may leave it."""

    async def says(self: transport.OneHost, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json=CHAT | {"model": MODELS[vendor]}, request=request)

    monkeypatch.setattr(transport.OneHost, "handle_async_request", says)
    config = {
        "kind": "llm",
        "name": "clerk",
        "version": 1,
        "model": MODELS[vendor],
        "endpoint": {"slug": "v", "provider": vendor, "base_url": url, "api_key": "k"},
    }
    return Llm().call(make_call(config)).usage


@pytest.mark.parametrize("vendor", MODELS)
def test_a_vendor_at_its_own_address_has_its_list_price(
    vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 100 tokens in and 10 out: some hundredths of a cent, whatever today's list says."""
    usage = asked_at(endpoint.VENDORS[vendor], vendor, monkeypatch)
    assert (usage.tokens_in, usage.tokens_out) == (100, 10)
    assert usage.money_micros is not None
    assert 10 <= usage.money_micros <= 2_000


@pytest.mark.parametrize("vendor", MODELS)
def test_elsewhere_the_same_name_has_no_price(vendor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = asked_at("https://models.example/v1", vendor, monkeypatch)
    assert (usage.tokens_in, usage.money_micros) == (100, None)
