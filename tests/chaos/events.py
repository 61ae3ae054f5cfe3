"""Events as somebody outside sends them: what can be routed, and what can only become a dead letter."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

PATH = "/api/v1/events"
TYPE = "order.damaged"
SOURCE = "/shops/lisbon"
# What becomes of each kind: the reason why it is a dead letter, or none.
FATES: dict[str, str] = {
    "event": "",
    "event-parts": "",
    "event-invalid": "invalid",
    "event-unknown": "unknown_type",
    "event-late": "late",
    "event-unwanted": "no_route",
}
CONTRACT: dict[str, Any] = {
    "kind": "event",
    "name": TYPE,
    "timeout_s": 3600,
    "schema": {
        "type": "object",
        "required": ["reference", "amount_minor"],
        "properties": {
            "reference": {"type": "string"},
            "amount_minor": {"type": "integer", "minimum": 0},
            "items": {"type": "array", "items": {"type": "string"}},
        },
    },
}
UNWANTED = 777_777_777
ROUTES: list[Any] = [
    {"name": "in-parts", "when": "has(data.items)", "workflow": "fan-out"},
    {"name": "refund", "when": f"data.amount_minor < {UNWANTED}", "workflow": "refund"},
]
# How often an event is sent; its sender cannot know what arrived.
DELIVERIES = (1, 2, 2, 3)


def envelope(kind: str, reference: str, amount: int) -> dict[str, Any]:
    late = timedelta(days=1) if kind == "event-late" else timedelta()
    return {
        "specversion": "1.0",
        "id": reference,
        "source": SOURCE,
        "type": "order.unheard-of" if kind == "event-unknown" else TYPE,
        "time": (datetime.now(UTC) - late).isoformat(),
        "data": _data(kind, reference, amount),
    }


def draw_deliveries(drawer: random.Random) -> int:
    return drawer.choice(DELIVERIES)


def _data(kind: str, reference: str, amount: int) -> dict[str, Any]:
    data: dict[str, Any] = {"reference": reference, "amount_minor": amount}
    if kind == "event-parts":
        data["items"] = [f"{reference}/{index}" for index in range(5)]
    if kind == "event-invalid":
        data["amount_minor"] = "much"
    if kind == "event-unwanted":
        data["amount_minor"] = UNWANTED
    return data
