"""Envelopes and routes: what is taken, what is refused with its place, and who wins."""

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestrator.core.cloud_events import read_envelope
from orchestrator.core.errors import BadInput, RoutesInvalid
from orchestrator.core.policy.routing import (
    Dead,
    Routed,
    problems_of,
    read_routes,
    route,
    trials,
)

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "1",
    "source": "/shops/lisbon",
    "type": "order.damaged",
}


def one(when: str, name: str = "a", workflow: str = "refund") -> dict[str, Any]:
    return {"name": name, "when": when, "workflow": workflow}


# Envelopes ------------------------------------------------------------------------------------


def test_it_reads_what_the_specification_allows() -> None:
    found = read_envelope(
        EVENT
        | {
            "subject": "orders/A-1",
            "time": "2026-11-21T10:30:00.25+01:00",
            "datacontenttype": "application/vnd.shop+json; charset=utf-8",
            "dataschema": "https://shop.example/schemas/order.damaged/3",
            "traceparent": "00-4bf9-00f0-01",
            "sequence": 7,
            "sampled": True,
            "data": [None, 1.5, "é"],
        }
    )
    assert (found.id, found.source, found.type) == ("1", "/shops/lisbon", "order.damaged")
    assert found.occurred_at == datetime(2026, 11, 21, 9, 30, 0, 250_000, tzinfo=UTC)
    assert found.version == "3"
    assert found.attributes["sequence"] == 7
    assert "data" not in found.attributes
    assert found.data == [None, 1.5, "é"]


def test_the_version_is_named_by_attribute_or_schema_or_not_at_all() -> None:
    assert read_envelope(EVENT).version == ""
    assert read_envelope(EVENT | {"contractversion": 2}).version == "2"
    assert read_envelope(EVENT | {"contractversion": "2", "dataschema": "urn:x/7"}).version == "2"
    assert read_envelope(EVENT | {"dataschema": "https://x.example/order/v7"}).version == "7"
    assert read_envelope(EVENT | {"dataschema": "https://x.example/order"}).version == ""


def test_an_attribute_that_is_null_is_not_there() -> None:
    assert read_envelope(EVENT | {"time": None, "subject": None}) == read_envelope(EVENT)


