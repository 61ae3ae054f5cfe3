"""The demo's routes, and a few events: two that start runs, and dead letters of several reasons."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from orchestrator.actions import events, routing
from orchestrator.actions.actor import Actor
from orchestrator.core.cloud_events import read_envelope
from orchestrator.core.codec import Json

ROUTES: list[Json] = [
    {
        "name": "damaged-orders",
        "when": "event.type == 'order.damaged'",
        "workflow": "refund",
    },
    {
        "name": "invoice-questions",
        "when": "event.type == 'invoice.received' && data.invoice.startsWith('2026-')",
        "workflow": "support-case",
    },
]


def load(admin: Actor, sender: Actor) -> None:
    routing.save(admin, ROUTES, note="Refunds for damaged orders, cases for questions.")
    for message in _messages():
        events.receive(sender, read_envelope(message))


def _messages() -> list[Json]:
    """The last four cannot be handed on, each for a reason of its own."""
    return [
        _message(
            "shop-4711",
            "order.damaged",
            {"order": "A-20961", "complaint": "One leg of the table is cracked."},
            subject="order/A-20961",
        ),
        _message(
            "mail-2207",
            "invoice.received",
            {
                "customer": "Globex",
                "question": "Why are there two invoices for November?",
                "invoice": "2026-1202",
            },
            source="/mailboxes/billing",
        ),
        _message("shop-4712", "order.damaged", {"order": "A-20963"}, subject="order/A-20963"),
        _message(
            "shop-4690",
            "order.damaged",
            {"order": "A-20907", "complaint": "The lamp has a dent."},
            days_ago=9,
        ),
        _message(
            "mail-2209",
            "invoice.received",
            {"customer": "Initech", "question": "Where do I find my invoices?"},
            source="/mailboxes/billing",
        ),
        _message("shop-4715", "order.returned", {"order": "A-20899"}, subject="order/A-20899"),
    ]


def _message(
    id_: str,
    type_: str,
    data: dict[str, Json],
    *,
    source: str = "/shops/lisbon",
    days_ago: int = 0,
    **more: Any,
) -> Json:
    when = timezone.now() - timedelta(days=days_ago, minutes=4)
    return {
        "specversion": "1.0",
        "id": id_,
        "source": source,
        "type": type_,
        "time": when.isoformat(timespec="seconds"),
        "data": data,
        **more,
    }
