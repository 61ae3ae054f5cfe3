"""Contracts: what a schema may say, and that a new version which breaks a promise is never let through."""

import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.codec import Json
from orchestrator.core.policy.contracts import (
    Incompatible,
    compare,
    masked_problems,
    misfits,
    problems_of,
)
from orchestrator.core.policy.pattern_samples import pattern_samples
from orchestrator.core.schemas import check, fitting

REFUND: dict[str, Any] = {
    "type": "object",
    "required": ["amount_minor"],
    "properties": {
        "amount_minor": {"type": "integer", "minimum": 1, "maximum": 100_000},
        "reason": {"enum": ["damaged_item", "late_delivery"]},
        "order": {"type": "string", "pattern": "^A-[0-9]+$", "maxLength": 20},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}, "maxItems": 50},
        "customer": {"type": "object", "properties": {"email": {"type": "string"}}},
    },
    "additionalProperties": False,
    "$defs": {
        "line": {
            "type": "object",
            "required": ["sku"],
            "properties": {"sku": {"type": "string"}, "quantity": {"type": "integer"}},
            "additionalProperties": False,
        }
    },
}
Change = Callable[[dict[str, Any]], Any]


def changed(change: Change) -> dict[str, Any]:
    schema = deepcopy(REFUND)
    change(schema)
    return schema


def fields(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schema["properties"]
    return found


WIDER: dict[str, Change] = {
    "a higher limit": lambda s: fields(s)["amount_minor"].update(maximum=200_000),
    "no limit": lambda s: fields(s)["amount_minor"].pop("maximum"),
    "one more choice": lambda s: fields(s)["reason"]["enum"].append("wrong_item"),
    "null as well": lambda s: fields(s)["reason"]["enum"].append(None),
    "a new field that may be left out": lambda s: fields(s).update(note={"type": "string"}),
    "any further field": lambda s: s.pop("additionalProperties"),
    "no pattern": lambda s: fields(s)["order"].pop("pattern"),
    "numbers for whole numbers": lambda s: fields(s)["amount_minor"].update(type="number"),
    "nothing required": lambda s: s.update(required=[]),
    "a wider part that is referred to": lambda s: s["$defs"]["line"]["properties"].update(
        note={"type": "string"}
    ),
    "the part in place of the reference": lambda s: fields(s)["lines"].update(
        items=s["$defs"]["line"]
    ),
    "other words": lambda s: s.update(title="A refund", description="…", examples=[{}]),
}
NARROWER: dict[str, tuple[Change, str]] = {
    "a lower limit": (
        lambda s: fields(s)["amount_minor"].update(maximum=50_000),
        "/amount_minor",
    ),
    "one choice less": (lambda s: fields(s)["reason"]["enum"].pop(), "/reason"),
    "one more required": (lambda s: s["required"].append("reason"), ""),
    "a new field that is required": (
        lambda s: (fields(s).update(note={"type": "string"}), s["required"].append("note")),
        "",
    ),
    "a field that is gone": (lambda s: fields(s).pop("order"), "/order"),
    "another type": (lambda s: fields(s)["order"].update(type="integer"), "/order"),
    "a narrower pattern": (
        lambda s: fields(s)["order"].update(pattern="^A-[0-9]{4}$"),
        "/order",
    ),
    "a format": (lambda s: fields(s)["order"].update(format="date"), "/order"),
    "shorter texts": (lambda s: fields(s)["order"].update(maxLength=5), "/order"),
    "fewer elements": (lambda s: fields(s)["lines"].update(maxItems=10), "/lines"),
    "one more required further in": (
        lambda s: s["$defs"]["line"]["required"].append("quantity"),
        "/lines/0",
    ),
    "a field of an open object": (
        lambda s: fields(s)["customer"]["properties"].update(age={"type": "integer"}),
        "/customer/age",
    ),
    "a closed object": (
        lambda s: fields(s)["customer"].update(additionalProperties=False),
        "/customer/anything_else",
    ),
    "a condition": (
        lambda s: s.update(
            {
                "if": {"properties": {"reason": {"const": "damaged_item"}}},
                "then": {"required": ["order"]},
            }
        ),
        "",
    ),
}


@pytest.mark.parametrize("name", WIDER)
def test_what_only_widens_may_follow(name: str) -> None:
    wider = changed(WIDER[name])
    assert problems_of(wider, "action") == []
    assert compare(REFUND, wider, "action") is None
    # What may be accepted may not be said: for outputs it is the other way round.
    assert compare(wider, REFUND, "output") is None


@pytest.mark.parametrize("name", NARROWER)
def test_what_narrows_is_refused_with_a_value(name: str) -> None:
    change, place = NARROWER[name]
    narrower = changed(change)
    for broken in (compare(REFUND, narrower, "event"), compare(narrower, REFUND, "output")):
        assert broken is not None
        assert check(REFUND, broken.counterexample) == []
        assert list(broken.why) == check(narrower, broken.counterexample)
        assert broken.why[0].pointer == place


def test_an_example_is_short_and_differs_in_one_place() -> None:
    broken = compare(REFUND, changed(NARROWER["a lower limit"][0]), "action")
    assert broken is not None
    assert broken.counterexample == {"amount_minor": 100_000}
    assert [str(one) for one in broken.why] == [
        "/amount_minor: must be at most 50,000; it is 100000"
    ]


def test_what_cannot_be_told_is_refused_with_the_reason() -> None:
    same_in_other_words = {"type": "string", "pattern": "^(aa)*$"}, {"pattern": "^(a{2})*$"}
    broken = compare(*same_in_other_words, "event")
    assert broken == Incompatible(None, (), "it could neither be proven nor refuted")


def test_alternatives_that_are_told_apart_can_grow() -> None:
    def union(*kinds: str) -> dict[str, Any]:
        return {
            "oneOf": [
                {
                    "type": "object",
                    "required": ["kind", kind],
                    "properties": {"kind": {"const": kind}, kind: {"type": "string"}},
                    "additionalProperties": False,
                }
                for kind in kinds
            ]
        }

    assert compare(union("card", "iban"), union("card", "iban", "cash"), "event") is None
    broken = compare(union("card", "iban", "cash"), union("card", "iban"), "event")
    assert broken is not None
    assert broken.counterexample == {"kind": "cash", "cash": broken.counterexample["cash"]}  # type: ignore[index, call-overload]


def test_parts_that_lead_back_to_themselves_are_compared_as_far_as_they_can() -> None:
    def tree(value: dict[str, Any]) -> dict[str, Any]:
        node = {
            "type": "object",
            "properties": {
                "value": value,
                "below": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
        }
        return {"$ref": "#/$defs/node", "$defs": {"node": node}}

    assert problems_of(tree({}), "event") == []
    assert (
        compare(tree({"type": "integer"}), tree({"type": "integer", "title": "v"}), "event") is None
    )
    broken = compare(tree({"type": "integer"}), tree({"type": "string"}), "event")
    assert broken is not None
    assert broken.why[0].pointer == "/value"


# Never lets through what breaks a promise ----------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "kind"])
SCALARS: st.SearchStrategy[Json] = st.sampled_from(
    [None, True, False, 0, 1, 2, 3, -1, 1.5, 0.5, 8, "", "a", "x", "ab", "abc", "zzzz", "12"]
)
VALUES: st.SearchStrategy[Json] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "kind", "new"]), inner, max_size=4)
    ),
    max_leaves=8,
)


