import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

Call = Callable[..., Any]

REFUND: dict[str, Any] = {
    "external_id": "case-881/3",
    "workflow": "support",
    "agent": "refund-agent",
    "agent_version": "14",
    "model": "gpt-4o-2024-11-20",
    "action": "refund.create",
    "target": "order/A-20931",
    "args": {"amount_minor": 184000, "currency": "EUR", "reason": "damaged_item"},
    "confidence": 0.95,
    "rationale": "photo shows damage",
    "context": {"customer": {"age_days": 4}, "confirmed": True},
    "tainted": [],
    "trace": {"tokens_in": 1800, "tokens_out": 90, "cost_usd": 0.004},
}


@pytest.fixture
def call(client: Client, token: Callable[..., str]) -> Call:
    """One request to the API, with a propose token unless told otherwise."""
    own = token("propose")

    def request(
        method: str,
        path: str,
        body: Any = None,
        *,
        bearer: str | None = own,
        raw: bytes | None = None,
        content_type: str = "application/json",
        **headers: str,
    ) -> Any:
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        data = raw if raw is not None else json.dumps(body) if body is not None else b""
        return client.generic(
            method, f"/api/v1{path}", data, content_type=content_type, headers=headers
        )

    return request
