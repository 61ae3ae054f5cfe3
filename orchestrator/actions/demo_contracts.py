"""The demo's contracts: what its agents may propose, what may arrive from outside, what an agent says."""

from typing import Any

_AMOUNT: dict[str, Any] = {
    "type": "integer",
    "minimum": 1,
    "maximum": 100_000_000,
    "description": "in the smallest unit of the currency",
    "examples": [18_400],
}


def _object(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    """Closed, so that a later version may add a field without breaking what was promised."""
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }


def _text(about: str, *, most: int = 200, **more: Any) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": most, "description": about, **more}


_REASON = {
    "enum": ["damaged_item", "late_delivery", "not_received", "wrong_item", "changed_mind"],
    "description": "why the customer gets money back",
}

_MONEY = {"/amount_minor": {"as": "money", "currency": "/currency"}}

DEMO_CONTRACTS: tuple[dict[str, Any], ...] = (
    {
        "kind": "action",
        "name": "refund.create",
        "description": "Gives a customer money back for an order.",
        "owner": "payments",
        "tier": "normal",
        "timeout_s": 60,
        "note": "As the payment service takes it.",
        "schema": _object(
            ("amount_minor", "currency"),
            amount_minor=_AMOUNT,
            currency={"enum": ["EUR"], "description": "ISO 4217"},
            reason=_REASON,
        ),
    },
    {
        "kind": "action",
        "name": "refund.create",
        "description": "Gives a customer money back for an order.",
        "owner": "payments",
        "tier": "high",
        "timeout_s": 60,
        "masked": ["/card_number"],
        "note": "The shop sells in Britain and the United States now, and refunds to another card.",
        "review": {"heading": "Refund {amount_minor} for {target}", "shows": _MONEY},
        "schema": _object(
            ("amount_minor", "currency"),
            amount_minor=_AMOUNT,
            currency={"enum": ["EUR", "GBP", "USD"], "description": "ISO 4217"},
            reason=_REASON,
            card_number=_text(
                "where the money goes, when not to the card of the order",
                most=19,
                pattern="^[0-9]{12,19}$",
            ),
        ),
    },
    {
        "kind": "action",
        "name": "invoice.pay",
        "description": "Pays an invoice of a supplier.",
        "owner": "finance",
        "tier": "high",
        "timeout_s": 90,
        "review": {"heading": "Pay {amount_minor} to {payee} for {target}", "shows": _MONEY},
        "schema": _object(
            ("amount_minor", "currency", "payee"),
            amount_minor=_AMOUNT,
            currency={"enum": ["EUR", "GBP", "USD"], "description": "ISO 4217"},
            payee=_text("the name on the invoice", examples=["Norsk Vind AS"]),
        ),
    },
    {
        "kind": "action",
        "name": "voucher.send",
        "description": "Sends a customer a voucher for the trouble.",
        "owner": "support",
        "tier": "normal",
        "timeout_s": 60,
        "review": {"heading": "Send {amount_minor} as a voucher for {order}", "shows": _MONEY},
        "schema": _object(
            ("order", "amount_minor", "currency"),
            order=_text("whose order it is about", most=100, examples=["order/A-20967"]),
            amount_minor=_AMOUNT,
            currency={"enum": ["EUR", "GBP", "USD"], "description": "ISO 4217"},
        ),
    },
    {
        "kind": "action",
        "name": "access.grant",
        "description": "Gives a person a role in a system, for some days.",
        "owner": "security",
        "tier": "high",
        "timeout_s": 60,
        "review": {"heading": "Give {target} the role {role} in {system}"},
        "schema": _object(
            ("system", "role"),
            system=_text("as the directory names it", most=100, examples=["warehouse-wiki"]),
            role=_text("a role of that system", most=100, examples=["reader"]),
            days={"type": "integer", "minimum": 1, "maximum": 365, "description": "for how long"},
        ),
    },
    {
        "kind": "action",
        "name": "email.send",
        "description": "Sends one message to one person.",
        "owner": "sales",
        "tier": "normal",
        "timeout_s": 30,
        "review": {
            "heading": "Send “{subject}” to {to}",
            "shows": {"/body": {"as": "email", "to": "/to", "subject": "/subject"}},
        },
        "schema": _object(
            ("to", "subject", "body"),
            to={
                "type": "string",
                "format": "email",
                "maxLength": 254,
                "description": "one address",
            },
            subject=_text("one line", most=300),
            body=_text("plain text", most=20_000),
        ),
    },
    {
        "kind": "action",
        "name": "subscription.cancel",
        "description": "Ends a customer's subscription.",
        "owner": "support",
        "tier": "normal",
        "timeout_s": 60,
        "review": {"heading": "Cancel the subscription of {target}"},
        "schema": _object(
            ("effective",),
            effective={
                "enum": ["now", "end_of_period"],
                "description": "when the customer loses access",
            },
            refund_unused={"type": "boolean", "description": "pay the rest of the period back"},
        ),
    },
    {
        "kind": "action",
        "name": "code.patch",
        "description": "Changes files of a repository on a branch of its own.",
        "owner": "platform",
        "tier": "normal",
        "timeout_s": 120,
        "review": {
            "heading": "Patch {target}: {summary}",
            "shows": {"/patch": {"as": "diff"}},
        },
        "schema": _object(
            ("branch", "summary", "patch"),
            branch=_text("a new branch", most=100, examples=["fix/rounding"]),
            summary=_text("one line, as the commit will say it"),
            patch=_text("a unified diff", most=100_000),
        ),
    },
    {
        "kind": "action",
        "name": "database.run",
        "description": "Runs one statement on a database.",
        "owner": "platform",
        "tier": "high",
        "timeout_s": 60,
        # What ran here nobody can take back, and nobody should write a statement in a hurry.
        "review": {
            "heading": "Run a statement on {target}: {purpose}",
            "shows": {"/statement": {"as": "sql"}},
            "verbs": ["approve", "respond", "reject"],
            "undo_s": 60,
        },
        "schema": _object(
            ("statement", "purpose"),
            statement=_text("in the SQL of that database", most=20_000),
            purpose=_text("one line"),
            rows_expected={
                "type": "integer",
                "minimum": 0,
                "description": "how many rows it should touch",
            },
        ),
    },
    {
        "kind": "event",
        "name": "order.damaged",
        "description": "A customer says that an order came damaged.",
        "owner": "shop",
        "tier": "normal",
        "timeout_s": 259_200,
        "error_budget_bp": 100,
        "schema": _object(
            ("order", "complaint"),
            order=_text("the number of the order", most=40, examples=["A-20952"]),
            complaint=_text("the customer's words", most=5_000),
            amount_minor=_AMOUNT,
            photos={
                "type": "array",
                "maxItems": 20,
                "items": {"type": "string", "format": "uri"},
                "description": "what the customer sent along",
            },
        ),
    },
    {
        "kind": "event",
        "name": "invoice.received",
        "description": "An invoice arrived, or a customer asks about one.",
        "owner": "finance",
        "tier": "normal",
        "timeout_s": 604_800,
        "error_budget_bp": 50,
        "schema": _object(
            ("customer", "question"),
            customer=_text("whom it is about", examples=["Globex"]),
            question=_text("what is to be found out", most=5_000),
            invoice=_text("the number of the invoice", most=60),
            amount_minor=_AMOUNT,
        ),
    },
    {
        "kind": "output",
        "name": "case-reader",
        "description": "What the reader of refund cases found out.",
        "owner": "support",
        "tier": "low",
        "timeout_s": 60,
        "schema": _object(
            ("reason", "amount_minor", "photos"),
            reason={"enum": ["damaged_item", "late_delivery", "wrong_item"]},
            amount_minor=_AMOUNT,
            photos={"type": "array", "items": {"type": "string"}},
        ),
    },
)
