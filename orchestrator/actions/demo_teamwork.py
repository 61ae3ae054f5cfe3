"""The demo's agents that work together: one that asks for a tool, and a pool, a panel and a mesh of them."""

from typing import Any

from orchestrator.actions.demo_workflows import script
from orchestrator.core.codec import Json


def _turns(name: str, *turns: dict[str, Any]) -> dict[str, Any]:
    usage = {"tokens_in": 1_400, "tokens_out": 120, "money_micros": 4_100}
    return {"kind": "scripted", "name": name, "turns": list(turns), "usage": usage}


def _found(key: str, value: Json, tag: str, output: str) -> dict[str, Any]:
    return {"output": output, "remember": [{"key": key, "value": value, "tags": [tag]}]}


# It is not sure enough to run by itself, so a person decides, and its next turn hears what became of it.
_GOODWILL: dict[str, Any] = {
    "pattern": "pipeline",
    "title": "Goodwill: an agent asks for a tool, and goes on when it knows what became of it",
    "stages": [
        {
            "name": "help",
            "agent": _turns(
                "goodwill-agent",
                {
                    "asks": [
                        {
                            "key": "1.1",
                            "tool": "voucher.send",
                            "args": {
                                "order": "order/A-20967",
                                "amount_minor": 2_500,
                                "currency": "EUR",
                            },
                            "confidence": 0.58,
                            "rationale": "Both hinges broke. How much is usual I do not know.",
                        }
                    ],
                    "memory": {"said": "I have asked for a voucher."},
                },
                {"says": {"echo": "answers"}},
            ),
            "tools": [
                {
                    "name": "voucher.send",
                    "description": "Sends a customer a voucher.",
                    "kind": "write",
                    "target": "/order",
                    "parameters": {
                        "type": "object",
                        "required": ["order", "amount_minor", "currency"],
                        "properties": {
                            "order": {"type": "string"},
                            "amount_minor": {"type": "integer", "minimum": 1},
                            "currency": {"enum": ["EUR"]},
                        },
                    },
                }
            ],
        }
    ],
}

_HISTORY: dict[str, Any] = {
    "pattern": "supervisor",
    "title": "What became of an order: a supervisor and three workers, one of whom is away",
    "supervisor": {
        "agent": script(
            "order-lead",
            {
                "tasks": [
                    {"worker": "payments", "task": "Was A-20931 paid, and how often?"},
                    {"worker": "parcels", "task": "Where is the parcel of A-20931?"},
                    {"worker": "archive", "task": "Has this customer complained before?"},
                ],
                "result": "A-20931 was paid twice; its parcel is in Lyon. The archive did not answer.",
            },
            500,
            1_600,
        )
    },
    "workers": {
        "payments": {
            "description": "Knows payments.",
            "agent": script("payment-finder", {"payments": 2, "of_minor": 18_400}, 900, 700),
        },
        "parcels": {
            "description": "Knows where parcels are.",
            "agent": script("parcel-finder", {"parcel": "in Lyon", "since": "Tuesday"}, 600, 500),
        },
        "archive": {
            "description": "Knows what was said before.",
            "agent": script("archive-reader", None, 200, 300)
            | {
                "fails": [
                    {"attempt": 1, "code": "agent-refused", "reason": "the archive is being moved"}
                ]
            },
        },
    },
    "rounds": 1,
    "at_once": 2,
}

_CLOSING: dict[str, Any] = {
    "pattern": "consensus",
    "title": "Is this account to be closed? Three who do not see each other, and a judge",
    "high_stakes": True,
    "reason": "An account that is closed is never opened again.",
    "members": {
        "device": {"agent": script("fraud-by-device", {"close": True}, 700, 900)},
        "history": {"agent": script("fraud-by-history", {"close": False}, 500, 1_300)},
        "terms": {"agent": script("fraud-by-terms", {"close": True}, 400, 800)},
    },
    "judge": {
        "agent": script(
            "fraud-judge",
            {
                "verdict": {"close": True},
                "rests_on": [],
                "confidence": 0.82,
                "reasons": {
                    "facts": "A device was named that two other closed accounts used.",
                    "terms": "The paragraph on shared devices was quoted.",
                },
            },
            600,
            1_500,
        )
    },
    "rubric": {
        "facts": "Which answer rests on facts of this case?",
        "terms": "Which answer keeps to the terms of the account?",
    },
    "output": {
        "type": "object",
        "required": ["close"],
        "properties": {"close": {"type": "boolean"}},
    },
}

# One after the other by their names, so that the last one reads what the others wrote.
_PAYMENT: dict[str, Any] = {
    "pattern": "mesh",
    "title": "Why did the payment fail? Peers that share a memory",
    "space": "payments",
    "peers": {
        "gateway": {
            "agent": script(
                "gateway-reader",
                _found("gateway/A-20931", {"answer": "card declined"}, "facts", "looked"),
                400,
                600,
            ),
            "reads": ["facts"],
            "writes": ["facts"],
        },
        "ledger": {
            "agent": script(
                "ledger-reader",
                _found("ledger/A-20931", {"tried": 2, "booked": 0}, "facts", "looked"),
                500,
                700,
            ),
            "reads": ["facts"],
            "writes": ["facts"],
        },
        "summary": {
            "agent": script(
                "payment-summary",
                _found(
                    "why/A-20931",
                    "The card was declined twice; nothing was booked.",
                    "result",
                    "done",
                ),
                300,
                900,
            ),
            "reads": ["facts"],
            "writes": ["result"],
        },
    },
    "result": {"tag": "result"},
    "at_once": 1,
}

TOGETHER: dict[str, dict[str, Any]] = {
    "goodwill": _GOODWILL,
    "order-history": _HISTORY,
    "account-closing": _CLOSING,
    "failed-payment": _PAYMENT,
}

STARTED_TOGETHER: tuple[tuple[str, Json], ...] = (
    ("goodwill", {"order": "A-20967", "complaint": "Both hinges broke within a day."}),
    ("order-history", {"order": "A-20931"}),
    ("account-closing", {"account": "globex-eu"}),
    ("failed-payment", {"order": "A-20931"}),
)
