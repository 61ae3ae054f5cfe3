"""Which fields a suggested rule may ask about, and what of a proposal it sees."""

from typing import Any

import pytest

from orchestrator.core.policy.askable import askable, copies_in, values_of

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["amount", "customer", "due-date"],
    "properties": {
        "amount": {"type": "integer"},
        "rate": {"type": ["integer", "number"]},
        "country": {"enum": ["NL", "US"]},
        "express": {"type": "boolean"},
        "maybe": {"type": ["integer", "null"]},
        "either": {"type": ["integer", "string"]},
        "anything": {},
        "tags": {"type": "array", "items": {"type": "string"}},
        "due-date": {"type": "string"},
        "card": {"type": "string"},
        "customer": {
            "type": "object",
            "required": ["age"],
            "properties": {"age": {"type": "number"}, "city": {"type": "string"}},
        },
        "shop": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
ASKED = {
    "proposal.args.amount": ("amount",),
    "proposal.args.rate": ("rate",),
    "proposal.args.country": ("country",),
    "proposal.args.express": ("express",),
    'proposal.args["due-date"]': ("due-date",),
    "proposal.args.card": ("card",),
    "proposal.args.customer.age": ("customer", "age"),
    "proposal.args.customer.city": ("customer", "city"),
}


def test_only_plain_fields_that_can_always_be_reached_are_asked() -> None:
    found = askable(SCHEMA, [])
    assert found.names == ASKED
    assert found.may_lack == {
        "proposal.args.rate",
        "proposal.args.country",
        "proposal.args.express",
        "proposal.args.card",
        "proposal.args.customer.city",
    }


@pytest.mark.parametrize(
    ("pointer", "hidden"),
    [
        ("/card", {"proposal.args.card"}),
        ("/customer", {"proposal.args.customer.age", "proposal.args.customer.city"}),
        ("/customer/*", {"proposal.args.customer.age", "proposal.args.customer.city"}),
        ("/*/city", {"proposal.args.customer.city"}),
        ("/due-date", {'proposal.args["due-date"]'}),
        ("", set(ASKED)),
        ("/*", set(ASKED)),
        ("/nothing", set()),
        ("/amount/deeper", set()),
    ],
)
def test_what_is_masked_is_never_asked(pointer: str, hidden: set[str]) -> None:
    assert set(ASKED) - set(askable(SCHEMA, [pointer]).names) == hidden


def test_values_are_those_of_the_fields() -> None:
    args = {"amount": 3, "customer": {"age": 2.5}, "maybe": None, "country": {"odd": 1}, "x": 1}
    assert values_of(args, askable(SCHEMA, [])) == {
        "proposal.args.amount": 3,
        "proposal.args.customer.age": 2.5,
        # Of no type that is asked about.
        "proposal.args.country": None,
    }
    assert values_of({}, askable(SCHEMA, [])) == {}
    assert values_of([], askable(SCHEMA, [])) == {}


def test_copies_of_what_is_masked_are_found() -> None:
    fields = askable(SCHEMA, ["/card"])
    args: dict[str, Any] = {
        "card": "4111111111111111",
        "amount": 4111111111111111,
        "customer": {"age": 1, "city": "call 4111111111111111 now"},
        "country": "NL",
    }
    assert copies_in(args, fields) == {"proposal.args.amount", "proposal.args.customer.city"}
    assert copies_in(args, askable(SCHEMA, [])) == set()
    assert copies_in({"country": "NL"}, fields) == set()