def _with(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=optional)


SIMPLE: st.SearchStrategy[Any] = st.one_of(
    _with(minimum=st.integers(-2, 2), maximum=st.integers(0, 4), multipleOf=st.just(2)).map(
        lambda one: {"type": "integer", **one}
    ),
    _with(exclusiveMinimum=st.just(0), maximum=st.sampled_from([1, 2.5])).map(
        lambda one: {"type": "number", **one}
    ),
    _with(
        minLength=st.integers(0, 2),
        maxLength=st.integers(1, 4),
        pattern=st.sampled_from(["^[a-z]+$", "^a", "x|y", "^[0-9]{2}$"]),
    ).map(lambda one: {"type": "string", **one}),
    st.lists(SCALARS, min_size=1, max_size=3, unique_by=repr).map(lambda some: {"enum": some}),
    st.sampled_from([True, {}, {"type": ["string", "null"]}, {"not": {"type": "integer"}}]),
)


def _compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    objects = _with(
        properties=st.dictionaries(NAMES, inner, max_size=3),
        required=st.lists(NAMES, max_size=2, unique=True),
        additionalProperties=st.just(False) | inner,
        dependentRequired=st.just({"a": ["b"]}),
        unevaluatedProperties=st.just(False),
        patternProperties=st.dictionaries(st.just("^k"), inner, min_size=1),
        maxProperties=st.integers(1, 3),
    ).map(lambda one: {"type": "object", **one})
    arrays = _with(
        items=inner,
        prefixItems=st.lists(inner, min_size=1, max_size=2),
        minItems=st.integers(0, 2),
        maxItems=st.integers(1, 3),
        uniqueItems=st.just(True),
        contains=inner,
    ).map(lambda one: {"type": "array", **one})
    either = st.lists(inner, min_size=1, max_size=2)
    return st.one_of(
        objects,
        arrays,
        either.map(lambda some: {"anyOf": some}),
        either.map(lambda some: {"oneOf": some}),
        either.map(lambda some: {"allOf": some}),
        st.tuples(inner, inner).map(lambda two: {"if": two[0], "then": two[1]}),
    )


