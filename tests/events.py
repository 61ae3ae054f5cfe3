"""Contracts, routes and events that tests of the router use, brought about as the product does."""

import json
from typing import Any

from orchestrator.actions import contracts, events, routing
from orchestrator.actions.actor import Actor
from orchestrator.core.cloud_events import Envelope, read_envelope
from orchestrator.core.codec import Json
from orchestrator.models import Contract, ContractVersion, InboundEvent
from tests import runs

SYSTEM = Actor(None)
DAMAGED = "order.damaged"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["order"],
    "properties": {"order": {"type": "string", "minLength": 1}, "amount": {"type": "integer"}},
}
ROUTES: list[Any] = [
    {"name": "large", "when": "has(data.amount) && data.amount > 100000", "workflow": "support"},
    {"name": "damaged", "when": "event.type == 'order.damaged'", "workflow": "invoices"},
]


def contract(
    name: str = DAMAGED, *, schema: dict[str, Any] | None = None, **changes: Any
) -> ContractVersion:
    """The contract of this type of event, or its next version."""
    wording = {"timeout_s": 3_600, "schema": SCHEMA if schema is None else schema} | changes
    return contracts.save(SYSTEM, kind=Contract.Kind.EVENT, name=name, **wording)


def routes(table: list[Any] | None = None) -> None:
    for workflow in ("support", "invoices"):
        runs.save(workflow)
    routing.save(SYSTEM, ROUTES if table is None else table)


def message(**changes: Any) -> dict[str, Any]:
    """What somebody outside sends."""
    found: dict[str, Any] = {
        "specversion": "1.0",
        "id": "1",
        "source": "/shops/lisbon",
        "type": DAMAGED,
        "data": {"order": "A-20931"},
    }
    return found | changes


def envelope(**changes: Any) -> Envelope:
    return read_envelope(message(**changes))


def receive(actor: Actor = SYSTEM, **changes: Any) -> InboundEvent:
    return events.receive(actor, envelope(**changes)).event


def said(event: InboundEvent) -> Json:
    found: Json = json.loads(event.envelope)
    return found
