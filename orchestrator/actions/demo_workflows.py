"""The demo's workflows. Their agents are scripts: they cost nothing and need no network."""

from typing import Any


def script(name: str, says: Any, takes_ms: int, tokens: int) -> dict[str, Any]:
    usage = {"tokens_in": tokens, "tokens_out": tokens // 8, "money_micros": tokens * 3}
    return {
        "kind": "scripted",
        "name": name,
        "says": says,
        "takes_ms": takes_ms,
        "usage": usage,
    }


_REFUND: dict[str, Any] = {
    "pattern": "pipeline",
    "title": "A refund: read the case, ask a person, pay",
    "intent": {
        "type": "object",
        "required": ["order", "complaint"],
        "properties": {
            "order": {"type": "string", "minLength": 1},
            "complaint": {"type": "string", "minLength": 1},
        },
    },
    "stages": [
        {
            "name": "read",
            "agent": script(
                "case-reader",
                {"reason": "damaged_item", "amount_minor": 18_400, "photos": ["front", "hinge"]},
                400,
                1_800,
            ),
            "output": {
                "type": "object",
                "required": ["reason", "amount_minor", "photos"],
                "properties": {
                    "reason": {"enum": ["damaged_item", "late_delivery", "wrong_item"]},
                    "amount_minor": {"type": "integer", "minimum": 1},
                    "photos": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
        {
            "name": "look",
            "agent": script("photo-viewer", {"shows_damage": True}, 700, 900),
            "for_each": "/photos",
            "at_most": 5,
            "optional": True,
        },
        {
            "name": "agree",
            "approval": {"question": "Shall this customer have the money back?"},
            "needs": ["read", "look"],
        },
        {
            "name": "refund",
            "agent": script(
                "refund-agent",
                {
                    "action": "refund.create",
                    "target": "order/A-20952",
                    "args": {"amount_minor": 18_400, "currency": "EUR", "reason": "damaged_item"},
                    "confidence": 0.95,
                    "rationale": "A person looked at the case and agreed.",
                },
                300,
                1_200,
            ),
            "needs": ["read", "agree"],
            "proposes": True,
        },
    ],
    "budget": {"agent_calls": 30, "tokens": 100_000, "money_micros": 2_000_000},
}

_CASE: dict[str, Any] = {
    "pattern": "machine",
    "title": "A support case, until the customer is content",
    "initial": "triage",
    "states": {
        "triage": {
            "run": {
                "agent": script("triage-agent", {"urgent": False, "topic": "billing"}, 300, 600)
            },
            "on": {
                "done": [{"if": "event.urgent == true", "to": "person"}, {"to": "answer"}],
                "failed": [{"to": "person"}],
            },
        },
        "answer": {
            "run": {
                "agent": script(
                    "answer-writer",
                    {
                        "action": "email.send",
                        "target": "contact/l.moreau@globex.example",
                        "args": {
                            "to": "l.moreau@globex.example",
                            "subject": "Your invoice of November",
                            "body": "Hello Léa,\n\nthe second line is the seat added on 3 November.",
                        },
                        "confidence": 0.93,
                        "rationale": "The invoice and the change of seats agree.",
                    },
                    600,
                    2_400,
                ),
                "proposes": True,
            },
            "on": {"done": [{"to": "waiting"}], "failed": [{"to": "person"}]},
        },
        "waiting": {
            "on": {
                "customer.replied": [
                    {"if": "has(event.content) && event.content == true", "to": "solved"},
                    {"to": "triage"},
                ]
            },
            "after": {"seconds": 259_200, "to": "solved"},
        },
        "person": {
            "run": {"approval": {"question": "The agents cannot go on. Shall they try again?"}},
            "on": {"done": [{"to": "answer"}], "failed": [{"to": "given_up"}]},
        },
        "solved": {"end": "completed"},
        "given_up": {"end": "failed"},
    },
    "budget": {"agent_calls": 60, "tokens": 300_000, "repeats": 3},
}

_DESK: dict[str, Any] = {
    "pattern": "router",
    "title": "The front desk: who takes a request",
    "intent": {
        "type": "object",
        "required": ["text"],
        "properties": {
            "text": {"type": "string", "minLength": 1},
            "order": {"type": "string"},
            "channel": {"enum": ["mail", "chat", "phone"]},
        },
    },
    "rules": [
        {
            "name": "about-an-order",
            "if": "has(intent.order) && intent.text.contains('delivery')",
            "to": ["look_up", "answer"],
        },
        {
            "name": "by-phone",
            "if": "has(intent.channel) && intent.channel == 'phone'",
            "to": "person",
        },
    ],
    "model": {
        "agent": script(
            "desk-chooser",
            {
                "worker": "answer",
                "confidence": 0.86,
                "features": {"asks_for": "opening hours", "tone": "friendly"},
                "why": "It is a question that the help pages answer.",
            },
            300,
            500,
        ),
        "confidence_at_least": 0.7,
    },
    "workers": {
        "look_up": {
            "description": "Finds an order and where its parcel is.",
            "agent": script("order-finder", {"order": "A-20931", "parcel": "in Lyon"}, 300, 700),
        },
        "answer": {
            "description": "Answers what the help pages or an order know.",
            "agent": script("desk-writer", {"text": "Your parcel is in Lyon."}, 400, 900),
        },
        "person": {
            "description": "Takes whatever nobody else can.",
            "approval": {"question": "This request is for you. Is it done?"},
        },
    },
    "fallback": "person",
    "budget": {"agent_calls": 10, "tokens": 50_000},
}

ONE_BY_ONE: dict[str, dict[str, Any]] = {
    "refund": _REFUND,
    "support-case": _CASE,
    "front-desk": _DESK,
}

# What was asked for before you came: one waits for a person, one for a customer, two were routed.
STARTED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("refund", {"order": "A-20952", "complaint": "The hinge was broken when it came."}),
    ("support-case", {"customer": "Globex", "question": "What is the second line of my invoice?"}),
    ("front-desk", {"text": "Where is my delivery?", "order": "A-20931", "channel": "mail"}),
    ("front-desk", {"text": "When are you open on Sundays?", "channel": "chat"}),
)
