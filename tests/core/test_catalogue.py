from typing import Any

import pytest

from orchestrator.core.policy import catalogue
from orchestrator.core.policy.catalogue import STANDARD, Field, fields_for, fields_of, fields_of_any

REFUND: dict[str, Any] = {
    "type": "object",
    "required": ["amount_minor", "lines"],
    "additionalProperties": False,
    "properties": {
        "amount_minor": {"type": "integer", "description": "in cents", "examples": [500]},
        "currency": {"enum": ["EUR", "USD"]},
        "due-date": {"type": ["null", "string"], "title": "when it is due"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        "tags": {"type": "array", "items": {"type": "string"}, "default": []},
    },
    "$defs": {
        "line": {
            "type": "object",
            "required": ["qty"],
            "properties": {"qty": {"type": "integer"}, "note": {}},
        }
    },
}


def by_path(found: list[Field]) -> dict[str, Field]:
    return {known.path: known for known in found}


def types(schema: dict[str, Any]) -> dict[str, str]:
    return {known.path.removeprefix("v"): known.type for known in fields_of(schema, "v")}


def test_a_contract_becomes_fields() -> None:
    found = by_path(fields_of(REFUND))
    assert list(found) == [
        "proposal.args",
        "proposal.args.amount_minor",
        "proposal.args.currency",
        'proposal.args["due-date"]',
        "proposal.args.lines",
        "proposal.args.lines[]",
        "proposal.args.lines[].qty",
        "proposal.args.lines[].note",
        "proposal.args.tags",
        "proposal.args.tags[]",
    ]
    amount = found["proposal.args.amount_minor"]
    assert amount == Field(amount.path, "integer", "in cents", 500, required=True)
    currency = found["proposal.args.currency"]
    assert (currency.type, currency.values) == ("string", ("EUR", "USD"))
    assert (currency.description, currency.example) == ('one of "EUR", "USD"', "EUR")
    due = found['proposal.args["due-date"]']
    assert (due.type, due.description, due.required) == ("string or null", "when it is due", False)
    assert due.types == {"string", "null"}
    assert found["proposal.args"].closed
    assert not found["proposal.args.lines[]"].closed
    assert found["proposal.args.lines[].qty"].required
    assert found["proposal.args.lines[].note"].type == "any"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"const": 5}, "integer"),
        ({"enum": ["a", None, 1.5]}, "string or number or null"),
        ({"allOf": [{"type": ["string", "null"]}, {"type": "string"}]}, "string"),
        ({"type": "number", "allOf": [{"type": "integer"}]}, "integer"),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "string or integer"),
        ({"anyOf": [{"type": "string"}, {}]}, "any"),
        ({"oneOf": [{"const": True}, {"type": "null"}]}, "boolean or null"),
        ({"if": {"const": 1}, "then": {"type": "string"}}, "any"),
        ({"type": "money"}, "any"),
        ({"$ref": "#/$defs/nowhere"}, "any"),
        ({"$ref": "https://elsewhere.example/schema"}, "any"),
        (True, "any"),
        (False, "any"),
    ],
)
def test_what_is_not_certain_is_anything(schema: Any, expected: str) -> None:
    assert types({"properties": {"x": schema}})[".x"] == expected


def test_references_go_anywhere_in_the_schema() -> None:
    schema = {
        "properties": {"x": {"$ref": "#/$defs/a~1b/anyOf/1"}},
        "$defs": {"a/b": {"anyOf": [{}, {"type": "string"}]}},
    }
    assert types(schema)[".x"] == "string"


def test_of_alternatives_only_what_all_have_is_certain() -> None:
    sepa = {
        "required": ["kind", "iban"],
        "properties": {"kind": {"const": "sepa"}, "iban": {"type": "string"}},
        "additionalProperties": False,
    }
    card = {
        "required": ["kind"],
        "properties": {"kind": {"const": "card"}, "no": {"type": "string"}},
    }
    found = by_path(fields_of({"type": "object", "oneOf": [sepa, card]}, "pay"))
    assert found["pay.kind"].required
    assert found["pay.kind"].values == ("sepa", "card")
    assert not found["pay.iban"].required
    # A card may have an `iban` of any type: nothing there forbids it. A transfer has no `no`.
    assert found["pay.iban"].type == "any"
    assert found["pay.no"].type == "string"
    assert not found["pay"].closed


@pytest.mark.parametrize(
    ("schema", "closed"),
    [
        ({"additionalProperties": False}, True),
        ({"unevaluatedProperties": False}, True),
        ({"additionalProperties": False, "patternProperties": {"^x-": {}}}, False),
        ({"allOf": [{"additionalProperties": False}, {}]}, True),
        ({"anyOf": [{"additionalProperties": False}, {}]}, False),
        ({}, False),
    ],
)
def test_closed_is_only_what_cannot_have_more(schema: dict[str, Any], closed: bool) -> None:
    assert fields_of(schema)[0].closed is closed


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"additionalProperties": False, "properties": {n: {"$ref": "#"} for n in "abcdefgh"}},
        {"items": {"$ref": "#"}},
        {"allOf": [{"$ref": "#"}] * 50},
        {"additionalProperties": False, "properties": {f"f{n}": {} for n in range(5_000)}},
    ],
)
def test_endless_schemas_end_and_then_nothing_is_closed(schema: dict[str, Any]) -> None:
    found = fields_of(schema)
    assert len(found) <= catalogue.FIELDS_MAX
    assert not any(known.closed for known in found)


def test_odd_names_are_written_as_a_condition_has_to_write_them() -> None:
    names = ["a b", 'quo"te', "back\\slash", "in", "_ok", "line\nbreak", "ключ"]
    assert list(types({"properties": {name: {} for name in names}}))[1:] == [
        '["a b"]',
        '["quo\\"te"]',
        '["back\\\\slash"]',
        '["in"]',
        "._ok",
        '["line\\nbreak"]',
        '["ключ"]',
    ]


def test_a_rule_for_several_actions_may_read_what_any_of_them_has() -> None:
    other = {
        "required": ["amount_minor"],
        "properties": {"amount_minor": {"type": "number"}, "iban": {"type": "string"}},
    }
    found = by_path(fields_of_any([REFUND, other], "proposal.args"))
    assert found["proposal.args.amount_minor"].required
    assert found["proposal.args.amount_minor"].type == "integer or number"
    assert not found["proposal.args.lines"].required
    assert fields_of_any([], "proposal.args") == []


def test_a_rule_reads_the_standard_its_contracts_and_its_own_windows() -> None:
    found = by_path(fields_for([REFUND], ["refunds_today"]))
    assert found["proposal.args"].closed
    assert found["history"].closed
    assert found["history.refunds_today"].type == "number"
    assert found["now"].type == "time"
    assert len(found) == len(fields_for([REFUND], ["refunds_today"]))
    assert not by_path(fields_for([], []))["proposal.args"].closed


def test_the_standard_is_what_a_snapshot_has() -> None:
    paths = {known.path for known in STANDARD}
    assert {"proposal.tier", "agent.model", "run.workflow", "context", "history", "now"} <= paths
    assert all(known.description and known.required for known in STANDARD)