def test_a_retry_with_another_trace_says_the_same() -> None:
    first = read_envelope(EVENT | {"data": {"a": 1, "b": 2}, "traceparent": "00-1"})
    again = read_envelope(EVENT | {"data": {"b": 2, "a": 1}, "time": "2026-01-01T00:00:00Z"})
    other = read_envelope(EVENT | {"data": {"a": 1, "b": 3}})
    assert first.digest == again.digest != other.digest


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": 1.0}, "specversion"),
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"id": "x" * 10_000}, "id"),
        ({"id": "a\nb"}, "id"),
        ({"id": "a\u0085b"}, "id"),
        ({"source": ""}, "source"),
        ({"source": "https://shop.example/日本"}, "source"),
        ({"source": "two words"}, "source"),
        ({"source": "/" + "x" * 400}, "source"),
        ({"type": ""}, "type"),
        ({"type": "x" * 101}, "type"),
        ({"subject": ""}, "subject"),
        ({"time": "yesterday"}, "time"),
        ({"time": "2026-11-21T10:30:00"}, "time"),
        ({"time": "2026-12-31T23:59:60Z"}, "time"),
        ({"time": "0000-01-01T00:00:00Z"}, "time"),
        ({"time": "9999-12-31T23:59:59-23:59"}, "time"),
        ({"datacontenttype": "text/xml", "data": "<a/>"}, "datacontenttype"),
        ({"data_base64": "aGk="}, "data_base64"),
        ({"contractversion": 1.5}, "contractversion"),
        ({"dataschema": "no uri"}, "dataschema"),
        ({"traceParent": "x"}, "traceParent"),
        ({"trace_parent": "x"}, "trace_parent"),
        ({"trace": {"parent": "x"}}, "trace"),
        ({"weight": 1.5}, "weight"),
        ({"note": "a\x07b"}, "note"),
        ({"note": "x" * 1_001}, "note"),
    ],
)
def test_what_is_no_event_is_refused_by_name(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as refusal:
        read_envelope(EVENT | changes)
    assert refusal.value.field == field


@pytest.mark.parametrize("name", list(EVENT))
def test_every_event_has_these(name: str) -> None:
    with pytest.raises(BadInput, match=f"“{name}” is missing"):
        read_envelope({key: value for key, value in EVENT.items() if key != name})


@pytest.mark.parametrize("raw", [None, 1, "x", [], {}, [EVENT]])
def test_what_is_not_even_an_object_is_refused(raw: Any) -> None:
    with pytest.raises(BadInput):
        read_envelope(raw)


# Routes ---------------------------------------------------------------------------------------


def test_the_first_that_holds_wins() -> None:
    routes = read_routes(
        [
            one("event.type == 'invoice.received'", "invoice", "invoices"),
            one("data.amount > 5", "large", "support"),
            one("event.type.startsWith('order.')", "order", "refund"),
        ]
    )
    assert route(routes, EVENT, {"amount": 9}) == Routed(
        "large", "support", {"event.type": "order.damaged", "data.amount": 9}
    )
    found = route(routes, EVENT, {"amount": 1})
    assert isinstance(found, Routed)
    assert found.route == "order"


def test_the_same_event_goes_the_same_way_whatever_the_order_of_its_fields() -> None:
    routes = read_routes([one("data.a == 1 && data.b == 2")])
    assert route(routes, EVENT, {"a": 1, "b": 2}) == route(routes, EVENT, {"b": 2, "a": 1})


def test_nothing_that_holds_is_no_route() -> None:
    found = route(read_routes([one("false")]), EVENT, None)
    assert found == Dead("no_route", "none of 1 routes wants it", {})
    assert route((), EVENT, {}) == Dead("no_route", "none of 0 routes wants it", {})


@pytest.mark.parametrize(
    "when",
    [
        "data.missing == 1",
        "data.order > 5",
        "event.nothing.at.all == ''",
        "data.list[9] == 1",
        "1 / data.zero > 0",
        "data.order",
        "timestamp(event.id) < timestamp('2026-01-01T00:00:00Z')",
    ],
)
def test_a_route_that_cannot_be_evaluated_ends_the_search(when: str) -> None:
    routes = read_routes([one(when, "careful"), one("true", "rest")])
    found = route(routes, EVENT, {"order": "A-1", "list": [1], "zero": 0})
    assert isinstance(found, Dead)
    assert found.reason == "route_error"
    assert "“careful”" in found.detail
    assert [trial.result for trial in trials(routes, EVENT, {"order": "A-1"})] == ["error"]


def test_a_condition_sees_unusual_data() -> None:
    for data, when in (
        ([1, 2.5, None, {"a": "😀"}], "data[3].a == '😀'"),
        ("text", "data == 'text'"),
        (None, "data == null"),
        (10**18, "data == 1000000000000000000"),
        ({"a-b": True}, "data['a-b']"),
    ):
        assert isinstance(route(read_routes([one(when)]), EVENT, data), Routed)


def test_a_costly_condition_is_stopped() -> None:
    nested = "data.all(a, data.all(b, data.all(c, data.all(d, a + b + c + d >= 0))))"
    found = route(read_routes([one(nested)]), EVENT, list(range(200)))
    assert isinstance(found, Dead)
    assert found.reason == "route_error"


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        ({}, ""),
        ([1], "/0"),
        ([{}], "/0"),
        ([one("true") | {"then": 1}], "/0/then"),
        ([one("true", name="a b")], "/0/name"),
        ([one("true", name="")], "/0/name"),
        ([one("")], "/0/when"),
        ([one("event.type ==")], "/0/when"),
        ([one("1 + 1")], "/0/when"),
        ([one("proposal.action == 'x'")], "/0/when"),
        ([one("x" * 10_001)], "/0/when"),
        ([one("(" * 5_000 + "true" + ")" * 5_000)], "/0/when"),
        ([one("true", workflow="a/b")], "/0/workflow"),
        ([one("false"), one("true")], "/1/name"),
        ([one("true"), one("false", "b")], "/1"),
        ([one("false", f"n{number}") for number in range(201)], ""),
    ],
)
def test_routes_that_could_not_decide_are_refused_with_the_place(raw: Any, pointer: str) -> None:
    try:
        found = problems_of(read_routes(raw))
    except RoutesInvalid as refusal:
        assert str(refusal).startswith("The routes were not saved: ")
        found = list(refusal.problems)
    assert pointer in [problem.pointer for problem in found]
