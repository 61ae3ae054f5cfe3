"""What a request cost: the endpoint's own price, else the vendor's list, else nobody knows."""

from math import ceil

from pydantic_ai.messages import ModelResponse

from orchestrator.agents.base import Usage
from orchestrator.agents.llm.endpoint import MICROS, Endpoint


def usage_of(response: ModelResponse, endpoint: Endpoint) -> Usage:
    told = response.usage
    is_counted = bool(told.input_tokens or told.output_tokens) and not told.unmeasured_requests
    money = _money(response, endpoint) if is_counted else None
    return Usage(told.input_tokens, told.output_tokens, money)


def _money(response: ModelResponse, endpoint: Endpoint) -> int | None:
    if endpoint.price is not None:
        return endpoint.price.of(response.usage.input_tokens, response.usage.output_tokens)
    if not endpoint.is_vendor:
        # A model of the same name elsewhere has another price, or none.
        return None
    try:
        price = response.cost().total_price
    except (LookupError, ValueError, AssertionError):
        return None
    return ceil(price * MICROS) or None