SCHEMAS: st.SearchStrategy[Any] = st.recursive(SIMPLE, _compound, max_leaves=6)


@given(old=SCHEMAS, new=SCHEMAS, values=st.lists(VALUES, min_size=20, max_size=60))
def test_no_value_is_refused_by_a_version_that_was_let_through(
    old: Json, new: Json, values: list[Json]
) -> None:
    given_, taken = fitting(old), fitting(new)
    broken = compare(old, new, "event")
    if broken is None:
        assert not [value for value in values if given_(value) and not taken(value)]
    elif broken.why:
        assert given_(broken.counterexample)
        assert not taken(broken.counterexample)


@given(schema=SCHEMAS, extra=SCHEMAS, values=st.lists(VALUES, min_size=10, max_size=40))
def test_one_more_demand_never_slips_through(schema: Json, extra: Json, values: list[Json]) -> None:
    """Pairs that are nearly the same, as two versions of a contract are."""
    narrower: Json = {"allOf": [schema, extra]}
    if compare(schema, narrower, "event") is None:
        fits, still = fitting(schema), fitting(narrower)
        assert not [value for value in values if fits(value) and not still(value)]


@given(schema=SCHEMAS)
def test_the_same_again_is_always_let_through(schema: Json) -> None:
    assert compare(schema, deepcopy(schema), "event") is None


# Schemas that nobody could keep, or that were built to hurt ---------------------------------------


def twice(deep: int) -> dict[str, Any]:
    """Each part asks the next one twice: 2**deep questions about one value."""
    parts: dict[str, Any] = {
        f"p{number}": {"allOf": [{"$ref": f"#/$defs/p{number + 1}"}] * 2} for number in range(deep)
    }
    return {"$ref": "#/$defs/p0", "$defs": parts | {f"p{deep}": {"type": "integer"}}}


HOSTILE: dict[str, tuple[Json, str, str]] = {
    "a part elsewhere": (
        {"properties": {"a": {"$ref": "http://127.0.0.1:9/x.json"}}},
        "/properties/a/$ref",
        "nothing is fetched",
    ),
    "a file": ({"$ref": "file:///etc/passwd"}, "/$ref", "nothing is fetched"),
    "another dialect": (
        {"$schema": "http://json-schema.org/draft-07/schema#"},
        "/$schema",
        "the one dialect",
    ),
    "a part that is not there": (
        {"items": {"$ref": "#/$defs/no"}},
        "/items/$ref",
        "there is no part “#/$defs/no”",
    ),
    "names of parts": ({"properties": {"a": {"$anchor": "x"}}}, "/properties/a/$anchor", "$defs"),
    "an address inside": ({"items": {"$id": "https://example.org"}}, "/items/$id", "not taken"),
    "a reference by name": ({"$ref": "#x", "$defs": {"a": {}}}, "/$ref", "there is no part"),
    "round and round": ({"$ref": "#"}, "", "leads back to itself"),
    "round by a detour": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        "",
        "leads back to itself",
    ),
    "twice into itself": (
        {"properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}},
        "",
        "asks “#” twice",
    ),
    "twice and twice again": (twice(60), "", "more than 5,000 parts"),
    "a pattern that explodes": (
        {"properties": {"a": {"pattern": "((a{0,100}){0,100}){0,100}"}}},
        "/properties/a/pattern",
        "cannot be used",
    ),
    "no pattern": ({"items": {"pattern": "("}}, "/items/pattern", ""),
    "a type that is none": ({"type": "money"}, "/type", "must be"),
    "nothing fits": ({"type": "string", "enum": [1]}, "", "nothing could ever fit"),
    "a list": ([], "", "must be an object"),
    "false": (False, "", "must be an object"),
    "null": (None, "", "must be an object"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_schema_is_refused_at_once_with_its_place(name: str) -> None:
    schema, place, reason = HOSTILE[name]
    began = time.process_time()
    found = problems_of(schema, "event")
    assert time.process_time() - began < 1
    assert found[0].pointer == place
    assert reason in found[0].reason


def test_what_looks_like_a_reference_may_be_data() -> None:
    for schema in (
        {"const": {"$ref": "http://x"}},
        {"properties": {"$ref": {"type": "string"}, "$id": {}}},
        {
            "$id": "https://example.org/refund.json",
            "properties": {"a": {"$ref": "#/$defs/a"}},
            "$defs": {"a": {}},
        },
    ):
        assert problems_of(schema, "event") == []


def test_arguments_of_an_action_have_names() -> None:
    assert problems_of({"type": "array"}, "action")[0].pointer == "/type"
    assert problems_of({"properties": {}}, "action")[0].pointer == "/type"
    assert problems_of({"type": "array"}, "event") == []


def test_a_pattern_that_explodes_elsewhere_is_harmless_here() -> None:
    schema = {"type": "string", "pattern": "^(a+)+$"}
    began = time.process_time()
    assert problems_of(schema, "event") == []
    assert misfits('{"type":"string","pattern":"^(a+)+$"}', "a" * 50_000 + "!")
    assert compare(schema, {"type": "string", "pattern": "^(a|aa)+$"}, "event") is not None
    assert time.process_time() - began < 1


def ands_of_ors(count: int, each: int) -> Json:
    return {
        "allOf": [
            {
                "anyOf": [
                    {
                        "required": [f"p{one}_{two}"],
                        "properties": {f"p{one}_{two}": {"type": "integer"}},
                    }
                    for two in range(each)
                ]
            }
            for one in range(count)
        ]
    }


@pytest.mark.parametrize(("count", "each"), [(2, 5), (5, 8), (20, 20)])
def test_comparing_takes_no_longer_for_what_was_built_to_be_hard(count: int, each: int) -> None:
    began = time.process_time()
    broken = compare(ands_of_ors(count, each), ands_of_ors(count, each + 1), "event")
    assert time.process_time() - began < 3
    assert broken is None or broken.reason == (
        "it has more alternatives than can be compared one by one"
    )


def test_limits_beyond_all_numbers_are_compared_without_trying_them() -> None:
    for old, new in (
        ({"type": "string", "minLength": 10**15}, {"type": "string", "minLength": 10**17}),
        ({"type": "array", "maxItems": 10**17}, {"type": "array", "maxItems": 10**15}),
        ({"type": "number", "multipleOf": 1e-300}, {"type": "number", "multipleOf": 3e-300}),
        ({"type": "number", "maximum": 1e300}, {"type": "number", "maximum": 1e299}),
    ):
        assert compare(old, new, "event") is not None
        assert compare(new, old, "output") is not None


@given(st.text(alphabet="ab01^$.*+?{},()[]|\\d-", max_size=30))
def test_samples_of_any_pattern_come_to_an_end(pattern: str) -> None:
    assert len(pattern_samples(pattern)) <= 12


@pytest.mark.parametrize(
    "pattern",
    ["^A-[0-9]+$", "^[A-Z]{2}[0-9]{2,4}$", r"^\d{4}-\d{2}$", "(foo|ba[rz])?x", "^[^ @]+@x$"],
)
def test_samples_fit_their_pattern(pattern: str) -> None:
    fits = fitting({"pattern": pattern})
    samples = pattern_samples(pattern)
    assert len(samples) > 1
    assert all(fits(text) for text in samples)


# Masks --------------------------------------------------------------------------------------------


def test_a_mask_points_at_what_the_schema_has() -> None:
    schema = {
        "type": "object",
        "properties": {
            "card": {"$ref": "#/$defs/card"},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/card"}},
            "pair": {"prefixItems": [{"properties": {"iban": {}}}]},
            "a/b": {},
            "by_name": {"additionalProperties": {"properties": {"pan": {}}}},
        },
        "allOf": [{"if": {"required": ["x"]}, "then": {"properties": {"secret": {}}}}],
        "$defs": {"card": {"anyOf": [{"properties": {"pan": {}}}, {"type": "null"}]}},
    }
    right = ["/card", "/card/pan", "/lines/*/pan", "/lines/0/pan", "/pair/0/iban", "/a~1b"]
    right += ["/secret", "/by_name/anyone/pan", "/*/pan"]
    assert masked_problems(schema, right) == []
    wrong = masked_problems(schema, ["/crad", "card", "", "/lines/pan", "/card/pan/x"])
    assert [problem.pointer for problem in wrong] == [f"/masked/{number}" for number in range(5)]
    assert wrong[0].reason == "the schema has no “crad” here. Did you mean “card”?"


def test_what_does_not_fit_a_masked_place_is_not_shown() -> None:
    schema = '{"properties":{"card":{"type":"integer"},"lines":{"items":{"properties":{"pan":{"type":"integer"}}}}}}'
    value: Json = {"card": "4111-1111", "lines": [{"pan": "4222-2222"}]}
    shown = [str(problem) for problem in misfits(schema, value)]
    hidden = [str(problem) for problem in misfits(schema, value, ["/card", "/lines/*/pan"])]
    assert "4111" in shown[0]
    assert "4222" in shown[1]
    assert not any("4111" in line or "4222" in line for line in hidden)
    assert hidden[0] == "/card: does not fit; what stands there is masked"
